load helpers

# imgmake gc: bounds of size and age, what is in use, and what is left of the store when it is killed.

# An image x whose one layer has MEGABYTES of its own, in the directory NAME.
project() {   # NAME [MEGABYTES]
	mkdir -p "$1"
	head -c "${2:-4}000000" /dev/urandom >"$1/big"
	recipe "$1" <<<'image "x" { from = "scratch", copy { "big", to = "/" } }'
}

# As if nobody had asked for what is in the store for so long.
aged() {   # "3 days ago"
	find "$IMGMAKE_STORE/blobs/sha256" -type f -exec touch -d "$1" {} +
}

blobs() {
	find "$IMGMAKE_STORE/blobs/sha256" -type f | wc -l
}

whole_store() {
	(cd "$IMGMAKE_STORE" && find . -not -name '*lock' -printf '%p %s %T@\n' | sort && sha256sum state.mdb)
}

current() {   # DIR: nothing to do there
	imgmake -C "$1" -q
}

@test "within the bounds nothing goes" {
	project a
	imgmake -C a
	local before
	before=$(blobs)
	ok imgmake gc
	contains "$output" '^the store has 4\.[0-9] MB$'
	equal "$(blobs)" "$before"
	current a
}

@test "a bound of size: what was not used for longest goes" {
	project a
	project b
	imgmake -C a
	aged '3 days ago'
	imgmake -C b
	ok imgmake gc --max-size 6m
	contains "$output" '^blobs +8 +8\.[0-9] MB +[1-4] +4\.[0-9] MB$'
	current b
	go current a
	[ "$status" = 1 ]
	ok imgmake -C a
	current a
	store_is_whole
}

@test "a bound of age" {
	project a
	imgmake -C a
	aged '3 days ago'
	recipe a <<<'image "y" { from = "scratch", write { "/a", "" } }'
	imgmake -C a
	# The name of x keeps its blobs as long as the name itself is younger.
	ok imgmake gc --max-age 2d
	contains "$output" '^blobs .* 0 +0 B$'
	ok imgmake gc --max-age none --max-size none
	contains "$output" '^blobs .* 0 +0 B$'
}

@test "what has no name goes first" {
	project a
	imgmake -C a
	local old
	old=$(find "$IMGMAKE_STORE/blobs/sha256" -size +3M -printf '%f\n')
	head -c 4000000 /dev/urandom >a/big
	imgmake -C a
	# Also where what has one was not used for longer.
	aged '3 days ago'
	touch "$IMGMAKE_STORE/blobs/sha256/$old"
	ok imgmake gc --max-size 6m
	[ ! -e "$IMGMAKE_STORE/blobs/sha256/$old" ]
	current a
}

@test "-n removes and writes nothing, and says what would go" {
	project a
	imgmake -C a
	local before
	before=$(whole_store)
	ok imgmake gc -n --all
	contains "$output" 'WOULD REMOVE'
	contains "$output" '^would leave .*, and forget [0-9]+ records$'
	equal "$(whole_store)" "$before"
	current a
	ok imgmake gc -n --all --store "$DIR/never"
	[ ! -e "$DIR/never" ]
}

@test "--all, the same digest again, and why says who took it" {
	project a
	local digest
	digest=$(imgmake -C a --json | jq -r '.[0].digest')
	ok imgmake gc --all --json
	jq -e '.after < .before and .kinds.blobs.removed.count == 4 and .records_removed > 0 and
		.max_age == 5184000 and (.max_size > 0) and .dry_run == false' <<<"$output"
	equal "$(blobs)" 0
	ok imgmake -C a why x
	equal "$output" "x is out of date:
  removed by gc on $(date -u +%F)"
	ok imgmake -C a -n
	contains "$output" "removed by gc on $(date -u +%F)"
	equal "$(imgmake -C a --json | jq -r '.[0].digest')" "$digest"
	ok imgmake -C a why x
	lacks "$output" 'removed by gc'
}

@test "a base that gc took is told as that, and not as another base" {
	mkdir a
	recipe a <<-EOF
		local b = base "$BUSYBOX"
		image "x" { from = b, write { "/a", "" } }
		image "never" { from = base "$DEBIAN", write { "/a", "" } }
	EOF
	imgmake -C a x
	imgmake gc --all
	ok imgmake -C a why x never
	equal "$output" "x is out of date:
  the base $BUSYBOX was removed by gc on $(date -u +%F)
never is out of date:
  never built before
  the base $DEBIAN has not been read yet"
}

@test "shards of a large copy go, and come back the same" {
	mkdir -p a/many
	local i digest
	for i in {1..12}; do
		head -c 2000000 /dev/urandom >"a/many/$i"
	done
	recipe a <<<'image "x" { from = "scratch", copy { "many", to = "/many", split = 4 } }'
	digest=$(imgmake -C a --json | jq -r '.[0].digest')
	ok imgmake fsck
	ok imgmake gc --all
	equal "$(blobs)" 0
	equal "$(imgmake -C a --json | jq -r '.[0].digest')" "$digest"
	# Without one of them none of it is taken for whole.
	rm -f "$(find "$IMGMAKE_STORE/blobs/sha256" -size +1M | head -1)"
	ok imgmake gc
	equal "$(imgmake -C a --json | jq -r '.[0].digest')" "$digest"
	store_is_whole
}

@test "damaged blobs that were put aside, and what killed builds left, go" {
	project a
	imgmake -C a
	echo x >"$IMGMAKE_STORE/rotten/0123"
	ok imgmake gc
	contains "$output" '^damaged blobs +1 .* 1 '
	equal "$(ls "$IMGMAKE_STORE/rotten")" ""
	current a
}

@test "bounds that are none" {
	fails "max-size: 'lots' is no size like" imgmake gc --max-size lots
	fails "max-age: '3 fortnights' is no time like" imgmake gc --max-age '3 fortnights'
	IMGMAKE_MAX_SIZE=-1 fails "IMGMAKE_MAX_SIZE: '-1' is no size" imgmake gc
	fails 'max-size.*no size' imgmake gc --max-size 99999999999t
}

@test "bounds that nobody has set: 20 GB or a tenth of the disk, and 60 days" {
	local tenth
	project a
	imgmake -C a
	tenth=$(($(stat -f -c '%b * %S' "$IMGMAKE_STORE") / 10))
	ok imgmake gc -n --json
	equal "$(jq -r '"\(.max_size) \(.max_age)"' <<<"$output")" \
		"$((tenth < 20000000000 ? tenth : 20000000000)) $((60 * 24 * 60 * 60))"
}

@test "bounds that nobody has set, on a small disk" {
	needs_root
	export IMGMAKE_STORE=$DIR/small/store
	mkdir "$DIR/small"
	mount -t tmpfs -o size=60m none "$DIR/small"
	project a
	project b
	imgmake -C a
	aged '3 days ago'
	ok imgmake -C b
	contains "$stderr" 'gc: removed 4\.[0-9] MB'
	current b
}

@test "a build keeps the store within its bounds, and says so" {
	project a
	project b
	export IMGMAKE_MAX_SIZE=6m
	imgmake -C a
	aged '3 days ago'
	ok imgmake -C b
	contains "$stderr" 'gc: removed 4\.[0-9] MB of what was not used for longest; the store has 4\.[0-9] MB'
	current b
	go current a
	[ "$status" = 1 ]
	# What it has just made is in use, however much it is.
	IMGMAKE_MAX_SIZE=1k ok imgmake -C a
	lacks "$stderr" 'gc:'
	current a
}

@test "a build that makes nothing does not look" {
	project a
	imgmake -C a
	aged '3 days ago'
	rm -f "$IMGMAKE_STORE/gc.lock"
	IMGMAKE_MAX_SIZE=1k ok imgmake -C a
	[ ! -e "$IMGMAKE_STORE/gc.lock" ]
	current a
}

@test "caches and unpacked layers of run steps go, but not those in use" {
	needs_root
	recipe <<-EOF
		local b = base "$BUSYBOX"
		image "x" { from = b, run { "head -c 3000000 /dev/zero >/c/big", cache = { "/c" } } }
		image "y" { from = b, run { ": >/d/there; while [ ! -e /d/go ]; do :; done", cache = { "/d" } } }
	EOF
	imgmake x
	"$IMGMAKE" y >log 2>&1 3>&- &
	local pid=$! there
	d_there() {
		there=$(find "$IMGMAKE_STORE/cache" -name there)
		[ -n "$there" ]
	}
	wait_until d_there
	# As if both had been used long ago.
	find "$IMGMAKE_STORE/cache" -name '*.lock' -exec touch -d '3 days ago' {} +
	ok imgmake gc --all --json
	jq -e '.kinds.caches.had.count == 2 and .kinds.caches.removed.count == 1' <<<"$output"
	[ -e "$there" ]
	touch "${there%/there}/go"
	wait "$pid" || { cat log; return 1; }
	ok imgmake gc --all --json
	jq -e '.kinds.caches.removed.count == 1 and .kinds.unpacked.removed.count > 0' <<<"$output"
	equal "$(ls -A "$IMGMAKE_STORE/cache" "$IMGMAKE_STORE/rootfs" | grep -v :)" ""
	ok imgmake x
}

@test "an ordinary user's caches and unpacked layers go, whoever owns the files in them" {
	needs_user
	mkdir "$DIR/u"
	chown "$E2E_USER" "$DIR/u"
	export IMGMAKE_STORE=$DIR/u/store HOME=$DIR/u
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", run { "mkdir -p /c/a/b; chown 5:5 /c/a/b /c/a || true; chmod 700 /c/a",
			cache = { "/c" } } }
	EOF
	ok as_user "$IMGMAKE" --lock=update || skip "no run steps for an ordinary user here"
	ok as_user "$IMGMAKE" gc --all
	equal "$(find "$IMGMAKE_STORE/cache" "$IMGMAKE_STORE/rootfs" "$IMGMAKE_STORE/tmp" -mindepth 1)" ""
}

@test "eight builds and a gc at once" {
	local i round pids=() digest
	for i in {1..8}; do
		project "p$i" 1
	done
	for i in {1..8}; do
		digest[i]=$(IMGMAKE_STORE=$DIR/other "$IMGMAKE" -C "p$i" --json | jq -r '.[0].digest')
	done
	# Blobs that nobody has asked for in days: builds find them, or find them gone, while gc takes them.
	for round in {1..5}; do
		[ "$round" = 1 ] || aged '3 days ago'
		rm -rf out*
		pids=()
		for i in {1..8}; do
			"$IMGMAKE" -C "p$i" export x "oci:../out$i" >"log$i" 2>&1 3>&- &
			pids+=($!)
			[ "$i" != "$round" ] || { "$IMGMAKE" gc --all >log 2>&1 3>&- & pids+=($!); }
		done
		for i in "${pids[@]}"; do
			wait "$i" || { cat log*; return 1; }
		done
		for i in {1..8}; do
			equal "$(jq -r '.manifests[0].digest' "out$i/index.json")" "${digest[$i]}"
		done
	done
	store_is_whole
}

@test "kill -9 of gc: every record names whole blobs, or is as if missing" {
	project a 1
	mkdir b
	{
		for i in {1..20}; do
			echo "image \"i$i\" { from = \"scratch\", write { \"/a\", \"$i\" } }"
		done
	} | recipe b
	local digest all i
	digest=$(imgmake -C a --json | jq -r '.[0].digest')
	all=$(imgmake -C b --json | jq -c 'map(.digest)')
	for i in 003 006 009 012; do
		timeout -s KILL "0.$i" "$IMGMAKE" gc --all >/dev/null 2>&1 || true
		equal "$(imgmake -C a --json | jq -r '.[0].digest')" "$digest"
		equal "$(imgmake -C b --json | jq -c 'map(.digest)')" "$all"
		store_is_whole
	done
}
