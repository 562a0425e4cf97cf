load helpers

# What we pushed and exported, read by tools that are not ours: tree, owners, modes, configuration.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# An image with some of everything that a reader can get wrong.
rich_image() {
	mkdir -p src/deep/er
	echo one >src/one
	echo two >src/deep/er/two
	ln src/one src/linked
	ln -s one src/soft
	printf '#!/bin/sh\necho "ran as $(id -u) in $(pwd) with $GREETING: $*"\n' >tool
	chmod 755 tool
	head -c 3000000 /dev/urandom >data
	recipe <<-EOF
		image "rich" {
		  from = base "$BUSYBOX",
		  copy { "src", to = "/src", owner = "www:web" },
		  copy { "tool", to = "/bin/tool" },
		  copy { "tool", to = "/usr/bin/suid", mode = "4755" },
		  copy { "data", to = "/data/" },
		  remove { "/home" },
		  mkdir { "/var/cache/app", mode = "0770", owner = "33:34" },
		  env { GREETING = "hello" },
		  workdir "/src",
		  user "33:34",
		  config { entrypoint = { "/bin/tool" }, cmd = { "a", "b c" }, expose = { 80, "53/udp" },
		           labels = { ["org.example.l"] = "v=1" }, volumes = { "/vol" } },
		  publish = { "$(repo)", tags = { "1" } },
		}
	EOF
}

# The tree in DIR is what rich_image says.
is_rich() {
	equal "$(what "$1/src/one")" "644 33:34 regular file"
	equal "$(what "$1/src/deep/er")" "755 33:34 directory"
	equal "$(cat "$1/src/deep/er/two")" two
	equal "$(stat -c %i "$1/src/one")" "$(stat -c %i "$1/src/linked")"
	equal "$(readlink "$1/src/soft")" one
	equal "$(readlink "$1/bin")" usr/bin
	equal "$(what "$1/usr/bin/tool")" "755 0:0 regular file"
	equal "$(what "$1/usr/bin/suid")" "4755 0:0 regular file"
	cmp data "$1/data/data"
	[ ! -e "$1/home" ]
	equal "$(what "$1/var/cache/app")" "770 33:34 directory"
	equal "$(what "$1/tmp")" "1777 0:0 directory"
	equal "$(what "$1/root")" "700 0:0 directory"
	[ -x "$1/usr/bin/busybox" ]
}

# The configuration as Docker spells it, on standard input.
is_rich_config() {
	jq -c '[.Entrypoint, .Cmd, .User, .WorkingDir, (.ExposedPorts | keys), .Labels["org.example.l"],
		(.Volumes | keys), (.Env | sort)]' >got
	equal "$(cat got)" '[["/bin/tool"],["a","b c"],"33:34","/src",["53/udp","80/tcp"],"v=1",["/vol"],["GREETING=hello","PATH=/usr/local/bin:/usr/bin:/bin"]]'
}

@test "umoci unpacks an exported layout" {
	needs_root
	rich_image
	exported rich >/dev/null
	unpacked out-rich b
	is_rich b/rootfs
	config_of out-rich | jq .config | is_rich_config
}

@test "skopeo copies an exported layout and archive, and checks every digest" {
	rich_image
	exported rich >/dev/null
	skopeo copy -q "oci:$(layout_ref out-rich)" dir:d1
	imgmake export rich oci-archive:o.tar
	skopeo copy -q oci-archive:o.tar dir:d2
	cmp d1/manifest.json d2/manifest.json
}

@test "skopeo reads an exported docker archive, with the same configuration and layers" {
	rich_image
	exported rich >/dev/null
	imgmake export rich docker-archive:d.tar
	skopeo copy -q docker-archive:d.tar oci:back:1
	equal "$(config_of back | jq -c .rootfs)" "$(config_of out-rich | jq -c .rootfs)"
	config_of back | jq .config | is_rich_config
}

@test "skopeo and umoci read what was pushed" {
	needs_root
	rich_image
	ok imgmake deploy
	local digest
	digest=$(exported rich)
	equal "$(digest_of "$(repo):1")" "$digest"
	skopeo copy -q --src-tls-verify=false "docker://$(repo):1" oci:pulled:1
	equal "$(jq -r '.manifests[0].digest' pulled/index.json)" "$digest"
	unpacked pulled b
	is_rich b/rootfs
}

@test "buildah reads what was pushed, and builds on it" {
	needs_root
	rich_image
	ok imgmake deploy
	bud pull -q --tls-verify=false "$(repo):1" >/dev/null
	bud inspect --type image "$(repo):1" | jq .OCIv1.config | is_rich_config
	local c m
	c=$(bud from --pull-never "$(repo):1")
	m=$(bud mount "$c")
	is_rich "$m"
	bud umount "$c" >/dev/null
	bud rm "$c" >/dev/null
}

pod() {
	podman --root "$DIR/podman" --runroot "$DIR/podman.run" --storage-driver vfs --cgroup-manager cgroupfs "$@"
}

@test "podman loads an exported archive and runs it" {
	needs_root
	rich_image
	imgmake export rich docker-archive:d.tar
	pod load -q -i d.tar >load.log
	local image
	image=$(pod images -q --no-trunc | head -1)
	pod image inspect "$image" | jq '.[0].Config' | is_rich_config
	exported rich layout >&2
	go podman_run "$(layout_with_tag layout)" x
	equal "$output" "ran as 33 in /src with hello: x"
}

@test "tar and dir exports are the flattened tree" {
	needs_root
	rich_image
	imgmake export rich tar:t.tar
	mkdir t
	tar -xpf t.tar -C t --numeric-owner
	is_rich t
	imgmake export rich dir:d
	is_rich d
}

@test "a layout of skopeo's, from what was pushed, is a base for us" {
	rich_image
	ok imgmake deploy
	skopeo copy -q --src-tls-verify=false "docker://$(repo):1" oci:l:1
	recipe <<-'EOF'
		image "next" { from = base "oci:l:1", write { "/bin/more", "x" } }
	EOF
	exported next >/dev/null
	contains "$(last_layer out-next)" '^usr/bin/more$'
	config_of out-next | jq .config | is_rich_config
}

@test "imgmake reads a layout and archives of others back into its store" {
	rich_image
	local digest
	digest=$(exported rich)
	skopeo copy -q "oci:$(layout_ref out-rich)" oci-archive:a.tar:1
	IMGMAKE_STORE=$DIR/second
	export IMGMAKE_STORE
	ok imgmake import oci-archive:a.tar
	contains "$output" "${digest:7:12}"
}

@test "compressed members are plain gzip to gzip, and to Python" {
	rich_image
	exported rich >/dev/null
	local d
	for d in $(manifest_of out-rich | jq -r '.layers[1:][].digest'); do
		blob out-rich "$d" >layer.gz
		gzip -t layer.gz
		equal "$(python3 -c 'import gzip,hashlib,sys; print(hashlib.sha256(gzip.open("layer.gz").read()).hexdigest())')" \
			"$(gzip -dc layer.gz | sha256sum | cut -d' ' -f1)"
	done
	equal "$(config_of out-rich | jq -r '.rootfs.diff_ids[-1]')" \
		"sha256:$(blob out-rich "$d" | gzip -dc | sha256sum | cut -d' ' -f1)"
}
