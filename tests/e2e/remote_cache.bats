#!/usr/bin/env bats
# The remote cache: a fresh machine is as fast as a warm one. Machines are stores.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
}

teardown_file() {
	stop_registries
}

cached_recipe() {
	recipe <<-LUA
		local tools = stage "tools" { from = base "$(repo base):1", run { "echo tool >/tool" } }
		local parent = image "parent" { from = base "$(repo base):1", copy { "lib", to = "/lib/" }, env { A = "b" } }
		image "web" { from = parent, copy { "/tool", from = tools, to = "/tool" }, copy { "src", to = "/src/" },
		  run { "cat /tool /src/* >/out" }, publish = { "$(repo web)", version = "1.0.0" } }
	LUA
	mkdir -p lib src
	echo lib >lib/a
	echo src >src/a
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

# What a build did: "TARGET: run …" and "TARGET: pack", one a line. Empty: nothing.
did() {
	imgmake "$@" --events "$DIR/events" >&2 || return 1
	jq -r 'select(.event == "begin" and (.what == "pack" or (.what | startswith("run "))))
		| "\(.target): \(.what)"' "$DIR/events"
}

# What the registry was asked for since the last call, without the base's and the cache's existence.
since() {
	local n
	n=$(cat "$DIR/seen" 2>/dev/null || echo 0)
	requests open | tail -n +$((n + 1))
	requests open | wc -l >"$DIR/seen"
}

@test "a fresh machine makes nothing and downloads no layer" {
	local first digest
	cached_recipe
	ok imgmake deploy --cache "$(repo cache)"
	contains "$stderr" '^remote cache: 0 of [0-9]+ found, [0-9]+ brought'
	digest=$(digest_of "$(repo web):1.0.0")
	machine two
	since >/dev/null
	equal "$(did deploy --cache "$(repo cache)")" ""
	first=$(since)
	# One entry for the image; the base's documents; a HEAD for each tag. No blob but the base's configuration.
	equal "$(grep -c "/cache/manifests/" <<<"$first")" 1
	equal "$(grep -c "^HEAD .*/web/manifests/" <<<"$first")" 4
	equal "$(grep '^GET .*blobs/' <<<"$first" | grep -vc '/base/')" 0
	equal "$(grep -c '^\(PUT\|POST\|PATCH\)' <<<"$first")" 0
	[ -z "$(find "$IMGMAKE_STORE/blobs" -size +100k)" ]
	# And it is the same image.
	equal "$(exported web)" "$digest"
}

@test "one file changed on a fresh machine: only what depends on it is made" {
	cached_recipe
	imgmake deploy --cache "$(repo cache)"
	machine two
	echo changed >src/a
	sed -i 's/1\.0\.0/1.0.1/' Imagefile
	equal "$(did deploy --cache "$(repo cache)")" \
		"web: pack"$'\n'"web: run cat /tool /src/* >/out"$'\n'"web: pack"
	# What the second made, the third has.
	machine three
	equal "$(did --cache "$(repo cache)" web)" ""
	machine none
	equal "$(exported web)" "$(digest_of "$(repo web):1.0.1")"
}

@test "a fresh machine retags, mounting from the cache's repository" {
	local first
	cached_recipe
	imgmake --cache "$(repo cache)" web
	machine two
	since >/dev/null
	ok imgmake deploy --cache-read "$(repo cache)"
	first=$(since)
	equal "$(grep -c '^PUT .*/web/blobs/uploads/' <<<"$first")" 1   # its configuration
	equal "$(grep '^GET .*blobs/' <<<"$first" | grep -vc '/base/')" 0
	equal "$(tags_of "$(repo web)")" "1 1.0 1.0.0 latest"
}

@test "read only is never written" {
	cached_recipe
	since >/dev/null
	ok imgmake --cache-read "$(repo cache)" web
	equal "$(since | grep -c "^\(PUT\|POST\|PATCH\)")" 0
	contains "$stderr" 'remote cache: 0 of'
}

@test "the environment and the recipe name a cache, the command line none" {
	cached_recipe
	IMGMAKE_CACHE=$(repo cache) ok imgmake web
	machine two
	echo "settings { cache = \"$(repo cache)\" }" >>Imagefile
	equal "$(did web)" ""
	machine three
	contains "$(did --cache=none web)" 'web: run'
	machine four
	contains "$(IMGMAKE_CACHE=none did web)" 'web: run'
	sed -i 's/settings.*/settings { cahce = "x" }/' Imagefile
	fails "unknown option 'cahce'.*cache" imgmake web
}

@test "a cache that is missing, refuses or lies costs a warning" {
	local tag
	cached_recipe
	ok imgmake --cache localhost:1/none web
	equal "$(grep -c 'warning: remote cache localhost:1/none' <<<"$stderr")" 1
	machine two
	imgmake --cache "$(repo cache)" web
	# An entry put under another key.
	tag=$(tags_of "$(repo cache)" | tr ' ' '\n' | grep '^step-' | head -1)
	for t in $(tags_of "$(repo cache)"); do
		skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$(repo cache):$tag" \
			"docker://$(repo lies):$t"
	done
	machine three
	ok imgmake --cache-read "$(repo lies)" web
	contains "$stderr" 'warning: remote cache .*is no entry of that key'
	machine four
	equal "$(exported web)" "$(machine two; exported web)"
}

@test "layers that the cache has lost are made anew" {
	local digest
	cached_recipe
	imgmake --cache "$(repo cache)" web
	digest=$(exported web)
	machine two
	ok imgmake --cache-read "$(repo cache)" web
	# The registry forgets all blobs; the documents stay.
	rm -rf "$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER/cache/_layers"
	equal "$(exported web)" "$digest"
	machine three
	imgmake --cache-read "$(repo cache)" web
	ok imgmake deploy --cache-read "$(repo cache)"
	equal "$(digest_of "$(repo web):1.0.0")" "$digest"
}

@test "signed entries: others are not taken, and a public key is enough to take them" {
	cached_recipe
	openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
	openssl pkey -in key.pem -pubout -out public.pem
	openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256 -out other.pem 2>/dev/null
	imgmake --cache "$(repo cache)" --cache-key key.pem web
	machine two
	equal "$(did --cache-read "$(repo cache)" --cache-key public.pem web)" ""
	machine three
	contains "$(did --cache-read "$(repo cache)" --cache-key other.pem web 2>"$DIR/said")" 'web: run'
	contains "$(cat "$DIR/said")" 'warning: .*not signed with the key'
	machine four
	imgmake --cache "$(repo plain)" web
	machine five
	contains "$(did --cache-read "$(repo plain)" --cache-key public.pem web)" 'web: run'
	fails 'is a public one' imgmake --cache "$(repo plain)" --cache-key public.pem web
	fails 'holds no key in PEM form' imgmake --cache "$(repo plain)" --cache-key Imagefile web
	fails 'there is no remote cache' imgmake --cache-key key.pem web
	fails "remote cache 'UPPER case'" imgmake --cache 'UPPER case' web
}

@test "entries that lie or are not signed are passed over, and replaced by those of whoever may write" {
	local cache tag
	recipe <<-LUA
		image "web" { from = "scratch", write { "/a", "one" }, write { "/b", "two" } }
	LUA
	openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
	cache=$(repo cache)
	imgmake --cache "$cache"
	machine two
	ok imgmake --cache "$cache" --cache-key key.pem
	equal "$(grep -c 'warning: remote cache .* is not signed with the key that was given; such entries are passed over' <<<"$stderr")" 1
	contains "$stderr" 'remote cache: 0 of [0-9]+ found, [1-9][0-9]* brought'
	machine three
	equal "$(did --cache "$cache" --cache-key key.pem)" ""
	# One that is none, and one of another key.
	for tag in $(tags_of "$cache" | tr ' ' '\n' | grep '^result-'); do seed "$cache" "$tag"; done
	machine four
	equal "$(did --cache "$cache" 2>"$DIR/said")" ""
	contains "$(cat "$DIR/said")" 'warning: remote cache .* is no entry of that key; such entries are passed over'
	machine five
	ok imgmake --cache-read "$cache"
	lacks "$stderr" warning
	contains "$stderr" 'remote cache: 1 of 1 found'
}

@test "a base's table of contents comes from the cache, its layer does not come" {
	cached_recipe
	recipe <<-LUA
		image "web" { from = base "$(repo base):1", copy { "src", to = "/tmp/" } }
	LUA
	imgmake --cache "$(repo cache)"
	machine two
	since >/dev/null
	echo changed >src/a
	equal "$(did --cache "$(repo cache)")" "web: pack"
	equal "$(since | grep -c '^GET .*/base/blobs/')" 1
}

# lies KIND…: what a machine makes that believes a cache with such lies in each entry, without it afterwards too.
lies() {
	local lie want cache
	cached_recipe
	imgmake --cache "$(repo cache)" web
	echo changed >src/a
	machine none
	imgmake web
	want=$(exported web)
	cache=$(repo cache)
	for lie in "$@"; do
		"$REPO_ROOT/tests/servers/lying_cache.py" "$OPEN" "${cache#*/}" "t$BATS_TEST_NUMBER/$lie" "$lie"
		machine "$lie"
		ok imgmake --cache-read "$(repo "$lie")" web
		[ "$(grep -c 'is not one that imgmake writes' <<<"$stderr")" -le 1 ]
		equal "$(exported web)" "$want"
		ok imgmake fsck
		echo "$lie" >src/a
		ok imgmake web
		echo changed >src/a
		equal "$(exported web)" "$want"
	done
}

@test "lies about what a layer is" {
	lies size type no-tar other-layer climbs
}

@test "lies about tables, bases and platforms" {
	lies table no-table lost-table base platform no-json
}

@test "a check that passed on another machine is not run again, unless it has to be fresh" {
	checked() {
		recipe <<-LUA
			local web = image "web" { from = base "$(repo base):1", write { "/a", "x" } }
			check "starts" { image = web, $1 run = { "echo it ran" } }
		LUA
	}
	cached_recipe
	checked
	ok imgmake check --cache "$(repo cache)"
	contains "$stderr" 'starts: it ran'
	machine two
	ok imgmake check --cache-read "$(repo cache)"
	contains "$stderr" 'starts: passed before'
	lacks "$stderr" 'it ran'
	machine three
	checked 'fresh = "0s",'
	ok imgmake check --cache-read "$(repo cache)"
	contains "$stderr" 'starts: it ran'
	machine four
	checked
	contains "$(imgmake cache stats "$(repo cache)")" 'passes of checks +1'
}
