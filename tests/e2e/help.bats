load helpers

# imgmake help: commands, and what the manual pages say by topic.

@test "a step, an option and a section of the manual" {
	ok imgmake help sbom
	contains "$output" '^Imagefile\(5\): sbom "path" \{ image =, platform = \}$'
	ok imgmake help apt.install
	contains "${lines[0]}" '^Imagefile\(5\): apt.install \{ '
	ok imgmake help cache-key
	contains "$output" '^imgmake\(1\): --cache-key file$'
	ok imgmake help 'tag families'
	contains "$output" '^imgmake\(1\): TAG FAMILIES$'
	ok imgmake help copy
	contains "$output" '^Usage: imgmake copy'
	contains "$output" '^Imagefile\(5\): copy \{ '
}

@test "the text is that of the manual page, whole, within 80 columns and without its macros" {
	local words page
	for words in publishing isolation npm.build environment examples; do
		ok imgmake help "$words"
		lacks "$(grep -v '^Usage' <<<"$output")" '(^|[^-A-Za-z."/])\.?(Cm|Ic|Qq|Pa|Ns|Brq|Fl|Ar|Op|Xr) '
		lacks "$output" $'[\001-\010]|\\\\&'
	done
	# As mandoc reads it, but for where lines break.
	command -v mandoc >/dev/null || skip "mandoc is not installed"
	for page in 'Imagefile.5 publishing PUBLISHING' 'Imagefile.5 packages PACKAGES' 'imgmake.1 environment ENVIRONMENT'; do
		read -r page words title <<<"$page"
		equal "$(imgmake help "$words" | tail -n +2 | tr -d ' \n')" \
			"$(mandoc -T ascii -O width=200 "$REPO_ROOT/docs/$page" | col -bx |
				sed -n "/^$title\$/,/^[A-Z]/{/^[A-Z]/!p}" | tr -d ' \n' | tr '`' "'")"
	done
}

@test "every topic that is listed is found, and what is none names the nearest" {
	local topic
	ok imgmake help topics
	[ "$(tr ',' '\n' <<<"$output" | wc -l)" -gt 100 ]
	while read -r topic; do
		imgmake help "$topic" >/dev/null || { echo "not found: $topic"; return 1; }
	done < <(tr '\n' ' ' <<<"$output" | sed 's/, */\n/g; s/ *$/\n/')
	fails "no command or topic 'apt.instal', did you mean 'apt.install'\?" imgmake help apt.instal
	fails "imgmake help topics" imgmake help xyzzyxyzzy
}
