load helpers

# Options of run steps and for them: a shell where one failed, secrets and the agent for commands of people, limits.

setup() {
	setup_test
	export NO_COLOR=1
}

# As `go`, typing at a terminal; $output is what stands on that in the end.
type_at() {
	go on_terminal "$@"
	output=$(sed -E 's/\r+$//; s/.*\r//; s/\x1b\[K//g' <<<"$output")
}

failing() {   # a target whose step leaves something and fails
	echo input >in
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  env { A = "image" },
		  run { "echo left >/left; echo kept >/cache/kept; exit 3", cache = { "/cache" }, secret = { "tok" }, env = { B = "step" },
		        workdir = "/tmp", inputs = { "in" }, mount = { { type = "tmpfs", path = "/mem" } } },
		}
	LUA
	echo sesame >token
}

# --- --shell-on-fail --------------------------------------------------------------------------------

@test "shell on fail: what the failed command left, and all that it had around it" {
	failing
	type_at "$IMGMAKE" --shell-on-fail --secret tok=token < <(cat <<-'EOF'
		echo $((6*7)) $(cat /left) $A $B $PWD $(cat /cache/kept) $(cat /run/secrets/tok | busybox rev) $(cat in)
		test -d /mem && test -t 0 -a -t 1 -a -t 2 && echo on a $((1)) terminal
		exit 0
	EOF
	)
	equal "$status" 2
	contains "$output" '^x: its command failed with status 3; this is a shell in what it left, "exit" ends it'
	contains "$output" '^42 left image step /tmp kept emases input'
	contains "$output" '^on a 1 terminal'
	equal "$(grep -c '^imgmake: ' <<<"$output")" 1
	contains "$output" "^imgmake: Imagefile:4: image 'x': run: its command failed with status 3"
	nothing_is_left
	store_is_whole
}

@test "shell on fail: nothing that is done in it gets into a result" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { "cat /in/f; echo made >/made", inputs = {}, mount = { { "d", path = "/in" } } } }
	LUA
	mkdir d
	type_at "$IMGMAKE" --shell-on-fail < <(printf 'echo sneaked >/sneaked; echo changed >/etc/passwd\nexit 0\n')
	equal "$status" 2
	! imgmake -q
	echo >d/f
	ok imgmake export x dir:out
	[ -e out/made ] && [ ! -e out/sneaked ]
	lacks "$(cat out/etc/passwd)" changed
	cmp out/etc/passwd <(imgmake run x -- cat /etc/passwd)
	run grep -rqa sneaked "$IMGMAKE_STORE"
	equal "$status" 1
}

@test "shell on fail: user, groups and the image's own shell; one that timed out; an ordinary user" {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/own", "#!/bin/sh\necho own \$#\nexec /bin/sh\n", mode = "0755" },
		  config { shell = { "/own", "-c" } },
		  run { exec = { "busybox", "sleep", "1000" }, user = "33:34", timeout = "1s" },
		}
	LUA
	type_at "$IMGMAKE" --shell-on-fail < <(printf 'echo I am $(id -u):$(id -g)\nexit\n')
	equal "$status" 2
	contains "$output" '^own 0'
	contains "$output" '^I am 33:34'
	contains "$output" '^imgmake: .*run: its command timed out after 1s'
	needs_user
	type_at "$(confine)" no-overlay "$IMGMAKE" --shell-on-fail --store "$DIR/copies" \
		< <(printf 'test -x /own && echo I am $(id -u):$(id -g)\nexit\n')
	equal "$status" 2
	contains "$output" '^I am 33:34'
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	sed -i "s,oci:[^\"]*,$BUSYBOX," Imagefile
	type_at setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups "$IMGMAKE" --shell-on-fail < <(printf 'echo I am $(id -u)\nexit\n')
	equal "$status" 2
	contains "$output" '^I am 33'
	nothing_is_left
}

@test "shell on fail: a failing check, and no shell in the image" {
	recipe <<-LUA
		local x = image "x" { from = base "$BUSYBOX", user "33" }
		check "c" { image = x, run = { "echo >/tmp/seen; exit 4" } }
		image "bare" { from = base "$BUSYBOX", run { exec = { "busybox", "rm", "/bin/sh" } }, run { exec = { "busybox", "false" } } }
	LUA
	type_at "$IMGMAKE" check --shell-on-fail x < <(printf 'test -e /tmp/seen && echo seen by $(id -u)\nexit\n')
	equal "$status" 2
	contains "$output" '^seen by 33'
	contains "$output" "^imgmake: Imagefile:2: check 'c': its command failed with status 4"
	type_at "$IMGMAKE" bare --shell-on-fail </dev/null
	equal "$status" 2
	contains "$output" 'no shell could be opened: /bin/sh: no such program in the image'
	contains "$output" 'its command failed with status 1'
	nothing_is_left
}

@test "shell on fail: one at a time under -j and -k, and the others' output waits" {
	{
		for i in 1 2 3; do
			echo "image \"x$i\" { from = base \"$BUSYBOX\", run { [[echo it is $i >/me; exit 1]] } }"
		done
		echo "image \"y\" { from = base \"$BUSYBOX\", run { [[i=0; while [ \$i -lt 40 ]; do echo beside \$i; busybox usleep 50000; i=\$((i+1)); done]] } }"
	} | recipe
	# Each shell takes one line; what is written in between comes as a whole afterwards.
	type_at "$IMGMAKE" -j4 -k --shell-on-fail < <(
		for _ in 1 2 3; do echo 'echo "<$(cat /me)"; busybox usleep 300000; echo "$(cat /me)>"; exit'; done)
	equal "$status" 2
	equal "$(grep -aoE '^<it is .' <<<"$output" | sort | xargs)" "<it is 1 <it is 2 <it is 3"
	local between
	between=$(awk '/^<it is/ { on = 1; next } /^it is .>/ { on = 0 } on' <<<"$output")
	equal "$between" ""
	equal "$(grep -c '^y: beside' <<<"$output")" 40
	equal "$(grep -c '^imgmake: Imagefile:' <<<"$output")" 3
}

@test "shell on fail: without a terminal that is said, and the build ends as it would have" {
	failing
	go imgmake --shell-on-fail --secret tok=token </dev/null
	equal "$status" 2
	contains "$stderr" '^imgmake: warning: --shell-on-fail: standard input is no terminal, so no shell will be opened'
	equal "$(grep -c '^imgmake: ' <<<"$stderr")" 2
	contains "$stderr" '^imgmake: Imagefile:4: .*status 3'
}

@test "shell: of a target whose step fails, it says how to get one there" {
	failing
	type_at "$IMGMAKE" shell x --secret tok=token </dev/null
	equal "$status" 2
	contains "$output" 'its command failed with status 3; --shell-on-fail opens a shell there'
	type_at "$IMGMAKE" shell x --shell-on-fail --secret tok=token < <(printf 'cat /left\nexit\n')
	equal "$status" 2
	contains "$output" '^left'
	contains "$output" 'its command failed with status 3.?$'
	recipe <<-'LUA'
		image "x" { from = "scratch", copy { "nothing", to = "/" } }
	LUA
	go imgmake shell x
	lacks "$stderr" 'shell-on-fail'
}

# --- Secrets and the agent of commands --------------------------------------------------------------

served() {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", user "33:34" }
	LUA
	imgmake
}

@test "run and shell: secrets are files that their user can read, and are kept nowhere" {
	served
	printf %s "s3cr3t-value-$BATS_TEST_NUMBER" >"$DIR/token"
	ok imgmake run --secret tok="$DIR/token" --secret other=env:HOME x -- sh -c \
		'cat /run/secrets/tok; echo; cat /run/secrets/other; echo; ls -ln /run/secrets/tok; ! echo 2>/dev/null >/run/secrets/tok'
	contains "$output" "^s3cr3t-value-$BATS_TEST_NUMBER\$"
	contains "$output" "^$HOME\$"
	contains "$output" '^-r-------- +[01] 33 +34 '
	go bash -c "echo 'cat /run/secrets/tok' | '$IMGMAKE' shell --secret tok='$DIR/token' x"
	equal "$output" "s3cr3t-value-$BATS_TEST_NUMBER"
	run grep -rqa 's3cr3t-value' "$IMGMAKE_STORE" .
	equal "$status" 1
	ok imgmake run x -- sh -c 'ls /run/secrets 2>/dev/null || echo none'
	equal "$output" none
	nothing_is_left
}

@test "secrets have names, and each is given once" {
	served
	echo x >f
	fails "'../../etc/passwd' is no name of a secret" imgmake run --secret ../../etc/passwd=f x -- true
	fails "'.x' is no name of a secret" imgmake --secret .x=f
	fails '--secret a is given twice' imgmake --secret a=f --secret a=f
	fails '--secret a: .*no-such' imgmake run --secret a=no-such x -- true
}

@test "run: the agent with --ssh, and only then" {
	command -v ssh-agent >/dev/null || skip "no ssh-agent"
	served
	sed -i 's/, user "33:34"//' Imagefile
	fails 'ssh: there is no agent; start ssh-agent' env -u SSH_AUTH_SOCK "$IMGMAKE" run --ssh x -- true
	eval "$(ssh-agent -a "$DIR/agent")" >/dev/null
	go imgmake run --ssh x -- sh -c 'test -S $SSH_AUTH_SOCK && echo there'
	local out=$output
	go imgmake run x -- sh -c 'echo "[$SSH_AUTH_SOCK]"; ls /run/ssh-agent.sock 2>&1'
	kill "$SSH_AGENT_PID"
	equal "$out" there
	contains "$output" '^\[\]'
	contains "$output" 'No such file'
	fails 'takes no option --ssh' imgmake build --ssh
}

@test "a step: the agent where it says so, nowhere else, and not in its key" {
	command -v ssh-agent >/dev/null || skip "no ssh-agent"
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  run { "test -S \$SSH_AUTH_SOCK", "echo asked; busybox nc local:\$SSH_AUTH_SOCK </dev/null || true", ssh = true },
		  run { "test -z \"\$SSH_AUTH_SOCK\"", "! ls /run/ssh-agent.sock" },
		}
	LUA
	fails 'ssh.*ssh-agent' env -u SSH_AUTH_SOCK "$IMGMAKE"
	eval "$(ssh-agent -a "$DIR/agent")" >/dev/null
	go imgmake
	local made=$status
	kill "$SSH_AGENT_PID"
	equal "$made" 0
	# Known, it needs none.
	ok env -u SSH_AUTH_SOCK "$IMGMAKE" -q
	lacks "$(exported x >/dev/null && cat out-x/blobs/sha256/* | tr -d '\0')" "$DIR/agent"
}

# --- Limits -----------------------------------------------------------------------------------------

limited() {   # OPTIONS SCRIPT
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { [[$2]]${1:+, $1} } }
	LUA
}

@test "a time limit: the step's own, or that of --timeout for those that say none" {
	limited 'timeout = "1s"' 'trap "" HUP; sleep 1000'
	fails "^imgmake: Imagefile:1: image 'x': run: its command timed out after 1s\$" imgmake
	limited '' 'sleep 1000'
	fails 'run: its command timed out after 1s$' imgmake --timeout 1s
	limited 'timeout = "1h"' 'busybox usleep 1200000'
	ok imgmake --timeout 1s
	limited '' 'true'
	fails 'the command took longer than --timeout' imgmake run --timeout 1s x -- busybox sleep 1000
	recipe <<-LUA
		check "c" { image = image "x" { from = base "$BUSYBOX" }, run = { "sleep 1000" } }
	LUA
	fails "check 'c': its command timed out after 1s" imgmake check --timeout 1s
	! pgrep -f '^sleep 1000$' >/dev/null
	nothing_is_left
	store_is_whole
}

@test "limits are in no key" {
	limited '' 'date +%N >/when'
	imgmake
	local before
	before=$(exported x)
	limited 'timeout = "1h", pids = 4000' 'date +%N >/when'
	ok imgmake -q
	ok imgmake -q --timeout 10m --pids 400
	equal "$(exported x)" "$before"
}

@test "limits that mean nothing are refused, in recipes and on the command line" {
	limited 'timeout = "soon"' true
	fails "run: 'timeout' must be a time like" imgmake
	limited 'timeout = "0s"' true
	fails "run: 'timeout' must be longer" imgmake
	limited 'memory = "lots"' true
	fails "run: 'memory' must be a size like \"512m\" or \"2g\", not the string 'lots'" imgmake
	limited 'memory = "5m"' true
	fails "run: 'memory' must be 6m or more" imgmake
	limited 'pids = 0' true
	fails "run: 'pids' must be 1 to" imgmake
	limited 'memory = "2GiB", timeout = "1h30m", pids = 500' true
	ok imgmake
	fails "^imgmake: --timeout: 'soon' is no time like" imgmake --timeout soon
	fails "^imgmake: --memory: '2x' is no size like" imgmake --memory 2x
	fails '^imgmake: --memory: must be 6m or more' imgmake --memory 5m
	fails "^imgmake: --pids: '0' is not a number of 1 or more" imgmake --pids 0
}

@test "processes are limited, and where that cannot be kept it is said once" {
	{
		for i in 1 2 3; do
			echo "image \"x$i\" { from = base \"$BUSYBOX\", run { [[echo $i]], pids = 100 } }"
		done
	} | recipe
	ok imgmake -j3
	imgmake doctor --json >doctor
	case $(jq -r '.findings[] | select(.what == "process limits") | "\(.ok) \(.said)"' doctor) in
	"true control groups"*) lacks "$stderr" warning ;;
	true*) equal "$(grep -c 'warning: a limit of 100 processes is one of 301 here, without control groups' <<<"$stderr")" 1 ;;
	*) equal "$(grep -c 'warning: a limit of 100 processes cannot be kept here' <<<"$stderr")" 1 ;;
	esac
}

@test "memory is limited, and where that cannot be kept it is said once" {
	{
		for i in 1 2; do
			echo "image \"x$i\" { from = base \"$BUSYBOX\", run { [[x=\$(busybox head -c 200000000 /dev/zero | busybox tr '\\0' a); echo \${#x}]], memory = \"64m\" } }"
		done
	} | recipe
	go imgmake -k
	if [ "$(imgmake doctor --json | jq '.findings[] | select(.what == "memory limits") | .ok')" = true ]; then
		equal "$status" 2
		contains "$stderr" 'run: its command was killed: out of memory \(limit 64m\)$'
	else
		equal "$status" 0
		equal "$(grep -c 'warning: a memory limit of 64m cannot be kept here; imgmake doctor says what is missing' <<<"$stderr")" 1
	fi
	nothing_is_left
}

# --- Output -----------------------------------------------------------------------------------------

# Waits for another of the steps to come to the same place, for 100 s at most: the disk may be busy.
MEET='echo >/c/$I; n=0; while [ $(ls /c | busybox wc -l) -lt 3 ]; do n=$((n + 1)); [ $n -lt 2000 ] || exit 1; busybox usleep 50000; done'

# Three steps that write at the same time; $1 is what each does in the end, with its number in $I.
at_once() {
	local i
	for i in 1 2 3; do
		cat <<-LUA
			image "x$i" { from = base "$BUSYBOX", run { [[echo first $i
			$MEET
			i=0; while [ \$i -lt 200 ]; do echo line \$i of $i; i=\$((i+1)); done
			printf 'no newline at the end'; $1]], env = { I = "$i" }, cache = { { path = "/c", id = "one" } } } }
		LUA
	done | recipe
}

@test "the output of steps at once is shown whole, one step after the other" {
	at_once true
	ok imgmake -j3
	# First, 200 lines and a last one of each, and nobody's in between.
	equal "$(grep -oE '^x[123]: (first|line|no newline)' <<<"$stderr" | uniq -c | awk '{ print $1, $3 }')" \
		"$(for _ in 1 2 3; do printf '1 first\n200 line\n1 no\n'; done)"
	equal "$(grep -oE '^x[123]: (first|line|no newline)' <<<"$stderr" | cut -c1-2 | uniq | sort -u | wc -l)" 3
}

@test "of a failure the last 40 lines are shown again where something came after them" {
	at_once 'if [ $I = 2 ]; then exit 1; fi'
	go imgmake -j3 -k
	equal "$status" 2
	if grep -q '^x2 failed; its last 40 lines again:$' <<<"$stderr"; then
		equal "$(grep -c '^x2: line 199 of 2' <<<"$stderr")" 2
		equal "$(grep -A41 '^x2 failed; its last' <<<"$stderr" | tail -n +2 | grep -c '^x2: ')" 40
		equal "$(grep -A41 '^x2 failed; its last' <<<"$stderr" | tail -1 | grep -c '^imgmake: Imagefile:[0-9]*: image .x2.: run: its command failed')" 1
	else
		equal "$(grep -B1 '^imgmake: ' <<<"$stderr" | head -1)" "x2: no newline at the end"
	fi
}

@test "platforms made at once say which they are" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", platforms = { "linux/amd64", "linux/386" }, run { "echo hello; exit 1" } }
	LUA
	imgmake list >/dev/null
	go imgmake -k
	equal "$status" 2
	contains "$stderr" '^x \(linux/amd64\): hello'
}

@test "JSON says of each line whose it is, as it comes" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { "echo one; echo two" } }
	LUA
	ok imgmake --progress=json
	equal "$(jq -r 'select(.event == "output") | "\(.target) \(.text)"' <<<"$stderr")" $'x one\nx two'
}
