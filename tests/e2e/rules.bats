# Host rules by content, each clause of them, and what is wrong with them.
load helpers

# out.txt of in and other; an image of it and of more.
old_recipe() {
	echo 1 >in
	echo 1 >other
	echo 1 >more
	recipe <<-'EOF'
		file "out.txt" { deps = { "in", "other" }, run = "echo run >>log; cat in other >out.txt" }
		image "x" { from = "scratch", copy { "out.txt", to = "/" }, copy { "more", to = "/" } }
		image "y" { from = "scratch", copy { "in", to = "/" } }
	EOF
	ok imgmake
	rm log
}

@test "-o: a changed source that counts as unchanged remakes nothing, at any depth" {
	old_recipe
	echo 2 >in
	ok imgmake -o in
	contains "$stderr" 'nothing to do'
	[ ! -e log ]
	ok imgmake -q -o ./in
	go imgmake -q
	equal "$status" 1
	ok imgmake
	equal "$(cat log) $(paste -sd' ' out.txt)" "run 2 1"
	contains "$(imgmake -n -W in)" 'would make'
}

@test "-o: what is remade on another account gets the file as it is" {
	old_recipe
	echo 2 >in
	echo 2 >other
	ok imgmake -o in x
	equal "$(cat log) $(paste -sd' ' out.txt)" "run 2 2"
	rm log
	ok imgmake x
	[ ! -e log ]   # and nothing was remembered under a wrong key
	echo 1 >in
	echo 1 >other
	ok imgmake x
	equal "$(cat log) $(paste -sd' ' out.txt)" "run 1 1"
}

@test "-o: an altered output is made anew from what there is, and remembered as that" {
	old_recipe
	echo 2 >in
	echo spoiled >out.txt
	ok imgmake -o in x
	equal "$(paste -sd' ' out.txt)" "2 1"
	rm log
	ok imgmake x
	[ ! -e log ]
}

@test "-o with what a rule makes: the rule does not run, nor what depends on its output" {
	old_recipe
	echo 2 >in
	echo by hand >out.txt
	ok imgmake -o out.txt x
	contains "$stderr" 'nothing to do'
	[ ! -e log ]
	equal "$(cat out.txt)" 'by hand'
	echo 2 >more
	ok imgmake -o out.txt export x tar:x.tar
	equal "$(tar -xOf x.tar out.txt) $(tar -xOf x.tar more)" 'by hand 2'
	ok imgmake x
	equal "$(cat log) $(paste -sd' ' out.txt)" "run 2 1"
}

@test "-o where nothing was built yet, and of a file that nobody uses" {
	echo 1 >in
	recipe <<<'file "out" { deps = { "in" }, run = "cp in out" }'
	ok imgmake -o in -o nothing out
	equal "$(cat out)" 1
}

@test "deps are patterns: a new file, a removed one, a changed one, and no other" {
	mkdir -p src/deep
	echo a >src/a.c
	recipe <<<'file "out" { deps = { "src/**/*.c" }, run = "echo run >>log; cat src/*.c src/deep/* >out || :" }'
	runs() {   # TIMES
		rm -f log
		ok imgmake out
		equal "$(cat log 2>/dev/null | wc -l)" "$1"
	}
	runs 1
	runs 0
	echo b >src/deep/b.c
	runs 1
	echo b2 >src/deep/b.c
	runs 1
	chmod +x src/a.c
	runs 1
	echo note >src/note.txt
	touch src/a.c
	runs 0
	rm src/deep/b.c
	runs 1
	runs 0
}

@test "deps that are links: what they lead to counts, in the project and outside" {
	mkdir -p real in outside/dir
	echo 1 | tee real/f outside/f outside/dir/f >in/other
	ln -s real/f link
	ln -s real dlink
	ln -s ../dlink in/deep
	ln -s .. in/up
	ln -s nowhere in/lost
	mv outside ..
	ln -s ../outside/dir away
	ln -s ../../outside/f in/away
	recipe <<-'EOF'
		file "file" { deps = { "link" }, run = "echo run >>log; cp link file" }
		file "dir" { deps = { "dlink" }, run = "echo run >>log; cp dlink/f dir" }
		file "below" { deps = { "dlink/*" }, run = "echo run >>log; cp dlink/f below" }
		file "deep" { deps = { "in" }, run = "echo run >>log; cat in/deep/f in/away in/other >deep" }
		file "away.txt" { deps = { "away" }, run = "echo run >>log; cp away/f away.txt" }
	EOF
	remade() {   # NAME…
		local before=$(cat log 2>/dev/null | wc -l)
		ok imgmake "${all[@]}"
		equal "$(($(wc -l <log) - before))" $#
		ok imgmake -q "${all[@]}"
	}
	all=(file dir below deep away.txt)
	remade "${all[@]}"
	echo 2 >real/f
	contains "$(imgmake why dir)" 'file real/f: was sha256:'
	remade file dir below deep
	equal "$(cat file dir below deep | paste -sd' ')" '2 2 2 2 1 1'
	echo 2 >../outside/f
	contains "$(imgmake why deep)" 'file in/away: was -> ../../outside/f, sha256:'
	remade deep
	echo 2 >../outside/dir/g
	remade away.txt
	echo 3 >in/nowhere
	remade deep
	contains "$(imgmake -n -W real/f below file 2>&1)" 'would make file'
}

@test "what a link among deps leads to, with outputs of others in it, is seen to change by nobody" {
	mkdir -p a b
	ln -s ../b a/b
	echo 1 | tee a/in >b/in
	recipe <<-'EOF'
		file "a/out" { deps = { "a" }, run = "cat a/in a/b/in >a/out" }
		file "b/out" { deps = { "b/in" }, run = "cp b/in b/out" }
		file "c" { deps = { "l" }, run = "cp l c" }
	EOF
	ln -s b/out l
	ok imgmake a/out b/out
	ok imgmake c
	ok imgmake -q a/out b/out c
	echo 2 >b/in
	ok imgmake b/out
	ok imgmake a/out c
	equal "$(cat a/out c | paste -sd' ')" '1 2 2'
}

@test "deps that the ignore file hides from images, and what no file is" {
	mkdir -p proto/deep
	echo 1 | tee proto/a.proto >proto/deep/b.proto
	mkfifo proto/fifo
	touch proto/.wh.x
	printf '%s\n' '**/*.proto' 'proto/deep' >.dockerignore
	recipe <<-'EOF'
		file "dir" { deps = { "proto" }, run = "cat proto/*.proto proto/deep/* >dir" }
		file "pattern" { deps = { "proto/**/*.proto" }, run = "cat proto/*.proto proto/deep/* >pattern" }
		file "literal" { deps = { "proto/deep/b.proto" }, run = "cp proto/deep/b.proto literal" }
	EOF
	recipe w <<<'default { file "whole" { deps = { "." }, run = "cat * >whole" } }'
	echo 1 >w/a
	ok imgmake dir pattern literal
	ok imgmake -q dir pattern literal
	echo 2 >proto/deep/b.proto
	ok imgmake dir pattern literal
	equal "$(cat dir pattern literal | paste -sd' ')" '1 2 1 2 2'
	echo '*.log' >w/.dockerignore
	ok imgmake -C w
	echo 1 >w/a.log
	ok imgmake -C w -q   # as a copy of the project
	echo 2 >w/a
	equal "$(imgmake -C w -q || echo $?)" 1
}

@test "a rule, or a task, that makes the ignore file: what it hides is planned behind it" {
	mkdir src
	touch src/a src/b
	recipe <<-'EOF'
		file ".dockerignore" { deps = { "hidden" }, run = "cp hidden .dockerignore" }
		image "x" { from = "scratch", copy { "src", to = "/" } }
		task "hide" { run = "cp hidden .imgmakeignore" }
	EOF
	holds() {   # FILE
		ok imgmake -q x
		ok imgmake export x tar:x.tar
		equal "$(tar -tf x.tar)" "$1"
	}
	echo 'src/a' >hidden
	ok imgmake x
	holds b
	echo 'src/b' >hidden
	contains "$(imgmake plan x)" '^  file \.dockerignore has to be made first$'
	ok imgmake x
	holds a
	ok imgmake hide x
	holds a
	echo 'src/a' >hidden
	ok imgmake hide x
	holds b
}

@test "what a rule makes after the recipe has read it: a warning, once" {
	echo 1 >in
	echo 1 >VERSION
	recipe <<-'EOF'
		file "VERSION" { deps = { "in" }, run = "cp in VERSION" }
		image "x" { from = "scratch", write { "/v", read "VERSION" }, copy { "VERSION", to = "/" } }
	EOF
	ok imgmake   # the same
	lacks "$stderr" warning
	echo 2 >in
	ok imgmake
	contains "$stderr" 'warning: VERSION was made after the recipe had read it: run imgmake again'
	ok imgmake
	lacks "$stderr" warning
	ok imgmake export x tar:x.tar
	equal "$(tar -xOf x.tar v VERSION | paste -sd' ')" '2 2'
}

@test "a base that a rule makes is made before it is looked at" {
	echo 1 >in
	echo 'image "m" { from = "scratch", copy { "in", to = "/" } }' >Parts
	export IMGMAKE
	recipe <<-'EOF'
		file "made.tar" { deps = { "in", "Parts" }, run = "$IMGMAKE -f Parts export m docker-archive:made.tar" }
		file "layout/" { deps = { "in", "Parts" }, run = "rm -rf layout; $IMGMAKE -f Parts export m oci:layout:1" }
		image "x" { from = base "docker-archive:made.tar", write { "/w", "x" } }
		image "y" { from = base "oci:layout:1", write { "/w", "y" } }
	EOF
	contains "$(imgmake plan x)" '^  file made.tar has to be made first$'
	contains "$(imgmake why x)" '^made.tar is out of date:$'
	equal "$(imgmake why x --json | jq -r 'map(.target) | join(" ")')" 'x made.tar'
	for v in 1 2; do
		echo "$v" >in
		ok imgmake
		ok imgmake -q
		ok imgmake export x tar:x.tar
		ok imgmake export y tar:y.tar
		equal "$(tar -xOf x.tar in) $(tar -xOf y.tar in)" "$v $v"
	done
	imgmake -q -W in y && return 1
	imgmake -q -o in
}

@test "a pattern that matches the output does not make it depend on itself" {
	echo 1 >a.txt
	recipe <<<'file "all.txt" { deps = { "*.txt" }, run = "echo run >>log; cat a.txt >all.txt" }'
	ok imgmake all.txt
	ok imgmake all.txt
	equal "$(cat log)" run
	recipe <<<'file "all.txt" { deps = { "." }, run = "cat a.txt >all.txt" }'
	ok imgmake all.txt
	ok imgmake -q all.txt
}

@test "an output that is a directory: each file in it counts" {
	recipe <<-'EOF'
		file "gen/" { run = "echo run >>log; mkdir -p gen/sub; echo 1 >gen/a; echo 2 >gen/sub/b" }
		image "x" { from = "scratch", copy { "gen/sub/b", to = "/" } }
		image "y" { from = "scratch", copy { "gen", to = "/" } }
	EOF
	ok imgmake
	ok imgmake
	equal "$(wc -l <log)" 1
	echo spoiled >gen/sub/b
	ok imgmake x
	equal "$(wc -l <log) $(cat gen/sub/b)" "2 2"
	rm gen/a
	ok imgmake gen
	equal "$(wc -l <log)" 3
	echo more >gen/more
	ok imgmake gen/
	equal "$(wc -l <log)" 4
}

@test "several outputs: those of one directory, or one rule that needs another" {
	recipe <<-'EOF'
		local header = file "p.h" { run = "echo run >>log; echo h >p.h; echo c >p.c" }
		file "p.c" { deps = { header }, run = "test -e p.c || echo c >p.c" }
		image "x" { from = "scratch", copy { "p.c", "p.h", to = "/" } }
	EOF
	ok imgmake
	rm p.c
	ok imgmake
	equal "$(cat p.c) $(wc -l <log)" "c 1"
}

@test "what a rule that failed half-way left is not taken for good" {
	echo 1 >in
	recipe <<<'file "out" { deps = { "in" }, run = "cat in >out; echo half >>out; test -e fine" }'
	fails "file 'out': its command failed with status 1" imgmake out
	equal "$(paste -sd' ' out)" "1 half"
	go imgmake -q out
	equal "$status" 1
	touch fine
	ok imgmake out
	ok imgmake -q out
	# Nor is what stood there before, if the command had begun to change it.
	rm fine
	echo 2 >in
	fails 'status 1' imgmake out
	echo 1 >in
	printf '1\nhalf\n' >out
	ok imgmake -q out
}

@test "clean removes what file rules made, directories too, and nothing else" {
	mkdir gen
	echo mine >gen.txt
	recipe <<-'EOF'
		file "gen/out/" { run = "mkdir -p gen/out/deep; touch gen/out/deep/f" }
		file "one" { run = "touch one" }
		file "never" { run = "touch never" }
		task "t" { run = "touch by-task" }
	EOF
	ok imgmake gen/out one t
	ok imgmake -n clean
	equal "$(sort <<<"$output")" $'would remove gen/out\nwould remove one'
	[ -e one ]
	ok imgmake clean
	equal "$(sort <<<"$output")" $'removed gen/out\nremoved one'
	equal "$(ls | sort | paste -sd' ')" "Imagefile by-task gen gen.txt"
	ok imgmake clean
	equal "$output" ""
}

@test "clean follows no link out of the project" {
	mkdir "$DIR/outside"
	echo keep >"$DIR/outside/f"
	recipe <<-'EOF'
		file "link/f" { run = "true" }
		file "other" { run = "true" }
	EOF
	ln -s "$DIR/outside" link
	ln -s "$DIR/outside/f" other
	go imgmake clean
	equal "$(cat "$DIR/outside/f")" keep
}

@test "names with spaces, newlines and pattern characters" {
	recipe <<-'EOF'
		file "a b" { run = "echo run >>log; echo 1 >'a b'" }
		file "c\nd" { deps = { "a b" }, run = "echo run >>log; cp 'a b' 'c\nd'" }
		file "e$(x)'" { run = "echo 3 >\"e\\$(x)'\"" }
		image "x" { from = "scratch", copy { "a b", "c\nd", "e$(x)'", to = "/" } }
	EOF
	ok imgmake
	ok imgmake
	equal "$(wc -l <log)" 2
	equal "$(cat $'c\nd')" 1
	ok imgmake 'a b'
	ok imgmake clean
	[ ! -e 'a b' ]
	[ ! -e $'c\nd' ]
}

@test "outputs with names that would be patterns are just themselves" {
	mkdir -p 'page' '[id]'
	recipe <<-'EOF'
		file "[id].js" { run = "echo run >>log; echo 1 >'[id].js'" }
		file "[id]/" { run = "echo run >>log; echo 1 >'[id]/*'" }
		file "all*" { deps = { "\\[id\\].js" }, run = "echo run >>log; cp '[id].js' 'all*'" }
		image "x" { from = "scratch", copy { "all\\*", "\\[id\\]", to = "/" } }
	EOF
	ok imgmake
	ok imgmake -q
	echo 2 | tee i.js d.js all1 >alls
	ok imgmake -q
	echo 2 >'[id]/b'
	echo 2 >'[id].js'
	ok imgmake
	equal "$(wc -l <log) $(cat 'all*')" '5 1'
	ok imgmake clean
	equal "$(ls -d ./*)" "$(printf './%s\n' Imagefile all1 alls d.js i.js log page)"
}

@test "something that is no file where an output is to be" {
	recipe <<<'file "out" { run = "echo 1 >out" }'
	ok imgmake out
	rm out
	mkfifo out
	fails "file 'out': out is a socket, FIFO or device, which no rule makes; remove it" imgmake out
	rm out
	recipe <<<'file "out" { run = "mkfifo out" }'
	fails 'out is a socket, FIFO or device' imgmake out
	recipe <<<'file "out/" { run = "mkdir out; echo 1 >out/a" }'
	rm out
	ok imgmake out/
	mkfifo out/fifo
	touch out/.wh.x   # names that only images refuse
	rm out/a
	recipe <<<'file "out/" { run = "mkdir -p out; echo 1 >out/a" }'
	ok imgmake out/
	ok imgmake -q out/
}

# However slow the machine is just then, in one of some tries the quick ones are quicker.
@test "what took longest the last time begins first" {
	local i
	recipe <<-'EOF'
		file "a" { deps = { "in" }, run = "echo a >>log; cp in a" }
		file "b" { deps = { "in" }, run = "echo b >>log; cp in b" }
		file "c" { deps = { "in" }, run = { "echo c >>log", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done", "cp in c" } }
	EOF
	for i in 1 2 3 4 5; do
		echo "$i" >in
		rm -f log
		ok imgmake -j1 a b c
		[ "$(head -1 log)" != c ] || break
		[ "$i" != 1 ] || equal "$(paste -sd' ' log)" 'a b c'
	done
	equal "$(head -1 log)" c
}

@test "two builds at once: one runs a rule, the other waits for it, or until it is interrupted" {
	mkfifo gate
	recipe <<-'EOF'
		file "out" { run = "echo run >>log; : >started; read x <gate; echo $x >out" }
	EOF
	"$IMGMAKE" out >first 2>&1 3>&- &
	local first=$!
	wait_until test -e started
	"$IMGMAKE" --progress=plain out >second 2>&1 3>&- &
	local second=$!
	"$IMGMAKE" --progress=plain out >third 2>&1 3>&- &
	local third=$!
	wait_until grep -q '^out: wait for another build$' second
	wait_until grep -q '^out: wait for another build$' third
	kill -TERM "$third"
	status=0
	wait "$third" || status=$?
	equal "$status $(cat log)" '143 run'
	echo made >gate
	wait "$first"
	wait "$second"
	equal "$(cat log out | paste -sd' ')" 'run made'
	contains "$(cat second)" '^nothing to do$'
}

@test "a rule that asks for itself" {
	export IMGMAKE
	recipe <<-'EOF'
		file "a" { run = "$IMGMAKE b; echo 1 >a" }
		file "b" { run = "$IMGMAKE a; echo 1 >b" }
	EOF
	go imgmake a
	[ "$status" = 2 ]
	contains "$stderr" "file 'a': its own command asks for it, through another imgmake"
}

@test "two rules for one output" {
	recipe <<-'EOF'
		file "a" { run = "touch a" }
		file "./a" { run = "touch a" }
	EOF
	fails "^imgmake: Imagefile:2: file .*a" imgmake list
	recipe <<-'EOF'
		file "d/" { run = "mkdir d" }
		file "d/x" { run = "touch d/x" }
	EOF
	fails "Imagefile:2: file 'd/x': the rule for 'd/' at Imagefile:1 makes it too" imgmake list
}

@test "an output outside of the project" {
	local name
	for name in ../out /tmp/out sub/../../out . ''; do
		recipe <<<"file \"$name\" { run = \"true\" }"
		fails '^imgmake: Imagefile:1: file' imgmake list
	done
}

@test "cycles, and an output among its own deps" {
	recipe <<-'EOF'
		file "a" { deps = { "b" }, run = "touch a" }
		file "b" { deps = { "c" }, run = "touch b" }
		file "c" { deps = { "a" }, run = "touch c" }
	EOF
	fails "needs itself: a → b → c → a" imgmake list
	recipe <<<'file "a" { deps = { "a" }, run = "touch a" }'
	fails "file 'a': it is among its own deps" imgmake a
}

@test "a rule that makes nothing, and one that makes something else" {
	recipe <<-'EOF'
		file "a" { run = "true" }
		file "d/" { run = "touch d" }
	EOF
	fails "file 'a': its command succeeded, but did not make a" imgmake a
	fails "file 'd/': its command made d/, but no directory" imgmake d
	mkdir a
	fails "file 'a': its command made a directory \\(call it 'a/'" imgmake a
}

@test "a rule that deletes or changes its deps" {
	echo 1 >in
	recipe <<<'file "out" { deps = { "in" }, run = "mv in out" }'
	fails "file 'out': its deps changed while its command ran: in: no such file" imgmake out
	echo 1 >in
	recipe <<<'file "out" { deps = { "in" }, run = "cp in out; echo 2 >>in" }'
	fails "file 'out': its deps changed while its command ran: in$" imgmake out
	go imgmake -q out
	equal "$status" 1
}
