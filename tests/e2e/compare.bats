#!/usr/bin/env bats
# imgmake diff and why --against: what two images do not have alike.
load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

published() {   # ENV TEXT
	mkdir -p files
	echo "$2" >files/text
	echo same >files/same
	recipe <<-LUA
		image "web" { from = base "$BUSYBOX", env { MODE = "$1" }, copy { "files", to = "/srv/" },
		  symlink { "/srv/link", target = "$2" }, publish = { "$(repo web)", tags = { "edge" } } }
	LUA
}

@test "the configuration, and each file, by what differs" {
	published debug one
	exported web old
	published release two
	echo more >files/more
	chmod 755 files/same
	go imgmake diff "oci:$(layout_ref old)" web
	[ "$status" = 1 ]
	contains "$output" '^env MODE: was debug, is release$'
	contains "$output" '^/srv/text: was sha256:[0-9a-f]{12}, is sha256:[0-9a-f]{12}$'
	contains "$output" '^/srv/link: was -> one, is -> two$'
	contains "$output" '^/srv/same: was mode 0644, is mode 0755$'
	contains "$output" '^/srv/more: new, file sha256:[0-9a-f]{64} mode 0644 owner 0:0$'
	equal "$(wc -l <<<"$output")" 5
	# And the other way round.
	go imgmake diff web "oci:$(layout_ref old)"
	contains "$output" '^/srv/more: gone, was file'
}

@test "the same image in other layers is no difference" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "one" { from = b, layer { write { "/a", "x" }, write { "/b", "y" } } }
		image "two" { from = b, write { "/b", "y" }, write { "/a", "x" } }
	LUA
	ok imgmake diff one two
	equal "$output" ""
	ok imgmake diff --json one two
	equal "$(jq -c . <<<"$output")" '[]'
}

@test "a removed file is gone, whichever layer hides it" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "with" { from = b, write { "/d/a", "x" }, write { "/d/b", "x" } }
		image "without" { from = b, write { "/d/a", "x" }, write { "/d/b", "x" }, remove { "/d/b" } }
	LUA
	go imgmake diff --json with without
	[ "$status" = 1 ]
	equal "$(jq -c 'map([.input, .is])' <<<"$output")" '[["/d/b",null]]'
}

@test "why --against: a digest that this machine never had, found where the image is published" {
	local digest
	published debug one
	imgmake deploy
	digest=$(digest_of "$(repo web):edge")
	rm -r "$IMGMAKE_STORE"
	published debug two
	ok imgmake why web --against "$digest"
	contains "$output" "^web differs from $digest:\$"
	contains "$output" '^  /srv/text: was sha256'
	equal "$(wc -l <<<"$output")" 3
	ok imgmake why web --against "$(repo web):edge" --json
	equal "$(jq -c 'map(.input)' <<<"$output")" '["/srv/link","/srv/text"]'
	published debug one
	ok imgmake why web --against "$digest"
	equal "$output" "web is the same as $digest"
}

@test "a base of the recipe is the image that its name refers to" {
	recipe <<<"image 'web' { from = base '$BUSYBOX', write { '/a', '' } }"
	go imgmake diff "$BUSYBOX" web
	[ "$status" = 1 ]
	equal "$output" '/a: new, file sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 mode 0644 owner 0:0'
	ok imgmake diff "$BUSYBOX" "$BUSYBOX"
}

@test "what cannot be compared" {
	local none
	none=sha256:$(printf "0%.0s" {1..64})
	published debug one
	fails "neither in the store nor where 'web' is published" imgmake why web --against "$none"
	fails 'name one image' imgmake why --against "$none" web web
	fails "'$BUSYBOX' is a base" imgmake why "$BUSYBOX" --against "$none"
	fails "no target 'wbe'" imgmake diff wbe web
	fails 'diff' imgmake diff web
}
