# Job slots shared with GNU make, in both directions; how many run at once; whose output is shown when.
load helpers

# `work NAME [PARTNER]`: notes how many are at work, and with a partner waits until both are.
setup() {
	setup_test
	mkdir in met
	cat >work <<-'EOF'
		#!/bin/sh -e
		mkdir in/$1
		ls in | wc -l >>counts
		if [ "$2" ]; then
			mkfifo met/$1-$2 met/$2-$1 2>/dev/null || :
			case $1$2 in
			ab|cd|ef) echo >met/$1-$2; read x <met/$2-$1 ;;
			*) read x <met/$2-$1; echo >met/$1-$2 ;;
			esac
		fi
		rmdir in/$1
		echo made by $1 >$1
	EOF
	chmod +x work
}

most() {
	sort -n counts | tail -n1
}

# Rules a to f, of which a and b, c and d, e and f have to meet.
six_rules() {
	recipe <<-'EOF'
		local all = {}
		for name, partner in pairs { a = "b", b = "a", c = "d", d = "c", e = "f", f = "e" } do
			all[#all + 1] = file(name) { run = "./work " .. name .. " " .. partner }
		end
		task "all" { deps = all, run = "true" }
	EOF
}

# The same without meetings: any number may be at work.
six_lone_rules() {
	recipe <<-'EOF'
		local all = {}
		for _, name in ipairs { "a", "b", "c", "d", "e", "f" } do
			all[#all + 1] = file(name) { run = "./work " .. name }
		end
		task "all" { deps = all, run = "true" }
	EOF
}

under_make() {   # OPTIONS RECIPE-LINE…
	local options=$1
	shift
	printf 'all:\n' >Makefile
	printf '\t%s\n' "$@" >>Makefile
	go timeout 30 make $options
}

# GNU make counts its tokens at the end.
no_token_lost() {
	lacks "$output$stderr" 'INTERNAL|jobserver tokens'
}

@test "under make -j2, two rules run at once and never three" {
	six_rules
	under_make -j2 "+$IMGMAKE all"
	equal "$status" 0
	equal "$(most)" 2
	no_token_lost
}

@test "under make -j3 another line of make's has its share, and gets its token back" {
	six_lone_rules
	printf 'all: x y z\nx:\n\t+%s all\ny z:\n\t./work $@\n' "$IMGMAKE" >Makefile
	go timeout 30 make -j3
	equal "$status" 0
	[ "$(most)" -le 3 ]
	no_token_lost
}

@test "under make -j1 rules run one by one" {
	six_lone_rules
	under_make -j1 "+$IMGMAKE all"
	equal "$status" 0
	equal "$(most)" 1
}

@test "a failing build gives make's tokens back" {
	recipe <<-'EOF'
		local all = {}
		for _, name in ipairs { "a", "b", "c", "d" } do
			all[#all + 1] = file(name) { run = "exit 3" }
		end
		task "all" { deps = all, run = "true" }
	EOF
	under_make -j3 "-+$IMGMAKE -k all" "-+$IMGMAKE all" "+./work a"
	equal "$status" 0
	no_token_lost
}

@test "an interrupted build gives make's tokens back" {
	recipe <<-'EOF'
		file "a" { run = { "trap '' TERM", "echo $PPID >pid.a", "read x <fifo" } }
		file "b" { run = { "echo $PPID >pid.b", "read x <fifo" } }
		task "all" { deps = { "a", "b" }, run = "true" }
	EOF
	mkfifo fifo
	printf 'all:\n\t-+%s all\n\t./work a\n' "$IMGMAKE" >Makefile
	timeout 30 make -j2 >log 2>&1 3>&- &
	local make=$!
	wait_until test -s pid.a -a -s pid.b
	kill -TERM "$(cat pid.a)"
	echo >fifo   # a does not hear it
	wait "$make"
	[ -e a ]
	run cat log
	no_token_lost
}

@test "two signals end it at once, and make's tokens are back all the same" {
	recipe <<-'EOF'
		file "a" { run = { "trap '' TERM", "echo $$ >>pids", "echo $PPID >pid.a", "read x <fifo" } }
		file "b" { run = { "trap '' TERM", "echo $$ >>pids", "echo $PPID >pid.b", "read x <fifo" } }
		task "all" { deps = { "a", "b" }, run = "true" }
	EOF
	mkfifo fifo
	printf 'all:\n\t-+%s all\n\t./work a\n' "$IMGMAKE" >Makefile
	timeout 30 make -j2 >log 2>&1 3>&- &
	local make=$!
	wait_until test -s pid.a -a -s pid.b
	kill -TERM "$(cat pid.a)"
	gone() {
		kill -INT "$(cat pid.a)" 2>/dev/null || return 0
		return 1
	}
	wait_until gone
	wait "$make"
	[ -e a ]
	run cat log
	no_token_lost
	commands_gone() {
		! ps -o stat= -p "$(paste -sd, pids)" | grep -qv Z
	}
	wait_until commands_gone
}

@test "-j on the command line is its own, as in make" {
	six_rules
	under_make -j3 "+$IMGMAKE -j2 all"
	equal "$status" 0
	contains "$stderr" 'warning: -j2: not taking part in the job slots of make'
	equal "$(most)" 2
}

@test "without '+' it says so and runs one by one" {
	six_lone_rules
	under_make -j4 "$IMGMAKE all"
	equal "$status" 0
	contains "$stderr" "warning: make gives us no job slots: using -j1 \\(put '\\+'"
	equal "$(most)" 1
}

@test "the older --jobserver-fds, and a fifo, are understood" {
	six_rules
	mkfifo tokens
	exec 8<>tokens
	printf 'x' >&8
	MAKEFLAGS=" -j --jobserver-fds=8,8" go timeout 20 "$IMGMAKE" all
	equal "$status" 0
	equal "$(most)" 2
	rm -rf a b c d e f counts "$IMGMAKE_STORE"   # durations, too: they order the rules
	MAKEFLAGS=" -j2 --jobserver-auth=fifo:$PWD/tokens" go timeout 20 "$IMGMAKE" all
	equal "$status" 0
	equal "$(most)" 2
	local token
	read -rN1 -t 5 token <&8
	equal "$token" x
}

@test "make in a host rule shares our slots" {
	recipe <<-'EOF'
		file "first" { run = { "make -f sub.mk a b c d", "touch first" } }
		file "second" { run = { "make -f sub.mk g h i", "touch second" } }
		task "all" { deps = { "first", "second" }, run = "true" }
	EOF
	printf '%%:\n\t./work $@\n' >sub.mk
	go timeout 30 "$IMGMAKE" -j2 all
	equal "$status" 0
	equal "$(most)" 2
	lacks "$stderr" 'jobserver'
}

@test "alone, make in a host rule has all of them" {
	recipe <<<'file "first" { run = { "make -f sub.mk a b c d", "touch first" } }'
	printf 'P_a=b\nP_b=a\nP_c=d\nP_d=c\n%%:\n\t./work $@ $(P_$@)\n' >sub.mk
	go timeout 30 "$IMGMAKE" -j2 first
	equal "$status" 0
	equal "$(most)" 2
	lacks "$stderr" 'jobserver'
}

@test "imgmake in a host rule of imgmake shares them, too" {
	six_rules
	mkdir outer
	recipe outer <<<"file \"x\" { run = { \"(cd .. && $IMGMAKE all)\", \"touch x\" } }"
	go timeout 30 "$IMGMAKE" -C outer -j2 x
	equal "$status" 0
	equal "$(most)" 2
}

@test "make from 4.4 on is given a name instead of descriptors" {
	mkdir bin
	printf '#!/bin/sh\necho GNU Make 4.4.1\n' >bin/make
	chmod +x bin/make
	recipe <<-'EOF'
		file "x" { run = { "echo \"$MAKEFLAGS\" >flags", "ls /proc/self/fd >fds",
			"fifo=${MAKEFLAGS#*fifo:}; test -p $fifo; head -c2 <$fifo >x; printf ++ >$fifo" } }
	EOF
	PATH=$PWD/bin:$PATH go timeout 20 "$IMGMAKE" -j3 x
	equal "$status" 0
	contains "$(cat flags)" '^ -j3 --jobserver-auth=fifo:/[^ ]*$'
	equal "$(cat x)" '++'
	equal "$(paste -sd' ' fds)" "0 1 2 3"   # of ls: the last is the directory
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "no other program gets the descriptors" {
	needs_root
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", run { "ls /proc/self/fd | tr '\\\\n' ' ' >/fds" } }
	EOF
	under_make -j2 "+$IMGMAKE export x tar:x.tar"
	equal "$status" 0
	equal "$(tar -xOf x.tar fds)" "0 1 2 3 "
}

@test "-l: while one runs, no other starts at such a load" {
	six_lone_rules
	ok imgmake -j4 -l 0 all
	equal "$(most)" 1
	rm -rf a b c d e f counts "$IMGMAKE_STORE"
	six_rules
	go timeout 20 "$IMGMAKE" -j2 -l1000 all
	equal "$status" 0
	fails "-l: 'much' is not a number of 0 or more" imgmake -l much
	fails "is not a number" imgmake --load-average=-1
}

@test "make -n, -t and -q run nothing of ours, and -k, -s, -B and -l are ours, too" {
	six_lone_rules
	local option
	for option in -n -t -nj3; do
		under_make $option "+$IMGMAKE all" "+$IMGMAKE check" "+$IMGMAKE list"
		equal "$status" 0
		contains "$output" '^would make file a$'
		contains "$output" '^a +file$'
		contains "$stderr" 'warning: make only says what it would do: imgmake check not run$'
		[ ! -e a ]
		[ ! -e "$IMGMAKE_STORE" ]
	done
	under_make -q "+$IMGMAKE all"
	equal "$status" 1
	[ ! -e a ]
	under_make "-n N=q" "+$IMGMAKE all"
	contains "$output" '^would make file a$'
	under_make -s "+$IMGMAKE all"
	equal "$status$output$stderr" 0
	[ -e a ]
	under_make -q "+$IMGMAKE -q a"
	equal "$status" 0
	rm counts
	under_make "-B -l0 -j4" "+$IMGMAKE a b c d"
	equal "$(wc -l <counts) $(most)" "4 1"
	recipe <<-'EOF'
		task "all" { deps = { file("a") { run = "false" }, file("z") { run = "touch z" } }, run = "true" }
	EOF
	under_make -k "+$IMGMAKE -j1 all"
	equal "$status" 2
	[ -e z ]
	# Not in the letters: another option's value, and a variable.
	rm -f z
	under_make "-I now -j1 QUESTION=now" "-+$IMGMAKE -k all"
	[ -e z ]
}
