load helpers

# imgmake fsck: what it finds, what --repair does about it, and that the next build makes it anew.

setup() {
	setup_test
	head -c 3000000 /dev/urandom >big
	recipe <<<'image "x" { from = "scratch", copy { "big", to = "/" } }'
	DIGEST=$(imgmake --json | jq -r '.[0].digest')
	LAYER=$(find "$IMGMAKE_STORE/blobs/sha256" -size +2M -printf '%f\n')
}

# found PATTERN: fsck says just that, and exits 1; --repair mends it; then all is as it was.
found() {
	go imgmake fsck
	[ "$status" = 1 ]
	contains "$output" "$1\$"
	contains "$output" '^[0-9]+ blobs, .*, and [0-9]+ records: [0-9]+ found, 0 mended; imgmake fsck --repair mends$'
	go imgmake fsck --repair
	[ "$status" = 1 ]
	contains "$output" "$1; mended\$"
	clean
	equal "$(imgmake --json | jq -r '.[0].digest')" "$DIGEST"
	clean
	store_is_whole
}

clean() {
	ok imgmake fsck
	contains "$output" '^[0-9]+ blobs, .*, and [0-9]+ records: clean$'
}

@test "a store without a fault, and one that is new" {
	clean
	ok imgmake fsck --store "$DIR/new"
	equal "$output" '0 blobs, 0 B, and 0 records: clean'
	ok imgmake fsck --json
	jq -e '.blobs == 4 and .bytes > 3000000 and .records > 0 and .repaired == 0 and .findings == []' <<<"$output"
}

@test "a flipped bit" {
	chmod u+w "$IMGMAKE_STORE/blobs/sha256/$LAYER"
	printf x | dd of="$IMGMAKE_STORE/blobs/sha256/$LAYER" bs=1 seek=100000 conv=notrunc 2>/dev/null
	go imgmake fsck --json
	[ "$status" = 1 ]
	jq -e --arg d "sha256:$LAYER" '.findings == [{kind: "blob", name: $d, repaired: false,
		problem: "its bytes are not those of its name"}]' <<<"$output"
	found "^blob sha256:$LAYER: its bytes are not those of its name"
	[ -e "$IMGMAKE_STORE/rotten/$LAYER" ]
}

@test "a truncated blob" {
	chmod u+w "$IMGMAKE_STORE/blobs/sha256/$LAYER"
	truncate -s 1000 "$IMGMAKE_STORE/blobs/sha256/$LAYER"
	found "^blob sha256:$LAYER: its bytes are not those of its name"
}

@test "a blob that is gone, with records that name it" {
	rm -f "$IMGMAKE_STORE/blobs/sha256/$LAYER"
	found "^record result [0-9a-f]{12}: names sha256:$LAYER, which is not there"
}

@test "an image's name whose manifest is gone" {
	rm -f "$IMGMAKE_STORE/blobs/sha256/${DIGEST#sha256:}"
	found "^record image x of $DIR/work: names $DIGEST, which is not there"
}

@test "a table of contents that is none" {
	local f toc
	for f in "$IMGMAKE_STORE"/blobs/sha256/*; do
		[ "$(zstd -dcq <"$f" 2>/dev/null | head -c 11)" != imgmake-toc ] || toc=$f
	done
	chmod u+w "$toc"
	echo x >"$toc"
	found "^blob sha256:$(basename "$toc"): its bytes are not those of its name"
}

@test "files among the blobs that are none" {
	echo x >"$IMGMAKE_STORE/blobs/sha256/notes.txt"
	mkdir "$IMGMAKE_STORE/blobs/sha256/$(printf %064d 1)"
	found '^file blobs/sha256/notes.txt: is not named by a digest'
}

@test "a store that others can read" {
	chmod 755 "$IMGMAKE_STORE" "$IMGMAKE_STORE/blobs"
	found '^mode blobs: has mode 0755, not 0700'
	equal "$(stat -c %a "$IMGMAKE_STORE")" 700
}

@test "a state that cannot be read" {
	printf 'garbage%.0s' {1..2000} >"$IMGMAKE_STORE/state.mdb"
	fails 'state.mdb; imgmake fsck --repair puts it aside' imgmake
	go imgmake fsck
	[ "$status" = 1 ]
	contains "$output" '^file state.mdb: cannot be read$'
	go imgmake fsck --json
	[ "$status" = 1 ]
	jq -e '.findings[0].name == "state.mdb"' <<<"$output"
	go imgmake fsck --repair
	[ "$status" = 1 ]
	contains "$output" '^file state.mdb: cannot be read; mended$'
	clean
	equal "$(imgmake --json | jq -r '.[0].digest')" "$DIGEST"
}

# The first words of a page, where LMDB says what is in it.
damage_page() {   # NUMBER
	python3 - "$IMGMAKE_STORE/state.mdb" "$1" <<-'EOF'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]) * 4096 + 8)
		    words = f.read(56)
		    f.seek(-56, 1)
		    f.write(bytes(b ^ 0x5a for b in words))
	EOF
}

@test "a state that kills who reads it: fsck lives, and puts it aside" {
	local pages page found=0
	cp "$IMGMAKE_STORE/state.mdb" good
	pages=$(($(stat -c %s good) / 4096))
	for ((page = 2; page < pages; page++)); do
		cp good "$IMGMAKE_STORE/state.mdb"
		damage_page "$page"
		go imgmake fsck
		[ "$status" -le 1 ]
		found=$((found + status))
		go imgmake fsck --repair
		[ "$status" -le 1 ]
		clean
		equal "$(imgmake --json | jq -r '.[0].digest')" "$DIGEST"
	done
	[ "$found" -gt 5 ]
}

@test "a record of what was before that is damaged counts as none" {
	python3 - "$IMGMAKE_STORE/state.mdb" <<-'EOF'
		import sys
		data = open(sys.argv[1], "rb").read()
		damaged = data.replace(b"imgmake plan\0", b"imgmake plan!")   # a string that ends nowhere
		assert damaged != data
		open(sys.argv[1], "wb").write(damaged)
	EOF
	clean
	ok imgmake why
	head -c 100 /dev/urandom >big
	ok imgmake
	ok imgmake -q
}

@test "an unpacked layer that was changed" {
	needs_root
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "big", to = "/" }, run { "echo >/a" } }
	EOF
	DIGEST=$(imgmake --json | jq -r '.[0].digest')
	clean
	local file
	file=$(find "$IMGMAKE_STORE/rootfs" -name big)
	truncate -s 5 "$file"
	found '^unpacked layer rootfs/[0-9a-f]{64}-root: big is not as it was unpacked'
	imgmake -s -B
	file=$(find "$IMGMAKE_STORE/rootfs" -name big)
	rm "$file"
	found '^unpacked layer rootfs/[0-9a-f]{64}-root: big is not as it was unpacked'
	imgmake -s -B
	touch "$(dirname "$(find "$IMGMAKE_STORE/rootfs" -name big)")/more"
	found '^unpacked layer rootfs/[0-9a-f]{64}-root: more is not as it was unpacked'
}

@test "what a killed build left is swept, and is no damage" {
	mkdir -p "$IMGMAKE_STORE/tmp/run.1.1/upper"
	clean
	equal "$(find "$IMGMAKE_STORE/tmp" -mindepth 1)" ""
}

@test "while another build runs" {
	recipe <<-'EOF'
		file "never" { run = { "echo >begun", "read x <fifo" } }
		image "y" { from = "scratch", copy { "never", to = "/" } }
	EOF
	mkfifo fifo
	"$IMGMAKE" >log 2>&1 3>&- &
	local pid=$!
	wait_until test -e begun
	clean
	kill -TERM "$pid"
	wait "$pid" || true
}
