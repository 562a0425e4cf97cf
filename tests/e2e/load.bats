#!/usr/bin/env bats
# imgmake load: into real engines, with stores of their own.
load helpers

setup_file() {
	CONTAINERD=$(new_dir)
	export CONTAINERD CONTAINERD_ADDRESS=$CONTAINERD/s
	[ "$(id -u)" = 0 ] || return 0
	cat >"$CONTAINERD/config.toml" <<-EOF
		version = 2
		root = "$CONTAINERD/root"
		state = "$CONTAINERD/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$CONTAINERD/s"
	EOF
	containerd -c "$CONTAINERD/config.toml" >"$CONTAINERD/log" 2>&1 3>&- &
	echo $! >"$CONTAINERD/pid"
	wait_until grep -q 'successfully booted' "$CONTAINERD/log"
}

teardown_file() {
	[ ! -e "$CONTAINERD/pid" ] || kill "$(cat "$CONTAINERD/pid")"
	rm -rf "$CONTAINERD"
}

image_recipe() {
	recipe <<-LUA
		image "web" { from = base "$BUSYBOX", write { "/a", "loaded" }, config { cmd = { "cat", "/a" } } }
	LUA
	# podman's store, of this test's own.
	printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$DIR/podman" "$DIR/podman.run" >"$DIR/storage.conf"
	export CONTAINERS_STORAGE_CONF=$DIR/storage.conf
}

@test "podman has it under its name, with our digest" {
	local digest
	image_recipe
	digest=$(exported web)
	ok imgmake load --into podman web
	contains "$stderr" '^podman has it as localhost/web:latest$'
	equal "$output" "$digest"
	equal "$(podman image inspect --format '{{.Digest}}' localhost/web:latest)" "$digest"
	ok imgmake load --into podman --name registry.example.com/team/web:1.2 web
	equal "$(podman image inspect --format '{{.Digest}}' registry.example.com/team/web:1.2)" "$digest"
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "containerd has it under its name, with our digest" {
	local digest
	needs_root
	image_recipe
	digest=$(exported web)
	ok imgmake load --into containerd web
	contains "$(ctr images list)" "^docker.io/library/web:latest .* $digest "
	ok imgmake load --into containerd --name registry.example.com/team/web:1.2 web --json
	contains "$(ctr images list)" "^registry.example.com/team/web:1.2 .* $digest "
	equal "$(jq -r .digest <<<"$output")" "$digest"
}

@test "one that answers is found" {
	image_recipe
	mkdir bin
	ln -s "$(command -v podman)" bin/podman
	ok env PATH="$PWD/bin" "$IMGMAKE" load web
	contains "$stderr" '^podman has it as'
}

@test "none that answers, one that refuses, and names that cannot be" {
	image_recipe
	mkdir bin
	fails 'neither docker nor podman nor containerd answers here' env PATH="$PWD/bin" "$IMGMAKE" load web
	fails 'podman' env PATH="$PWD/bin" "$IMGMAKE" load --into podman web
	CONTAINERD_ADDRESS=$DIR/none fails '^imgmake: ctr could not load it: .*none' imgmake load --into containerd web
	fails "cannot be called 'Web:1:2'" imgmake load --into podman --name Web:1:2 web
	fails "no target 'wbe'" imgmake load --into podman wbe
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}
