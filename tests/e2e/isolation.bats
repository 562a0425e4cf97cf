load helpers

# Run steps where namespaces or overlayfs are not to be had: copies of the layers, chroot, and machines on which
# nothing can be run at all.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# A step with what a difference can hold.
busy_recipe() {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/etc/keep", "as it is" },
		  run {
		    "echo one >/etc/one", "chmod 600 /etc/one", "ln /etc/one /etc/two", "ln -s one /etc/three",
		    "mkdir -p /srv/d/e", "rm /etc/group", "rm -rf /home", "echo more >>/etc/keep", "touch /etc/passwd",
		  },
		  run { "rm -r /srv/d", "mkdir /srv/d", "echo two >/srv/d/f", "cat in >/srv/in", inputs = { "in" } },
		}
	LUA
	echo "input" >in
}

# --- Copies -----------------------------------------------------------------------------------------

@test "kernel overlay, fuse-overlayfs and copies give the same image" {
	needs_root
	busy_recipe
	local kernel
	kernel=$(exported x)
	ok imgmake doctor
	contains "$output" '^root file systems +ok +overlayfs'

	# Overlayfs takes no upper directory that is on overlayfs.
	mkdir -p "$DIR/o/"{lower,upper,work,m}
	if command -v fuse-overlayfs >/dev/null && [ -w /dev/fuse ] &&
		mount -t overlay overlay -o "lowerdir=$DIR/o/lower,upperdir=$DIR/o/upper,workdir=$DIR/o/work" "$DIR/o/m"; then
		ok imgmake doctor --store "$DIR/o/m/store"
		contains "$output" '^root file systems +ok +fuse-overlayfs'
		equal "$(IMGMAKE_STORE=$DIR/o/m/store exported x)" "$kernel"
		ok confined no-overlay "$IMGMAKE" export x oci:copied --store "$DIR/o/m/copies"
		equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$kernel"
	fi

	export IMGMAKE_STORE=$DIR/copies
	ok confined no-overlay "$IMGMAKE" doctor
	contains "$output" '^root file systems +ok +copies of the layers'
	contains "$output" '^Run steps work here'
	ok confined no-overlay "$IMGMAKE" export x oci:copied
	equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$kernel"
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "a step that works in a copy writes to no layer" {
	needs_root
	recipe <<-LUA
		image "a" { from = base "$BUSYBOX", run { "echo changed >>/etc/passwd", "rm /etc/group", "echo >/usr/bin/new" } }
		image "b" { from = base "$BUSYBOX", run { "! grep changed /etc/passwd", "test -e /etc/group", "test ! -e /usr/bin/new" } }
	LUA
	ok confined no-overlay "$IMGMAKE" -j1 a b
}

@test "an ordinary user with copies gets the same image" {
	needs_user
	busy_recipe
	local root
	root=$(exported x)
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok confined no-overlay setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all \
		--bounding-set=-all "$IMGMAKE" export x oci:copied
	equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$root"
	ok confined no-overlay setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all \
		--bounding-set=-all "$IMGMAKE" doctor
	contains "$output" '^root file systems +ok +copies of the layers'
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

# --- An unprivileged container ----------------------------------------------------------------------

# As in a container that Docker made without any option, and with nothing secret in it.
contained() {
	if [ -S /run/docker.sock ]; then
		unshare --mount sh -c 'mount --bind /dev/null /run/docker.sock && exec "$@"' sh \
			"$(confine)" docker env -u SSH_AUTH_SOCK "$@"
	else
		confined docker env -u SSH_AUTH_SOCK "$@"
	fi
}

chrooted() {   # COMMAND of imgmake and its arguments
	contained "$IMGMAKE" "$1" --isolation=chroot "${@:2}"
}

in_chroot() {   # LUA-OPTIONS…: a run step on busybox
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { $1 } }
	LUA
}

nothing_is_left() {
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "in an unprivileged container run steps fail with one line that names the last resort" {
	needs_root
	busy_recipe
	fails 'nothing can be run here.*--isolation=chroot' contained "$IMGMAKE"
	go contained "$IMGMAKE" doctor
	equal "$status" 1
	contains "$output" '^Run steps do not work here'
	contains "$output" 'imgmake --isolation=chroot'
	lacks "$output" 'sudo|usermod'
	# What needs no commands works as everywhere.
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", write { "/a", "b" } }
	LUA
	ok contained "$IMGMAKE" export x oci:out
}

@test "chroot: the same image as with overlayfs" {
	needs_root
	busy_recipe
	local overlay
	overlay=$(exported x)
	export IMGMAKE_STORE=$DIR/chroot
	ok chrooted doctor
	contains "$output" '^chroot +ok '
	contains "$output" '^Run steps work here'
	ok chrooted export x oci:out
	equal "$(jq -r '.manifests[0].digest' out/index.json)" "$overlay"
	nothing_is_left
	# And it is known as well where namespaces can be made.
	ok imgmake -q
}

@test "chroot: caches live on, inputs and mounts are seen, and none of it is in a layer" {
	needs_root
	mkdir data
	echo hi >data/f
	echo in >in
	local n
	for n in 1 2; do
		in_chroot '"cat /cache/log /dir/f in >/seen 2>/dev/null || true", "echo '$n' >>/cache/log",
			"echo t >/scratch/t", "test -c /dev/null", "test -s /etc/hosts", "echo x >/dev/null", "rmdir /var/empty 2>/dev/null || true",
			cache = { "/cache", { path = "/etc/c", sharing = "locked" } }, inputs = { "in" }, workdir = "/w",
			mount = { { "data", path = "/dir" }, { type = "tmpfs", path = "/scratch" } }'
		ok chrooted export x "dir:d$n"
		nothing_is_left
	done
	equal "$(cat d1/seen)" $'hi\nin'
	equal "$(cat d2/seen)" $'1\nhi\nin'
	equal "$(cd d2 && find . | grep -E '/(cache|dir|scratch|hosts|resolv.conf|null|c)$')" ""
	equal "$(cat data/f in)" $'hi\nin'
	# With overlayfs it is the same.
	export IMGMAKE_STORE=$DIR/overlay
	sed -i 's/echo 2/echo 3/' Imagefile
	local overlay
	overlay=$(exported x)
	export IMGMAKE_STORE=$DIR/again
	ok chrooted export x oci:c
	equal "$(jq -r '.manifests[0].digest' c/index.json)" "$overlay"
}

@test "chroot: what a step puts in the place of a cache that it has removed does not come to the store" {
	in_chroot '"echo 1 >/cache/n", "rm -r /cache", "ln -s /etc \"/cache (deleted)\"", cache = { "/cache" }'
	ok chrooted build
	equal "$(find "$IMGMAKE_STORE/cache" -type l)" ""
	in_chroot '"ls /cache >/seen", cache = { "/cache" }'
	ok chrooted build
}

@test "chroot: a step has no way out, and no rights that lead to one" {
	needs_root
	cp "$(command -v busybox)" .
	in_chroot '"! ls /proc/self", "test -z \"$OF_THE_HOST\"", "test \"$(ls /)\" = \"$(ls /..)\"",
		"./busybox mknod /tmp/disk b 8 0 && exit 1 || true", "./busybox chroot / true && exit 1 || true",
		"./busybox mount -t tmpfs none /tmp && exit 1 || true", "./busybox unshare true && exit 1 || true",
		"test ! -e '"$DIR"'", inputs = { "busybox" }'
	export OF_THE_HOST=1
	ok chrooted build
	nothing_is_left
}

@test "chroot: daemons end with their step, also when they ignore signals and are nobody's children" {
	needs_root
	in_chroot '"(trap \"\" TERM HUP; ./busybox setsid ./busybox sleep 987123 & ) ; ./busybox setsid sh -c \"./busybox sleep 987123 & exit\"; echo started",
		inputs = { "busybox" }'
	cp "$(command -v busybox)" .
	ok chrooted build
	contains "$stderr" started
	equal "$(pgrep -f 'sleep 987123')" ""
	# An image's command gets no time either.
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "busybox", to = "/" }, config { cmd = { "sh", "-c", "/busybox setsid /busybox sleep 987124 & echo ready; exec cat" } } }
	LUA
	mkfifo never
	exec 8<>never
	"$(confine)" docker "$IMGMAKE" run --isolation=chroot x >log <&8 8>&- 3>&- &
	local pid=$! status=0
	wait_until grep -q ready log
	kill -TERM "$pid"
	wait "$pid" || status=$?
	exec 8>&-
	equal "$status" 143
	equal "$(pgrep -f 'sleep 987124')" ""
	nothing_is_left
}

@test "chroot: killed with -9, nothing runs on" {
	needs_root
	cp "$(command -v busybox)" .
	in_chroot '"./busybox setsid ./busybox sleep 987125 & echo ready; exec ./busybox sleep 987125", inputs = { "busybox" }'
	"$(confine)" docker "$IMGMAKE" build --isolation=chroot >log 2>&1 3>&- &
	local pid=$!
	wait_until pgrep -f '^./busybox sleep 987125'
	kill -9 "$pid"
	gone() { ! pgrep -f '^./busybox sleep 987125'; }
	wait_until gone
	in_chroot '"true"'
	ok chrooted build
	nothing_is_left
}

@test "chroot: what cannot be had is refused with one line" {
	needs_root
	printf s3cr3t >token
	in_chroot '"true", secret = { "tok" }'
	fails "a secret's file needs a memory file system.*env = " chrooted build --secret tok=token
	nothing_is_left
	in_chroot '"test \"${#T}\" = 6", secret = { { id = "tok", env = "T" } }'
	ok chrooted build --secret tok=token
	equal "$(grep -rla s3cr3t "$IMGMAKE_STORE")" ""
	in_chroot '"true", network = "none"'
	fails "only the host's network" chrooted build
	in_chroot '"true", network = "private"'
	fails "only the host's network" chrooted build
	in_chroot '"true", cache = { { path = "/a", id = "c" }, { path = "/b", id = "c" } }'
	fails 'a cache can be at one place only' chrooted build
	nothing_is_left
}

@test "chroot: refused while credentials can be read, and says which" {
	needs_root
	in_chroot '"true"'
	export CI_JOB_TOKEN=abc
	fails '\$CI_JOB_TOKEN can be read here.*env -u CI_JOB_TOKEN' chrooted build
	go chrooted doctor
	equal "$status" 1
	contains "$output" '^chroot +missing +.*CI_JOB_TOKEN'
	unset CI_JOB_TOKEN
	mkdir "$HOME/.docker"
	echo '{"auths": {}}' >"$HOME/.docker/config.json"
	echo '{"auths": {"r": {"auth": "YTpi"}}}' >"$HOME/auth.json"
	REGISTRY_AUTH_FILE=$HOME/auth.json fails "$HOME/auth.json can be read here" chrooted build
	ok chrooted build
	# What is made already needs no command, and can be deployed with credentials.
	export CI_JOB_TOKEN=abc
	ok chrooted build
}

@test "chroot: run, shell and checks" {
	needs_root
	recipe <<-LUA
		local x = image "x" { from = base "$BUSYBOX", user "33:34", config { cmd = { "sh", "-c", "id -u; exit 5" } } }
		check "c" { image = x, run = { "test \$(id -u) = 33" } }
	LUA
	go chrooted run x
	equal "$status" 5
	equal "$output" 33
	ok chrooted check
	contains "$stderr" 'c: passed'
	go bash -c "echo 'echo typed; exit 4' | '$(confine)' docker '$IMGMAKE' shell --isolation=chroot x"
	equal "$status" 4
	contains "$output" typed
	nothing_is_left
}

@test "chroot: nobody but root" {
	needs_user
	in_chroot '"true"'
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	fails 'isolation=chroot is for root' as_user "$IMGMAKE" build --isolation=chroot
}

# --- One owner for all ---

@test "flat owners are said once, and deployed only where that is asked for" {
	needs_user
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { "echo 1 >/1" }, run { "echo 2 >/2" }, publish = { "$(repo)", tags = { "1" } } }
		image "y" { from = base "$BUSYBOX", copy { "Imagefile", to = "/" }, publish = { "$(repo)", tags = { "2" } } }
	LUA
	chown -R "$E2E_USER" .
	chmod 777 "$DIR"
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	go as_user_without_range "$IMGMAKE"
	equal "$status" 0
	equal "$(grep -c 'one owner' <<<"$stderr")" 1
	ok as_user_without_range "$IMGMAKE" deploy y
	fails "image 'x': .*one owner.*/etc/subuid.*--allow-flat-owners" as_user_without_range "$IMGMAKE" deploy x
	equal "$(digest_of "$(repo):1" 2>/dev/null)" ""
	ok as_user_without_range "$IMGMAKE" deploy x --allow-flat-owners
	[ -n "$(digest_of "$(repo):1")" ]
}

# --- Nothing at all ---------------------------------------------------------------------------------

# As an ordinary user on a machine that has switched user namespaces off. (unshare --map-users asks newuidmap, which
# gives root what /etc/subuid has for it: mostly nothing.)
without_namespaces() {
	python3 -c '
import ctypes, os, sys
map_asked, asked = os.pipe(); mapped, map_made = os.pipe()
pid = os.fork()
if pid == 0:
    if ctypes.CDLL(None).unshare(0x10000000):  # CLONE_NEWUSER
        os._exit(99)
    os.write(asked, b"x"); os.close(map_made); os.read(mapped, 1)
    os.setgid(0); os.setuid(0)
    with open("/proc/sys/user/max_user_namespaces", "w") as f:
        f.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(asked)
if os.read(map_asked, 1):
    for ids in "uid_map", "gid_map":
        with open(f"/proc/{pid}/{ids}", "w") as f:
            f.write("0 0 65536")
os.close(map_made)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' \
		setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all --bounding-set=-all "$@"
}

@test "user namespaces off: copies build, export and deploy; run steps give one line with the remedy" {
	needs_user
	without_namespaces true || skip "no user namespace can be made here"
	echo content >f
	recipe <<-LUA
		local busybox = base "$BUSYBOX"
		image "copied" { from = busybox, copy { "f", to = "/" }, publish = { "$(repo)", tags = { "1" } } }
		image "ran" { from = busybox, run { "true" } }
	LUA
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok without_namespaces "$IMGMAKE" copied
	ok without_namespaces "$IMGMAKE" export copied oci:out
	ok without_namespaces "$IMGMAKE" deploy copied
	equal "$(digest_of "$(repo):1")" "$(jq -r '.manifests[0].digest' out/index.json)"
	fails 'nothing can be run here: .*switched off.*try: sudo sysctl user.max_user_namespaces=' \
		without_namespaces "$IMGMAKE" ran
	go without_namespaces "$IMGMAKE" doctor
	equal "$status" 1
	contains "$output" '^user namespaces +missing +.*switched off'
	contains "$output" '^  sudo sysctl user.max_user_namespaces='
	contains "$output" '^Run steps do not work here'
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "chroot: an OCI runtime has no use there" {
	in_chroot '"true"'
	fails 'leave one of them out' imgmake build --isolation=chroot --runtime crun
}

@test "chroot: a shell in what a failed step left" {
	needs_root
	in_chroot '"echo left >/left; rm /etc/group; exit 3", cache = { "/cache" }'
	go timeout 20 script -qec "$(confine) docker $IMGMAKE build --isolation=chroot --shell-on-fail" /dev/null \
		< <(printf 'test ! -e /etc/group && test -d /cache && echo found-$(cat /left)\nexit\n')
	equal "$status" 2
	contains "$output" 'found-left'
	contains "$output" 'status 3'
	nothing_is_left
}

@test "chroot: a step that kills what watches it ends all the same" {
	needs_root
	cp "$(command -v busybox)" .
	in_chroot '"(./busybox setsid ./busybox sleep 987126 &)", "kill -9 $PPID; ./busybox sleep 987126", inputs = { "busybox" }'
	fails 'ended by signal 9' chrooted build
	equal "$(pgrep -f '^./busybox sleep 987126')" ""
	nothing_is_left
}

@test "chroot: who hides in a cache and kills what watches it does not come out with the cache" {
	needs_root
	cat >hide.c <<-'EOC'
		#include <fcntl.h>
		#include <poll.h>
		#include <signal.h>
		#include <stdlib.h>
		#include <sys/prctl.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			if (argc < 2)
				return 0;
			if (fork())
				pause();
			if (setsid() < 0 || fork())
				return 0;
			prctl(PR_SET_DUMPABLE, 0);
			chdir("/cache");
			kill(atoi(argv[1]), SIGKILL);
			for (int i = 0; i < 40; i++, poll(NULL, 0, 50))
				open("../../escaped", O_WRONLY | O_CREAT, 0600);
			return 0;
		}
	EOC
	cc -static -w -o imgmake-hides hide.c
	in_chroot '"./imgmake-hides $PPID", inputs = { "imgmake-hides" }, cache = { "/cache" }'
	fails 'ended by signal 9' chrooted build
	wait_until eval '! ps -eo stat,comm | grep -v "^Z" | grep -q imgmake-hides'
	[ ! -e "$IMGMAKE_STORE/escaped" ]
	nothing_is_left
	in_chroot '"ls /cache >/seen", cache = { "/cache" }'
	ok chrooted build
}

@test "chroot: who becomes another user, hides and kills what watches it is ended all the same" {
	needs_root
	cat >lurk.c <<-'EOC'
		#include <poll.h>
		#include <signal.h>
		#include <stdlib.h>
		#include <sys/prctl.h>
		#include <sys/resource.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			struct rlimit low = { 5, 5 };
			int ready[2];
			char c;
			if (argc < 2 || pipe(ready))
				return 0;
			for (int how = 0; how < 3; how++) {
				if (fork())
					continue;
				if (setsid() < 0 || fork())
					_exit(0);
				if (how == 0)
					prctl(PR_SET_DUMPABLE, 0);
				else if (setgid(1234) || setuid(1234))
					_exit(1);
				if (how == 2 && (setrlimit(RLIMIT_LOCKS, &low) || setrlimit(RLIMIT_RTTIME, &low)))
					_exit(1);
				write(ready[1], "", 1);
				for (;;)
					poll(0, 0, -1);
			}
			for (int i = 0; i < 3; i++)
				read(ready[0], &c, 1);
			kill(atoi(argv[1]), SIGKILL);
			pause();
		}
	EOC
	cc -static -w -o imgmake-lurks lurk.c
	in_chroot '"./imgmake-lurks $PPID", inputs = { "imgmake-lurks" }'
	fails 'ended by signal 9' chrooted build
	equal "$(ps -eo stat,comm | grep -v '^Z' | grep imgmake-lurks)" ""
	nothing_is_left
	# One that runs at the same time is not taken for it.
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "x" { from = b, run { "./imgmake-lurks \$PPID", inputs = { "imgmake-lurks" } } }
		image "y" { from = b, run { "echo here; ./busybox sleep 1; echo still here", user = "33", workdir = "/tmp", inputs = { "busybox" } } }
	LUA
	cp "$(command -v busybox)" .
	go chrooted build -k -j2 x y
	contains "$stderr" 'y: still here'
	contains "$stderr" "image 'x'.*ended by signal 9"
	equal "$(ps -eo stat,comm | grep -v '^Z' | grep imgmake-lurks)" ""
}
