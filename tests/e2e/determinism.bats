load helpers

# Everything in here must not reach the bytes: who builds, where, in which order, with what around.

project() {   # DIR
	mkdir -p "$1/src/deep"
	local i
	for i in $(shuf -e {1..40}); do
		seq "$i" $((i * 50)) >"$1/src/f$i"
	done
	echo '#!/bin/sh' >"$1/src/deep/tool"
	chmod 755 "$1/src/deep/tool"
	ln -sf deep/tool "$1/src/link"
	printf 'é\n' >"$1/src/Ünï"
	touch "$1/src/B" "$1/src/a" "$1/src/_"
	recipe "$1" <<-EOF
		image "x" {
		  from = base "$BUSYBOX",
		  copy { "src", to = "/src", owner = "www" },
		  copy { "src/f1", to = "/bin/" },
		  write { "/etc/motd", "hi" },
		  env { B = "2", A = "1" },
		  config { labels = { b = "2", a = "1" }, cmd = { "sh" } },
		  platforms = { "linux/amd64" },
		}
	EOF
}

# The layout of a build in DIR, as one digest of all its bytes.
bytes() {   # DIR [OPTION…]
	local dir=$1 out
	shift
	out=$(mktemp -d "$DIR/out.XXXXXX")
	(cd "$dir" && imgmake "$@" build && imgmake export x "oci:$out/x") >&2 || return 1
	layout_bytes "$out/x"
}

layout_bytes() {
	(cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum
}

fresh_store() {
	IMGMAKE_STORE=$(mktemp -d "$DIR/store.XXXXXX")
	export IMGMAKE_STORE
}

@test "root and an ordinary user build the same bytes" {
	needs_user
	project p
	chmod -R a+rX p
	fresh_store
	local root
	root=$(bytes p)
	chown -R "$E2E_USER" p
	mkdir "$DIR/theirs"
	chown "$E2E_USER" "$DIR/theirs"
	(cd p && HOME=$DIR/theirs IMGMAKE_STORE=$DIR/theirs/store as_user "$IMGMAKE" export x "oci:$DIR/theirs/x")
	equal "$(layout_bytes "$DIR/theirs/x")" "$root"
}

@test "-j 1 and -j 8" {
	project p
	fresh_store
	local one
	one=$(bytes p -j 1)
	fresh_store
	equal "$(bytes p -j 8)" "$one"
}

@test "umask, locale and time zone" {
	project p
	fresh_store
	local plain
	plain=$(bytes p)
	fresh_store
	equal "$(umask 077; LC_ALL=de_DE.UTF-8 TZ=Asia/Kathmandu bytes p)" "$plain"
	fresh_store
	equal "$(umask 000; LC_ALL=C TZ=UTC+12 bytes p)" "$plain"
}

@test "the file system's order, other times and another place" {
	[ -w /dev/shm ] || skip "no /dev/shm"
	project p
	fresh_store
	local here other
	here=$(bytes p)
	other=$(mktemp -d /dev/shm/imgmake-e2e.XXXXXX)
	# tmpfs lists the newest first
	(cd p && find . -type d | xargs -I{} mkdir -p "$other/{}"
		find . ! -type d | LC_ALL=C sort -r | xargs -I{} cp -d {} "$other/{}")
	find "$other" -exec touch -h -d @1700000000 {} +
	fresh_store
	local there
	there=$(bytes "$other")
	rm -rf "$other"
	equal "$there" "$here"
}

@test "modes that only the owner's umask made" {
	project p
	fresh_store
	local plain
	plain=$(bytes p)
	chmod -R go-rwx p
	fresh_store
	equal "$(bytes p)" "$plain"
}

@test "a store that has it all and one that has nothing" {
	project p
	fresh_store
	local first
	first=$(bytes p)
	equal "$(bytes p)" "$first"
	equal "$(bytes p -B)" "$first"
}

@test "nothing in an image tells of the host or of today" {
	project p
	sed -i 's/base "[^"]*"/"scratch"/; s/owner = "www"/owner = "33"/' p/Imagefile
	(cd p && imgmake export x "oci:$DIR/l")
	lacks "$(config_of "$DIR/l"; manifest_of "$DIR/l")" "$(hostname)|$DIR|$(date +%Y)-"
	equal "$(layers_of "$DIR/l" | awk '{print $4}' | sort -u)" 1980-01-02
}
