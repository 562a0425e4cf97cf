#!/usr/bin/env bats
# imgmake load: into real engines, with stores of their own. Machines are stores.
load helpers

setup_file() {
	start_registry open
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
	stop_registries
	[ ! -e "$CONTAINERD/dockerd" ] || stop_docker
	[ ! -e "$CONTAINERD/pid" ] || kill "$(cat "$CONTAINERD/pid")"
	rm -rf "$CONTAINERD"
}

# A docker of this file's own, started by the first test that wants it.
needs_docker() {
	local d=$CONTAINERD
	needs_root
	command -v dockerd >/dev/null || skip "dockerd is not installed"
	export DOCKER_HOST=unix://$d/docker.sock
	[ ! -e "$d/dockerd" ] || return 0
	echo '{}' >"$d/docker.json"
	dockerd --data-root "$d/docker" --exec-root "$d/docker.exec" --pidfile "$d/docker.pid" --host "$DOCKER_HOST" \
		--bridge none --iptables=false --ip6tables=false --storage-driver vfs --config-file "$d/docker.json" \
		>"$d/docker.log" 2>&1 3>&- &
	echo $! >"$d/dockerd"
	wait_until docker version >/dev/null
}

# It ends the containerd that it has started, and what it has mounted, only when it is asked nicely.
stop_docker() {
	local pid
	pid=$(cat "$CONTAINERD/dockerd")
	kill "$pid"
	wait_until dead "$pid"
}

dead() {
	[ ! -d "/proc/$1" ]
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

image_recipe() {
	recipe <<-LUA
		image "web" { from = base "$BUSYBOX", write { "/a", "loaded" }, config { cmd = { "cat", "/a" } } }
	LUA
	own_podman
}

own_podman() {
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

@test "docker has it under its name, and its files" {
	needs_docker
	image_recipe
	ok imgmake load --into docker web
	contains "$stderr" '^docker has it as docker.io/library/web:latest$'
	equal "$(docker image inspect --format '{{join .Config.Cmd " "}}' web:latest)" "cat /a"
	docker create --name loaded web >/dev/null
	equal "$(docker cp loaded:/a - | tar -xO)" loaded
	docker rm loaded >/dev/null
	ok imgmake load --into docker --name registry.example.com/team/web:1.2 web
	docker image inspect registry.example.com/team/web:1.2 >/dev/null
}

# What each engine has of an image, by what it says of the layers itself.
has_files() {   # ENGINE NAME
	case $1 in
	docker) docker create --name it "$2" >/dev/null && docker cp it:/usr/bin/busybox - | tar -xO | sha256sum &&
		docker rm it >/dev/null;;
	podman) podman create --name it "$2" >/dev/null && podman cp it:/usr/bin/busybox - | tar -xO | sha256sum &&
		podman rm it >/dev/null;;
	containerd) ctr images export "$DIR/it.tar" "$2" && mkdir "$DIR/it" && tar -xf "$DIR/it.tar" -C "$DIR/it" &&
		skopeo copy -q "oci:$DIR/it" "dir:$DIR/it.dir" && for l in $(jq -r '.layers[].digest' "$DIR/it.dir/manifest.json"); do
			tar -xOzf "$DIR/it.dir/${l#*:}" ./usr/bin/busybox usr/bin/busybox 2>/dev/null || true
		done | sha256sum;;
	esac
}

lazy_recipe() {
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	recipe <<-LUA
		image "web" { from = base "$(repo base):1", env { A = "b" }, config { cmd = { "/bin/busybox" } } }
		image "top" { from = base "$(repo base):1", copy { "a", to = "/tmp/" }, config { cmd = { "/bin/busybox" } } }
	LUA
	head -c 100000 /dev/urandom >a
	skopeo copy -q "$BUSYBOX" "dir:$DIR/busybox"
	FILES=$(tar -xOzf "$DIR/busybox/$(jq -r '.layers[0].digest' "$DIR/busybox/manifest.json" | cut -d: -f2)" ./usr/bin/busybox |
		sha256sum)
	own_podman
}

@test "of a base whose layer nobody has read, and of what only the remote cache has" {
	local engine
	needs_docker
	lazy_recipe
	imgmake --cache "$(repo cache)" top
	for engine in docker podman containerd; do
		machine "$engine"
		ok imgmake load --into "$engine" --name "registry.example.com/$engine/web:1" web
		equal "$(has_files "$engine" "registry.example.com/$engine/web:1")" "$FILES"
		rm -rf "$DIR"/it*
		machine "$engine.cache"
		ok imgmake load --into "$engine" --cache-read "$(repo cache)" --name "registry.example.com/$engine/top:1" top
		contains "$stderr" 'remote cache: 1 of 1 found'
		equal "$(has_files "$engine" "registry.example.com/$engine/top:1")" "$FILES"
		rm -rf "$DIR"/it*
		store_is_whole
	done
}

@test "what the cache has lost is made again, and what nobody has is said" {
	local d f
	needs_podman
	lazy_recipe
	imgmake --cache "$(repo cache)" top
	d=$(skopeo inspect --raw --tls-verify=false "docker://$(repo cache):$(tags_of "$(repo cache)" | tr ' ' '\n' | grep -m1 result-)" |
		jq -r '.layers[] | select(.size > 90000 and .size < 200000).digest')
	f=$REGISTRIES/open/data/docker/registry/v2/blobs/sha256/${d:7:2}/${d:7}/data
	[ -s "$f" ]
	rm "$f"
	machine two
	ok imgmake load --into podman --cache-read "$(repo cache)" --name localhost/top:1 top
	contains "$stderr" 'warning: .*the remote cache lost a layer.*; making it anew'
	equal "$(has_files podman localhost/top:1)" "$FILES"
	store_is_whole
	# Without the base's registry, there is nobody to ask.
	machine three
	imgmake web
	f=$(find "$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER/base/_layers" -type d -name '[0-9a-f]*' |
		while read -r l; do [ "$(stat -c %s "$REGISTRIES/open/data/docker/registry/v2/blobs/sha256/$(basename "$l" | cut -c1-2)/$(basename "$l")/data")" -lt 100000 ] || echo "$l"; done)
	mv "$f" "$DIR/moved"
	fails 'a layer of .*has no such blob' imgmake load --into podman web
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "by its digest, or by a name that was pulled: what the store lacks of it comes from where it is" {
	local digest layer
	needs_podman
	lazy_recipe
	digest=$(exported web)
	machine two
	imgmake web
	rm Imagefile
	ok imgmake load --into podman --name localhost/web:1 "$digest"
	equal "$(has_files podman localhost/web:1)" "$FILES"
	# A pulled one, of which a layer was put aside.
	imgmake pull "$(repo base):1"
	layer=$(find "$IMGMAKE_STORE/blobs" -type f -size +500k)
	rm "$layer"
	ok imgmake load --into podman --name localhost/base:1 "$(repo base):1"
	equal "$(has_files podman localhost/base:1)" "$FILES"
	store_is_whole
}
