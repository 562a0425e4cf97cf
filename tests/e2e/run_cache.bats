load helpers

# Cache directories of run steps: times in them never lie to make, and who may use one at once. Mounts of other
# targets' files.

# A debian base with make, and a Makefile whose "compiler" is cat. Each build is one line in built/NAME.
maker() {
	cp "$(command -v make)" make
	mkdir -p src
	printf 'A\n' >src/a.c
	printf 'H\n' >src/h.h
	cat >src/Makefile <<-'EOT'
		all: /obj/a.o /obj/b.o
		/obj/%.o: %.c h.h
		TAB@cat $< h.h >$@; echo $* >>/obj/log
	EOT
	sed -i 's/^TAB/\t/' src/Makefile
	printf 'B\n' >src/b.c
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN",
		  copy { "make", to = "/usr/bin/", mode = "0755" },
		  copy { "src", to = "/src" },
		  workdir "/src",
		  run { "make && cat /obj/a.o /obj/b.o >/out && cp /obj/log /log && { test ! -e fail || exit 1; }",
		        cache = { "/obj" } },
		}
	LUA
}

log_is() {   # WORDS: what make has made so far, in all builds
	rm -rf d
	imgmake export x dir:d
	equal "$(xargs <d/log)" "$1"
}

@test "make rebuilds what changed, and nothing else: A, B, A again" {
	needs_root
	maker
	log_is "a b"
	echo changed >src/a.c
	log_is "a b a"
	equal "$(head -1 d/out)" changed
	# The very bytes of the first time: the result of the first build is known, and make is not run.
	printf 'A\n' >src/a.c
	log_is "a b"
	# With something else changed too, it is, and must not take the object of "changed".
	echo other >src/b.c
	log_is "a b a a b"
	equal "$(xargs <d/out)" "A H other H"
	# Nothing changed for make: a file that no rule knows.
	echo >src/README
	log_is "a b a a b"
	echo H2 >src/h.h
	log_is "a b a a b a b"
	equal "$(xargs <d/out)" "A H2 other H2"
}

# The steps of "A, B, A" for a tool that keeps what it made in /obj: the file `src` shows up in /out of the image.
a_b_a() {   # FILE CONTENT-A CONTENT-B OTHER-FILE: /out holds what the tool made of FILE last
	local file=$1 a=$2 b=$3 other=$4
	printf %s "$a" >"$file"
	made_of "$a"
	printf %s "$b" >"$file"
	made_of "$b"
	printf %s "$a" >"$file"
	made_of "$a"
	# The first build is known, so the tool was not run: now it is, with what it made of B still there.
	echo 1 >"$other"
	made_of "$a"
	# Back and forth between two runs, and an older file put in its place.
	printf %s "$b" >"$file"
	touch -d 2001-01-01 "$file"
	echo 2 >"$other"
	made_of "$b"
	printf %s "$a" >"$file"
	touch -d 2000-01-01 "$file"
	echo 3 >"$other"
	made_of "$a"
}

made_of() {   # CONTENT: its word is in the tool's output, and the other's is not
	local word
	word=$(grep -oE '(FIRST|SECOND)' <<<"$1")
	rm -rf d
	imgmake export x dir:d || return 1
	equal "$(grep -aoE 'FIRST|SECOND' d/out | sort -u)" "$word"
}

@test "ninja is never stale: A, B, A" {
	needs_root
	command -v ninja >/dev/null || skip "ninja is not installed"
	mkdir src
	cp "$(command -v ninja)" ninja
	printf '%s\n' 'builddir = /obj' 'rule cat' '  command = cat $in >$out; echo $out >>/obj/log' \
		'build /obj/a: cat a' 'build /obj/all: cat /obj/a' >src/build.ninja
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN_APT",
		  copy { "ninja", to = "/usr/bin/", mode = "0755" },
		  copy { "src", to = "/src" },
		  run { "ninja && cp /obj/all /out && cp /obj/log /log", cache = { "/obj" }, workdir = "/src" },
		}
	LUA
	a_b_a src/a FIRST SECOND src/other
	# And what has not changed is not made again: the last build made both, this one neither.
	local before
	before=$(wc -l <d/log)
	echo 4 >src/other
	made_of FIRST
	equal "$(wc -l <d/log)" "$before"
}

# What rustc needs to make a library that uses no other one: no linker, no standard library.
rust_toolchain() {
	local root f home
	command -v cargo >/dev/null && command -v rustc >/dev/null || skip "cargo and rustc are not installed"
	home=$(getent passwd "$(id -u)" | cut -d: -f6)   # where rustup has them
	root=$(HOME=$home rustc --print sysroot) || skip "rustc does not work here"
	f=$root/lib/rustlib/$(HOME=$home rustc -vV | sed -n 's/^host: //p')/lib
	mkdir -p rust/bin "rust/${f#"$root"/}"
	cp -l "$root"/bin/{cargo,rustc} rust/bin/ 2>/dev/null || cp "$root"/bin/{cargo,rustc} rust/bin/ || skip "cargo is not where rustc is"
	cp -lP "$root"/lib/*.so* rust/lib/ 2>/dev/null || cp -P "$root"/lib/*.so* rust/lib/
	cp "$f"/lib{core,compiler_builtins}-* "rust/${f#"$root"/}/"
}

@test "cargo is never stale: A, B, A" {
	needs_root
	rust_toolchain
	mkdir -p src/src
	printf '[package]\nname = "lib"\nversion = "1.0.0"\nedition = "2021"\n[lib]\npath = "src/lib.rs"\n' >src/Cargo.toml
	printf '#![no_std]\nmod word;\npub static WORD: &str = word::WORD;\n' >src/src/lib.rs
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN_APT",
		  copy { "src", to = "/src" },
		  run { "/rust/bin/cargo build --offline -q && cp /target/debug/liblib.rlib /out",
		        cache = { "/target" }, mount = { { "rust", path = "/rust" } }, workdir = "/src",
		        env = { CARGO_TARGET_DIR = "/target", CARGO_HOME = "/tmp/cargo", RUSTC = "/rust/bin/rustc" } },
		}
	LUA
	a_b_a src/src/word.rs 'pub const WORD: &str = "FIRST";' 'pub const WORD: &str = "SECOND";' src/other
}

@test "a build that fails has used the cache: going back is a change" {
	needs_root
	maker
	log_is "a b"
	echo broken >src/a.c
	touch src/fail
	go imgmake
	equal "$status" 2
	rm src/fail
	printf 'A\n' >src/a.c
	echo >src/README
	log_is "a b a a"
	equal "$(head -1 d/out)" A
}

@test "a file that went and came back is new" {
	needs_root
	maker
	sed -i 's/ h.h$/ $(wildcard h.h)/; s/cat $< h.h/cat $^/' src/Makefile
	log_is "a b"
	rm src/h.h
	echo A2 >src/a.c
	echo B2 >src/b.c
	log_is "a b a b"
	printf 'H\n' >src/h.h
	echo >src/README
	log_is "a b a b a b"
	equal "$(xargs <d/out)" "A2 H B2 H"
}

@test "the layer is the same, whatever times the step saw" {
	needs_root
	mkdir src
	echo 1 >src/a
	echo x >src/b
	ln src/b src/c
	chmod 640 src/b
	recipe <<-LUA
		local dir = var { "DIR", default = "/c" }
		image "x" {
		  from = base "$BUSYBOX",
		  copy { "src", to = "/deep/src", owner = "5:6" },
		  run { "cat /deep/src/a >/out", cache = { dir } },
		}
	LUA
	imgmake
	echo 2 >src/a
	echo y >src/b
	local with without
	with=$(exported x)
	sed -i 's/, cache = { dir }//' Imagefile
	rm -rf "$IMGMAKE_STORE"
	without=$(exported x out-2)
	equal "$(manifest_of out-x | jq -c '[.layers[].digest]')" "$(manifest_of out-2 | jq -c '[.layers[].digest]')"
	contains "$(last_layer out-x | xargs)" '^(./)?out$'
}

@test "an ordinary user gets the same times" {
	needs_user
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  copy { "f", to = "/src/" },
		  run { "busybox stat -c %Y /src/f >/when; busybox stat -c %Y /c/o >/before || true; cp /src/f /c/o", cache = { "/c" } },
		}
	LUA
	echo 1 >f
	chmod -R a+rX . && mkdir "$DIR/user" && cp Imagefile f "$DIR/user/" && chown -R "$E2E_USER" "$DIR/user"
	cd "$DIR/user"
	export HOME=$DIR/user IMGMAKE_STORE=$DIR/user/store
	ok as_user "$IMGMAKE" export x dir:one
	equal "$(cat one/when)" 315619200
	as_user sh -c 'echo 2 >f'
	ok as_user "$IMGMAKE" export x dir:two
	[ "$(cat two/when)" -ge "$(cat two/before)" ]
	equal "$(tar -cf - -C two . | tar -tf - | grep -c src/f)" 1
}

@test "inputs and mounts of other targets have such times, too" {
	needs_root
	recipe <<-LUA
		local made = stage "made" { from = base "$BUSYBOX", copy { "f", to = "/lib/" } }
		image "x" {
		  from = base "$BUSYBOX",
		  run { "busybox stat -c %Y in m/f >/when; touch /c/o", cache = { "/c" }, inputs = { "in" },
		        mount = { { "/lib", from = made, path = "/m" } }, workdir = "/" },
		}
	LUA
	echo 1 >f
	echo 1 >in
	ok imgmake export x dir:one
	equal "$(xargs <one/when)" "315619200 315619200"
	echo 2 >f
	ok imgmake export x dir:two
	contains "$(xargs <two/when)" '^315619200 1[0-9]{9}$'
	echo 2 >in
	ok imgmake export x dir:three
	equal "$(tail -1 three/when)" "$(tail -1 two/when)"
	contains "$(head -1 three/when)" '^1[0-9]{9}$'
}

@test "what another target holds can be mounted: a directory, a file, with owners and links, read-only" {
	recipe <<-LUA
		local made = stage "made" {
		  from = base "$BUSYBOX",
		  run { "mkdir -p /lib/sub; echo deep >/lib/sub/f; ln /lib/sub/f /lib/g; ln -s sub/f /lib/l; chmod 4711 /lib/sub/f",
		        "ln -s lib /also" },
		}
		image "x" {
		  from = base "$BUSYBOX",
		  run { "cat /m/sub/f /m/g /m/l /one >/out", "busybox stat -c '%h %a' /m/g >>/out",
		        "cat /proc/sys/kernel/random/uuid >/once", "! echo x 2>/dev/null >/m/new", "! echo x 2>/dev/null >/one",
		        mount = { { "/also", from = made, path = "/m" }, { "/lib/l", from = made, path = "/one" } } },
		}
	LUA
	ok imgmake export x dir:d
	equal "$(xargs <d/out)" "deep deep deep deep 2 4711"
	[ ! -e d/m ] && [ ! -e d/one ]
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
	# Another content runs it again; the same content by another way does not.
	sed -i 's/echo deep/echo other/' Imagefile
	ok imgmake export x dir:d2
	equal "$(head -1 d2/out)" other
	sed -i 's/echo other/: ; echo other/' Imagefile
	ok imgmake export x dir:d3
	equal "$(cat d3/once)" "$(cat d2/once)"
	sed -i 's,"/also",/nowhere,;s,/nowhere,"/nowhere",' Imagefile
	fails 'mount.*nowhere' imgmake
}

sharing() {   # MODE SCRIPT: four steps at once with one cache
	local i
	{
		for i in 1 2 3 4; do
			echo "image \"x$i\" { from = base \"$BUSYBOX\", run { [[$2]], env = { I = \"$i\" },"
			echo "  cache = { { path = \"/c\", id = \"one\", sharing = \"$1\" } } } }"
		done
	} | recipe
	ok timeout 60 "$IMGMAKE" -j4 x1 x2 x3 x4
}

# Waits for another of the steps to come to the same place, for 20 s at most.
MEET='n=0; while [ $(ls /c | busybox wc -l) -lt 2 ]; do n=$((n + 1)); [ $n -lt 400 ] || exit 1; busybox usleep 50000; done'

@test "shared: at once" {
	sharing shared "echo >/c/\$I; $MEET"
}

@test "private: nobody else's" {
	# One that is over may leave its files to the next; nobody comes in while it runs.
	sharing private 'busybox rm -f /c/*; echo >/c/$I; busybox usleep 300000; test "$(ls /c)" = $I'
}

@test "locked: one after the other" {
	sharing locked 'busybox mkdir /c/busy; echo $I >>/c/log; busybox usleep 50000; busybox rmdir /c/busy; cp /c/log /log 2>/dev/null || cat /c/log >/log'
	local i n=0
	for i in 1 2 3 4; do
		imgmake export x$i dir:d$i
		n=$((n + $(wc -l <d$i/log)))
	done
	equal $n 10
}

@test "caches in different orders, and one twice, do not wait for each other" {
	{
		for i in 1 2 3 4; do
			local a=a b=b
			[ $((i % 2)) = 0 ] || { a=b; b=a; }
			echo "image \"x$i\" { from = base \"$BUSYBOX\", run { [[echo $i >/1/f; cat /3/f >/out]],"
			echo "  cache = { { path = \"/1\", id = \"$a\", sharing = \"locked\" }, { path = \"/2\", id = \"$b\", sharing = \"locked\" }, { path = \"/3\", id = \"$a\" } } } }"
		done
	} | recipe
	ok timeout 60 "$IMGMAKE" -j4 x1 x2 x3 x4
}
