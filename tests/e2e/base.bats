load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

on_base() {   # REF
	recipe <<-EOF
		image "x" { from = base "$1", write { "/added", "x" } }
	EOF
}

# The image is the base and one layer more.
stands_on_busybox() {
	exported x >/dev/null
	equal "$(n_layers out-x)" 2
	unpacked out-x b
	[ -x b/rootfs/usr/bin/busybox ]
	[ -L b/rootfs/bin ]
	equal "$(cat b/rootfs/added)" x
	equal "$(config_of out-x | jq -r '.config.Env[0]')" PATH=/usr/local/bin:/usr/bin:/bin
	equal "$(config_of out-x | jq '.rootfs.diff_ids | length')" 2
}

push_base() {   # SKOPEO-OPTION…
	skopeo copy -q --dest-tls-verify=false "$@" "docker://$(repo base):1"
}

@test "an OCI layout, with and without a tag" {
	cp -r "${PREPARED}/busybox" bb
	on_base oci:bb:1
	stands_on_busybox
	rm -rf b
	on_base oci:bb
	stands_on_busybox
}

@test "an OCI archive" {
	skopeo copy -q "$BUSYBOX" oci-archive:bb.tar:1
	on_base oci-archive:bb.tar
	stands_on_busybox
}

@test "a docker archive" {
	skopeo copy -q "$BUSYBOX" docker-archive:bb.tar:bb:1
	on_base docker-archive:bb.tar
	stands_on_busybox
}

@test "a layout that skopeo copied out of a registry" {
	push_base "$BUSYBOX"
	skopeo copy -q --src-tls-verify=false "docker://$(repo base):1" oci:copied:1
	on_base oci:copied:1
	stands_on_busybox
}

@test "an OCI manifest in a registry" {
	push_base --format oci "$BUSYBOX"
	on_base "$(repo base):1"
	stands_on_busybox
}

@test "a Docker manifest in a registry" {
	push_base --format v2s2 "$BUSYBOX"
	on_base "$(repo base):1"
	stands_on_busybox
}

@test "zstd layers" {
	skopeo copy -q --dest-decompress "$BUSYBOX" dir:plain
	skopeo copy -q --format oci --dest-compress-format zstd dir:plain oci:zstd:1
	push_base --preserve-digests oci:zstd:1
	contains "$(skopeo inspect --raw --tls-verify=false "docker://$(repo base):1")" 'tar\+zstd'
	recipe <<-EOF
		image "x" { from = base "$(repo base):1", write { "/bin/added", "x" } }
	EOF
	# umoci does not read zstd; that the link was seen tells that the layer was read.
	exported x >/dev/null
	equal "$(last_layer out-x | grep added)" usr/bin/added
	skopeo copy -q oci:out-x dir:read
}

@test "a Debian base" {
	on_base "$DEBIAN"
	exported x >/dev/null
	needs_root
	unpacked out-x b
	[ -L b/rootfs/bin ]
	[ -u b/rootfs/usr/bin/su ]
	[ -x b/rootfs/usr/bin/dpkg ]
}

@test "from scratch" {
	recipe <<-'EOF'
		image "x" { from = base "scratch", write { "/a", "x" } }
		image "y" { from = "scratch", write { "/a", "x" } }
	EOF
	equal "$(exported x)" "$(exported y)"
	equal "$(n_layers out-x)" 1
}

# An index of two platforms, each with a file that tells which.
push_index() {
	local a
	for a in amd64 arm64; do
		mkdir "idx-$a"
		recipe "idx-$a" <<-EOF
			image "p" { from = "scratch", platforms = { "linux/$a" }, write { "/arch", "$a" }, publish = { "$(repo "$a")", tags = { "1" } } }
		EOF
		imgmake -C "idx-$a" deploy
	done
	bud manifest create idx
	for a in amd64 arm64; do
		bud manifest add --tls-verify=false idx "docker://$(repo $a):1"
	done
	bud manifest push --tls-verify=false --all idx "docker://$(repo base):1"
}

@test "an index: the platform asked for is taken" {
	needs_root
	push_index
	on_base "$(repo base):1"
	imgmake --platform linux/arm64 export x oci:arm
	equal "$(config_of arm | jq -r .architecture)" arm64
	unpacked arm ba
	equal "$(cat ba/rootfs/arch)" arm64
	imgmake --platform linux/amd64 export x oci:amd
	unpacked amd bb
	equal "$(cat bb/rootfs/arch)" amd64
}

@test "an image for several platforms takes each its own base" {
	needs_root
	push_index
	recipe <<-EOF
		image "x" {
		  from = base "$(repo base):1",
		  platforms = { "linux/amd64", "linux/arm64" },
		  write { "/added", "x" },
		}
	EOF
	ok imgmake export x oci:out
	skopeo copy -q --all oci:out dir:all
	equal "$(jq '.manifests | length' all/manifest.json)" 2
}

@test "a platform that the base lacks is an error that names it" {
	needs_root
	push_index
	on_base "$(repo base):1"
	fails 'riscv64' imgmake --platform linux/riscv64
}

@test "the lock holds a base at its digest when the tag moves" {
	push_base "$BUSYBOX"
	local digest
	digest=$(digest_of "$(repo base):1")
	on_base "$(repo base):1"
	ok imgmake
	equal "$(jq -r --arg b "$(repo base):1" '.bases[$b].digest' Imagefile.lock)" "$digest"
	local first
	first=$(exported x)
	seed "$(repo base)" 1
	differ "$(digest_of "$(repo base):1")" "$digest"
	rm -rf "$IMGMAKE_STORE"
	equal "$(exported x)" "$first"
	equal "$(jq -r --arg b "$(repo base):1" '.bases[$b].digest' Imagefile.lock)" "$digest"
}

@test "the lock that the first build writes makes no second one, unless the recipe names it" {
	push_base "$BUSYBOX"
	echo 1 >file
	recipe <<-EOF
		image "x" { from = base "$(repo base):1", copy { ".", to = "/src/" }, copy { "*.lock", to = "/locks/", optional = true } }
		image "named" { from = base "$(repo base):1", copy { "Imagefile.lock", to = "/" } }
	EOF
	ok imgmake x
	[ -s Imagefile.lock ]
	ok imgmake -q x
	exported x
	equal "$(blob out-x "$(manifest_of out-x | jq -r '.layers[-1].digest')" | tar -tzf - | sort | xargs)" \
		"src/ src/Imagefile src/file"
	exported named
	blob out-named "$(manifest_of out-named | jq -r '.layers[-1].digest')" | tar -xzOf - Imagefile.lock | cmp - Imagefile.lock
}

@test "--lock=update takes today's digest" {
	push_base "$BUSYBOX"
	on_base "$(repo base):1"
	ok imgmake
	seed "$(repo base)" 1
	ok imgmake --lock=update
	equal "$(jq -r --arg b "$(repo base):1" '.bases[$b].digest' Imagefile.lock)" "$(digest_of "$(repo base):1")"
}

@test "--lock=strict refuses a base that is not locked, and CI with a lock file does so by itself" {
	push_base "$BUSYBOX"
	on_base "$(repo base):1"
	fails 'lock' imgmake --lock=strict
	[ ! -e Imagefile.lock ]
	ok imgmake
	ok imgmake --lock=strict
	cp Imagefile.lock before
	push_base "$BUSYBOX"
	sed -i 's/base:1/base:latest/' Imagefile
	fails 'lock' env CI=true "$IMGMAKE"
	cmp before Imagefile.lock
}

@test "a build from the lock and the store asks no registry" {
	push_base "$BUSYBOX"
	on_base "$(repo base):1"
	ok imgmake
	local before
	before=$(requests open | wc -l)
	ok imgmake
	equal "$(requests open | wc -l)" "$before"
}

@test "an unlocked base is the same whether pulled by tag or by digest" {
	push_base "$BUSYBOX"
	on_base "$(repo base)@$(digest_of "$(repo base):1")"
	stands_on_busybox
}

# As tools write them that pack what they are given: names that lead through links of the layers below.
through_links() {
	cp -r "$PREPARED/busybox" base
	mkdir -p files/bin/sub files/lib
	echo x >files/bin/x
	ln files/bin/x files/bin/again
	echo y >files/bin/sub/y
	ln -s usr/share/lib files/lib64
	tar -C files --sort=name --owner=0 --group=0 --mtime=@315619200 -cf files.tar bin/again bin/sub bin/x lib64
	umoci raw add-layer --image base:1 files.tar
	mkdir -p more/bin/sub more/lib64
	echo z >more/bin/sub/z
	echo l >more/lib64/l
	tar -C more --sort=name --owner=0 --group=0 --mtime=@315619200 -cf more.tar bin/sub/z lib64/l
	umoci raw add-layer --image base:1 more.tar
}

@test "files that a base's layers name through links are found, copied, changed and removed under their one name" {
	through_links
	recipe <<-'LUA'
		local b = base "oci:base:1"
		image "ran" { from = b, run { "cat /usr/bin/x /bin/sub/y /usr/bin/sub/z /usr/share/lib/l >/seen; rm /bin/x /usr/share/lib/l; rm -r /usr/bin/sub" } }
		image "removed" { from = b, remove { "/usr/bin/x", "/bin/sub", "/usr/share/lib/l" } }
		image "pattern" { from = b, remove { "/usr/bin/su*", "/lib64/*", "/usr/bin/x" } }
		image "joined" { from = b, layer { write { "/a", "" }, run { "rm /bin/x /usr/share/lib/l; rm -r /bin/sub" }, write { "/b", "" } } }
		image "copied" { from = b, copy { "/usr/bin/again", "/bin/sub", "/usr/share/lib/l", from = b, to = "/c/" }, write { "/usr/bin/x", "new" } }
		stage "mounts" { from = b, run { "cat /m/x /m/sub/z >/seen", mount = { { "/usr/bin", from = b, path = "/m" } } } }
	LUA
	local t
	for t in ran removed pattern joined; do
		ok imgmake export "$t" "dir:$t"
		[ ! -e "$t/usr/bin/x" ] && [ ! -e "$t/usr/bin/sub" ] && [ ! -e "$t/usr/share/lib/l" ]
		equal "$(cat "$t/usr/bin/again")" x
	done
	equal "$(cat ran/seen)" $'x\ny\nz\nl'
	exported ran
	unpacked out-ran unpacked
	[ ! -e unpacked/rootfs/usr/bin/x ] && [ ! -e unpacked/rootfs/usr/bin/sub ]
	ok imgmake export copied dir:copied
	equal "$(cat copied/c/again copied/c/z copied/c/y copied/c/l copied/usr/bin/x copied/usr/bin/again)" \
		$'x\nz\ny\nl\nnewx'
	ok imgmake build mounts
	store_is_whole
}
