#!/usr/bin/env bats
# Cache directories of run steps that travel through the remote cache (`export = true`): a machine that has none yet
# starts with what another one left, and no file in it lies to make. Machines are stores.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
}

teardown_file() {
	stop_registries
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

# A program of two files with one header; each compilation is a word in /obj/log.
program() {
	cp "$(command -v make)" make
	mkdir -p src
	printf 'A\n' >src/a.c
	printf 'B\n' >src/b.c
	printf 'H\n' >src/h.h
	printf '%s\n' 'all: /obj/a.o /obj/b.o' '/obj/%.o: %.c h.h' "	@cat \$< h.h >\$@; echo \$* >>/obj/log" >src/Makefile
	program_recipe ''
}

program_recipe() {   # OPTIONS of the cache
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN",
		  copy { "make", to = "/usr/bin/", mode = "0755" },
		  copy { "src", to = "/src" },
		  workdir "/src",
		  run { "make && cat /obj/a.o /obj/b.o >/out && cp /obj/log /log",
		        cache = { path = "/obj", export = true, $1 } },
		}
	LUA
}

made() {   # WORDS: what make has made so far, on all machines that this one's cache came from
	rm -rf d
	imgmake export x dir:d --cache "$(repo cache)" || return 1
	equal "$(xargs <d/log)" "$1"
}

# Files in a directory with all that has to come back.
listing() {
	(cd "$1" && find . -printf '%p %y %m %U:%G %s %n %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
}

@test "make goes on where another machine was: A, B, A is never stale" {
	needs_root
	program
	made "a b"
	machine two
	echo changed >src/a.c
	made "a b a"
	equal "$(xargs <d/out)" "changed H B H"
	# What comes to the third is what the second left, the object of "changed".
	machine three
	printf 'A\n' >src/a.c
	echo other >src/b.c
	made "a b a a b"
	equal "$(xargs <d/out)" "A H other H"
	# A file that make does not know: it has nothing to do, since all times came along.
	machine four
	echo >src/README
	made "a b a a b"
	machine five
	echo H2 >src/h.h
	echo 2 >src/README
	made "a b a a b a b"
	equal "$(xargs <d/out)" "A H2 other H2"
	machine two
	echo 3 >src/README
	printf 'H\n' >src/h.h
	made "a b a a b"
}

@test "times to the nanosecond, modes, owners and links come back as they were" {
	needs_root
	local there
	recipe <<-'LUA'
		image "x" { from = base "oci:DEBIAN", copy { "f", to = "/" },
		  run { "test ! -e /c/s || exit 0; cd /c; mkdir -p d/e; echo 1 >d/f; ln d/f d/g; ln -s ../f d/e/l; echo s >s",
		        "chown 5:6 s d/e; chmod 4711 s; chmod 750 d/e; : >'é'; touch -d '1969-12-31 23:59:58.7' old; mkfifo p",
		        "touch -d '2001-02-03 04:05:06.123456789' d/f; touch -h -d '2002-02-03 04:05:06.000000001' d/e/l",
		        "touch -d '2040-01-01 00:00:00.5' d /c", cache = { path = "/c", export = true } } }
	LUA
	sed -i "s,oci:DEBIAN,$DEBIAN," Imagefile
	echo 1 >f
	imgmake --cache "$(repo cache)"
	there=$(listing "$IMGMAKE_STORE"/cache/*/ | grep -v '^./p ')
	contains "$there" '^./d/f f 644 0:0 2 2 981173106.1234567890'
	contains "$there" '^./old .* -2.70'   # as find writes -1.3
	machine two
	echo 2 >f
	ok imgmake --cache-read "$(repo cache)"
	contains "$stderr" 'cache /c: as another machine left it'
	equal "$(listing "$IMGMAKE_STORE"/cache/*/)" "$there"
}

@test "an ordinary user's cache comes to root, and back, with the owners that the steps see" {
	needs_user
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/" },
		  run { "test -e /c/a || { echo a >/c/a; chown 5:6 /c/a; chmod 600 /c/a; }; echo x >>/c/log",
		        "busybox stat -c '%u:%g %a' /c/a >/out; cat /c/log >>/out", cache = { path = "/c", export = true } } }
	LUA
	echo 1 >f
	chmod -R a+rX . && mkdir "$DIR/user" && cp Imagefile f "$DIR/user/" && chown -R "$E2E_USER" "$DIR/user"
	cd "$DIR/user"
	export HOME=$DIR/user IMGMAKE_STORE=$DIR/user/store
	ok as_user "$IMGMAKE" export x dir:one --cache "$(repo cache)"
	equal "$(xargs <one/out)" "5:6 600 x"
	machine root
	echo 2 >f
	ok imgmake export x dir:two --cache "$(repo cache)"
	equal "$(xargs <two/out)" "5:6 600 x x"
	export IMGMAKE_STORE=$DIR/user/store.2
	echo 3 >f
	ok as_user "$IMGMAKE" export x dir:three --cache "$(repo cache)"
	equal "$(xargs <three/out)" "5:6 600 x x x"
	store_is_whole
}

@test "what was not asked for stays; stats and prune know what goes" {
	needs_root
	simple() {   # OPTIONS
		recipe <<-LUA
			image "x" { from = base "$BUSYBOX", copy { "f", to = "/" },
			  run { "echo x >>/c/log; cp /c/log /log", cache = { path = "/c", $1 } } }
		LUA
	}
	simple ''
	echo 1 >f
	imgmake --cache "$(repo cache)"
	lacks "$(tags_of "$(repo cache)")" mount-
	simple 'export = true'
	echo 2 >f
	ok imgmake --cache-read "$(repo cache)"
	lacks "$(tags_of "$(repo cache)")" mount-
	echo 3 >f
	ok imgmake --cache "$(repo cache)"
	equal "$(tags_of "$(repo cache)" | tr ' ' '\n' | grep -c mount-)" 2
	contains "$(imgmake cache stats "$(repo cache)")" 'cache directories of steps +2'
	ok imgmake cache prune --max-size 1b "$(repo cache)"
	lacks "$(tags_of "$(repo cache)")" mount-
}

@test "its own inputs come first, then any of the same command; an unchanged directory is not sent again" {
	needs_root
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/" },
		  run { "grep -q . /c/first 2>/dev/null || cat in >/c/first; cp /c/first /first", workdir = "/",
		        inputs = { "in" }, cache = { path = "/c", export = true } } }
	LUA
	first() {   # F IN EXPECTED
		echo "$1" >f
		echo "$2" >in
		ok imgmake export x dir:d --cache "$(repo cache)" || return 1
		equal "$(cat d/first)" "$3"
		rm -rf d
	}
	machine one
	first 1 one one
	rm -rf "$IMGMAKE_STORE"/cache
	first 2 two one
	rm -rf "$IMGMAKE_STORE"/cache
	sed -i 's/export = true/export = false/' Imagefile
	first 3 three three
	sed -i 's/export = false/export = true/' Imagefile
	first 4 three three
	machine two
	first 5 one one
	machine three
	first 6 three three
	machine four
	# Of no inputs that are known: the newest.
	requests open | wc -l >seen
	first 7 four three
	equal "$(requests open | tail -n +"$(($(cat seen) + 1))" | grep -c 'PUT .*/manifests/mount-')" 2
	# The tree is what it was; the record of times is new.
	head -c 3000000 /dev/urandom >big
	sed -i 's,"grep,"test -e /c/big || cp big /c/big; grep,; s/"in" }/"in", "big" }/' Imagefile
	ok imgmake --cache "$(repo cache)"
	contains "$stderr" '\(3\.[0-9] MB sent\)'
	echo 9 >f
	ok imgmake --cache "$(repo cache)"
	contains "$stderr" '\([0-9.]+ k?B sent\)'
}

@test "two steps with one cache, on a fresh machine: both find it" {
	needs_root
	recipe <<-LUA
		local function side(n)
		  return image(n) { from = base "$BUSYBOX", copy { "f", to = "/" },
		    run { "echo " .. n .. " >>/c/" .. n .. "; cat /c/a /c/b 2>/dev/null >/out || true",
		          cache = { path = "/c", id = "both", export = true } } }
		end
		side "a"
		side "b"
	LUA
	echo 1 >f
	imgmake -j2 --cache "$(repo cache)"
	machine two
	echo 2 >f
	ok imgmake -j2 --cache "$(repo cache)"
	equal "$(grep -c 'as another machine left it' <<<"$stderr")" 1
	rm -rf d
	ok imgmake export a dir:d
	contains "$(xargs <d/out)" '^a a b'
	store_is_whole
}

@test "while another build uses it, it is not packed" {
	needs_root
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/" },
		  run { "echo x >>/c/log", cache = { path = "/c", export = true } } }
	LUA
	echo 1 >f
	imgmake
	echo 2 >f
	exec 8<"$(find "$IMGMAKE_STORE/cache" -name '*.lock' ! -name '*.times.lock')"
	flock -s 8
	ok imgmake --cache "$(repo cache)"
	exec 8<&-
	contains "$stderr" 'warning: cache /c is not exported: another build is using it'
	lacks "$(tags_of "$(repo cache)")" mount-
}

@test "entries that lie, and those of others, cost a warning" {
	needs_root
	local lie cache
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/" },
		  run { "echo x >>/c/log; cp /c/log /log", cache = { path = "/c", export = true } } }
	LUA
	openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
	openssl genpkey -algorithm ed25519 -out other.pem 2>/dev/null
	echo 1 >f
	imgmake --cache "$(repo cache)"
	imgmake -B --cache "$(repo signed)" --cache-key key.pem
	cache=$(repo cache)
	echo 2 >f
	for lie in size huge type lost no-tar climbs device times no-times; do
		"$REPO_ROOT/tests/servers/lying_cache.py" "$OPEN" "${cache#*/}" "t$BATS_TEST_NUMBER/$lie" "tree-$lie"
		machine "$lie"
		ok imgmake export x dir:d --cache-read "$(repo "$lie")"
		contains "$stderr" 'warning: remote cache: cache /c cannot be had: .*; starting with an empty one'
		equal "$(xargs <d/log)" "x"
		rm -rf d
		nothing_is_left
		[ ! -e "$IMGMAKE_STORE/climbed" ] && [ ! -e "$DIR/climbed" ]
		ok imgmake fsck
	done
	machine other
	ok imgmake export x dir:d --cache-read "$(repo signed)" --cache-key other.pem
	equal "$(xargs <d/log)" "x"
	machine own
	rm -rf d
	ok imgmake export x dir:d --cache-read "$(repo signed)" --cache-key key.pem
	equal "$(xargs <d/log)" "x x x"
}
