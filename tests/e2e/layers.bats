load helpers

# The image's tree by GNU tar, each layer over the last; for images without whiteouts.
extract() {   # LAYOUT DIR
	local d
	mkdir -p "$2"
	for d in $(manifest_of "$1" | jq -r '.layers[].digest'); do
		blob "$1" "$d" | tar -xpzf - -C "$2" --numeric-owner --xattrs --xattrs-include='*'
	done
}

build_and_extract() {   # TARGET
	exported "$1" >/dev/null && extract "out-$1" tree
}

tree() {   # DIR: types, modes, owners and names
	(cd "$1" && find . -mindepth 1 -printf '%y %m %U:%G %p %l\n' | sort -k4)
}

@test "copy puts a file into a directory, under another name, and relative to the workdir" {
	echo hello >a.txt
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "a.txt", to = "/etc/" },
		  copy { "a.txt", to = "/opt/b.txt" },
		  workdir "/srv/app",
		  copy { "a.txt", to = "." },
		  copy { "a.txt", to = "sub/c.txt" },
		}
	EOF
	build_and_extract x
	for f in etc/a.txt opt/b.txt srv/app/a.txt srv/app/sub/c.txt; do
		equal "$(cat tree/$f)" hello
		equal "$(what tree/$f)" "644 $(id -u):$(id -g) regular file"
	done
	equal "$(config_of out-x | jq -r .config.WorkingDir)" /srv/app
}

@test "copy of a directory copies its contents, as COPY does" {
	mkdir -p src/deep/er src/empty
	echo 1 >src/one
	echo 2 >src/deep/er/two
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "src", to = "/app" } }
	EOF
	build_and_extract x
	equal "$(cd tree/app && find . -type f | sort | paste -sd' ')" "./deep/er/two ./one"
	[ -d tree/app/empty ]
}

@test "patterns: * ? [] and **, exclude, parents, optional" {
	mkdir -p s/a/b
	touch s/x1.c s/x2.c s/y.h s/a/z.c s/a/b/w.c s/a/b/w_test.c
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "s/x[0-9].c", "s/?.h", to = "/flat/" },
		  copy { "s", to = "/tree", exclude = { "**/*_test.c", "*.h" } },
		  copy { "s/**/*.c", to = "/all/", parents = true },
		  copy { "s/*.nope", to = "/none/", optional = true },
		}
	EOF
	build_and_extract x
	equal "$(ls tree/flat | paste -sd' ')" "x1.c x2.c y.h"
	equal "$(cd tree/tree && find . -type f | sort | paste -sd' ')" "./a/b/w.c ./a/z.c ./x1.c ./x2.c"
	equal "$(cd tree/all && find . -type f | sort | paste -sd' ')" \
		"./s/a/b/w.c ./s/a/b/w_test.c ./s/a/z.c ./s/x1.c ./s/x2.c"
	[ ! -e tree/none ]
}

@test "modes are normalised, given ones are kept, setuid comes only when asked for" {
	mkdir d
	touch d/plain d/tool
	chmod 600 d/plain
	chmod 4711 d/tool
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "d", to = "/norm" },
		  copy { "d", to = "/given", mode = "0640", dir_mode = "0700" },
		  copy { "d/tool", to = "/suid", mode = "4755" },
		  write { "/w", "x", mode = "0600" },
		  mkdir { "/m", mode = "1777" },
		}
	EOF
	build_and_extract x
	equal "$(stat -c '%a %n' tree/norm/* tree/given tree/given/plain tree/suid tree/w tree/m)" \
		"644 tree/norm/plain
755 tree/norm/tool
700 tree/given
640 tree/given/plain
4755 tree/suid
600 tree/w
1777 tree/m"
}

@test "owners: numbers, and names as the image knows them" {
	needs_root
	touch f
	recipe <<-EOF
		image "x" {
		  from = base "$BUSYBOX",
		  copy { "f", to = "/n", owner = "12:34" },
		  copy { "f", to = "/u", owner = "www" },
		  copy { "f", to = "/ug", owner = "www:web" },
		  write { "/default", "" },
		}
	EOF
	exported x >/dev/null
	unpacked out-x b
	equal "$(cd b/rootfs && stat -c '%u:%g %n' n u ug default)" "12:34 n
33:34 u
33:34 ug
0:0 default"
}

@test "an unknown user is an error with its name" {
	touch f
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/f", owner = "wwww" } }
	EOF
	fails 'wwww' imgmake
}

@test "odd names: spaces, newlines, bytes that are no UTF-8, leading dashes" {
	mkdir odd
	cd odd
	touch -- 'a b' $'new\nline' $'\xff\xfe' '-rf' $'tab\t' "quote'\"" '*' '[x]' 'ünï' 'back\slash' '~' '.hidden'
	mkdir $'dir\n\xe9'
	touch $'dir\n\xe9/inner'
	cd ..
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "odd", to = "/odd" } }
	EOF
	build_and_extract x
	equal "$(cd tree/odd && find . -print0 | sort -z | sha256sum)" "$(cd odd && find . -print0 | sort -z | sha256sum)"
}

@test "a path of nearly 4,000 bytes" {
	local name i
	name=$(printf 'n%.0s' {1..200})
	mkdir deep
	(
		cd deep
		for i in {1..18}; do
			mkdir "$name"
			cd "$name"
		done
		echo bottom >file
	)
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "deep", to = "/d" } }
	EOF
	build_and_extract x
	(
		cd tree/d
		for i in {1..18}; do
			cd "$name"
		done
		equal "$(cat file)" bottom
	)
}

@test "symlinks are copied as links, dangling ones too" {
	mkdir s
	ln -s target s/dangling
	ln -s /etc/passwd s/absolute
	ln -s ../.. s/up
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/s" }, symlink { "/lib64", target = "usr/lib64" } }
	EOF
	build_and_extract x
	equal "$(readlink tree/s/dangling tree/s/absolute tree/s/up | paste -sd' ')" "target /etc/passwd ../.."
	[ -L tree/lib64 ]
}

@test "hard links within a copy stay hard links" {
	mkdir s
	echo same >s/a
	ln s/a s/b
	mkdir s/sub
	ln s/a s/sub/c
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/s" } }
	EOF
	build_and_extract x
	equal "$(stat -c %h tree/s/a)" 3
	equal "$(stat -c %i tree/s/a)" "$(stat -c %i tree/s/sub/c)"
}

@test "file capabilities are kept" {
	needs_root
	cp "$(type -P true)" tool
	setcap cap_net_bind_service=ep tool
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "tool", to = "/" } }
	EOF
	exported x >/dev/null
	unpacked out-x b
	contains "$(getcap b/rootfs/tool)" 'cap_net_bind_service[=+]ep'
}

@test "a sparse file comes out whole" {
	truncate -s 5M s
	echo end >>s
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/" } }
	EOF
	build_and_extract x
	cmp s tree/s
}

@test "a copy through the base's /bin -> usr/bin keeps the link" {
	echo tool >mytool
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "mytool", to = "/bin/mytool" } }
	EOF
	exported x >/dev/null
	contains "$(last_layer out-x)" '^usr/bin/mytool$'
	lacks "$(last_layer out-x)" '^bin'
	unpacked out-x b
	[ -L b/rootfs/bin ]
	equal "$(cat b/rootfs/usr/bin/mytool)" tool
}

@test "the base's directories keep mode and owner under what is copied into them" {
	echo x >f
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/tmp/f" }, write { "/root/g", "g" } }
	EOF
	exported x >/dev/null
	unpacked out-x b
	equal "$(stat -c %a b/rootfs/tmp b/rootfs/root | paste -sd' ')" "1777 700"
}

@test "remove leaves a whiteout that others understand" {
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", remove { "/etc/group" }, remove { "/home" } }
	EOF
	exported x >/dev/null
	unpacked out-x b
	[ ! -e b/rootfs/etc/group ]
	[ ! -e b/rootfs/home ]
	[ -e b/rootfs/etc/passwd ]
}

@test "layer makes one of several steps, configuration makes none" {
	touch a b
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  layer { copy { "a", to = "/" }, copy { "b", to = "/" }, write { "/c", "" } },
		  env { A = "1" },
		  user "1000:1000",
		  config { cmd = { "x" } },
		}
	EOF
	build_and_extract x
	equal "$(n_layers out-x)" 1
	equal "$(ls tree | paste -sd' ')" "a b c"
}

@test "env expands what is there so far; config reaches the image" {
	recipe <<-EOF
		image "x" {
		  from = base "$BUSYBOX",
		  env { PATH = "/venv/bin:\${PATH}" },
		  user "65534:65534",
		  config { expose = { 8080 }, cmd = { "a", "b" }, entrypoint = { "/e" }, labels = { l = "v" },
		           volumes = { "/data" }, stop_signal = "SIGINT" },
		}
	EOF
	exported x >/dev/null
	config_of out-x | jq -S .config >c.json
	equal "$(jq -r '.Env[] | select(startswith("PATH="))' c.json)" "PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin"
	equal "$(jq -c '[.User, .Cmd, .Entrypoint, .StopSignal, .Labels.l, (.ExposedPorts | keys), (.Volumes | keys)]' c.json)" \
		'["65534:65534",["a","b"],["/e"],"SIGINT","v",["8080/tcp"],["/data"]]'
}

@test "unpack takes tar, gzip and zstd archives" {
	mkdir -p r/bin
	echo x >r/bin/x
	chmod 755 r/bin/x
	tar -C r -cf r.tar .
	gzip -k r.tar
	zstd -q r.tar -o r.tar.zst
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  unpack { "r.tar", to = "/1" },
		  unpack { "r.tar.gz", to = "/2" },
		  unpack { "r.tar.zst", to = "/3" },
		}
	EOF
	build_and_extract x
	equal "$(stat -c %a tree/1/bin/x tree/2/bin/x tree/3/bin/x | paste -sd' ')" "755 755 755"
}

@test "copy from a stage, and from a base" {
	echo built >artifact
	recipe <<-EOF
		local s = stage "s" { from = "scratch", copy { "artifact", to = "/out/bin/app" } }
		image "x" {
		  from = "scratch",
		  copy { "/out/bin/app", from = s, to = "/app" },
		  copy { "/etc/passwd", from = base "$BUSYBOX", to = "/etc/" },
		}
	EOF
	build_and_extract x
	equal "$(cat tree/app)" built
	contains "$(cat tree/etc/passwd)" '^www:'
}

@test "times are 1980, the epoch where one is set, and kept or numbered when asked" {
	touch -d @1000000000 f
	recipe <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "f", to = "/fixed" },
		  copy { "f", to = "/kept", mtime = "keep" },
		  copy { "f", to = "/number", mtime = 1234567890 },
		}
	EOF
	build_and_extract x
	equal "$(stat -c %Y tree/fixed tree/kept tree/number | paste -sd' ')" "315619200 1000000000 1234567890"
	rm -rf tree
	SOURCE_DATE_EPOCH=1600000000 build_and_extract x
	equal "$(stat -c %Y tree/fixed)" 1600000000
}

@test "mtime = content: equal content has equal times, other content another" {
	echo a >a
	echo a >b
	echo c >c
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "a", "b", "c", to = "/", mtime = "content" } }
	EOF
	build_and_extract x
	equal "$(stat -c %Y tree/a)" "$(stat -c %Y tree/b)"
	differ "$(stat -c %Y tree/a)" "$(stat -c %Y tree/c)"
}

@test "zstd layers on request" {
	head -c 100000 /dev/urandom >f
	recipe <<-'EOF'
		image "x" { from = "scratch", compression = "zstd", copy { "f", to = "/" } }
	EOF
	exported x >/dev/null
	equal "$(manifest_of out-x | jq -r '.layers[0].mediaType')" application/vnd.oci.image.layer.v1.tar+zstd
	blob out-x "$(manifest_of out-x | jq -r '.layers[0].digest')" | zstd -dq | tar -xf - -O f | cmp - f
}

@test "a socket in a copy is refused" {
	mkdir s
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s/sock")'
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/s" } }
	EOF
	fails 'sock' imgmake
}

@test "whiteout names in the project are refused" {
	mkdir s
	touch s/.wh.etc
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/s" } }
	EOF
	fails '\.wh\.etc' imgmake
}

ignore_cases() {
	mkdir -p build node_modules/a src/node_modules/b docs a/b/c dir/sub
	touch x.log keep.log build/out src/main.c src/debug.log src/node_modules/b/i.js node_modules/a/i.js \
		docs/README.md docs/other.md docs/pic.png rooted src/rooted a/z a/b/z a/b/c/z a/b/c/y \
		temp1 tempx temporary '!bang' 'sp ace' dir/f dir/sub/f dir/sub/keep .git-like 'trail '
}

same_as_buildah() {   # the ignore file on standard input
	needs_root
	cat >.dockerignore
	ignore_cases
	printf 'FROM scratch\nCOPY . /\n' >Containerfile
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { ".", to = "/" } }
	EOF
	bud bud -q --isolation chroot -t theirs . >/dev/null
	bud push -q theirs oci:theirs:t
	mkdir t
	blob theirs "$(manifest_of theirs | jq -r '.layers[0].digest')" | tar -xzf - -C t
	# Ours built elsewhere, so that what the two left here is in neither.
	build_and_extract x
	rm -rf tree/theirs tree/t t/theirs
	equal "$(cd tree && find . -type f | sort)" "$(cd t && find . -type f | sort)"
}

@test ".dockerignore: as buildah reads it, the common kinds" {
	same_as_buildah <<-'EOF'
		# a comment
		*.log
		!keep.log
		build/
		**/node_modules
		docs/*.md
		!docs/README.md
		/rooted
		theirs
		t
		tree
	EOF
}

@test ".dockerignore: as buildah reads it, the odd kinds" {
	same_as_buildah <<-'EOF'
		a/**/z
		temp?
		\!bang
		  sp ace  
		dir
		!dir/sub/keep
		./src/../src/debug.log
		[x-z].log
		theirs
		t
		tree
	EOF
}

@test ".dockerignore: all but a few" {
	same_as_buildah <<-'EOF'
		*
		!src
		src/node_modules
		!a/b
	EOF
}

@test ".imgmakeignore is read instead of .dockerignore" {
	mkdir s
	touch s/a s/b
	echo 's/a' >.imgmakeignore
	echo 's/b' >.dockerignore
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "s", to = "/s" } }
	EOF
	build_and_extract x
	equal "$(ls tree/s)" b
}
