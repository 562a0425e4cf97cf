load helpers

# Where files land and what they become when steps meet links, each other and what is there already; and
# the same contexts through buildah's COPY.

layer_of() {   # TARGET: the last layer's names, links with what they stand for
	exported "$1" >/dev/null || return 1
	blob "out-$1" "$(manifest_of "out-$1" | jq -r '.layers[-1].digest')" | tar --numeric-owner -tvzf - |
		awk '{ $3 = $4 = $5 = ""; print }' | tr -s ' '
}

text_of() {   # TARGET PATH: of the image's last layer
	blob "out-$1" "$(manifest_of "out-$1" | jq -r '.layers[-1].digest')" | tar -xzOf - "$2"
}

@test "a hard link outlives the removal of the name that had the content" {
	mkdir d
	echo one >d/a
	ln d/a d/b
	ln d/a d/c
	recipe <<-'EOF'
		image "x" { from = "scratch", layer { copy { "d", to = "/d" }, remove { "/d/a" } } }
	EOF
	equal "$(layer_of x)" "$(printf '%s\n' 'drwxr-xr-x 0/0 d/' '-rw-r--r-- 0/0 d/b' 'hrw-r--r-- 0/0 d/c link to d/b')"
	equal "$(text_of x d/b)" one
}

@test "a hard link outlives the replacement of the name that had the content" {
	mkdir d
	echo one >d/a
	ln d/a d/b
	recipe <<-'EOF'
		image "x" { from = "scratch", layer { copy { "d", to = "/d" }, write { "/d/a", "two\n" } } }
	EOF
	layer_of x
	equal "$(text_of x d/b)" one
	equal "$(text_of x d/a)" two
}

@test "a hard link stands behind its target also where links of the image lead elsewhere" {
	mkdir -p o/a o/b
	echo one >o/a/x
	ln o/a/x o/b/x
	recipe <<-'EOF'
		local base = stage "base" { from = "scratch", mkdir { "/z" }, symlink { "/a", target = "/z" } }
		image "x" { from = base, copy { "o", to = "/" } }
	EOF
	contains "$(layer_of x)" '^-rw-r--r-- 0/0 b/x$'
	contains "$(layer_of x)" '^hrw-r--r-- 0/0 z/x link to b/x$'
}

@test "hard links of another image stay links, and outlive their first name" {
	mkdir d
	echo one >d/a
	ln d/a d/b
	ln d/a d/c
	recipe <<-'EOF'
		local s = stage "s" { from = "scratch", copy { "d", to = "/d" } }
		image "x" { from = "scratch", layer { copy { "/d", from = s, to = "/d" }, remove "/d/a" } }
	EOF
	contains "$(layer_of x)" '^hrw-r--r-- 0/0 d/c link to d/b$'
	equal "$(text_of x d/b)" one
}

@test "what a later step writes over a file of another image stays" {
	recipe <<-'EOF'
		local s = stage "s" { from = "scratch", write { "/f", "theirs\n" } }
		image "x" { from = "scratch", layer { copy { "/f", from = s, to = "/f" }, write { "/f", "ours\n" } } }
	EOF
	layer_of x
	equal "$(text_of x f)" ours
}

@test "owners are looked up in what the same layer copied, unpacked or removed" {
	mkdir root
	mkdir root/etc
	echo 'app:x:77:78::/:/bin/sh' >root/etc/passwd
	tar -cf root.tar -C root etc
	recipe <<-'EOF'
		local s = stage "s" { from = "scratch", copy { "root", to = "/" } }
		image "copied" { from = "scratch",
		  layer { copy { "/etc/passwd", from = s, to = "/etc/passwd" }, mkdir { "/home", owner = "app" } } }
		image "unpacked" { from = "scratch",
		  layer { unpack { "root.tar", to = "/" }, mkdir { "/home", owner = "app" } } }
		image "linked" { from = "scratch",
		  layer { copy { "root", to = "/lib" }, symlink { "/etc", target = "lib/etc" }, mkdir { "/home", owner = "app" } } }
		image "removed" { from = s, layer { remove "/etc/passwd", mkdir { "/home", owner = "app" } } }
	EOF
	for t in copied unpacked linked; do
		contains "$(layer_of $t)" '^drwxr-xr-x 77/78 home/$'
	done
	fails "no user 'app'" imgmake removed
}

@test "remove: the links in front of a pattern are followed" {
	recipe <<-'EOF'
		local base = stage "base" { from = "scratch", write { "/usr/bin/foo1", "x" },
		  symlink { "/bin", target = "usr/bin" } }
		image "x" { from = base, remove { "/bin/foo*" } }
	EOF
	contains "$(layer_of x)" ' usr/bin/\.wh\.foo1$'
}

@test "remove and put back: a directory comes back empty, a file comes back itself" {
	recipe <<-'EOF'
		local base = stage "base" { from = "scratch", write { "/d/old", "x" }, write { "/f", "x" } }
		image "x" { from = base, layer {
		  remove { "/d", "/f" }, mkdir { "/d" }, write { "/f", "new\n" } } }
	EOF
	equal "$(layer_of x | sed 's/^[^ ]* [^ ]* //')" "$(printf '%s\n' d/ d/.wh..wh..opq f)"
	imgmake export x tar:x.tar
	equal "$(tar -tf x.tar | sort | paste -sd' ')" "d/ f"
}

@test "unpack: hard links to links, a name twice, a directory over a link" {
	mkdir -p r/dir
	ln -s dir r/l
	ln r/l r/m
	echo 1 >r/f
	tar -cf a.tar -C r l m f
	echo 2 >r/f
	rm r/l
	mkdir r/l
	echo in >r/l/in
	tar -rf a.tar -C r l f
	recipe <<-'EOF'
		image "x" { from = "scratch", unpack { "a.tar", to = "/" } }
	EOF
	contains "$(layer_of x)" '^lrwxrwxrwx 0/0 m -> dir$'
	contains "$(layer_of x)" '^drwxr-xr-x 0/0 l/$'
	equal "$(text_of x f)" 2
	equal "$(text_of x l/in)" in
}

@test "a name that begins with .wh. is refused from every step" {
	touch f
	mkdir r
	touch r/.wh.x
	tar -cf a.tar -C r .wh.x
	for step in 'write { "/a/.wh.b", "" }' 'mkdir { "/.wh.b" }' 'symlink { "/.wh.b", target = "x" }' \
	            'copy { "f", to = "/.wh.b" }' 'copy { "r", to = "/" }' 'unpack { "a.tar", to = "/" }'; do
		recipe <<<"image 'x' { from = 'scratch', $step }"
		fails '\.wh\.' imgmake
	done
}

@test "forms of to" {
	echo hello >f
	recipe <<-'EOF'
		local base = stage "base" { from = "scratch", mkdir { "/w", "/real" },
		  symlink { "/tolink", target = "real" }, symlink { "/dangling", target = "/made/here" },
		  symlink { "/filelink", target = "real/file" }, write { "/real/file", "old" } }
		image "x" { from = base, workdir "/w",
		  copy { "f", to = "." }, copy { "f", to = "./a" }, copy { "f", to = "./b/" }, copy { "f", to = "/c/" },
		  copy { "f", to = "/d" }, copy { "f", to = "../e" }, copy { "f", to = "/tolink" },
		  copy { "f", to = "/dangling" }, copy { "f", to = "/filelink" }, copy { "f", to = "/g/." } }
	EOF
	imgmake export x tar:x.tar
	equal "$(tar -tf x.tar | grep -v '/$' | sort | paste -sd' ')" \
		"c/f d dangling e filelink g/f made/here real/f real/file tolink w/a w/b/f w/f"
	equal "$(tar -xOf x.tar real/file)" hello
}

@test "a rule's needs come before it: tasks, images and other rules by name" {
	echo 1 >src
	recipe <<-'EOF'
		local prepare = task "prepare" { run = "echo task >>log; echo gen >gen" }
		local first = file "first" { deps = { "src" }, run = "echo first >>log; cp src first" }
		local img = image "img" { from = "scratch", copy { "src", to = "/" } }
		file "second" { deps = { prepare, first, img }, run = "echo second >>log; cat gen first >second" }
		image "x" { from = "scratch", copy { "second", to = "/" } }
	EOF
	ok imgmake x
	contains "$(paste -sd' ' log)" '^(task first|first task) second$'
	equal "$(cat second | paste -sd' ')" "gen 1"
}

@test "a rule is made again when a rule that it names was" {
	echo 1 >src
	recipe <<-'EOF'
		local first = file "first" { deps = { "src" }, run = "cp src first" }
		file "second" { deps = { first }, run = "cp first second" }
	EOF
	ok imgmake second
	echo 2 >src
	ok imgmake second
	equal "$(cat second)" 2
	ok imgmake why second
	contains "$output" 'second is up to date'
}

@test "-n does not hide a base that is not there" {
	recipe <<<'image "x" { from = base "oci:nowhere:1", write { "/f", "" } }'
	fails 'nowhere' imgmake -n
}

@test "-W takes a name by any spelling" {
	mkdir d
	echo x >d/f
	recipe <<<'image "x" { from = "scratch", copy { "d", to = "/" } }'
	ok imgmake
	for w in d/f ./d/f d/../d/f "$PWD/d/f"; do
		ok imgmake -n -W "$w"
		contains "$output" 'would make image x'
	done
}

@test "steps of one layer are told apart by why" {
	echo 1 >a
	echo 1 >b
	recipe <<-'EOF'
		image "x" { from = "scratch", layer { copy { "a", to = "/a/" }, copy { "b", to = "/b/" } } }
	EOF
	ok imgmake
	echo 2 >b
	ok imgmake why x
	equal "$(wc -l <<<"$output")" 2
	contains "$output" '2 \(copy\): file b'
}

@test "an archive behind a link of the project is unpacked, one outside is not" {
	echo x >f
	mkdir in
	tar -cf in/real.tar f
	ln -s in/real.tar a.tar
	ln -s "$DIR/outside.tar" out.tar
	cp in/real.tar "$DIR/outside.tar"
	recipe <<<'image "x" { from = "scratch", unpack { "a.tar", to = "/" } }'
	ok imgmake
	recipe <<<'image "x" { from = "scratch", unpack { "out.tar", to = "/" } }'
	fails "out.tar leads out of the Imagefile's directory" imgmake
}

files_of_tar() {   # types and names of all but directories that only lead somewhere, files with their text
	mkdir "$2"
	tar -xf "$1" -C "$2"
	(cd "$2" && find . -mindepth 1 \( -type f -printf '%P: ' -exec cat {} \; -o -printf '%y %P %l\n' \) | sort)
}

# One COPY and one copy for each case, each below a directory of its own.
buildah_case() {   # COPY-ARGUMENTS COPY-STEP
	echo "COPY $1" >>Dockerfile
	echo "  copy { $2 }," >>steps
}

@test "copy lands where buildah's COPY does" {
	needs_root
	mkdir -p src/sub/deep src/empty other 'with space'
	for f in a.txt b.txt c.md src/one src/two.txt src/sub/three.txt src/sub/deep/four other/five.txt \
	         'with space/x y'; do
		echo "$f" >"$f"
	done
	ln -s sub/three.txt src/link
	ln -s nowhere src/dangling
	ln -s sub src/dirlink
	printf '%s\n' 'FROM scratch' >Dockerfile
	: >steps
	buildah_case 'a.txt /01/' '"a.txt", to = "/01/"'
	buildah_case 'a.txt /02/x' '"a.txt", to = "/02/x"'
	buildah_case 'a.txt /03/x/' '"a.txt", to = "/03/x/"'
	buildah_case 'a.txt b.txt /04/' '"a.txt", "b.txt", to = "/04/"'
	buildah_case '*.txt /05/' '"*.txt", to = "/05/"'
	buildah_case 'src /06' '"src", to = "/06"'
	buildah_case 'src/ /07/' '"src/", to = "/07/"'
	buildah_case 'src /08/new/er' '"src", to = "/08/new/er"'
	buildah_case 'other/* src/sub/* /09/' '"other/*", "src/sub/*", to = "/09/"'
	buildah_case 'src/sub other /10/' '"src/sub", "other", to = "/10/"'
	buildah_case 'src/s* /11/' '"src/s*", to = "/11/"'
	buildah_case '?.txt /12/' '"?.txt", to = "/12/"'
	buildah_case '[a-b].txt /13/' '"[a-b].txt", to = "/13/"'
	buildah_case '["with space/x y", "/14/"]' '"with space/x y", to = "/14/"'
	buildah_case './src/../a.txt /16/' '"./src/../a.txt", to = "/16/"'
	buildah_case 'src/sub/. /17/' '"src/sub/.", to = "/17/"'
	buildah_case 'src/*/three.txt /18/' '"src/s*/three.txt", to = "/18/"'
	buildah_case 'a.txt /19/../19b/./y' '"a.txt", to = "/19/../19b/./y"'
	echo 'WORKDIR /20' >>Dockerfile
	echo '  workdir "/20",' >>steps
	buildah_case 'a.txt .' '"a.txt", to = "."'
	buildah_case 'b.txt ./in/' '"b.txt", to = "./in/"'
	buildah_case 'c.md c2.md' '"c.md", to = "c2.md"'
	buildah_case 'src/sub ../21' '"src/sub", to = "../21"'
	{ echo 'image "x" { from = "scratch",'; cat steps; echo '}'; } >Imagefile
	printf '%s\n' Dockerfile Imagefile steps home >.dockerignore
	bud bud -q --isolation chroot -t localhost/x . >&2
	bud push -q localhost/x oci-archive:theirs.tar:x >&2
	imgmake export x tar:ours.tar
	imgmake export oci-archive:theirs.tar tar:theirs-flat.tar
	equal "$(files_of_tar ours.tar "$DIR/ours")" "$(files_of_tar theirs-flat.tar "$DIR/theirs")"
}
