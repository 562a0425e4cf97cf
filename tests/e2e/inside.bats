load helpers

# Commands in finished images: checks, `imgmake run`, `imgmake shell`; and what `imgmake doctor` says of the machine.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

checked() {   # SCRIPT [LUA-OPTIONS of the check]: an image with a check on it
	recipe <<-LUA
		local x = image "x" {
		  from = base "$BUSYBOX",
		  env { A = "image" },
		  workdir "/some/where",
		  user "33:34",
		  config { labels = { l = var { "L", default = "1" } } },
		}
		check "c" { image = x, run = { $1 }${2:+, $2} }
	LUA
}

served() {   # CONFIG: an image to be run
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", write { "/hello", "hello\n" }, config { $1 } }
	LUA
}

# --- Checks -----------------------------------------------------------------------------------------

@test "a check runs in the image: its user, working directory and environment" {
	checked '"test $(id -u) = 33", "test $(id -g) = 34", "test $PWD = /some/where", "test $A = image",
		"test -z \"$SOURCE_DATE_EPOCH$OF_THE_HOST\"", "test ! -e /work"'
	export OF_THE_HOST=1
	ok imgmake check
	contains "$stderr" 'c: passed'
	nothing_is_left
}

@test "a pass is remembered for the image and the script, and a failure is not" {
	checked '"echo it ran"'
	ok imgmake check
	contains "$stderr" 'it ran'
	ok imgmake check
	lacks "$stderr" 'it ran'
	contains "$stderr" 'passed before'
	ok imgmake check L=2
	contains "$stderr" 'it ran'
	ok imgmake check -B
	contains "$stderr" 'it ran'
	checked '"echo it ran", "true"'
	ok imgmake check
	contains "$stderr" 'it ran'
	checked '"echo it ran", "exit 3"'
	for _ in 1 2; do
		go imgmake check
		equal "$status" 2
		contains "$stderr" 'it ran'
		contains "$stderr" "^imgmake: Imagefile:8: check 'c': its command failed with status 3"
	done
}

@test "the same words on the host and in the image are two checks" {
	checked '"true"' 'host = true'
	ok imgmake check
	checked '"true"'
	ok imgmake check
	lacks "$stderr" 'passed before'
}

@test "what a check does to the image is seen by nobody" {
	recipe <<-LUA
		local x = image "x" { from = base "$BUSYBOX" }
		check "one" { image = x, run = { "test ! -e /made", "echo >/made", "rm /etc/group" } }
		check "two" { image = x, run = { "test ! -e /made", "test -e /etc/group" } }
	LUA
	ok imgmake check
	ok imgmake export x dir:d
	[ ! -e d/made ] && [ -e d/etc/group ]
}

@test "deploy pushes nothing of an image whose check fails" {
	recipe <<-LUA
		local app = image "app" { from = base "$BUSYBOX", publish = { "$(repo)", tags = { "1" } } }
		check "starts" { image = app, run = { "test -e /no/such/file" } }
	LUA
	fails "check 'starts': its command failed with status 1" imgmake deploy
	equal "$(requests open | grep -cE "^(PUT|POST|PATCH) /v2/t$BATS_TEST_NUMBER/")" 0
	sed -i 's/test -e/test ! -e/' Imagefile
	ok imgmake deploy
	equal "$(tags_of "$(repo)")" 1
}

@test "a check of an image for another machine says what is missing" {
	[ ! -e /proc/sys/fs/binfmt_misc/qemu-s390x ] || skip "this machine runs programs of s390x"
	recipe <<-LUA
		local x = image "x" { from = "scratch", write { "/a", "" }, platforms = { "linux/s390x" } }
		check "c" { image = x, run = { "true" } }
	LUA
	fails 'linux/s390x.*qemu-user-static' imgmake check
}

@test "checks as an ordinary user" {
	needs_user
	recipe <<-LUA
		local x = image "x" { from = base "$BUSYBOX" }
		check "c" { image = x, run = { "test \$(id -u) = 0", "echo >/made" } }
	LUA
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok as_user "$IMGMAKE" check
	contains "$stderr" 'c: passed'
}

# --- imgmake run ------------------------------------------------------------------------------------

@test "run makes the image and runs its entrypoint and command; standard output is the command's" {
	served 'entrypoint = { "cat" }, cmd = { "/hello" }'
	ok imgmake run x
	equal "$output" hello
	served 'cmd = { "sh", "-c", "echo out; echo err >&2" }'
	ok imgmake run x
	equal "$output" out
	contains "$stderr" '^err$'
	nothing_is_left
}

@test "run: another command, with what is typed" {
	served 'cmd = { "false" }'
	go bash -c "echo typed | '$IMGMAKE' run x -- sh -c 'cat; echo \$0 \$1' A=b -n"
	equal "$status" 0
	equal "$output" $'typed\nA=b -n'
}

@test "run: the exit status is the command's, signals are 128 and their number" {
	served 'cmd = { "true" }'
	local n
	for n in 0 1 2 42 255; do
		go imgmake run x -- sh -c "exit $n"
		equal "$status" "$n"
		[ "$n" = 0 ] || lacks "$stderr" '^imgmake:'
	done
	go imgmake run x -- sh -c 'kill -9 $$'
	equal "$status" 137
	go imgmake run x -- sh -c 'kill -15 $$'
	equal "$status" 143
}

@test "run: user, working directory and environment are the image's" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", env { A = "image" }, workdir "/w", user "www" }
	LUA
	ok imgmake run x -- sh -c 'id -u; pwd; echo $A; echo "[$SOURCE_DATE_EPOCH]"'
	equal "$output" $'33\n/w\nimage\n[]'
}

@test "run: what it changes is thrown away" {
	served 'cmd = { "true" }'
	ok imgmake run x -- sh -c 'echo changed >/hello; echo >/new'
	ok imgmake run x -- sh -c 'cat /hello; test ! -e /new'
	equal "$output" hello
	ok imgmake -q
}

@test "run: what is out of date is made first, and a failing build runs nothing" {
	echo one >f
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "f", to = "/" }, run { "cat /f >/g; test \$(cat /f) != bad" } }
	LUA
	ok imgmake run x -- cat /g
	equal "$output" one
	echo two >f
	ok imgmake run x -- cat /g
	equal "$output" two
	echo bad >f
	fails 'status 1' imgmake run x -- cat /g
	equal "$output" ""
}

@test "run in a stage" {
	recipe <<-LUA
		local s = stage "s" { from = base "$BUSYBOX", write { "/tools", "here" } }
		image "x" { from = "scratch", copy { "/tools", from = s, to = "/" } }
	LUA
	ok imgmake run s -- cat /tools
	equal "$output" here
	fails 'cat: no such program in the image' imgmake run x -- cat /tools
}

@test "run: what cannot be run is one line" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", remove { "/home" } }
		image "empty" { from = "scratch" }
		task "t" { run = { "true" } }
		image "bare" { from = "scratch", write { "/a", "" } }
	LUA
	fails "image 'bare' has neither an entrypoint nor a command" imgmake run bare
	fails '/no/such: no such program in the image' imgmake run x -- /no/such
	fails 'the image is empty' imgmake run empty -- sh
	fails "'t' is a task" imgmake run t
	fails "no target 'y', did you mean 'x'" imgmake run y
	fails 'usage: imgmake run TARGET' imgmake run
	fails "unexpected 'ls'" imgmake run x ls
}

@test "run: a signal ends the command, and is what ends us" {
	served 'cmd = { "sh", "-c", "echo ready; exec cat" }'
	mkfifo never
	exec 8<>never
	"$IMGMAKE" run x >log <&8 8>&- 3>&- &
	local pid=$! status=0
	wait_until grep -q ready log
	kill -TERM "$pid"
	wait "$pid" || status=$?
	exec 8>&-
	equal "$status" 143
	nothing_is_left
}

@test "run as an ordinary user" {
	needs_user
	served 'entrypoint = { "cat", "/hello" }'
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok as_user "$IMGMAKE" run x
	equal "$output" hello
	go as_user "$IMGMAKE" run x -- sh -c 'test $(id -u) = 0 && echo >/etc/new && exit 5'
	equal "$status" 5
	nothing_is_left
}

# --- imgmake shell ----------------------------------------------------------------------------------

@test "shell: interactive, with the terminal, in the target" {
	recipe <<-LUA
		stage "s" { from = base "$BUSYBOX", env { A = "image" }, workdir "/w", write { "/hello", "hello" } }
	LUA
	ok imgmake build s
	go on_terminal "$IMGMAKE" shell s < <(printf 'test -t 0 && echo a $((1+1)) terminal in $PWD\ncat /hello\nexit 4\n')
	equal "$status" 4
	contains "$output" 'a 2 terminal in /w'
	contains "$output" hello
	nothing_is_left
}

@test "shell: commands from a pipe, and the image's own shell" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", write { "/sh", "#!/bin/sh\necho own \$#; exec sh" , mode = "0755" }, config { shell = { "/sh", "-c" } } }
	LUA
	go bash -c "echo 'echo piped; exit 5' | '$IMGMAKE' shell x"
	equal "$status" 5
	equal "$output" $'own 0\npiped'
}

# --- imgmake doctor ---------------------------------------------------------------------------------

@test "doctor says what there is, and exits 0 where run steps work" {
	ok imgmake doctor
	contains "$output" '^root file systems +ok '
	contains "$output" "^store +ok +$IMGMAKE_STORE, [a-z0-9]+, .* free"
	contains "$output" '^Run steps work here'
	contains "$output" '^imgmake [0-9.]+, with libarchive [0-9.]+, openssl [0-9]'
	ok imgmake doctor --json
	equal "$(jq -r '.run_steps, .store.path, (.findings | length > 2), (.libraries | length > 7)' <<<"$output")" \
		$'true\n'"$IMGMAKE_STORE"$'\ntrue\ntrue'
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "doctor exits 1 where they do not, and what is missing has a remedy" {
	needs_root
	unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_mnt_namespaces' ||
		skip "limits of namespaces cannot be set here"
	go unshare --user --map-root-user sh -c "echo 0 >/proc/sys/user/max_mnt_namespaces; exec '$IMGMAKE' doctor"
	equal "$status" 1
	contains "$output" '^root file systems +missing'
	contains "$output" '^Run steps do not work here'
	contains "$output" 'usermod --add-subuids'
	go unshare --user --map-root-user sh -c "echo 0 >/proc/sys/user/max_mnt_namespaces; exec '$IMGMAKE' doctor --json"
	equal "$status" 1
	equal "$(jq -r .run_steps <<<"$output")" false
}

# doctor_under_apparmor NAMESPACES: as root of a user namespace whose kernel says that AppArmor restricts them.
doctor_under_apparmor() {
	go unshare --user --map-root-user --mount sh -c "
		mount -t tmpfs none /proc/sys/kernel
		echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns
		mkdir root && mount --rbind / root
		$1 '$IMGMAKE' doctor --store /nowhere/store"
	equal "$status" 1
	contains "$output" 'AppArmor keeps user namespaces from us'
	contains "$output" '^  .*apparmor_parser -r /etc/apparmor.d/imgmake$'
}

@test "doctor names the AppArmor profile where that keeps user namespaces from us" {
	needs_root
	unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_mnt_namespaces' ||
		skip "limits of namespaces cannot be set here"
	# They can be made, but nothing can be done in them.
	doctor_under_apparmor 'echo 0 >/proc/sys/user/max_mnt_namespaces; exec'
	rmdir root
	# They cannot be made: from a changed root the kernel allows none.
	doctor_under_apparmor 'exec chroot root'
}

@test "doctor: a store that cannot be is told, too" {
	go imgmake doctor --store /dev/null/store
	equal "$status" 1
	contains "$output" '^store +missing +.*/dev/null/store'
	go imgmake doctor --store /dev/null/store --json
	equal "$status" 1
	contains "$(jq -r .store.error <<<"$output")" '/dev/null/store'
}

@test "doctor makes a private network, and does not take one that cannot be for granted" {
	{ command -v pasta && : <>/dev/net/tun; } >/dev/null 2>&1 || skip "no pasta, or no /dev/net/tun"
	ok imgmake doctor
	contains "$output" '^private networks +ok '
	mkdir bin
	printf '#!/bin/sh\nexit 1\n' >bin/pasta
	chmod +x bin/pasta
	PATH=$PWD/bin:$PATH go "$IMGMAKE" doctor
	equal "$status" 0
	contains "$output" '^private networks +not here +pasta could not make a private network'
	nothing_is_left
	PATH=$PWD/bin:$PATH go "$IMGMAKE" doctor --json
	equal "$(jq -r '.findings[] | select(.what == "private networks") | .ok' <<<"$output")" false
}

@test "doctor as an ordinary user" {
	needs_user
	chown "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok as_user "$IMGMAKE" doctor
	contains "$output" '^Run steps work here'
}

@test "a check on the host runs again when what its deps name is another, and only then" {
	mkdir tests
	echo 'echo ran >>log' | tee tests/a.sh >tests/b.sh
	recipe <<-'EOF'
		local x = image "x" { from = "scratch", write { "/a", "1" } }
		check "script" { image = x, host = true, deps = { "tests/*.sh" }, run = "sh tests/a.sh" }
		file "tests/made.sh" { run = "echo >tests/made.sh" }
	EOF
	ok imgmake check x
	ok imgmake check x
	touch tests/a.sh
	ok imgmake check script
	equal "$(wc -l <log)" 1
	echo 'exit 3' >>tests/a.sh
	fails "check 'script': its command failed with status 3" imgmake check x
	echo 'echo ran >>log' >tests/a.sh
	ok imgmake check x
	equal "$(wc -l <log)" 2   # it passed like that before
	touch tests/c.sh
	ok imgmake check script
	equal "$(wc -l <log)" 3
	ok imgmake tests/made.sh
	fails "check 'script': deps: tests/made.sh is made by a rule" imgmake check x
	recipe <<<'check "c" { image = image "x" { from = "scratch" }, deps = { "a" }, run = "true" }'
	fails "a check in the image sees no files of the project; 'deps' is for host = true" imgmake check
}
