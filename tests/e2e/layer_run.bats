load helpers

setup_file() {
	start_registry layer-run
}

teardown_file() {
	stop_registries
}

# All that a user of the image can tell: names, types, modes, owners, times, links, contents, attributes. Names of
# one file are followed by the first of them.
listing() {   # DIR, as umoci unpacked it
	(cd "$1/rootfs" && find . -printf '%i %n %p\0' | sort -z -k3 |
		awk -v RS='\0' '{ i = $1; n = $2; sub(/^[0-9]+ [0-9]+ /, ""); if (!(i in first)) first[i] = $0
			if (n > 1 && first[i] != $0) print $0 " = " first[i] }'
	find . -printf '%p %y %m %U:%G %T@ %l\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	getfattr -Rdh -m '^(user|security)' . 2>/dev/null | sort) >"$1.list"
}

# same_files STEPS [BASE [N]]: as one layer, and as a layer a step, they come to the same files; it is one layer over
# the N of the base.
same_files() {
	local base=${2:-base \"$BUSYBOX\"}
	{
		echo "local b = $base"
		echo "image \"one\" { from = b, layer { $1 } }"
		echo "image \"apart\" { from = b, $1 }"
	} >Imagefile
	ok imgmake
	exported one >/dev/null
	exported apart >/dev/null
	equal "$(n_layers out-one)" $((${3:-1} + 1))
	rm -rf one apart
	unpacked out-one one
	unpacked out-apart apart
	listing one
	listing apart
	diff one.list apart.list
}

# nowhere TEXT LAYOUT: no layer has it, and not the configuration.
nowhere() {
	local d
	for d in $(manifest_of "$2" | jq -r '.layers[].digest'); do
		! blob "$2" "$d" | gunzip | grep -aqF -- "$1" || return 1
	done
	! config_of "$2" | grep -qF -- "$1"
}

@test "an installer is copied, run and removed in one layer, and is nowhere in the image" {
	printf 'mkdir -p /opt/app; echo installed >/opt/app/tool # SECRET-%s\n' INSTALLER >install.sh
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", layer {
		  copy { "install.sh", to = "/tmp/install.sh" },
		  run "sh /tmp/install.sh",
		  remove "/tmp/install.sh",
		  write { "/etc/app.conf", "conf\n" },
		  run "cat /etc/app.conf /opt/app/tool >/etc/both",
		} }
	EOF
	ok imgmake
	exported x
	equal "$(n_layers out-x)" 2
	nowhere SECRET-INSTALLER out-x
	lacks "$(last_layer out-x)" install
	unpacked out-x b
	equal "$(cat b/rootfs/etc/both)" "conf
installed"
	[ ! -e b/rootfs/tmp/install.sh ]
	equal "$(config_of out-x | jq '[.history[] | select(.comment == "imgmake")] | length')" 1
	contains "$(config_of out-x | jq -r '.history[-1].created_by')" \
		'^layer copy install.sh to /tmp/install.sh; run sh /tmp/install.sh; remove /tmp/install.sh; write'
	lacks "$(ls out-x/blobs/sha256 | wc -l)" '^[^4]'   # a configuration, a manifest, two layers
}

@test "the same files as of a layer a step: times, owners, links, attributes" {
	needs_root
	mkdir -p src/sub
	echo one >src/one
	ln src/one src/sub/two
	ln -s one src/link
	echo old >kept
	touch -d 2001-02-03T04:05:06Z kept src/sub
	same_files 'copy { "src", to = "/srv/src", owner = "7:8" },
		run { "cd /srv/src; ln one three; chmod 4751 sub/two; mkdir -m 1777 new; mkfifo -m 600 new/pipe" },
		copy { "kept", to = "/srv/kept", mtime = "keep", mode = "0640" },
		copy { "src/sub", to = "/srv/timed", mtime = "keep" },
		run "chown 12:34 /srv/kept; ln /srv/timed/two /srv/again; ln -s nowhere /srv/dangling",
		mkdir { "/var/lib/x", mode = "0700" },
		write { "/srv/src/one", "written\n" }'
	contains "$(cat one.list)" '/two = '
}

@test "attributes and capabilities that commands and copies give" {
	needs_root
	command -v setcap >/dev/null || skip "setcap is not installed"
	touch attr
	setfattr -n user.kept -v yes attr 2>/dev/null || skip "no attributes here"
	cp /bin/true tool
	setcap cap_net_raw+ep tool || skip "no capabilities here"
	same_files 'copy { "tool", to = "/bin/tool" }, run "cp /bin/busybox /bin/other; ln /bin/tool /bin/tool2",
		write { "/etc/x", "" }, run "mv /bin/other /bin/tool3"'
	contains "$(cat one.list)" 'security.capability'
}

@test "files of the base are overwritten, changed and removed" {
	mkdir -p etc old/dir
	echo root:x:0:0:mine >etc/passwd
	touch -d 2001-02-03T04:05:06Z old/dir
	local base='stage "s" { from = base "'$BUSYBOX'", copy { "old", to = "/old", mtime = "keep" }, run { "mkdir -p /data/deep/er; echo a >/data/a; echo b >/data/deep/b; echo c >/data/deep/er/c; echo d >/data/data-d; ln /data/a /data/a2" } }'
	local copied='copy { "etc", to = "/etc" }'
	same_base() {
		same_files "$1" "$base" 3
	}
	same_base "$copied, run 'echo more >>/etc/passwd; rm /data/a', write { '/data/deep/b', 'new' }, run 'rm -r /data/deep/er'"
	contains "$(last_layer out-one)" '^data/\.wh\.a$'
	contains "$(last_layer out-one)" '^data/deep/\.wh\.er$'
	lacks "$(last_layer out-one)" '\.wh\.\.wh'
	# A directory that comes again holds only what is in it now.
	same_base "run 'rm -r /data', write { '/data/deep/new', '' }, run 'echo b >/data/deep/b'"
	contains "$(last_layer out-one)" '^data/\.wh\.a$'
	contains "$(last_layer out-one)" '^data/deep/\.wh\.er$'
	lacks "$(last_layer out-one)" '^data/deep/b$'
	# A directory that something came to and went from has the time that it has of that as separate layers.
	same_base "write { '/old/dir/f', '' }, run 'rm /old/dir/f; echo >/x'"
	# A directory becomes a file, and one again.
	same_base "run 'rm -r /data/deep; echo f >/data/deep', write { '/x', '' }"
	same_base "run 'rm -r /data/deep; echo f >/data/deep', copy { 'etc', to = '/y' }, run 'rm /data/deep; mkdir -p /data/deep/er; echo c >/data/deep/er/c'"
	contains "$(last_layer out-one)" '^data/deep/\.wh\.b$'
	# A file becomes a directory, and a link.
	same_base "run 'rm /data/a; mkdir /data/a', write { '/data/a/x', 'x' }, run 'rm /data/deep/b; ln -s er /data/deep/b'"
	same_base "run 'rm -r /data/deep; ln -s /etc /data/deep', copy { 'etc', to = '/data/deep' }, run 'echo via >>/data/deep/passwd'"
	# Names beside the removed one.
	same_base "remove '/data/deep', run 'rm -r /data/data-d; mkdir /data/deep; echo >/data/deep-er', remove '/data/a'"
}

one_of() {   # WORD…
	shift $((RANDOM % $#))
	picked=$1
}

random_path() {
	local dir
	one_of a b a-b c
	dir=/w/$picked
	one_of "" "" /x /y /x/z
	picked=$dir$picked
}

random_commands() {   # N: for the shell, each of which may come to nothing
	local i p q
	commands="mkdir -p /w"
	for ((i = 0; i < $1; i++)); do
		random_path; p=$picked
		random_path; q=$picked
		one_of "rm -rf $p" "mkdir -p $p" "echo $i >$p" "ln -s $q $p" "ln $q $p" "mv $p $q" "cp -r $p $q" "chmod 7${i}5 $p" \
			"rm -rf $p; mkdir -p $p" "rm -rf $p; echo $i >$p" "rm -r $p; cp -r /etc $p" "echo $i >>$p"
		commands+="; ( $picked ) 2>/dev/null || true"
	done
}

random_steps() {   # N, the first of which is a command
	local i top p
	random_commands 3
	steps="run \"$commands\""
	for ((i = 1; i < $1; i++)); do
		random_path; p=$picked
		top=$(cut -d/ -f1-3 <<<"$p")
		random_commands 3
		one_of "run \"$commands\"" "run \"$commands\"" "remove { \"$top\", optional = true }" \
			"remove { \"$top\", optional = true }, write { \"$p\", \"$i\" }" \
			"remove { \"$top\", optional = true }, copy { \"src\", to = \"$p\", mtime = \"keep\" }"
		steps+=", $picked"
	done
}

@test "steps at random come to the same files" {
	local seed base
	mkdir -p src/dir
	echo one >src/one
	ln src/one src/two
	touch -d 2001-02-03T04:05:06Z src/dir
	for seed in 2 3 5; do
		RANDOM=$seed
		random_commands 9
		base="stage \"s\" { from = base \"$BUSYBOX\", run \"mkdir -p /w/a/x /w/b/x; echo z | tee /w/a/x/z >/w/b/y; $commands\" }"
		random_steps 6
		same_files "$steps, write { \"/end\", \"\" }" "$base" 2
	done
}

@test "links of a base with merged directories are followed" {
	echo lib >lib.so
	same_files 'copy { "lib.so", to = "/lib/one/lib.so" }, run "cp /lib/one/lib.so /lib/one/two.so; rm /bin/perl",
		copy { "lib.so", to = "/usr/lib/one/three.so" }, remove "/bin/w*", run "mv /lib/one/two.so /sbin/two.so"' \
		"base \"$DEBIAN\""
	contains "$(last_layer out-one)" '^usr/lib/one/three\.so$'
	lacks "$(last_layer out-one)" '^(lib|bin|sbin)/'
}

@test "what is made and removed, or changed and changed back, is in no layer; of nothing there is none" {
	mkdir -p old/dir
	touch -d 2001-02-03T04:05:06Z old/dir
	echo x >f
	recipe <<-EOF
		local s = stage "s" { from = base "$BUSYBOX", copy { "old", to = "/old", mtime = "keep" },
		  run "echo here >/here; echo there >/there" }
		image "none" { from = s,
		  layer { copy { "f", to = "/old/dir/f" }, run "mv /old/dir/f /tmp/g; echo changed >/here; rm /there",
		          remove "/tmp/g", write { "/there", "there\n" }, run "echo here >/here" } }
		image "some" { from = s, layer { copy { "f", to = "/opt/f" }, run "cat /opt/f; echo kept >/kept", remove "/opt" } }
	EOF
	ok imgmake none some
	exported none
	exported some
	equal "$(n_layers out-none)" 3
	equal "$(config_of out-none | jq '.history[-1].empty_layer')" true
	equal "$(last_layer out-some)" kept
}

@test "a command sees, reads and changes what the steps before it brought, and a copy is over what it made" {
	echo mine >config
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", workdir "/srv", user "1000:1000", env { WHO = "me" },
		  layer {
		    copy { "config", to = "a", owner = "1000:1000" }, run "echo \$WHO >>a; cat a",
		    mkdir { "made", owner = "1000:1000" }, run "cp a made/b; echo theirs >made/config",
		    copy { "config", to = "made/" },
		    run { "cat made/config made/b >/srv/made/all", env = { WHO = "you" } },
		  } }
	EOF
	ok imgmake
	exported x
	equal "$(n_layers out-x)" 2
	unpacked out-x b
	equal "$(cat b/rootfs/srv/made/all)" "mine
mine
me"
	equal "$(cat b/rootfs/srv/made/config)" mine
	equal "$(what b/rootfs/srv/made/all)" "644 1000:1000 regular file"
}

@test "owners by name are those that a command of the same layer made" {
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", layer {
		  run "echo app:x:77:88::/:/bin/sh >>/etc/passwd; echo app:x:88: >>/etc/group", write { "/f", "", owner = "app:app" },
		  run { "id -u >/tmp/who", user = "app" } } }
	EOF
	ok imgmake
	exported x
	contains "$(layers_of out-x)" ' 77/88 .* f$'
	contains "$(layers_of out-x)" ' 77/88 .* tmp/who$'
}

@test "a changed command that does the same makes nothing after it anew; nothing changed is nothing done" {
	write_recipe() {
		recipe <<-EOF
			image "x" { from = base "$BUSYBOX", layer {
			  run { "$1" }, write { "/mid", "mid\n" },
			  run { "echo ran-second; cat /one /mid >/two" } },
			  run { "echo ran-third; cat /two >/three" } }
		EOF
	}
	write_recipe "echo ran-first; echo 1 >/one"
	ok imgmake
	contains "$stderr" '^x: ran-first$'
	contains "$stderr" '^x: ran-third$'
	exported x
	d=$(manifest_of out-x | jq -c .layers)
	ok imgmake
	lacks "$stderr" '^x: ran-'
	go imgmake -q
	[ "$status" = 0 ]
	write_recipe "echo ran-again; echo 1 >/one"
	go imgmake -q
	[ "$status" = 1 ]
	ok imgmake
	contains "$stderr" '^x: ran-again$'
	lacks "$stderr" '^x: ran-(first|second|third)$'
	exported x
	equal "$(manifest_of out-x | jq -c .layers)" "$d"
	# Only what comes after a change in the middle runs.
	sed -i 's/mid.n/MID/' Imagefile
	ok imgmake
	lacks "$stderr" '^x: ran-(first|again)$'
	contains "$stderr" '^x: ran-second$'
	contains "$stderr" '^x: ran-third$'
	ok imgmake -B
	contains "$stderr" '^x: ran-again$'
	contains "$stderr" '^x: ran-second$'
	store_is_whole
}

@test "a failure in the middle names its line, and is not remembered" {
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX",
		  layer {
		    write { "/a", "" },
		    run "echo ran-first",
		    run "exit 7",
		    write { "/b", "" },
		  } }
	EOF
	fails "Imagefile:2: image 'x': layer: Imagefile:5: run: its command failed with status 7" imgmake
	fails "Imagefile:5: run: its command failed with status 7" imgmake
	lacks "$stderr" '^x: ran-first$'
	sed -i 's/write { "\/b", "" }/remove "\/nothere"/; s/exit 7/true/' Imagefile
	fails "Imagefile:2: image 'x': layer: Imagefile:6: remove: /nothere: no such file" imgmake
	nothing_is_left
}

@test "why, -n and --trace tell of the steps inside" {
	echo one >f
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", layer { copy { "f", to = "/f" }, run { "cat /f >/g", "echo second-line" } } }
	EOF
	ok imgmake -n
	[ ! -e "$IMGMAKE_STORE/blobs" ] || [ -z "$(ls "$IMGMAKE_STORE/blobs/sha256")" ]
	ok imgmake --trace
	contains "$stderr" 'second-line'
	contains "$stderr" 'Imagefile:1: run'
	echo two >f
	ok imgmake why x
	contains "$output" 'step 1 \(layer\): 1 \(copy\): .*f'
	ok imgmake
	sed -i 's/second-line/another/' Imagefile
	ok imgmake why x
	contains "$output" 'step 1 \(layer\): 2 \(run\): command'
}

@test "a cache of a command in the layer sees files with the times at which they changed" {
	needs_root
	cp "$(command -v make)" make
	echo A >in
	printf '/obj/out: /src/in\n\tcp /src/in /obj/out; echo $$(cat /src/in) >>/obj/log\n' >Makefile
	recipe <<-EOF
		image "x" { from = base "$DEBIAN", layer {
		  copy { "make", "Makefile", "in", to = "/src/", mode = "0755" },
		  run { "cd /src; ./make; cp /obj/out /out; cp /obj/log /log; echo 1", cache = { "/obj" } },
		  remove "/src",
		} }
	EOF
	log_is() {
		rm -rf d
		imgmake export x dir:d
		equal "$(xargs <d/log)" "$1"
		[ ! -e d/src ]
	}
	log_is A
	echo B >in
	log_is "A B"
	sed -i 's/echo 1/echo 2/' Imagefile
	log_is "A B"
	echo A >in
	sed -i 's/echo 2/echo 3/' Imagefile
	log_is "A B A"
	equal "$(cat d/out)" A
}

@test "steps without a command make what they always made, and no layers in between" {
	echo f >f
	recipe <<-EOF
		image "x" { from = "scratch", layer { copy { "f", to = "/f" }, write { "/g", "g" }, remove "/f", mkdir "/d" } }
	EOF
	ok imgmake
	exported x
	equal "$(last_layer out-x | paste -sd' ')" "d/ g"
	# A layer, its table, configuration and manifest.
	equal "$(ls "$IMGMAKE_STORE/blobs/sha256" | wc -l)" 4
}

@test "an ordinary user with a range of ids gets the same bytes, for any -j, and again" {
	needs_user
	mkdir src
	for i in $(seq 40); do echo "$i" >"src/$i"; done
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", layer {
		  copy { "src", to = "/src", owner = "5:6" }, run "cd /src; rm 1?; chown 7:8 2; chmod 600 3; ln 4 four; mkdir -m 700 d; cp 5 d",
		  write { "/src/6", "six" }, run "rm /src/7; mv /src/d /d; chmod 711 /d", remove "/etc/group" } }
	EOF
	imgmake -j1 >&2
	d=$(exported x)
	IMGMAKE_STORE=$DIR/store2 imgmake -j8 >&2
	equal "$(IMGMAKE_STORE=$DIR/store2 exported x out-2)" "$d"
	mkdir "$DIR/user"
	cp -r Imagefile Imagefile.lock src "$DIR/user" 2>/dev/null || cp -r Imagefile src "$DIR/user"
	chown -R "$E2E_USER" "$DIR/user"
	cd "$DIR/user"
	export HOME=$DIR/user IMGMAKE_STORE=$DIR/user/store
	as_user "$IMGMAKE" doctor | grep -q 'single' && skip "no range of ids"
	as_user "$IMGMAKE" >&2
	as_user "$IMGMAKE" export x "oci:$DIR/user/out" >&2
	equal "$(jq -r '.manifests[0].digest' "$DIR/user/out/index.json")" "$d"
}

@test "another machine takes it from the remote cache, and makes only what changed" {
	echo one >f
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", layer {
		  run { "echo ran-first; echo 1 >/one" }, copy { "f", to = "/tmp/f" }, run { "echo ran-second; cat /one /tmp/f >/two" },
		  remove "/tmp/f" } }
	EOF
	ok imgmake --cache "$(repo cache)"
	contains "$stderr" '^x: ran-second$'
	d=$(exported x)
	export IMGMAKE_STORE=$DIR/other
	ok imgmake --cache "$(repo cache)"
	contains "$stderr" 'nothing to do'
	ok imgmake --cache "$(repo cache)" export x oci:there
	lacks "$stderr" '^x: ran-'
	equal "$(jq -r '.manifests[0].digest' there/index.json)" "$d"
	export IMGMAKE_STORE=$DIR/third
	echo two >f
	ok imgmake --cache "$(repo cache)"
	lacks "$stderr" '^x: ran-first$'
	contains "$stderr" '^x: ran-second$'
	exported x
	unpacked out-x b
	equal "$(cat b/rootfs/two)" "1
two"
}

@test "steps in between go with gc, and the layer stays; they are in no registry" {
	printf 'BETWEEN-%s\n' STEPS >f
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", publish = { "$(repo app)", tags = { "edge" } }, layer {
		  copy { "f", to = "/tmp/f" }, run "wc -c </tmp/f >/size", remove "/tmp/f" } }
	EOF
	ok imgmake deploy
	equal "$(requests layer-run | grep -c "^PUT /v2/t$BATS_TEST_NUMBER/app/blobs/uploads/")" 3
	skopeo copy -q --src-tls-verify=false "docker://$(repo app):edge" oci:there:t
	nowhere BETWEEN-STEPS there
	store_is_as_ever
}

@test "by an OCI runtime, and with one owner for all" {
	needs_user
	recipe <<-EOF
		local b = base "$BUSYBOX"
		image "one" { from = b, layer { write { "/f", "f\n", owner = "3:4" }, run "echo more >>/f; echo x >/g; rm /etc/group",
		  remove "/g", write { "/h", "" } } }
	EOF
	d=$(exported one)
	for r in crun runc; do
		command -v $r >/dev/null || continue
		IMGMAKE_STORE=$DIR/$r imgmake export --runtime $r one oci:by-$r >&2
		equal "$(jq -r '.manifests[0].digest' by-$r/index.json)" "$d"
	done
	# Nobody has no range of ids.
	mkdir "$DIR/nobody"
	cp Imagefile "$DIR/nobody"
	chown -R nobody "$DIR/nobody"
	cd "$DIR/nobody"
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	setpriv --reuid nobody --regid nogroup --clear-groups "$IMGMAKE" export one oci:out >&2
	contains "$(layers_of out)" ' 3/4 +7 .* f$'
	equal "$(last_layer out | paste -sd' ')" "etc/ etc/.wh.group f h"
}

@test "in a chroot, and with commands first, last and alone" {
	needs_root
	recipe <<-EOF
		local b = base "$BUSYBOX"
		image "alone" { from = b, layer { run "echo 1 >/one" } }
		image "plain" { from = b, run "echo 1 >/one" }
		image "first" { from = b, layer { run "echo 1 >/one", write { "/two", "2" } } }
		image "last" { from = b, layer { write { "/two", "2" }, run "echo 1 >/one" } }
	EOF
	ok imgmake
	for t in alone plain first last; do exported $t; done
	equal "$(manifest_of out-alone | jq -r '.layers[-1].digest')" "$(manifest_of out-plain | jq -r '.layers[-1].digest')"
	equal "$(manifest_of out-first | jq -r '.layers[-1].digest')" "$(manifest_of out-last | jq -r '.layers[-1].digest')"
	d=$(manifest_of out-last | jq -r '.layers[-1].digest')
	export IMGMAKE_STORE=$DIR/chroot
	go imgmake --isolation=chroot last
	[ "$status" = 0 ] || skip "no chroot here: $stderr"
	exported last out-chroot
	equal "$(manifest_of out-chroot | jq -r '.layers[-1].digest')" "$d"
}
