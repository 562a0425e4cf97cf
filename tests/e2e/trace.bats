#!/usr/bin/env bats
# --trace, --events and --trace-out: what was made, why, and how long it took.
load helpers

traced_recipe() {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		file "made" { deps = { "source" }, run = { "cat source source >made" } }
		local parent = image "parent" { from = b, copy { "made", to = "/" } }
		local web = image "web" { from = parent, run { "cat /made >/twice", "echo $1" } }
		check "fine" { image = web, run = { "test -s /twice" } }
	LUA
	echo text >source
}

@test "--trace tells each target's reasons and commands, when it is made" {
	traced_recipe one
	imgmake
	traced_recipe two
	ok imgmake --trace
	contains "$stderr" '^web: Imagefile:4: make image$'
	contains "$stderr" '^web: because: step 1 \(run\): command changed$'
	contains "$stderr" '^web: Imagefile:4: run$'
	contains "$stderr" '^web:   echo two$'
	lacks "$stderr" '^parent: '
	echo other >source
	ok imgmake --trace
	contains "$stderr" '^made: because: .*source changed$'
	contains "$stderr" '^made:   cat source source >made$'
	contains "$stderr" '^parent: Imagefile:3: copy made to /$'
	# The reason stands before what it is the reason for.
	[ "$(grep -n '^made: because' <<<"$stderr" | head -1 | cut -d: -f1)" -lt "$(grep -n '^parent: ' <<<"$stderr" | head -1 | cut -d: -f1)" ]
	ok imgmake --trace
	equal "$stderr" "nothing to do"
}

@test "-d explain tells the reasons before anything is made, a line each" {
	traced_recipe one
	imgmake
	traced_recipe two
	ok imgmake -d explain
	equal "$(head -2 <<<"$stderr")" "web is out of date:
  step 1 (run): command: was cat /made >/twice echo one, is cat /made >/twice echo two"
	lacks "$stderr" 'x0a|would make'
	ok imgmake -d explain
	equal "$stderr" "nothing to do"
}

@test "what waits for a host rule says for which" {
	traced_recipe one
	imgmake
	echo other >source
	ok imgmake why parent
	equal "$output" "parent is out of date:
  file made has to be made first
made is out of date:
  file source: was sha256:b9e68e1bea3e, is sha256:7e4fa2eb8c7a"
}

@test "a rule that waits for another one says for which, too" {
	echo 1 >in
	recipe <<-'EOF'
		file "a" { deps = { "in" }, run = "cp in a" }
		file "b" { deps = { "a" }, run = "cp a b" }
	EOF
	ok imgmake b
	echo 2 >in
	ok imgmake plan b
	equal "$(sed -n '/ b$/,$p' <<<"$output")" "would make file b
  file a has to be made first"
	equal "$(imgmake why b | head -2)" "b is out of date:
  file a has to be made first"
}

@test "--events: each line an object, whatever is shown" {
	traced_recipe one
	ok imgmake -s --events events.json
	jq -es 'map(.time) | . == sort' events.json
	equal "$(jq -rs 'map(select(.event == "begin" and .target == "web") | .what) | join("|")' events.json)" \
		"run cat /made >/twice; echo one|pack"
	equal "$(jq -rs 'map(select(.event == "begin")) | length' events.json)" \
		"$(jq -rs 'map(select(.event == "end")) | length' events.json)"
	equal "$(jq -r 'select(.event == "output") | .text' events.json)" one
	echo 'error("no")' >>Imagefile
	fails 'no$' imgmake -s --events events.json
	equal "$(jq -r .event events.json)" error
}

@test "--trace-out: nested pieces of work of each thread, with times" {
	traced_recipe one
	ok imgmake -j4 check --trace-out trace.json
	python3 - <<-'PYTHON'
		import json
		events, open_ = json.load(open("trace.json")), {}
		for e in events:
		    stack = open_.setdefault(e["tid"], [])
		    if e["ph"] == "B":
		        stack.append((e["name"], e["ts"]))
		    else:
		        name, began = stack.pop()
		        assert name == e["name"] and e["ts"] >= began
		assert not any(open_.values())
		names = {e["name"] for e in events}
		assert {"made: commands on the host", "fine: check"} <= names, names
	PYTHON
}

@test "files that cannot be written" {
	traced_recipe one
	fails 'none/x: No such file' imgmake --events none/x
	[ ! -e made ]
	fails '/dev/full.*No space left' imgmake --trace-out /dev/full
}
