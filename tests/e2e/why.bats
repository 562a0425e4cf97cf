#!/usr/bin/env bats
# imgmake why, -n and -d explain: for each kind of input the right name, with what it was and what it is.
load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

short() {   # a digest as it is shown
	echo "${1:0:19}"
}

of_file() {
	short "sha256:$(sha256sum "$1" | cut -d' ' -f1)"
}

says() {   # TARGET LINE…: the whole answer, in each of its three forms
	local target=$1 expected
	shift
	expected=$(printf '%s is out of date:\n' "$target"; printf '  %s\n' "$@")
	ok imgmake why "$target"
	equal "$output" "$expected"
	ok imgmake -n "$target"
	contains "$output" "$(printf '^  %s' "$(sed 's/[][().*+?|\\{}$^/]/\\&/g' <<<"$1")")"
	ok imgmake why "$target" --json
	equal "$(jq '.[0].reasons | length' <<<"$output")" "$#"
}

app() {
	recipe <<<'image "x" { from = "scratch", copy { "src", to = "/" } }'
}

@test "a file: content, mode, kind, link, new and gone, each with what it was" {
	mkdir -p src/sub
	echo one >src/a
	echo run >src/run
	ln -s a src/link
	echo x >src/sub/x
	app
	imgmake
	local was
	was=$(of_file src/a)
	echo two >src/a
	says x "step 1 (copy): file src/a: was $was, is $(of_file src/a)"
	imgmake
	chmod +x src/run
	says x "step 1 (copy): file src/run: was $(of_file src/run), is $(of_file src/run), executable"
	imgmake
	ln -sf run src/link
	says x "step 1 (copy): file src/link: was -> a, is -> run"
	imgmake
	mv src/sub src/dir
	says x "step 1 (copy): file src/dir: new, a directory" \
		"step 1 (copy): file src/dir/x: new, $(of_file src/dir/x)" \
		"step 1 (copy): file src/sub: gone, was a directory" \
		"step 1 (copy): file src/sub/x: gone, was $(of_file src/dir/x)"
	imgmake
	rm src/link
	cp src/run src/link
	says x "step 1 (copy): file src/link: was -> run, is $(of_file src/run), executable"
	imgmake
	# A plain file whose text is how a link is shown is not that link.
	printf -- '-> run' >src/a
	imgmake
	ln -sf run src/a
	contains "$(imgmake why x)" 'file src/a: was sha256:.*, is -> run$'
}

@test "a capability" {
	needs_root
	mkdir src
	echo x >src/a
	app
	imgmake
	setcap cap_net_raw+ep src/a || skip "no capabilities on this file system"
	contains "$(imgmake why x)" "file src/a: was $(of_file src/a), is $(of_file src/a), with capabilities 0x[0-9a-f]+$"
}

@test "an ignore file is told where files come or go with it" {
	mkdir src
	echo one >src/a
	echo two >src/b
	app
	imgmake
	echo src/a >.dockerignore
	says x "ignore file .dockerignore: new, $(of_file .dockerignore)" \
		"step 1 (copy): file src/a: gone, was $(of_file src/a)"
	imgmake
	local was
	was=$(of_file .dockerignore)
	echo '# nothing' >.dockerignore
	echo four >src/a
	says x "ignore file .dockerignore: was $was, is $(of_file .dockerignore)" \
		"step 1 (copy): file src/a: new, $(of_file src/a)"
	imgmake
	# It has not changed since, and another file's content has nothing to do with it.
	echo three >src/b
	lacks "$(imgmake why x)" ignore
	echo '# else' >.dockerignore
	lacks "$(imgmake why x)" ignore
}

@test "a variable: in arguments, in a loop, as a condition, by each way to say it" {
	recipe <<-'EOF'
		local mode = var { "MODE", default = "fast" }
		local debug = var { "DEBUG", default = "no" }
		local other = var { "OTHER", default = "1" }
		for _, n in ipairs { "a", "b" } do
			image(n) { from = "scratch", write { "/" .. n, n .. " " .. mode }, config { labels = { fixed = "1", mode = mode } },
				debug == "yes" and mkdir "/debug" }
		end
		image "c" { from = "scratch", write { "/c", "c" } }
	EOF
	imgmake
	local want=$'a is out of date:\n  variable MODE: was fast, is safe\n  step 1 (write): text: was a fast, is a safe
  step 2 (config): labels mode: was fast, is safe'
	ok imgmake why a MODE=safe OTHER=2
	equal "$output" "$want"
	IMGMAKE_VAR_MODE=safe ok imgmake why a
	equal "$output" "$want"
	sed -i 's/"fast"/"safe"/' Imagefile
	ok imgmake why a
	equal "$output" "$want"
	sed -i 's/"safe"/"fast"/' Imagefile
	ok imgmake why b DEBUG=yes
	contains "$output" '^  variable DEBUG: was no, is yes$'
	contains "$output" '^  step 3 \(mkdir\): paths: new, /debug$'
	lacks "$output" 'MODE'
	ok imgmake why c MODE=safe DEBUG=yes
	contains "$output" '^c is up to date'
	ok imgmake -n MODE=safe
	contains "$output" '^  variable MODE: was fast, is safe$'
	ok imgmake -d explain MODE=safe
	contains "$stderr" '^  variable MODE: was fast, is safe$'
	# And afterwards, with the values.
	ok imgmake why a MODE=safe
	contains "$output" 'a is up to date; it was made last because of:'
	contains "$output" '^  variable MODE: was fast, is safe$'
}

@test "an argument of a Dockerfile, and a file that is mounted" {
	printf 'FROM scratch\nARG WHO=me\nLABEL who=$WHO\nCOPY f /\n' >Dockerfile
	echo x >f
	ok imgmake -f Dockerfile
	ok imgmake -f Dockerfile why WHO=you
	contains "$output" 'variable WHO: was me, is you$'
	contains "$output" 'labels who: was me, is you$'
	mkdir d
	echo 1 >d/f
	recipe <<<"image \"x\" { from = base \"$BUSYBOX\", run { \"cat /d/f >/f\", mount = { { \"d\", path = \"/d\" } } } }"
	imgmake
	local was
	was=$(of_file d/f)
	echo 2 >d/f
	says x "step 1 (run): file d/f: was $was, is $(of_file d/f)"
	imgmake
	ok imgmake -n -W d/f
	contains "$output" 'W names d/f'
}

@test "what the recipe has read" {
	echo 1.2 >VERSION
	recipe <<-'EOF'
		image "x" { from = "scratch", config { labels = { version = read "VERSION" } } }
		image "y" { from = "scratch", write { "/y", "y" } }
	EOF
	imgmake
	echo 1.3 >VERSION
	ok imgmake why x
	contains "$output" '^  read VERSION: was sha256:[0-9a-f]{12}, is sha256:[0-9a-f]{12}$'
	contains "$output" '^  step 1 \(config\): labels version: was 1.2, is 1.3$'
	ok imgmake why y
	contains "$output" '^y is up to date'
}

@test "a base: the digests of its manifest, then and now" {
	local first second
	seed "$(repo base)" 1 one
	first=$(digest_of "$(repo base):1")
	recipe <<<"image \"x\" { from = base \"$(repo base):1\", write { \"/a\", \"\" } }"
	imgmake
	seed "$(repo base)" 1 two
	second=$(digest_of "$(repo base):1")
	differ "$first" "$second"
	ok imgmake why x
	contains "$output" '^x is up to date'   # the lock holds it
	ok imgmake pull "$(repo base):1"
	ok imgmake why x --lock=update
	equal "$output" "x is out of date:
  from $(repo base):1: was $(short "$first"), is $(short "$second")"
	ok imgmake --lock=update
	ok imgmake why x
	contains "$output" "^  from $(repo base):1: was $(short "$first"), is $(short "$second")$"
}

@test "options: --platform, -B, -W, and SOURCE_DATE_EPOCH" {
	mkdir src
	echo one >src/a
	app
	imgmake
	says_it() {   # LINE COMMAND…
		ok "${@:2}"
		contains "$output" "^  $1$"
	}
	says_it '-B rebuilds everything' imgmake why x -B
	says_it '-W names src/a' imgmake why x -W src/a
	SOURCE_DATE_EPOCH=7 says_it 'SOURCE_DATE_EPOCH: new, 7' imgmake why x
	says_it 'never built before' imgmake why x --platform linux/arm64
	recipe <<<'image "x" { from = "scratch", copy { "src", to = "/", mode = "0600", owner = "1:2" } }'
	ok imgmake why x
	contains "$output" '^  step 1 \(copy\): mode: was .*, is '
	contains "$output" '^  step 1 \(copy\): owner: was , is 1:2$'
	tar -cf src/t.tar Imagefile
	recipe <<<'image "x" { from = "scratch", unpack { "./src/../src/t.tar", to = "/" } }'
	imgmake
	says_it '-W names src/t.tar' imgmake why x -W src/t.tar
}

@test "the output of a rule: which file of it, with what it was" {
	recipe <<-'EOF'
		file "gen/" { run = { "mkdir -p gen/sub", "echo 1 >gen/a", "echo 2 >gen/sub/b" } }
		file "one" { run = "echo 1 >one" }
		image "x" { from = "scratch", copy { "gen", to = "/" }, copy { "one", to = "/" } }
	EOF
	imgmake
	local was
	was=$(of_file gen/a)
	echo spoiled >gen/a
	rm gen/sub/b
	echo more >gen/new
	ok imgmake why gen
	equal "$output" "gen/ is out of date:
  its output was changed
  output gen/a: was $was, is $(of_file gen/a)
  output gen/new: new, $(of_file gen/new)
  output gen/sub/b: gone, was $(short sha256:53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3)"
	was=$(of_file one)
	echo spoiled >one
	ok imgmake why one
	equal "$output" "one is out of date:
  its output was changed
  output one: was $was, is $(of_file one)"
	rm one
	ok imgmake why one
	equal "$output" $'one is out of date:\n  its output is not there'
	imgmake
	chmod +x one
	ok imgmake why one
	contains "$output" "output one: was $(of_file one), is $(of_file one), executable$"
}

@test "deps of a rule: patterns that match more and less, modes and commands" {
	mkdir in
	echo 1 >in/a
	recipe <<<'file "out" { deps = { "in/*" }, run = "cat in/* >out" }'
	imgmake out
	echo 2 >in/b
	says out "file in/b: new, $(of_file in/b)"
	imgmake out
	chmod +x in/a
	says out "file in/a: was $(of_file in/a), is $(of_file in/a), executable"
	imgmake out
	rm in/b
	says out "file in/b: gone, was $(short sha256:53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3)"
	imgmake out
	sed -i 's/cat/sort/' Imagefile
	says out "command 1: was cat in/* >out, is sort in/* >out"
}

@test "what a target needs is told behind it, down to the cause" {
	echo 1 >in
	recipe <<-EOF
		local mode = var { "MODE", default = "1" }
		file "made" { deps = { "in" }, run = "cp in made" }
		local parent = image "parent" { from = "scratch", write { "/p", mode } }
		local tools = stage "tools" { from = "scratch", copy { "made", to = "/" } }
		local middle = stage "middle" { from = parent, mkdir "/m" }
		image "child" { from = middle, copy { "/p", from = parent, to = "/q" }, copy { "/made", from = tools, to = "/" } }
		image "other" { from = parent, mkdir "/o" }
	EOF
	imgmake
	ok imgmake why child MODE=2
	equal "$(sed 's/: was sha256.*//' <<<"$output")" "child is out of date:
  from middle
  step 1 (copy): from parent
parent is out of date:
  variable MODE: was 1, is 2
  step 1 (write): text: was 1, is 2
middle is out of date:
  from parent"
	ok imgmake why child MODE=2 --json
	equal "$(jq -r '.[].target' <<<"$output" | paste -sd' ')" "child parent middle"
	echo 2 >in
	ok imgmake why child
	equal "$(grep -v '^  file in: was' <<<"$output")" "child is out of date:
  file made has to be made first
tools is out of date:
  file made has to be made first
made is out of date:"
	contains "$output" '^  file in: was '
}
