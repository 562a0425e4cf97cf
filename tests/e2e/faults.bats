load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

teardown() {
	local status=0
	store_is_as_ever || status=$?
	chmod -R u+w "$DIR" 2>/dev/null || true
	teardown_test
	return "$status"
}

# An image with enough in it that a kill hits the middle.
big_image() {   # MEGABYTES
	head -c "$1000000" /dev/urandom >big
	seq 300000 >numbers
	recipe <<-EOF
		image "x" {
		  from = "scratch",
		  copy { "numbers", to = "/" },
		  copy { "big", to = "/" },
		  publish = { "$(repo)", tags = { "1" } },
		}
	EOF
}

undisturbed() {
	IMGMAKE_STORE=$DIR/other exported x "$DIR/undisturbed"
}

kill_hard() {   # PID
	kill -9 "$1"
	wait "$1" 2>/dev/null || true
}

some_blob_begun() {
	[ -n "$(find "$IMGMAKE_STORE/tmp" "$IMGMAKE_STORE/blobs" -type f 2>/dev/null | head -1)" ]
}

@test "kill -9 during a build, then the same digest as undisturbed" {
	big_image 60
	local digest i pid
	digest=$(undisturbed)
	for i in 1 2 3; do
		rm -rf "$IMGMAKE_STORE"
		"$IMGMAKE" build >/dev/null 2>&1 3>&- &
		pid=$!
		wait_until some_blob_begun
		kill_hard "$pid"
		equal "$(exported x)" "$digest"
	done
	store_is_whole
}

upload_begun() {
	grep -qE "(PATCH|POST|PUT) /v2/t$BATS_TEST_NUMBER/app/" "$REGISTRIES/open/log"
}

@test "kill -9 during a push leaves the tag old, and a retry finishes it" {
	big_image 60
	seed "$(repo)" 1
	local digest old pid now
	digest=$(undisturbed)
	old=$(digest_of "$(repo):1")
	imgmake build
	: >"$REGISTRIES/open/log"
	"$IMGMAKE" deploy >/dev/null 2>&1 3>&- &
	pid=$!
	wait_until upload_begun
	kill_hard "$pid"
	now=$(digest_of "$(repo):1")
	[ "$now" = "$old" ] || [ "$now" = "$digest" ]
	ok imgmake deploy
	equal "$(digest_of "$(repo):1")" "$digest"
}

@test "an interrupt ends it with the signal, and leaves nothing half-made" {
	big_image 60
	"$IMGMAKE" build >/dev/null 2>&1 3>&- &
	local pid=$! status=0
	wait_until some_blob_begun
	kill -TERM "$pid"
	wait "$pid" || status=$?
	equal "$status" 143
	store_is_whole
}

@test "an interrupted host rule takes its children along" {
	recipe <<-'EOF'
		file "never" { run = { "echo $$ >pid", "read x <fifo" } }
		image "x" { from = "scratch", copy { "never", to = "/" } }
	EOF
	mkfifo fifo
	"$IMGMAKE" build >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_until test -s pid
	kill -TERM "$pid"
	wait "$pid" || true
	child_gone() {
		! kill -0 "$(cat pid)" 2>/dev/null
	}
	wait_until child_gone
}

@test "eight builds on one store" {
	big_image 8
	local digest i pids=()
	digest=$(undisturbed)
	for i in {1..8}; do
		"$IMGMAKE" export x "oci:out$i" >"log$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || { cat log*; return 1; }
	done
	for i in {1..8}; do
		equal "$(jq -r '.manifests[0].digest' "out$i/index.json")" "$digest"
	done
	store_is_whole
}

@test "builds in containers of their own, all with the same number, on one store, are whole or refused" {
	needs_root
	local k pids=()
	for k in {1..6}; do
		mkdir "p$k"
		printf '%s' "$k" >"p$k/f"
		cat >"p$k/Imagefile" <<-LUA
			image "x" { from = base "$BUSYBOX", copy { "f", to = "/" }, run { "echo \$(cat /f) >/g" } }
		LUA
	done
	for k in {1..6}; do
		(cd "p$k" && exec unshare --pid --fork --mount-proc "$IMGMAKE" export x dir:out) >"log$k" 2>&1 3>&- &
		pids+=($!)
	done
	for k in {1..6}; do
		wait "${pids[k - 1]}" || contains "$(cat "log$k")" 'another container that has the same number \(1\)'
	done
	for k in {1..6}; do
		(cd "p$k" && ok imgmake export x dir:again && equal "$(cat again/g)" "$k")
	done
	store_is_whole
}

@test "a full disk: one line, and the store is good afterwards" {
	needs_root
	big_image 30
	mkdir "$DIR/mnt"
	mount -t tmpfs -o size=8m tmpfs "$DIR/mnt"
	IMGMAKE_STORE=$DIR/mnt/store
	fails 'No space left' imgmake
	store_is_whole
	mount -o remount,size=200m "$DIR/mnt"
	equal "$(exported x)" "$(undisturbed)"
}

@test "an export to a full disk leaves nothing that looks whole" {
	needs_root
	big_image 30
	imgmake
	mkdir "$DIR/mnt"
	mount -t tmpfs -o size=8m tmpfs "$DIR/mnt"
	fails 'No space left' imgmake export x "oci-archive:$DIR/mnt/x.tar"
	[ ! -e "$DIR/mnt/x.tar" ]
}

@test "a store that cannot be written" {
	needs_user
	recipe <<<'image "x" { from = "scratch", write { "/a", "" } }'
	mkdir -p "$DIR/ro"
	chmod 555 "$DIR/ro"
	export IMGMAKE_STORE=$DIR/ro/store
	fails 'ro/store.*(Permission denied|Read-only)' as_user "$IMGMAKE"
	equal "$(ls "$DIR/ro")" ""
}

@test "a store on a read-only file system still answers questions" {
	needs_root
	big_image 1
	mkdir "$DIR/mnt"
	mount -t tmpfs tmpfs "$DIR/mnt"
	IMGMAKE_STORE=$DIR/mnt/store
	imgmake
	mount -o remount,ro "$DIR/mnt"
	ok imgmake -q
	echo more >>big
	fails 'Read-only' imgmake
	mount -o remount,rw "$DIR/mnt"
}

@test "a flipped bit in the store is noticed, and the blob made anew" {
	big_image 3
	local digest layer file
	digest=$(exported x)
	layer=$(manifest_of out-x | jq -r '.layers[-1].digest')
	file=$IMGMAKE_STORE/blobs/sha256/${layer:7}
	chmod u+w "$file"
	printf x | dd of="$file" bs=1 seek=100000 conv=notrunc 2>/dev/null
	go imgmake deploy
	ok imgmake deploy
	equal "$(digest_of "$(repo):1")" "$digest"
	skopeo copy -q --src-tls-verify=false "docker://$(repo):1" oci:back:1
	equal "$(jq -r '.manifests[0].digest' back/index.json)" "$digest"
}

@test "a damaged table of contents of a base is noticed, and made anew in the same build" {
	local f digest
	recipe <<<"image 'x' { from = base '$BUSYBOX', copy { 'file', to = '/' } }"
	echo one >file
	imgmake
	for f in "$IMGMAKE_STORE"/blobs/sha256/*; do
		if zstd -dcq <"$f" 2>/dev/null | head -c 11 | grep -q imgmake-toc; then
			chmod u+w "$f"
			echo x >"$f"
		fi
	done
	echo two >file
	ok imgmake
	contains "$stderr" '^imgmake: warning: the table of contents of layer sha256:.* in the store is damaged; it is made anew$'
	equal "$(imgmake fsck --repair | grep -c 'its bytes')" 1   # that of the old copy, which nobody needed
	digest=$(imgmake --json | jq -r '.[0].digest')
	equal "$(imgmake --store "$DIR/other" --json 2>/dev/null | jq -r '.[0].digest')" "$digest"
}

@test "a truncated blob in the store is noticed, and made anew" {
	big_image 3
	local digest layer
	digest=$(exported x)
	layer=$(manifest_of out-x | jq -r '.layers[-1].digest')
	chmod u+w "$IMGMAKE_STORE/blobs/sha256/${layer:7}"
	truncate -s 1000 "$IMGMAKE_STORE/blobs/sha256/${layer:7}"
	go imgmake export x oci:again
	ok imgmake export x oci:again2
	equal "$(jq -r '.manifests[0].digest' again2/index.json)" "$digest"
	store_is_whole
}

@test "a file of 2 GB in a layer, in 64 MB of memory" {
	truncate -s 2G big
	recipe <<<'image "x" { from = "scratch", copy { "big", to = "/" } }'
	local peak
	peak=$(peak_kib "$IMGMAKE" build)
	echo "peak: $peak KiB"
	[[ $IMGMAKE = *asan* ]] || [ "$peak" -lt 65536 ]
}
