load helpers

two_images() {
	mkdir -p app lib
	echo main >app/main.txt
	echo other >app/other.txt
	echo lib >lib/lib.txt
	recipe <<-'EOF'
		local lib = image "lib" { from = "scratch", copy { "lib", to = "/lib" } }
		image "app" { from = lib, copy { "app", to = "/app" }, config { cmd = { "x" } } }
		image "alone" { from = "scratch", write { "/a", "alone" } }
	EOF
}

@test "a build, and then nothing to do" {
	two_images
	ok imgmake
	ok imgmake -q
	local before
	before=$(find "$IMGMAKE_STORE/blobs" -type f -printf '%p %T@\n' | sort)
	ok imgmake
	equal "$(find "$IMGMAKE_STORE/blobs" -type f -printf '%p %T@\n' | sort)" "$before"
}

@test "-q says by its status alone whether there is work" {
	two_images
	go imgmake -q
	equal "$status$output" 1
	[ ! -e "$IMGMAKE_STORE/blobs" ] || equal "$(find "$IMGMAKE_STORE/blobs" -type f)" ""
	ok imgmake
	ok imgmake -q
	echo more >>app/main.txt
	go imgmake -q
	equal "$status" 1
	go imgmake -q lib
	equal "$status" 0
}

@test "-n says what would be built and changes nothing" {
	two_images
	ok imgmake -n
	contains "$output" 'app'
	contains "$output" 'lib'
	[ ! -e "$IMGMAKE_STORE/blobs" ] || equal "$(find "$IMGMAKE_STORE/blobs" -type f)" ""
	[ ! -e Imagefile.lock ]
	ok imgmake
	echo more >>app/main.txt
	ok imgmake -n
	contains "$output" 'app'
	lacks "$output" '(^| )alone'
}

@test "plan --json parses" {
	two_images
	ok imgmake --json plan
	jq -e . <<<"$output" >/dev/null
	ok imgmake --json -n
	jq -e . <<<"$output" >/dev/null
}

@test "a changed file rebuilds just what depends on it" {
	two_images
	imgmake
	local app lib alone
	app=$(exported app) lib=$(exported lib) alone=$(exported alone)
	echo more >>app/main.txt
	differ "$(exported app)" "$app"
	equal "$(exported lib) $(exported alone)" "$lib $alone"
	echo main >app/main.txt
	equal "$(exported app)" "$app"
}

@test "an older file put back with its old time is seen" {
	two_images
	imgmake
	local first
	first=$(exported app)
	touch -d @1000000000 new.txt
	echo niam >new.txt
	touch -d @1000000000 new.txt
	cp -p new.txt app/main.txt
	differ "$(exported app)" "$first"
}

@test "a change of the same size within the same second is seen" {
	two_images
	imgmake
	local first i last
	first=$(exported app)
	last=$first
	for i in 1 2 3 4 5; do
		printf 'mai%s\n' "$i" >app/main.txt
		differ "$(exported app)" "$last"
		last=$(exported app)
	done
}

@test "a touched file, another mode bit of no meaning, and a moved project rebuild nothing" {
	two_images
	imgmake
	touch app/main.txt
	chmod 600 app/main.txt
	ok imgmake -q
	cp -r . "$DIR/moved"
	cd "$DIR/moved"
	ok imgmake -q
}

@test "an executable bit, a new file, a removed file and a changed link do rebuild" {
	two_images
	ln -s main.txt app/link
	imgmake
	chmod +x app/main.txt
	go imgmake -q app
	equal "$status" 1
	imgmake
	touch app/new
	go imgmake -q app
	equal "$status" 1
	imgmake
	rm app/new
	go imgmake -q app
	equal "$status" 0
	ln -sfn other.txt app/link
	go imgmake -q app
	equal "$status" 1
}

@test "a parent rebuilt to the same bytes stops the wave" {
	recipe <<-'EOF'
		file "gen" { run = { "echo x >gen" } }
		local lib = image "lib" { from = "scratch", copy { "gen", to = "/lib/" } }
		file "late" { deps = { "gen" }, run = { "echo run >>log", "cp gen late" } }
		image "app" { from = lib, copy { "late", to = "/" } }
	EOF
	local app blobs
	app=$(exported app)
	blobs=$(find "$IMGMAKE_STORE/blobs" -type f -printf '%p %T@\n' | sort)
	sed -i 's/echo x >gen"/echo  x >gen", "echo ran >>log1"/' Imagefile
	equal "$(exported app)" "$app"
	equal "$(cat log1)" ran
	equal "$(cat log)" run
	equal "$(find "$IMGMAKE_STORE/blobs" -type f -printf '%p %T@\n' | sort)" "$blobs"
}

@test "-B builds again, to the same digest" {
	two_images
	local first
	first=$(exported app)
	ok imgmake -B
	equal "$(exported app)" "$first"
}

@test "-W FILE: what if it had changed" {
	two_images
	imgmake
	ok imgmake -n -W app/main.txt
	contains "$output" 'app'
	go imgmake -q -W app/main.txt
	equal "$status" 1
	ok imgmake -q
}

@test "-s is silent, results aside" {
	two_images
	ok imgmake -s
	equal "$output$stderr" ""
}

@test "-C goes there first, -f reads another file" {
	mkdir -p sub
	two_images
	mv Imagefile app lib sub/
	ok imgmake -C sub
	mv sub/Imagefile sub/Other
	ok imgmake -C sub -f Other
	ok imgmake -C sub -f Other -q
}

@test "-k goes on with what does not depend on the failure" {
	recipe <<-'EOF'
		file "gen" { run = { "echo broken >&2; exit 7" } }
		image "bad" { from = "scratch", copy { "gen", to = "/" } }
		image "good" { from = "scratch", write { "/g", "g" } }
	EOF
	go imgmake -k
	equal "$status" 2
	contains "$stderr" 'broken'
	ok imgmake -q good
	go imgmake -q bad
	equal "$status" 1
}

@test "a failing host rule shows its output, and is never remembered as done" {
	recipe <<-'EOF'
		file "gen" { run = { "echo half >gen", "echo why it failed", "exit 3" } }
		image "x" { from = "scratch", copy { "gen", to = "/" } }
	EOF
	go imgmake
	equal "$status" 2
	contains "$stderr" 'why it failed'
	go imgmake
	equal "$status" 2
	sed -i 's/exit 3/true/' Imagefile
	ok imgmake
}

@test "a host rule runs again when a source, the command or its output changed" {
	echo 1 >in
	recipe <<-'EOF'
		file "out.txt" { deps = { "in" }, run = { "echo run >>log", "cp in out.txt" } }
		image "x" { from = "scratch", copy { "out.txt", to = "/" } }
	EOF
	ok imgmake
	ok imgmake
	equal "$(wc -l <log)" 1
	echo 2 >in
	ok imgmake
	equal "$(wc -l <log)" 2
	echo spoiled >out.txt
	ok imgmake
	equal "$(wc -l <log) $(cat out.txt)" "3 2"
	rm out.txt
	ok imgmake
	equal "$(wc -l <log)" 4
	sed -i 's/cp in out.txt/cat in >out.txt/' Imagefile
	ok imgmake
	equal "$(wc -l <log)" 5
}

@test "a task always runs; clean removes what file rules made, and only that" {
	recipe <<-'EOF'
		task "hi" { run = { "echo run >>log" } }
		file "made" { run = { "echo x >made" } }
		image "x" { from = "scratch", copy { "made", to = "/" } }
	EOF
	ok imgmake hi
	ok imgmake hi
	equal "$(wc -l <log)" 2
	ok imgmake
	[ -e made ]
	ok imgmake clean
	[ ! -e made ]
	[ -e log ]
}

@test "what a task changes is seen by what is named behind it" {
	mkdir src
	echo 0 >src/n
	echo 0 >in
	recipe <<-'EOF'
		task "gen" { run = "date +%N >src/n; cp src/n in" }
		task "bad" { run = "exit 3" }
		file "out" { deps = { "in" }, run = "cp in out" }
		image "x" { from = "scratch", copy { "src", "out", to = "/" } }
		image "y" { from = "scratch", copy { "src", to = "/y/" } }
	EOF
	for _ in 1 2; do
		ok imgmake gen x y
		ok imgmake -q x y out
		cmp out src/n
	done
	ok imgmake y gen x
	ok imgmake -q x
	go imgmake -k bad gen x
	equal "$status" 2
	ok imgmake -q x
	fails "task 'bad'" imgmake bad y
	go imgmake -q y
	equal "$status" 1
}

@test "a host rule's output is copied although the ignore file names it" {
	echo made >.dockerignore
	recipe <<-'EOF'
		file "made" { run = { "echo x >made" } }
		image "x" { from = "scratch", copy { "made", to = "/" } }
	EOF
	exported x >/dev/null
	contains "$(last_layer out-x)" '^made$'
}

@test "--no-host refuses host rules" {
	recipe <<-'EOF'
		file "made" { run = { "echo x >made" } }
		image "x" { from = "scratch", copy { "made", to = "/" } }
	EOF
	fails 'no-host' imgmake --no-host
	[ ! -e made ]
}

@test "why names the file that changed" {
	two_images
	imgmake
	echo more >>app/main.txt
	ok imgmake why app
	contains "$output" 'main\.txt'
	lacks "$output" 'other\.txt'
}

@test "why names the variable's new value, the base that moved, and what was never built" {
	recipe <<-'EOF'
		local v = var { "MODE", default = "debug" }
		image "x" { from = "scratch", env { MODE = v }, write { "/mode", v } }
	EOF
	ok imgmake why x
	contains "$output" 'x'
	imgmake
	ok imgmake why x MODE=release
	contains "$output" 'release|MODE|mode'
	ok imgmake --json why x
	jq -e . <<<"$output" >/dev/null
}

@test "default, and targets by name" {
	recipe <<-'EOF'
		image "a" { from = "scratch", write { "/a", "" } }
		local b = image "b" { from = "scratch", write { "/b", "" } }
		default { b }
	EOF
	ok imgmake
	ok imgmake -q b
	go imgmake -q a
	equal "$status" 1
	ok imgmake build a default
	ok imgmake -q a
}

@test "a stage is built only when something needs it" {
	recipe <<-'EOF'
		file "never" { run = { "echo ran >>log", "touch never" } }
		stage "unused" { from = "scratch", copy { "never", to = "/" } }
		image "x" { from = "scratch", write { "/a", "" } }
	EOF
	ok imgmake
	[ ! -e log ]
	ok imgmake unused
	[ -e log ]
}

@test "variables: command line over environment over default" {
	recipe <<-'EOF'
		local v = var { "V", default = "d" }
		image "x" { from = "scratch", write { "/v", v } }
	EOF
	value() {
		imgmake export x "dir:out" "$@" >&2 && cat out/v && rm -rf out
	}
	equal "$(value)" d
	equal "$(IMGMAKE_VAR_V=e value)" e
	equal "$(IMGMAKE_VAR_V=e value V=c)" c
}
