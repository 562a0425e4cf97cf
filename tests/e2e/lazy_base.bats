#!/usr/bin/env bats
# Layers of bases stay where they are, as long as nobody needs their files.
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
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	LAYER=$(skopeo inspect --raw --tls-verify=false "docker://$(repo base):1" | jq -r '.layers[0].digest')
	echo a >a
	echo b >b
}

machine() {
	export IMGMAKE_STORE=$DIR/store.$1
}

# How often the base's layer was downloaded since the last call, whoever had it.
downloads() {
	local n was
	was=$(cat "$DIR/was" 2>/dev/null || echo 0)
	n=$(requests open | grep -c "^GET .*/t$BATS_TEST_NUMBER/.*/blobs/$LAYER")
	echo "$n" >"$DIR/was"
	echo $((n - was))
}

@test "several images on one base read its layer once, the next ones never" {
	for n in 1 2 3 4 5 6; do
		echo "image \"i$n\" { from = base \"$(repo base):1\", copy { \"a\", to = \"/tmp/i$n\" } }"
	done | recipe
	ok imgmake -j4
	equal "$(downloads)" 1
	echo "image \"last\" { from = base \"$(repo base):1\", copy { \"b\", to = \"/tmp/\" } }" >>Imagefile
	ok imgmake
	equal "$(downloads)" 0
}

@test "a table from the cache is enough to copy onto the base, and a run step wants the layer" {
	echo "image \"x\" { from = base \"$(repo base):1\", copy { \"a\", to = \"/tmp/\" } }" | recipe
	ok imgmake --cache "$(repo cache)"
	equal "$(downloads)" 1
	machine two
	echo "image \"y\" { from = base \"$(repo base):1\", copy { \"b\", to = \"/tmp/\" } }" >>Imagefile
	ok imgmake --cache-read "$(repo cache)" y
	equal "$(downloads)" 0
	# Copying from the base wants its files.
	echo "image \"z\" { from = \"scratch\", copy { \"/bin/busybox\", from = base \"$(repo base):1\", to = \"/\" } }" >>Imagefile
	ok imgmake --cache-read "$(repo cache)" z
	equal "$(downloads)" 1
	machine three
	echo "image \"r\" { from = base \"$(repo base):1\", run { \"true >/r\" } }" >>Imagefile
	ok imgmake --cache-read "$(repo cache)" r
	equal "$(downloads)" 1
}

@test "configuration alone, and a push, need no layer: mounted, or streamed to another host" {
	cat >Imagefile <<-LUA
		image "x" { from = base "$(repo base):1", env { A = "b" }, publish = { "$(repo x)", tags = { "here" } } }
		image "y" { from = base "$(repo base):1", env { A = "c" },
		  publish = { "$OTHER/t$BATS_TEST_NUMBER/y", tags = { "there" } } }
	LUA
	ok imgmake
	ok imgmake deploy x
	equal "$(downloads)" 0
	contains "$(requests open)" "^POST /v2/t$BATS_TEST_NUMBER/x/blobs/uploads/.mount="
	ok imgmake deploy y
	equal "$(downloads)" 1
	equal "$(find "$IMGMAKE_STORE/blobs" "$IMGMAKE_STORE/tmp" -type f -size +20k)" ""
	skopeo copy -q --src-tls-verify=false "docker://$OTHER/t$BATS_TEST_NUMBER/y:there" "oci:$DIR/y:1"
	# What has a copy on its own layers: the table is made of the one download.
	machine two
	echo "image \"z\" { from = base \"$(repo base):1\", copy { \"a\", to = \"/tmp/\" }, publish = { \"$(repo z)\", tags = { \"t\" } } }" >>Imagefile
	ok imgmake deploy z
	equal "$(downloads)" 1
}

@test "a stream whose bytes lie or end early puts nothing anywhere" {
	local f
	cat >Imagefile <<-LUA
		image "y" { from = base "$(repo base):1", env { A = "c" },
		  publish = { "$OTHER/t$BATS_TEST_NUMBER/y", tags = { "there" } } }
	LUA
	f=$REGISTRIES/open/data/docker/registry/v2/blobs/sha256/${LAYER:7:2}/${LAYER:7}/data
	cp "$f" "$DIR/good"
	printf 'x' | dd of="$f" bs=1 seek=5000 conv=notrunc status=none
	go imgmake deploy
	equal "$status" 2
	contains "$(tail -1 <<<"$stderr")" "expected $LAYER, but the bytes are"
	head -c 10000 "$DIR/good" >"$f"
	go imgmake deploy
	equal "$status" 2
	equal "$(tags_of "$OTHER/t$BATS_TEST_NUMBER/y" 2>/dev/null)" ""
	cp "$DIR/good" "$f"
	ok imgmake deploy
	skopeo copy -q --src-tls-verify=false "docker://$OTHER/t$BATS_TEST_NUMBER/y:there" "oci:$DIR/y:1"
}
