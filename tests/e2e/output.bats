# What is shown of commands that run at once, and of failures.
load helpers

# Two rules whose commands take turns, so that their lines come mixed.
two_talkers() {
	mkfifo one two
	recipe <<-'EOF'
		file "a" { run = { "echo a1", "echo >one", "read x <two", "echo a2", "echo >one", "touch a" } }
		file "b" { run = { "read x <one", "echo b1", "echo >two", "read x <one", "echo b2", "touch b" } }
		task "all" { deps = { "a", "b" }, run = "true" }
	EOF
}

said() {   # what the commands said, in order
	grep -oE '(^|: )[ab][12]$' <<<"$stderr" | grep -oE '[ab][12]' | paste -sd' '
}

talk() {   # OPTION…
	rm -rf a b "$IMGMAKE_STORE"
	go timeout 20 "$IMGMAKE" "$@" all
	equal "$status" 0
}

@test "output is kept and shown whole, unless -O says otherwise" {
	two_talkers
	local o
	for o in -j2 "-j2 -O" "-j2 -Otarget" "-j2 --output-sync" "-j2 --output-sync=target"; do
		talk $o
		contains "$(said)" '^(a1 a2 b1 b2|b1 b2 a1 a2)$'
	done
}

@test "-Oline shows lines as they come, -Onone without names" {
	mkfifo one go
	recipe <<-'EOF'
		file "a" { run = { "echo a1", "echo >one", "read x <go", "touch a" } }
		file "b" { run = { "read x <one", "echo b1", "touch b" } }
		task "all" { deps = { "a", "b" }, run = "true" }
	EOF
	local mode shown
	for mode in line none; do
		rm -rf a b "$IMGMAKE_STORE"
		timeout 20 "$IMGMAKE" -j2 "-O$mode" all 2>err 3>&- &
		[ "$mode" = line ] && shown='^b: b1$' || shown='^b1$'
		wait_until grep -q "$shown" err   # while a, which spoke first, is running
		echo >go
		wait "$!"
	done
	fails "-O: 'mixed' is none of target, line, none" imgmake -Omixed all
}

@test "-k: every failed target has its line at the end, and the last one counts" {
	recipe <<-'EOF'
		file "a" { run = "echo why a; exit 1" }
		file "b" { run = "exit 2" }
		image "x" { from = "scratch", copy { "a", to = "/" } }
		image "y" { from = "scratch", copy { "b", "a", to = "/" } }
		image "z" { from = y, write { "/z", "" } }
		image "good" { from = "scratch", write { "/g", "" } }
	EOF
	sed -i 's/^image "y"/local y = image "y"/' Imagefile
	go imgmake -k
	equal "$status" 2
	equal "$(tail -n3 <<<"$stderr" | sort)" "imgmake: 2 targets failed; 3 that need them were not made
imgmake: Imagefile:1: file 'a': its command failed with status 1
imgmake: Imagefile:2: file 'b': its command failed with status 2"
	equal "$(tail -n1 <<<"$stderr")" "imgmake: 2 targets failed; 3 that need them were not made"
	ok imgmake -q good
	fails "file 'b': its command failed with status 2" imgmake -j1 b a
}
