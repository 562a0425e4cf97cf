load helpers

# What a hostile image, recipe or command may try from inside of a run step, and what must be left of it: nothing.

setup() {
	setup_test
	export NO_COLOR=1
}

# After an attack: the store is whole, and there is no mount, directory or process of it.
nothing_happened() {   # [PATTERN of a command line]
	store_is_whole
	nothing_is_left
	[ -z "${1:-}" ] || ! pgrep -fa -- "$1"
}

attack() {   # LUA of a run step's body
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { $1 } }
	LUA
}

# --- Places -----------------------------------------------------------------------------------------

@test "a working directory that is a descriptor, of the step and of the image (CVE-2024-21626)" {
	local n
	for n in 3 7 8 9 12; do
		attack "\"pwd >/seen\", workdir = \"/proc/self/fd/$n\""
		fails 'working directory' imgmake
		recipe <<-LUA
			image "x" { from = base "$BUSYBOX", workdir "/proc/self/fd/$n", run { "pwd >/seen" } }
		LUA
		fails 'working directory' imgmake
	done
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", symlink { "/w", target = "/proc/self/fd/8" }, workdir "/w", run { "pwd >/seen" } }
	LUA
	fails 'link of /proc' imgmake
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", workdir "/proc/1/root" }
	LUA
	ok imgmake
	fails 'working directory' imgmake run x -- pwd
	nothing_happened
}

@test "/dev, /proc and /sys as links or files of the image" {
	local d
	for d in dev proc sys; do
		recipe <<-LUA
			image "x" { from = base "$BUSYBOX", layer { remove { "/$d", optional = true }, symlink { "/$d", target = "/etc" } }, run { "true" } }
		LUA
		fails "/$d of the image is a symlink" imgmake
		recipe <<-LUA
			image "x" { from = base "$BUSYBOX", layer { remove { "/$d", optional = true }, write { "/$d", "" } }, run { "true" } }
		LUA
		fails "/$d of the image is a" imgmake
	done
	nothing_happened
}

@test "a mount point that a step swaps for a link leads nowhere outside" {
	mkdir "$DIR/outside"
	echo sesame >token
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  run { "! mv /c /d 2>/dev/null", "! rmdir /c 2>/dev/null", "echo cached >/c/f", cache = { "/c" } },
		  run { "rmdir /c 2>/dev/null || true; ln -s ../../../../..$DIR/outside /c; ln -s /proc/self/root/.. /p; ln -s loop /loop" },
		  run { "echo again >/c/g; cat /c/f >/what", cache = { "/c" } },
		}
	LUA
	ok imgmake export x dir:d
	equal "$(cat d/what)" cached
	equal "$(ls -A "$DIR/outside")" ""
	# Targets of mounts and secrets through the links: inside, or refused.
	local where
	for where in /p /p/etc /loop /loop/x; do
		sed -i '/what/d' Imagefile
		sed -i "s,^}\$,  run { \"true\"\, mount = { { type = \"tmpfs\"\, path = \"$where\" } } }\, -- what\n},;s,-- what,--what," Imagefile
		fails 'link of /proc|too many symlinks' imgmake
	done
	sed -i '/what/d' Imagefile
	sed -i 's,^}$,  run { "cat /c/deep/tok >/what"\, secret = { { id = "tok"\, path = "/c/deep/tok" } } }\,\n},' Imagefile
	ok imgmake export x dir:d2 --secret tok=token
	equal "$(ls -A "$DIR/outside")" ""
	nothing_happened
}

@test "ids of caches are names of no place" {
	local id before after
	imgmake doctor >/dev/null
	for id in ../../x /etc/x .. . 'a/../../b' "$DIR/outside"; do
		attack "\"echo escaped >/c/escaped\", cache = { { path = \"/c\", id = \"$id\" } }"
		ok imgmake
	done
	equal "$(find "$DIR" -name escaped | grep -cv "^$IMGMAKE_STORE/cache/[0-9a-f]\{64\}/escaped$")" 0
	equal "$(find "$DIR" -name escaped | wc -l)" 6
	nothing_happened
}

@test "a bind mount's source that is swapped while the step runs stays what it was" {
	mkdir data secret
	echo public >data/f
	echo private >secret/f
	attack '"echo ready; n=0; while [ ! -e /go/go ]; do n=$((n+1)); [ $n -lt 400 ] || exit 1; busybox usleep 50000; done; cat /data/f >/out",
		mount = { { "data", path = "/data" } }, cache = { "/go" }'
	"$IMGMAKE" >log 2>&1 3>&- &
	local pid=$!
	wait_until grep -q ready log
	mv data was
	ln -s secret data
	echo >"$(find "$IMGMAKE_STORE/cache" -mindepth 1 -maxdepth 1 -type d)/go"
	wait "$pid"
	rm data
	mv was data
	ok imgmake export x dir:d
	equal "$(cat d/out)" public
	# And one that leads out of the project is none.
	rm -r data
	ln -s /etc data
	attack '"cat /data/passwd >/out", mount = { { "data", path = "/data" } }'
	go imgmake
	equal "$status" 2
	nothing_happened
}

@test "no library, name service or character set of the image is loaded by us (CVE-2019-14271)" {
	local d n
	cat >owned.c <<-'EOF'
		#include <fcntl.h>
		__attribute__((constructor)) static void owned(void) { open("/owned", O_CREAT | O_WRONLY, 0666); }
	EOF
	cc -shared -fPIC -o owned.so owned.c
	# All that a C library or ours might look for, wherever it might be; and a preload for all programs.
	for d in lib lib64 usr/lib "lib/$(cc -dumpmachine)" "usr/lib/$(cc -dumpmachine)"; do
		mkdir -p "root/$d/gconv"
		for n in libgcc_s.so.1 libnss_files.so.2 libnss_compat.so.2 libnss_dns.so.2 libresolv.so.2 \
			libarchive.so.13 libcurl.so.4 libssl.so.3 libz.so.1 gconv/UTF-16.so gconv/ISO8859-1.so; do
			cp owned.so "root/$d/$n"
		done
	done
	mkdir root/etc
	cp owned.so root/owned.so
	echo /owned.so >root/etc/ld.so.preload
	echo 'passwd: files compat dns' >root/etc/nsswitch.conf
	printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n' >root/etc/passwd
	printf 'root:x:0:\napp:x:1000:\n' >root/etc/group
	# A static program: what it does not load, somebody of us has.
	recipe <<-LUA
		local x = image "x" {
		  from = base "$BUSYBOX",
		  copy { "root", to = "/" },
		  run { "true", network = "private" },
		  run { "true", user = "app", network = "none" },
		}
		check "c" { image = x, run = "true" }
	LUA
	ok imgmake check
	ok imgmake export x dir:out
	[ -e out/owned.so ] && [ ! -e out/owned ]
	ok imgmake run x -- true
	[ ! -e /owned ]
	# And it would have: a program of the image loads it.
	recipe <<-LUA
		image "y" { from = base "$DEBIAN", copy { "owned.so", to = "/" }, write { "/etc/ld.so.preload", "/owned.so\n" }, run { "true" } }
	LUA
	ok imgmake export y dir:out-y
	[ -e out-y/owned ]
	nothing_happened
}

# --- Secrets ----------------------------------------------------------------------------------------

# A secret of two lines, and a step that sees it in every way and then does $1.
keeper() {
	SECRET=s3cr3t-$BATS_TEST_NUMBER
	printf '%s-one\n%s-two\n' "$SECRET" "$SECRET" >"$DIR/tok"
	attack "[[cat /run/secrets/tok; echo \"it is \$T\"; set -x; : \$T; set +x; echo pid \$\$; cp /run/secrets/tok /dev/shm/copy; $1]],
		secret = { \"tok\", { id = \"tok\", env = \"T\" } }"
}

# In the store, in any layer, in what was written beside, and in what was said.
secret_is_nowhere() {
	local f
	! grep -rlaF "$SECRET" "$IMGMAKE_STORE" .
	for f in "$IMGMAKE_STORE"/blobs/sha256/*; do
		[ ! -e "$f" ] || ! gzip -cd "$f" 2>/dev/null | grep -qaF "$SECRET" || { echo "in $f"; return 1; }
	done
	! grep -qF "$SECRET" <<<"$output$stderr"
}

@test "secrets: in nothing that a build leaves or says, whichever way it says it" {
	keeper true
	local how
	for how in --progress=plain --progress=json --json --trace '--events events' '--trace-out trace' '-d explain' -s; do
		# shellcheck disable=SC2086
		ok imgmake -B --secret tok="$DIR/tok" $how
		secret_is_nowhere
	done
	for how in 'history x' 'inspect x' 'why x' 'history x --json' 'why x --json' list 'export x oci:out'; do
		# shellcheck disable=SC2086
		ok imgmake $how
		secret_is_nowhere
	done
	SECRET_=$SECRET ok imgmake -B --secret tok=env:SECRET_
	secret_is_nowhere
	nothing_happened
}

@test "secrets: nor does one that fails, times out or is killed, or whose failure gets a shell" {
	keeper 'exit 3'
	fails 'status 3' imgmake --secret tok="$DIR/tok"
	secret_is_nowhere
	go imgmake --secret tok="$DIR/tok" --progress=json
	equal "$status" 2
	secret_is_nowhere
	keeper 'sleep 1000'
	fails 'timed out after 1s' imgmake --timeout 1s --secret tok="$DIR/tok"
	secret_is_nowhere
	keeper 'exit 4'
	go on_terminal "$IMGMAKE" --shell-on-fail --secret tok="$DIR/tok" < <(printf 'test -s /run/secrets/tok && cp /run/secrets/tok /stolen; exit\n')
	equal "$status" 2
	secret_is_nowhere
	nothing_happened
	keeper 'sleep 1000'
	"$IMGMAKE" --secret tok="$DIR/tok" >log 2>&1 3>&- &
	local pid=$!
	wait_until grep -q 'pid ' log
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	secret_is_nowhere
	wait_until no_step "$IMGMAKE_STORE"
	keeper true
	ok imgmake --secret tok="$DIR/tok"
	secret_is_nowhere
	nothing_happened
}

# No process has something mounted that belongs to this store.
no_step() {
	! grep -ls -- "$1" /proc/[0-9]*/mountinfo | grep -q .
}

# --- Processes --------------------------------------------------------------------------------------

@test "a step that daemonises and ignores TERM is gone when it ends, times out or is interrupted" {
	local daemon='(trap "" TERM HUP INT; busybox setsid sh -c "trap \"\" TERM HUP INT; exec busybox sleep 7654321") &'
	attack "[[$daemon echo started]]"
	ok imgmake
	nothing_happened 'sleep 7654321'
	attack "[[$daemon echo started; busybox sleep 1000]], timeout = \"1s\""
	fails 'timed out after 1s' imgmake
	nothing_happened 'sleep 7654321'
	attack "[[$daemon echo started; busybox sleep 1000]]"
	"$IMGMAKE" >log 2>&1 3>&- &
	local pid=$! status=0
	wait_until grep -q started log
	kill -INT "$pid"
	wait "$pid" || status=$?
	equal "$status" 130
	nothing_happened 'sleep 7654321'
	"$IMGMAKE" >log 2>&1 3>&- &
	pid=$!
	wait_until grep -q started log
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	wait_until no_step "$IMGMAKE_STORE"
	! pgrep -f 'sleep 7654321'
	attack '"true"'
	ok imgmake
	nothing_happened
}

@test "ten thousand processes: the host lives, the step ends, nothing is left" {
	# Each waits for somebody to open the other end.
	local forks='busybox mkfifo /forks; i=0; while [ $i -lt 10000 ]; do (read x </forks &); i=$((i+1)); done; echo all'
	attack "[[$forks]], pids = 400"
	go imgmake
	if imgmake doctor --json | jq -e '.findings[] | select(.what == "process limits") | .ok' >/dev/null; then
		equal "$status" 2
		lacks "$stderr" '^x: all$'
	fi
	nothing_happened 'mkfifo /forks'
	[ "$(awk '/MemAvailable/ { print $2 }' /proc/meminfo)" -gt 6000000 ] || skip "too little memory to try it without a limit"
	attack "[[$forks]]"
	go timeout 100 "$IMGMAKE"
	nothing_happened 'mkfifo /forks'
	attack '"echo after >/f"'
	ok imgmake
	nothing_happened
}

# --- Files ------------------------------------------------------------------------------------------

small_store() {   # SIZE
	mkdir -p "$DIR/mnt"
	mount -t tmpfs -o "size=$1" tmpfs "$DIR/mnt"
	IMGMAKE_STORE=$DIR/mnt/store
}

@test "a step that fills the disk: one line, and with more room it is done" {
	needs_root
	small_store 40m
	attack '"busybox dd if=/dev/urandom of=/big bs=1M count=200"'
	go imgmake
	equal "$status" 2
	equal "$(grep '^imgmake: ' <<<"$stderr")" "imgmake: Imagefile:1: image 'x': run: its command failed with status 1"
	contains "$stderr" '^x: .*No space left'
	nothing_is_left_there
	# One that does not notice, so that the layer finds no room.
	attack '"busybox dd if=/dev/urandom of=/big bs=1M count=34 2>/dev/null", "echo done"'
	fails 'No space left' imgmake
	nothing_is_left_there
	ok imgmake list
	ok imgmake gc
	mount -o remount,size=400m "$DIR/mnt"
	ok imgmake export x dir:d
	equal "$(stat -c %s d/big)" 35651584
	ok imgmake -q
	nothing_is_left_there
}

nothing_is_left_there() {
	store_is_whole
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
	! grep "$IMGMAKE_STORE" /proc/mounts
}

@test "a step that deletes / deletes the image's, and the result can be built on" {
	echo precious >precious
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  run { "busybox rm -rf / /* /.* 2>/dev/null || true", mount = { { "precious", path = "/p" } }, cache = { "/c" } },
		  write { "/after", "" },
		}
	LUA
	ok imgmake export x dir:d
	equal "$(find d | sort | xargs)" "d d/after d/etc"
	equal "$(cat precious)" precious
	nothing_happened
}

@test "names that would be whiteouts, at any depth and of any type, are refused" {
	local what
	for what in 'echo >/.wh.x' 'mkdir -p /a/b/.wh.c' 'ln -s x /etc/.wh.passwd' 'echo >/etc/.wh..wh..opq' 'mkdir -p /a/.wh.b/c' 'busybox mkfifo /.wh..wh.plnk'; do
		attack "[[$what]]"
		fails '\.wh\.' imgmake
		nothing_happened
	done
}

@test "marks of overlayfs that a step makes hide nothing" {
	needs_root
	attack '"busybox mknod /etc/passwd2 c 0 0 2>/dev/null || true", "mkdir /o; echo >/o/f", "busybox setfattr -n trusted.overlay.opaque -v y /etc 2>/dev/null || true"'
	go imgmake
	[ "$status" = 0 ] || contains "$stderr" 'device|0:0'
	nothing_happened
}
