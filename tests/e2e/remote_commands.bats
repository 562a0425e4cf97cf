#!/usr/bin/env bats
# What people do with an image, on a machine that has nothing: all of it takes what another machine made from the
# remote cache, and makes nothing.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	recipe <<-LUA
		local parent = image "parent" { from = base "$(repo base):1", run { "echo parent >/parent" } }
		local web = image "web" { from = parent, copy { "src", to = "/src/" }, run { "cat /parent /src/a >/out" },
		  config { cmd = { "/bin/cat", "/out" } } }
		check "starts" { image = web, run = { "grep -q src /out" } }
	LUA
	mkdir src
	echo src >src/a
	export IMGMAKE_CACHE
	IMGMAKE_CACHE=$(repo cache)
	IMGMAKE_STORE=$DIR/store.one imgmake
	IMGMAKE_CACHE=none IMGMAKE_STORE=$DIR/store.one imgmake export web oci:known
}

# fresh COMMAND…: on another machine, which runs and packs nothing of the recipe.
fresh() {
	rm -rf "$IMGMAKE_STORE"
	ok imgmake "$@" --events "$DIR/events" || return 1
	equal "$(jq -r 'select(.event == "begin" and (.what == "pack" or (.what | startswith("run "))))
		| "\(.target): \(.what)"' "$DIR/events")" ""
	store_is_whole
}

@test "run and shell" {
	fresh run web
	equal "$output" "parent"$'\n'"src"
	rm -rf "$IMGMAKE_STORE"
	ok imgmake shell web <<<'cat /out; exit'
	contains "$output" parent
	lacks "$stderr" '^web: run [^ ]+ /parent.*sha256:[0-9a-f]+$'
}

@test "check" {
	fresh check web
	contains "$stderr" 'starts: passed'
	fresh check starts
}

@test "export, in each form" {
	local form
	for form in oci:a oci-archive:a.tar docker-archive:d.tar tar:t.tar dir:d; do
		fresh export web "$form"
	done
	equal "$(cat d/out)" "parent"$'\n'"src"
	equal "$(jq -r '.manifests[0].digest' a/index.json)" "$(jq -r '.manifests[0].digest' known/index.json)"
	skopeo inspect oci-archive:a.tar >/dev/null
	skopeo inspect docker-archive:d.tar >/dev/null
	contains "$(tar -tf t.tar)" '^out$'
}

@test "size, diff, tree, history, inspect" {
	fresh size web
	contains "$output" 'LAYER'
	fresh history web
	contains "$output" 'cat /parent'
	fresh tree
	contains "$output" web
	fresh inspect web
	fresh diff oci:known web || [ "$status" = 1 ]
	equal "$output" ""
}

@test "push and copy" {
	fresh push web "$(repo pushed):1"
	equal "$(digest_of "$(repo pushed):1")" "$(jq -r '.manifests[0].digest' known/index.json)"
}

# The registry forgets all blobs of the cache, and keeps the entries.
forget() {
	rm -rf "$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER/cache/_layers"
}

@test "what the cache has lost is made here" {
	local words
	forget
	# A table is another blob than its layer, so what only looks at tables finds out, too.
	while read -r words; do
		rm -rf "$IMGMAKE_STORE" d
		# shellcheck disable=SC2086 # words
		IMGMAKE_CACHE=none go imgmake $words --cache-read "$(repo cache)" </dev/null
		[ "$status" = 0 ] || { echo "failed: $words"; return 1; }
		[ "$words" != "run web" ] || equal "$output" "parent"$'\n'"src"
		store_is_whole
	done <<-'EOT'
		run web
		shell web
		check web
		check -B starts
		export web dir:d
		size web
		history web
		tree
		diff oci:known web
	EOT
}
