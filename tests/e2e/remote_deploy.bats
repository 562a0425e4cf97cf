#!/usr/bin/env bats
# Deploying on a machine that has nothing yet, from what a remote cache knows; and what a dry run says of it.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
	start_registry other
	export OTHER=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

family_recipe() {   # HOST: three images on a parent, published there
	recipe <<-LUA
		local parent = image "parent" { from = base "$(repo base):1", copy { "lib", to = "/lib/" }, env { A = "b" } }
		for _, name in ipairs { "a", "b", "c" } do
		  image(name) { from = parent, copy { name, to = "/" },
		    publish = { "$1/t$BATS_TEST_NUMBER/" .. name, version = "1.2.0" } }
		end
	LUA
	mkdir -p lib
	head -c 300000 /dev/urandom >lib/x
	for n in a b c; do head -c 10000 /dev/urandom >$n; done
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
}

@test "deploy -n predicts the bytes, on a fresh machine too" {
	family_recipe "$OPEN"
	imgmake --cache "$(repo cache)"
	machine two
	predicts_exactly open --cache-read "$(repo cache)"
	[ ! -e "$DIR/store.none" ]
	# All blobs were there to be mounted: what is sent are manifests.
	[ "$(cut -d' ' -f1 "$DIR/said")" -lt 50000 ]
	# Once more: nothing.
	machine three
	predicts_exactly open --cache-read "$(repo cache)"
	equal "$(cut -d' ' -f1,2 "$DIR/said")" "0 0"
	# The store that a dry run was to look at has nothing of it.
	machine four
	ok imgmake -n deploy --cache-read "$(repo cache)"
	lacks "$output" 'not built yet'
	[ ! -e "$IMGMAKE_STORE" ]
	# Without the cache it is known to be out of date, and no more.
	ok imgmake -n deploy
	contains "$output" 'not built yet'
}

@test "deploy -n predicts the bytes of another version and of one changed image" {
	family_recipe "$OPEN"
	imgmake deploy
	sed -i 's/1\.2\.0/1.2.1/' Imagefile
	predicts_exactly open
	head -c 10000 /dev/urandom >b
	sed -i 's/1\.2\.1/1.3.0/' Imagefile
	imgmake
	predicts_exactly open
}

@test "deploy -n with a base that cannot be had says that nothing is built" {
	family_recipe "$OPEN"
	imgmake -n deploy >/dev/null
	sed -i 's,base "[^"]*","BASE",; s,from = "BASE",from = base "localhost:1/none@sha256:'"$(printf '%064d' 1)"'",' Imagefile
	ok imgmake -n deploy
	contains "$output" 'not built yet'
}

@test "on another host than the cache's, blobs are streamed from registry to registry" {
	local blobs
	family_recipe "$OTHER"
	imgmake --cache "$(repo cache)"
	machine two
	mark open
	predicts_exactly other --cache-read "$(repo cache)"
	# Each layer was asked for once, though three images need it.
	blobs=$(since open | sed -nE 's,^GET .*/cache/blobs/([^ ]*) .*,\1,p')
	equal "$(sort <<<"$blobs" | uniq -d)" ""
	[ "$(cut -d' ' -f1 "$DIR/said")" -gt 300000 ]
	# Nothing of them is in the store.
	equal "$(find "$IMGMAKE_STORE/blobs" "$IMGMAKE_STORE/tmp" -type f -size +9k)" ""
	machine three
	predicts_exactly other --cache-read "$(repo cache)"
	equal "$(cut -d' ' -f1,2 "$DIR/said")" "0 0"
	equal "$(tags_of "$OTHER/t$BATS_TEST_NUMBER/b")" "1 1.2 1.2.0 latest"
}
