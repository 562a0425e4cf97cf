#!/bin/sh
# ./bootstrap.sh        installs what is missing, compiles build/imgmake, builds examples/hello
# ./bootstrap.sh test   also installs what the tests need, and runs them all
#
# Debian 12 and 13 are the ones tested; the package names of Fedora, Alpine and Arch are known too.
set -u
cd "$(dirname "$0")" || exit 2
mode=${1:-}
log=build/bootstrap.log

say() {
	printf '%s\n' "$*"
}

# One line for people; in CI, which reads the last line, the summary as well.
fail() {
	printf 'bootstrap: %s\n' "$*" >&2
	[ "$mode" != test ] || printf '0 passed, 1 failed\n'
	exit 2
}

case $mode in
'' | test) ;;
*) fail "usage: ./bootstrap.sh [test]" ;;
esac
mkdir -p build || fail "cannot write to $PWD"

# --- Packages ---------------------------------------------------------------------------------------

# What `build` and, with `test`, what the tests need, by package manager.
packages() {
	case $1 in
	apt-get)
		build="gcc libc6-dev make pkg-config liblua5.4-dev libarchive-dev libssl-dev
			libcurl4-openssl-dev zlib1g-dev libdeflate-dev libzstd-dev libjansson-dev
			liblmdb-dev libisal-dev libseccomp-dev ca-certificates"
		test="bats libcmocka-dev docker-registry skopeo umoci buildah podman crun mmdebstrap
			busybox-static clang-format clang-tidy apache2-utils libcap2-bin attr jq curl python3
			openssl git mandoc shellcheck zstd golang-github-containers-common containerd docker.io fakeroot
			fakechroot util-linux util-linux-extra passwd uidmap passt
			fuse-overlayfs apparmor runc
			qemu-user-static ninja-build strace valgrind"
		;;
	dnf)
		build="gcc glibc-static make pkgconf-pkg-config lua-devel libarchive-devel openssl-devel
			libcurl-devel zlib-devel libdeflate-devel libzstd-devel jansson-devel lmdb-devel
			isa-l-devel libseccomp-devel ca-certificates"
		test="bats libcmocka-devel docker-distribution skopeo umoci buildah podman crun mmdebstrap
			busybox libasan libubsan clang-tools-extra httpd-tools libcap attr jq curl python3
			openssl git mandoc ShellCheck zstd containers-common moby-engine util-linux shadow-utils strace
			valgrind"
		;;
	apk)
		build="gcc musl-dev linux-headers make pkgconf lua5.4-dev libarchive-dev openssl-dev curl-dev
			zlib-dev libdeflate-dev zstd-dev jansson-dev lmdb-dev isa-l-dev libseccomp-dev
			ca-certificates"
		test="bash bats cmocka-dev docker-registry skopeo umoci buildah podman crun mmdebstrap
			busybox-static clang-extra-tools apache2-utils libcap attr jq python3 openssl git
			mandoc shellcheck zstd containers-common docker util-linux shadow coreutils findutils curl
			strace valgrind"
		;;
	pacman)
		build="gcc make pkgconf lua54 libarchive openssl curl zlib libdeflate zstd jansson lmdb isa-l
			libseccomp ca-certificates"
		test="bats cmocka skopeo umoci buildah podman crun mmdebstrap busybox clang apache libcap
			attr jq python openssl git mandoc shellcheck zstd containers-common docker util-linux shadow
			strace valgrind"
		;;
	esac
	if [ "$mode" = test ]; then
		say $build $test
	else
		say $build
	fi
}

installed() {   # MANAGER PACKAGE
	case $1 in
	apt-get) [ "$(dpkg-query -W -f '${db:Status-Status}' "$2" 2>/dev/null)" = installed ] ;;
	dnf) rpm -q --whatprovides "$2" >/dev/null 2>&1 ;;
	apk) apk info -e "$2" >/dev/null 2>&1 ;;
	pacman) pacman -Qq "$2" >/dev/null 2>&1 ;;
	esac
}

install_command() {
	case $1 in
	apt-get) say "env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends" ;;
	dnf) say "dnf install -y" ;;
	apk) say "apk add" ;;
	pacman) say "pacman -S --needed --noconfirm" ;;
	esac
}

manager=
for m in apt-get dnf apk pacman; do
	if command -v $m >/dev/null 2>&1; then
		manager=$m
		break
	fi
done

install_missing() {
	missing=
	for p in $(packages "$manager"); do
		installed "$manager" "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0

	say "bootstrap: installing$missing"
	root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 ||
			fail "run as root, or with sudo: $(install_command "$manager")$missing"
		root=sudo
	fi
	if [ "$manager" = apt-get ]; then   # a mirror that is down shows at install, if it matters
		$root apt-get update -q >"$log" 2>&1
	fi
	$root $(install_command "$manager") $missing >>"$log" 2>&1 </dev/null ||
		fail "$manager could not install$missing: $(grep -v '^$' "$log" | tail -1) (see $log)"
}

if [ -n "$manager" ]; then
	install_missing
else
	say "bootstrap: no apt-get, dnf, apk or pacman here; needed are, by their Debian names:"
	say " " $(packages apt-get)
fi

# --- config.mk --------------------------------------------------------------------------------------

compiler=${CC:-}
for c in cc gcc clang; do
	[ -n "$compiler" ] || ! command -v $c >/dev/null 2>&1 || compiler=$c
done
[ -n "$compiler" ] || fail "no C compiler found"
command -v pkg-config >/dev/null 2>&1 || fail "pkg-config not found"
command -v make >/dev/null 2>&1 || fail "make not found"

lua=
for l in lua5.4 lua-5.4 lua54 lua; do
	if pkg-config --exists "$l >= 5.4" "$l < 5.5" 2>/dev/null; then
		lua=$l
		break
	fi
done
[ -n "$lua" ] || fail "the headers of Lua 5.4 were not found by pkg-config"
for p in libarchive libcrypto libssl libcurl zlib libdeflate libzstd jansson lmdb libseccomp; do
	pkg-config --exists $p || fail "the headers of $p were not found by pkg-config"
done
isal=
if pkg-config --exists libisal; then
	isal=libisal
fi

# Everything is compiled anew when config.mk is newer, so it's only touched when it says something else.
printf 'CC   := %s\nLUA  := %s\nISAL := %s\n' "$compiler" "$lua" "$isal" >build/config.mk.new
cmp -s build/config.mk.new config.mk || cp build/config.mk.new config.mk || fail "cannot write config.mk"

# --- Compile, test, show ----------------------------------------------------------------------------

make -s -j"$(nproc)" all || fail "compiling failed"

if [ "$mode" = test ]; then
	exec tests/run
fi

IMGMAKE_STORE=$PWD/build/hello-store
export IMGMAKE_STORE
build/imgmake -C examples/hello || fail "building examples/hello failed"
say
build/imgmake -C examples/hello history hello || fail "imgmake history failed"
cat <<EOF

The image is in build/hello-store. To run it:
  export IMGMAKE_STORE=$IMGMAKE_STORE
  build/imgmake -C examples/hello export hello docker-archive:/tmp/hello.tar:hello
  podman load -i /tmp/hello.tar           # or: docker load -i /tmp/hello.tar
  podman run --rm hello
or, with no container engine at all:
  build/imgmake -C examples/hello export hello dir:/tmp/hello && /tmp/hello/hello
EOF
