#!/usr/bin/env bats
# Early cutoff: what comes out the same stops the wave. Told by what was packed and which commands ran.
load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# What a build did: "TARGET: run …" and "TARGET: pack", one a line. Empty: nothing.
did() {
	imgmake "$@" --events "$DIR/events" >&2 || return 1
	jq -r 'select(.event == "begin" and (.what == "pack" or (.what | startswith("run "))
		or .what == "commands on the host")) | "\(.target): \(.what)"' "$DIR/events"
}

@test "a parent whose command changed and whose bytes did not: no child runs" {
	parents() {
		recipe <<-LUA
			local parent = image "parent" { from = base "$BUSYBOX", write { "/file", "x\\n" }, run { "$1" } }
			local middle = image "middle" { from = parent, run { "cat /a >/b" }, copy { "file", to = "/" } }
			image "child" { from = middle, run { "cat /b >/c" } }
		LUA
	}
	echo f >file
	parents 'echo x >/a'
	differ "$(did child)" ""
	parents 'cat /file >/a'
	equal "$(did child)" 'parent: run cat /file >/a'$'\n''parent: pack'
	equal "$(did child)" ""
	parents 'echo y >/a'
	contains "$(did child)" '^child: run cat /b'
}

@test "a stage that comes out the same: neither the copy from it nor what follows is made" {
	stages() {
		recipe <<-LUA
			local b = base "$BUSYBOX"
			local tool = stage "tool" { from = b, run { "echo $1 >/log", "echo tool >/tool" } }
			image "web" { from = b, copy { "/tool", from = tool, to = "/tool" }, run { "cat /tool >/out" } }
		LUA
	}
	stages one
	differ "$(did web)" ""
	stages two
	equal "$(did web)" "tool: run echo two >/log; echo tool >/tool"$'\n'"tool: pack"
}

@test "a host rule that makes the same bytes rebuilds nothing" {
	recipe <<-LUA
		file "out" { deps = { "in" }, run = { "head -c1 in >out" } }
		image "web" { from = base "$BUSYBOX", copy { "out", to = "/" }, run { "cat /out" } }
	LUA
	echo ab >in
	differ "$(did web)" ""
	echo ac >in
	equal "$(did web)" "out: commands on the host"
	echo xc >in
	contains "$(did web)" '^web: run cat'
}

# push_base TAG DATE [TEXT]: a base whose manifest depends on DATE, and whose files on TEXT.
push_base() {
	local layout=$DIR/base.$2
	umoci init --layout "$layout"
	umoci new --image "$layout:1"
	mkdir -p "$DIR/root/etc"
	cp -r "$DIR/busy/." "$DIR/root/"
	chmod "${TMP_MODE:-1777}" "$DIR/root/tmp"
	echo "${3:-same}" >"$DIR/root/etc/text"
	tar -C "$DIR/root" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$DIR/root.tar" .
	umoci raw add-layer --image "$layout:1" --history.created "$2-01-01T00:00:00Z" "$DIR/root.tar"
	umoci config --image "$layout:1" --created "$2-01-01T00:00:00Z" --config.env PATH=/usr/bin
	skopeo copy -q --dest-tls-verify=false "oci:$layout:1" "docker://$(repo base):$1"
}

@test "a base pushed again: the same layers rebuild nothing, others what reads them" {
	local first
	imgmake import "$BUSYBOX" >&2
	imgmake export "$BUSYBOX" "dir:$DIR/busy" >&2
	echo f >file
	recipe <<-LUA
		image "web" { from = base "$(repo base):1", copy { "file", to = "/tmp/" }, run { "cat /etc/text >/out" } }
	LUA
	push_base 1 2001
	differ "$(did web)" ""
	first=$(digest_of "$(repo base):1")
	push_base 1 2002
	differ "$(digest_of "$(repo base):1")" "$first"
	equal "$(did --lock=update web)" ""
	grep -q "$(digest_of "$(repo base):1")" Imagefile.lock
	# The copy reads /tmp of the base alone, which is the same; the command may read anything.
	push_base 1 2003 other
	equal "$(did --lock=update web)" "web: run cat /etc/text >/out"$'\n'"web: pack"
	# Another mode of /tmp is in the copy's layer.
	TMP_MODE=755 push_base 1 2004 other
	equal "$(did --lock=update web | head -1)" "web: pack"
}

@test "a comment, a blank line and the order of targets rebuild nothing" {
	recipe <<-LUA
		image "a" { from = base "$BUSYBOX", write { "/a", "1" }, run { "cat /a" } }
		image "b" { from = base "$BUSYBOX", write { "/b", "1" } }
	LUA
	differ "$(did)" ""
	recipe <<-LUA
		-- A comment.
		image "b" { from = base "$BUSYBOX", write { "/b", "1" } }

		image "a" { from = base "$BUSYBOX", --[[ and another ]]
		  write { "/a", "1" }, run { "cat /a" } }
	LUA
	ok imgmake -n
	equal "$output$stderr" "nothing to do"
	equal "$(did)" ""
}

@test "a variable rebuilds the steps that use it, and no other" {
	recipe <<-LUA
		local text = var { "TEXT", default = "1" }
		local unused = var { "UNUSED", default = "1" }
		image "web" { from = base "$BUSYBOX", copy { "file", to = "/" }, write { "/text", text },
		  copy { "file", to = "/again" }, config { labels = { unused = unused } } }
		image "other" { from = base "$BUSYBOX", run { "echo other" } }
	LUA
	echo f >file
	differ "$(did)" ""
	equal "$(did TEXT=2)" "web: pack"
	equal "$(did TEXT=2 UNUSED=2)" ""
	equal "$(did)" ""
}
