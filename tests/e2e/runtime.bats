load helpers

# Run steps by an OCI runtime: crun, and runc where it is installed. Results are those of our own sandbox.

RUNTIMES=()
for r in crun runc; do
	! command -v $r >/dev/null || RUNTIMES+=($r)
done

# A step that uses all there is, and changes all there can be.
rich() {
	mkdir -p data
	echo data >data/f
	echo in >in
	printf %s "s3cr3t-value" >"$DIR/token"
	recipe <<-LUA
		local made = stage "made" { from = base "$BUSYBOX", write { "/lib/f", "made" } }
		image "x" {
		  from = base "$BUSYBOX",
		  env { A = "image", HOME = "/root" },
		  run { "echo one >/etc/one; chmod 4751 /etc/one; ln /etc/one /etc/two; ln -s one /etc/three; busybox mkfifo /pipe",
		        "rm /etc/group; rm -r /home; mkdir -p /srv/a/b; echo x >/tmp/f",
		        "env | busybox grep -v ^T= | sort >/env; id >/id; pwd >/pwd; umask >/umask; ulimit -n >/files; hostname >/name || true",
		        "ls /dev >/devices; ls -a / >/root-names; busybox grep -E '^(Cap|Seccomp|NoNew)' /proc/self/status | busybox grep -v -e Bnd -e Prm -e Eff >/rights",
		        "cat /m/f /in-memory/../in /from/f >/read; ! echo 2>/dev/null >/m/f; echo >/in-memory/f; echo >/dev/shm/f; echo >/c/f",
		        "test \"\$T\" = \"\$(cat /run/secrets/tok)\"; test \${#T} = 12; ls /sys/class/net >/net",
		        cache = { "/c" }, mount = { { "data", path = "/m" }, { type = "tmpfs", path = "/in-memory" }, { "/lib", from = made, path = "/from" } },
		        secret = { "tok", { id = "tok", env = "T" } }, inputs = { "in" }, workdir = "/", network = "none" },
		  run { "id >/tmp/id; echo mine >own; ! echo 2>/dev/null >/etc/one", user = "www", workdir = "/tmp" },
		  run { exec = { "busybox", "touch", "/with space" }, workdir = "/new/dir" },
		}
	LUA
}

digest_by() {   # RUNTIME or "", [COMMAND PREFIX]: of the image, built in a store of its own
	local runtime=$1
	shift
	export IMGMAKE_STORE=$PWD/store-${runtime:-own}
	rm -rf "out-$runtime"
	"$@" "$IMGMAKE" export x "oci:out-$runtime" --secret "tok=$DIR/token" ${runtime:+--runtime "$runtime"} >&2 || return 1
	jq -re '.manifests[0].digest' "out-$runtime/index.json"
}

same_by_all() {   # [COMMAND PREFIX]
	local own r
	own=$(digest_by "" "$@")
	[ -n "$own" ]
	for r in "${RUNTIMES[@]}"; do
		equal "$(digest_by "$r" "$@")" "$own"
		IMGMAKE_STORE=$PWD/store-$r
		[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
		! grep -q "$IMGMAKE_STORE" /proc/mounts
		# Not even what it keeps for itself: the environment of a step holds secrets.
		! grep -rqa s3cr3t- "$IMGMAKE_STORE"
	done
}

become_user() {
	needs_user
	chmod a+r "$DIR/token"
	sed -i "s|oci:[^\"]*busybox:1|$BUSYBOX|" Imagefile
	chown -R "$E2E_USER" "$DIR/work"
	export HOME=$PWD
}

setup() {
	[ ${#RUNTIMES[@]} != 0 ] || skip "neither crun nor runc is installed"
	setup_test
}

@test "the same digest as by our own sandbox" {
	rich
	same_by_all
	# And the same key: what one of them has made is known to us.
	go imgmake export x oci:again --secret "tok=$DIR/token" --progress=plain
	lacks "$stderr" 'run '
}

@test "the same digest as by our own sandbox, as an ordinary user" {
	rich
	become_user
	same_by_all as_user
}

@test "the same digest as by our own sandbox, as one without a range of ids" {
	rich
	become_user
	# Nobody else is there to be.
	sed -i 's/user = "www", //; s/! echo 2>.dev.null >.etc.one/true/' Imagefile
	same_by_all unshare --mount --propagation private sh -c '
		mount --bind /dev/null /etc/subuid
		mount --bind /dev/null /etc/subgid
		exec setpriv --reuid imgmake-test --regid imgmake-test --init-groups --inh-caps=-all "$@"' sh
}

@test "output, exit status and signals come through" {
	local r
	recipe <<-LUA
		image "fails" { from = base "$BUSYBOX", run { "echo told; echo so >&2; exit 7" } }
		image "dies" { from = base "$BUSYBOX", run { "kill -TERM \$\$" } }
		image "absent" { from = base "$BUSYBOX", run { exec = { "nonesuch" } } }
	LUA
	for r in "${RUNTIMES[@]}"; do
		go imgmake --runtime "$r" --progress=plain fails
		equal "$status" 2
		contains "$stderr" '^fails: told$'
		contains "$stderr" '^fails: so$'
		contains "$stderr" '^imgmake: Imagefile:1: .*failed with status 7$'
		fails 'Imagefile:2: .*ended by signal 15' imgmake --runtime "$r" dies
		fails 'nonesuch: no such program in the image' imgmake --runtime "$r" absent
	done
}

@test "an interrupt ends the step and all that it started" {
	local r pid status
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { "(trap '' HUP; sleep 1000) & echo ready; busybox tail -f /dev/null" } }
	LUA
	for r in "${RUNTIMES[@]}"; do
		"$IMGMAKE" --runtime "$r" --progress=plain >log 2>&1 3>&- &
		pid=$! status=0
		wait_until grep -q ready log
		kill -INT "$pid"
		wait "$pid" || status=$?
		equal "$status" 130
		[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
		! pgrep -f "$IMGMAKE_STORE" >/dev/null
		rm log
	done
}

@test "checks, run and shell, too" {
	local r
	recipe <<-LUA
		local x = image "x" { from = base "$BUSYBOX", env { A = "image" }, workdir "/w", write { "/hello", "hello\n" } }
		check "c" { image = x, run = { "test \$A = image" , "cat /hello" } }
	LUA
	for r in "${RUNTIMES[@]}"; do
		ok imgmake check -B --runtime "$r" --progress=plain
		contains "$stderr" 'hello'
		go imgmake run --runtime "$r" x -- sh -c 'cat; exit 9' < <(echo typed)
		equal "$status" 9
		equal "$output" typed
		go timeout 20 python3 -c 'import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.write(fd, b"test -t 0 && echo a $((1+1)) terminal in $PWD >/dev/tty\nexit 4\n")
shown = b""
try:
    while True:
        shown += os.read(fd, 4096)
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$IMGMAKE" shell --runtime "$r" x
		equal "$status" 4
		contains "$output" 'a 2 terminal in /w'
		lacks "$output" 'WARN|freezer'
	done
}

@test "hostile images are as powerless" {
	local r
	for r in "${RUNTIMES[@]}"; do
		recipe <<-LUA
			image "x" {
			  from = base "$BUSYBOX",
			  layer { remove { "/dev", optional = true }, symlink { "/dev", target = "/etc" } },
			  run { "true" },
			}
		LUA
		fails '/dev' imgmake --runtime "$r"
		# A mount point that is a link leads to the image's place, never to the host's.
		mkdir -p "$DIR/outside"
		recipe <<-LUA
			image "x" {
			  from = base "$BUSYBOX",
			  symlink { "/c", target = "$DIR/outside" },
			  run { "echo hi >/c/f; ls -d $DIR/outside", cache = { "/c" } },
			  run { "ls -la /proc/1/root/ /proc/1/cwd/ >/seen 2>&1 || true" },
			}
		LUA
		ok imgmake --runtime "$r" export x dir:d
		[ -z "$(ls "$DIR/outside")" ]
		lacks "$(cat d/seen)" 'boot|mnt|work'
		rm -rf d "$IMGMAKE_STORE"
	done
}

@test "a runtime that is absent, unknown, broken or refuses is one line that says what to do" {
	run_x() {
		recipe <<-LUA
			image "x" { from = base "$BUSYBOX", run { "true" } }
		LUA
	}
	run_x
	PATH=$PWD/none:$(dirname "$(command -v busybox)") fails '\-\-runtime=runsc: .*not in PATH; install it' "$IMGMAKE" --runtime=runsc
	fails 'must be crun, runc, runsc, or an absolute path' "$IMGMAKE" --runtime=docker
	fails '\-\-runtime=/no/where: No such file' "$IMGMAKE" --runtime=/no/where
	printf '#!/bin/sh\nwhile [ "$1" != --log ]; do shift; done\necho "no, thank you" >"$2"\nexit 1\n' >refuses
	chmod +x refuses
	fails "$PWD/refuses refused to run it: no, thank you; try another" "$IMGMAKE" --runtime="$PWD/refuses"
	printf '#!/bin/sh\n' >does-nothing
	chmod +x does-nothing
	fails 'does-nothing named no process: is it an OCI runtime' "$IMGMAKE" --runtime="$PWD/does-nothing"
	# By its path it is found as well.
	ok imgmake --runtime="$(command -v "${RUNTIMES[0]}")"
}
