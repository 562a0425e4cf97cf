load helpers

# Run steps for another architecture, by an emulator that binfmt_misc calls: registered in a user namespace of
# the test's own, so that the machine stays as it is.

RULE=/usr/lib/binfmt.d/qemu-aarch64.conf   # of qemu-user-static
BOTH=oci:$PREPARED/busybox-both:1

setup() {
	setup_test
	[ "$(uname -m)" = x86_64 ] || skip "the tests are for amd64"
	[ -e "$PREPARED/busybox-both/index.json" ] || skip "there was no busybox for arm64 to be had"
	unshare --user --map-root-user --mount mount -t binfmt_misc none /proc/sys/fs/binfmt_misc ||
		skip "a namespace cannot have a binfmt_misc of its own here (Linux 6.7)"
	recipe <<-LUA
		local x = image "x" {
		  from = base "$BOTH",
		  run { "busybox uname -m >/machine; cat /machine" },
		  platforms = { "linux/amd64", "linux/arm64" },
		}
		check "c" { image = x, run = { "busybox uname -m" } }
	LUA
	# It learns that files have one owner there, and says so once.
	ok registered "" "$IMGMAKE" --platform linux/amd64 x
}

# registered RULE COMMAND…: with the rule of that name, or none if it is "".
registered() {
	unshare --user --map-root-user --mount sh -ec 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
		[ -z "$1" ] || printf %s "$1" >/proc/sys/fs/binfmt_misc/register
		shift
		exec "$@"' sh "$@"
}

needs_qemu() {
	[ -e "$RULE" ] || skip "qemu-user-static is not installed"
}

@test "one build for this machine's platform and another one" {
	needs_qemu
	ok registered "$(cat "$RULE")" "$IMGMAKE" -B --progress=plain
	contains "$stderr" 'x.*: x86_64$'
	contains "$stderr" 'x.*: aarch64$'
	ok imgmake export x oci:out
	local index
	index=$(blob out "$(jq -r '.manifests[0].digest' out/index.json)")
	equal "$(jq -r '[.manifests[].platform.architecture] | join(" ")' <<<"$index")" "amd64 arm64"
	equal "$(blob out "$(blob out "$(jq -r '.manifests[1].digest' <<<"$index")" | jq -r '.layers[-1].digest')" |
		tar -xzOf - machine)" aarch64
	# A check, too; and another name of the rule is as good.
	ok registered "$(sed 's/^:[^:]*/:another-name/' "$RULE")" "$IMGMAKE" check --platform linux/arm64 --progress=plain
	contains "$stderr" 'aarch64$'
}

@test "by an OCI runtime, too" {
	needs_qemu
	command -v crun >/dev/null || skip "crun is not installed"
	ok registered "$(cat "$RULE")" "$IMGMAKE" --progress=plain --runtime=crun
	contains "$stderr" 'x.*: aarch64$'
}

@test "an emulator that is looked for in the image is one clear line" {
	needs_qemu
	fails 'linux/arm64.*not in the image; register it with flag F' \
		registered "$(sed 's/:[A-Z]*$/:PO/' "$RULE")" "$IMGMAKE"
}

@test "no emulator is one clear line" {
	fails 'Imagefile:3: .*linux/arm64.*this machine is linux/amd64; install qemu-user-static' registered "" "$IMGMAKE"
}
