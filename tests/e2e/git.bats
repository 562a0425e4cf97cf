load helpers

# Repositories of git, from real servers on loopback: git http-backend, with and without TLS, and git-upload-pack.

setup_file() {
	load helpers
	SERVED=$(new_dir)
	export SERVED
	unset GIT_DIR
	make_repository >&2
	start_git plain
	"$REPO_ROOT/tests/servers/make_certs.sh" "$SERVED/certs" >/dev/null
	start_git tls --cert "$SERVED/certs/server.crt" --key "$SERVED/certs/server.key" \
		--auth "Basic $(printf x-access-token:hush-hush | base64)"
	start_git dumb --dumb
}

teardown_file() {
	local p
	for p in "$SERVED"/*.pid; do
		kill "$(cat "$p")"
	done
	rm -rf "$SERVED"
}

start_git() {   # NAME [OPTION…]
	local name=$1
	shift
	python3 "$REPO_ROOT/tests/servers/git_server.py" --root "$SERVED/repos" --port-file "$SERVED/$name.port" "$@" \
		>"$SERVED/$name.log" 2>&1 3>&- &
	echo $! >"$SERVED/$name.pid"
	wait_until test -s "$SERVED/$name.port"
}

commit() {   # MESSAGE: all that is in $SERVED/work
	git -C "$SERVED/work" add -A
	git -C "$SERVED/work" -c user.name=t -c user.email=t@example.com commit -qm "$1"
}

# In repos/a.git: the annotated tag v1, one commit behind main; the branch "side/x"; a submodule on the branch "sub".
make_repository() {
	local w=$SERVED/work
	git init -q --bare -b main "$SERVED/repos/a.git"
	git init -q -b main "$w"
	mkdir -p "$w/docs/deep"
	echo one >"$w/one"
	chmod +x "$w/one"
	ln -s one "$w/link"
	echo text >"$w/docs/deep/text"
	printf 'a\nb\n' >"$w/dos.txt"
	printf '*.txt text eol=crlf\nsecret filter=evil\n*.nope export-ignore\n' >"$w/.gitattributes"
	echo x >"$w/secret"
	echo kept >"$w/x.nope"
	commit first
	git -C "$w" -c user.name=t -c user.email=t@example.com tag -a -m "version 1" v1
	echo more >"$w/more"
	commit second
	git -C "$w" checkout -q -b side/x
	echo side >"$w/side"
	commit side
	git -C "$w" checkout -q -b sub
	mkdir "$w/inner"
	git -C "$w" update-index --add --cacheinfo "160000,$(git -C "$w" rev-parse HEAD),inner"
	git -C "$w" -c user.name=t -c user.email=t@example.com commit -qm submodule
	git -C "$w" push -q "$SERVED/repos/a.git" main side/x sub v1
	git -C "$SERVED/repos/a.git" update-server-info
}

url() {   # [NAME]
	local scheme=http
	[ "${1:-plain}" != tls ] || scheme=https
	echo "$scheme://localhost:$(cat "$SERVED/${1:-plain}.port")/a.git"
}

hash_of() {   # REVISION
	git -C "$SERVED/repos/a.git" rev-parse "$1^{commit}"
}

bare_commit() {   # PARENT TREE: a commit that nothing points at
	git -C "$SERVED/repos/a.git" -c user.name=t -c user.email=t@example.com commit-tree -p "$1" -m "of $2" "$2^{tree}"
}

dockerfile() {
	{ echo FROM scratch; cat; } >Dockerfile
}

exported_dir() {
	rm -rf d
	ok imgmake export -f Dockerfile default dir:d "$@"
}

# Of the Dockerfile's last stage.
layers_now() {
	rm -rf now
	imgmake export -f Dockerfile default oci:now >&2
	manifest_of now | jq -c '[.layers[].digest]'
}

# What git itself makes of a revision, with what it is not: names, modes, contents.
as_git_has() {   # REVISION DIRECTORY
	git -C "$SERVED/repos/a.git" worktree add -q --detach "$PWD/theirs" "$1"
	rm theirs/.git
	git -C "$SERVED/repos/a.git" worktree prune
	equal "$(tree_of "$2")" "$(tree_of theirs)"
	rm -rf theirs
}

tree_of() {
	(cd "$1" && find . -mindepth 1 ! -path './.git*/*' ! -name .git -printf '%P %y %m %l\n' | sort &&
		find . -type f ! -path './.git/*' -exec sha256sum {} + | sort -k2)
}

@test "branches, tags, commits, the default branch and directories, as git checks them out" {
	dockerfile <<-EOF
		ADD $(url) /head
		ADD $(url)#v1 /tag/
		ADD $(url)#side/x /branch
		ADD $(url)#$(hash_of v1) /commit
		ADD $(url)#main:docs/deep /deep
		ADD $(url)#:docs /docs
		ADD $(url)?tag=v1&subdir=docs /query
		ADD $(url)?branch=side/x&commit=$(hash_of side/x) /both
		ADD --chown=12:34 --chmod=640 --exclude=* --exclude=!*.txt $(url)#v1 /some
	EOF
	exported_dir
	as_git_has main d/head
	as_git_has v1 d/tag
	as_git_has side/x d/branch
	as_git_has v1 d/commit
	as_git_has side/x d/both
	equal "$(cat d/deep/text)" text
	equal "$(ls d/docs d/query)" "$(printf 'd/docs:\ndeep\n\nd/query:\ndeep')"
	equal "$(cd d/some && find . -mindepth 1)" ./dos.txt
	[ "$(id -u)" != 0 ] || equal "$(what d/some/dos.txt)" "640 12:34 regular file"
	equal "$(stat -c %Y d/head/one)" 315619200
	store_is_whole
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "a commit that its branch has left behind comes from servers that give only what is pointed at" {
	local first
	start_git old --old
	first=$(bare_commit main v1)
	git -C "$SERVED/repos/a.git" branch -f left "$first"
	dockerfile <<-EOF
		ADD $(url old)#left /x
	EOF
	ok imgmake build -f Dockerfile
	git -C "$SERVED/repos/a.git" branch -f left "$(bare_commit "$first" main)"
	rm -rf "$IMGMAKE_STORE"
	exported_dir
	as_git_has "$first" d/x
}

@test "an annotated tag in the short form tags/NAME is its commit" {
	dockerfile <<-EOF
		ADD --keep-git-dir=true $(url)#tags/v1 /x
	EOF
	exported_dir
	as_git_has v1 d/x
	equal "$(git -C d/x describe)" v1
	equal "$(jq -r '.git[].commit' Imagefile.lock)" "$(hash_of v1)"
}

@test "two images that ask for a branch just while it moves get the same commit" {
	git -C "$SERVED/repos/a.git" branch -f racing v1
	local made
	start_git racing --old --moving "refs/heads/racing=$(hash_of main)"
	recipe <<-LUA
		local src = { "$(url racing)", git = true, ref = "racing", to = "/" }
		image "one" { from = "scratch", add(src) }
		image "two" { from = "scratch", add(src), config { labels = { a = "b" } } }
	LUA
	ok imgmake one two
	made=$(grep -h ' is sha256:' <<<"$output$stderr" | sort)
	ok imgmake --always-make one two
	equal "$(grep -h ' is sha256:' <<<"$output$stderr" | sort)" "$made"
}

@test "what is built is asked for no more, and a branch that moved moves with --lock=update" {
	dockerfile <<-EOF
		ADD $(url)#moving /x
	EOF
	git -C "$SERVED/repos/a.git" branch -f moving v1
	exported_dir
	[ ! -e d/x/more ]
	equal "$(jq -r --arg u "$(url)#moving" '.git[$u].commit' Imagefile.lock)" "$(hash_of v1)"
	git -C "$SERVED/repos/a.git" branch -f moving main
	before=$(wc -l <"$SERVED/plain.log")
	exported_dir
	[ ! -e d/x/more ]
	equal "$(wc -l <"$SERVED/plain.log")" "$before"
	ok imgmake -f Dockerfile -q
	rm -rf "$IMGMAKE_STORE"   # another machine
	exported_dir --lock=strict
	[ ! -e d/x/more ]
	exported_dir --lock=update
	equal "$(cat d/x/more)" more
	equal "$(jq -r --arg u "$(url)#moving" '.git[$u].commit' Imagefile.lock)" "$(hash_of main)"
	rm Imagefile.lock
	fails "Dockerfile:2: .*#moving is not in Imagefile.lock; give commit =" imgmake -f Dockerfile --lock=strict
}

@test "a plan writes nothing and fetches nothing" {
	dockerfile <<-EOF
		ADD $(url)#v1 /x
	EOF
	before=$(wc -l <"$SERVED/plain.log")
	ok imgmake -f Dockerfile -n
	contains "$output$stderr" "would make image stage-0"
	equal "$(($(wc -l <"$SERVED/plain.log") - before))" 2   # what refs there are
	[ ! -e Imagefile.lock ]
	[ ! -e "$IMGMAKE_STORE/blobs" ]
}

@test "--checksum is the commit, and a ref that means another one is refused" {
	dockerfile <<-EOF
		ADD --checksum=$(hash_of v1) $(url)#v1 /x
		ADD --checksum=$(hash_of v1) $(url) /y
	EOF
	exported_dir
	as_git_has v1 d/x
	as_git_has v1 d/y
	rm -rf "$IMGMAKE_STORE"
	dockerfile <<-EOF
		ADD --checksum=$(hash_of v1) $(url)#v1 /x
	EOF
	exported_dir
	[ ! -e Imagefile.lock ] || equal "$(jq '.git // {} | length' Imagefile.lock)" 0
	as_git_has v1 d/x
	dockerfile <<-EOF
		ADD --checksum=$(hash_of v1) $(url)#main /x
	EOF
	fails "main is the commit $(hash_of main) now, but the recipe says $(hash_of v1)" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD --checksum=$(hash_of v1 | cut -c1-12) $(url)#v1 /x
	EOF
	fails "Dockerfile:2: ADD: --checksum=.*: expected all the hexadecimal digits of a commit's hash" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD $(url)#$(printf '0%.0s' {1..40}) /x
	EOF
	fails "Dockerfile:2: .*0000" imgmake -f Dockerfile
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "--keep-git-dir: a clean working tree, the same bytes whatever the server sends" {
	dockerfile <<-EOF
		ADD --keep-git-dir=true $(url)#v1 /tag
		ADD --keep-git-dir $(url)?branch=side/x /branch
		ADD $(url)?ref=main&keep-git-dir=1 /query
		ADD --keep-git-dir $(url)#main:docs /none
	EOF
	ok imgmake -f Dockerfile
	first=$(layers_now)
	exported_dir
	chown -R "$(id -u)" d
	for x in tag branch query; do
		equal "$(git -C "d/$x" status --porcelain)" ""
		equal "$(git -C "d/$x" rev-list --count HEAD)" 1
		equal "$(git -C "d/$x" config remote.origin.url)" "$(url)"
	done
	equal "$(git -C d/tag describe)" v1
	equal "$(git -C d/branch rev-parse side/x)" "$(hash_of side/x)"
	equal "$(git -C d/branch rev-parse HEAD)" "$(hash_of side/x)"
	[ ! -e d/none/.git ]
	ok git -C d/branch fsck
	rm -rf "$IMGMAKE_STORE" Imagefile.lock
	git -C "$SERVED/repos/a.git" repack -qadf --depth=1
	equal "$(layers_now)" "$first"
}

@test "a server of plain files, which gives all or nothing" {
	dockerfile <<-EOF
		ADD --keep-git-dir $(url dumb)#side/x /x
		ADD --keep-git-dir $(url)#side/x /y
	EOF
	exported_dir
	as_git_has side/x d/x
	equal "$(cd d/x/.git && sha256sum objects/pack/* index HEAD shallow)" \
		"$(cd d/y/.git && sha256sum objects/pack/* index HEAD shallow)"
}

@test "by https with an authority of one's own, and a token that nothing keeps" {
	dockerfile <<-EOF
		ADD --keep-git-dir $(url tls)#v1 /x
	EOF
	fails "fetch|read .*certificate" imgmake -f Dockerfile
	unset GIT_SSL_CAINFO
	export SSL_CERT_FILE=$SERVED/certs/ca.crt
	fails "Dockerfile:2: .*read https.*: could not read Username|Authentication failed" imgmake -f Dockerfile
	echo hush-hush >token
	exported_dir --secret GIT_AUTH_TOKEN=token --progress=plain
	as_git_has v1 d/x
	lacks "$output$stderr$(cat Imagefile.lock)" hush
	! grep -rqF hush "$IMGMAKE_STORE" d
	rm -rf "$IMGMAKE_STORE"
	printf 'Basic %s\n' "$(printf x-access-token:hush-hush | base64)" >header
	ok imgmake -f Dockerfile --secret GIT_AUTH_HEADER=header
	rm -rf "$IMGMAKE_STORE"
	ok imgmake -f Dockerfile --secret GIT_AUTH_TOKEN=env:HOME --secret GIT_AUTH_TOKEN.localhost=token
}

@test "redirects: a token is told to nobody else" {
	start_git elsewhere --elsewhere "http://127.0.0.1:$(cat "$SERVED/plain.port")"
	git -C "$SERVED/repos" clone -q --bare a.git led.git
	dockerfile <<-EOF
		ADD $(url elsewhere | sed 's/a.git/led.git/') /x
	EOF
	echo hush-hush >token
	fails "error: 302: it is elsewhere.* write its new address" imgmake -f Dockerfile --secret GIT_AUTH_TOKEN=token
	lacks "$(cat "$SERVED/plain.log")" led.git
	ok imgmake -f Dockerfile
	contains "$(cat "$SERVED/plain.log")" led.git
}

@test "what a killed process of our number left is in nobody's way" {
	dockerfile <<-EOF
		ADD $(url)#v1 /x
	EOF
	imgmake list -f Dockerfile >/dev/null
	mkdir -p "$IMGMAKE_STORE/tmp"
	exec 8>>"$IMGMAKE_STORE/lease"
	flock -s 8   # another one has the store open: nothing is swept away
	# shellcheck disable=SC2016 # the inner shell's number is that of what it becomes
	ok sh -c 'mkdir "$IMGMAKE_STORE/tmp/git.$$.0" "$IMGMAKE_STORE/tmp/git.$$.1"; exec "$@"' sh "$IMGMAKE" -f Dockerfile
	exec 8>&-
}

@test "by ssh" {
	cat >ssh <<-EOF
		#!/bin/sh
		# What sshd would do for the account "git", without the network.
		[ "\$1" != -o ] || shift 2
		[ "\$1" = git@example.invalid ] || { echo "ssh: Could not resolve hostname \$1" >&2; exit 255; }
		cd "$SERVED/repos" && exec sh -c "\$2"
	EOF
	chmod +x ssh
	export GIT_SSH_COMMAND=$PWD/ssh
	dockerfile <<-EOF
		ADD git@example.invalid:a.git#v1 /x
		ADD ssh://git@example.invalid/$SERVED/repos/a.git#v1:docs /y
	EOF
	exported_dir
	as_git_has v1 d/x
	equal "$(ls d/y)" deep
	dockerfile <<-EOF
		ADD git@elsewhere.invalid:a.git /x
	EOF
	fails "Dockerfile:2: .*read git@elsewhere.invalid:a.git: ssh: Could not resolve hostname git@else" imgmake -f Dockerfile
}

@test "submodules are refused, unless they are to be empty" {
	dockerfile <<-EOF
		ADD $(url)#sub /x
	EOF
	fails "Dockerfile:2: .*inner is a submodule, and those are not fetched" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD $(url)?branch=sub&submodules=false /x
		ADD $(url)#sub:docs /y
	EOF
	exported_dir
	[ -d d/x/inner ]
	equal "$(ls -A d/x/inner)" ""
}

@test "a hostile repository: no configuration, no hook, no link out" {
	git init -q -b main evil
	cd evil
	echo evil >secret
	echo "secret filter=evil" >.gitattributes
	ln -s /etc out
	ln -s ../.. up
	: >.wh.gone
	git add -A
	git -c user.name=t -c user.email=t@example.com commit -qm evil
	git push -q "$SERVED/repos/a.git" main:evil
	rm .wh.gone
	git add -A
	git -c user.name=t -c user.email=t@example.com commit -qm "less evil"
	git push -q "$SERVED/repos/a.git" main:less
	cd ..
	# What could run, if any configuration but ours counted.
	mkdir -p "$HOME"
	git config --global filter.evil.smudge "touch $PWD/ran"
	git config --global core.hooksPath "$PWD/hooks"
	git config --global url.file:///.insteadOf http://
	mkdir hooks
	printf '#!/bin/sh\ntouch %s/ran\n' "$PWD" >hooks/post-checkout
	chmod +x hooks/post-checkout
	git init -q .
	git config url.file:///.insteadOf http://
	dockerfile <<-EOF
		ADD $(url)#evil /x
	EOF
	fails "Dockerfile:2: .*\.wh\.gone: a name that begins with .wh. would delete" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD $(url)#less /x
	EOF
	exported_dir
	equal "$(cat d/x/secret)" evil
	equal "$(readlink d/x/out) $(readlink d/x/up)" "/etc ../.."
	[ ! -e ran ]
	for sub in out up nothing one; do
		dockerfile <<-EOF
			ADD $(url)#less:$sub /x
		EOF
		fails "Dockerfile:2: .*has no directory $sub" imgmake -f Dockerfile
	done
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "a named context may be a repository" {
	cat >Dockerfile <<-'EOF'
		FROM scratch
		COPY --from=src docs /docs
		COPY --from=src one /bin/
		FROM src
		COPY --from=0 / /copied
	EOF
	exported_dir --build-context "src=$(url)#v1"
	equal "$(cat d/copied/docs/deep/text) $(cat d/copied/bin/one) $(cat d/one)" "text one one"
	equal "$(jq -r --arg u "$(url)#v1" '.git[$u].commit' Imagefile.lock)" "$(hash_of v1)"
	fails "Dockerfile:2: .*read git@127.0.0.1:a.git: " \
		env GIT_SSH_COMMAND=false "$IMGMAKE" -f Dockerfile --build-context src=git@127.0.0.1:a.git
	fails "Dockerfile:2: COPY: the context 'src': git://h/a.git: .*https or ssh" \
		imgmake -f Dockerfile --build-context src=git://h/a.git
	fails "Dockerfile:2: COPY: .*only directories, docker-image://, oci-layout:// and repositories of git" \
		imgmake -f Dockerfile --build-context src=https://h/a.tar
	local commit
	for commit in abc --upload-pack=x "$(printf 'a%.0s' {1..300})"; do
		fails "a.git: '$commit' is no commit: write all the digits" \
			imgmake -f Dockerfile --build-context "src=$(url)?commit=$commit"
	done
}

@test "a recipe says the same, and a converted Dockerfile too" {
	recipe <<-EOF
		image "x" { from = "scratch",
		  add { "$(url)", git = true, ref = "v1", commit = "$(hash_of v1)", to = "/x", exclude = { "docs" } },
		  add { "$(url)", git = true, subdir = "docs", to = "/y", keep_git_dir = true },
		}
	EOF
	ok imgmake export x dir:d
	[ ! -e d/x/docs ]
	equal "$(cat d/y/deep/text)" text
	dockerfile <<-EOF
		ARG V=v1
		ADD --chown=1:2 --exclude=docs $(url)#\$V /x
		ADD --keep-git-dir $(url)?branch=sub&submodules=false /y
		ADD --checksum=$(hash_of v1) $(url)#v1:docs /z
	EOF
	before=$(layers_now)
	rm Imagefile
	ok imgmake convert -o Imagefile
	contains "$(cat Imagefile)" 'git = true'
	ok imgmake export "$(sed -nE 's/.*image "([^"]*)".*/\1/p' Imagefile)" oci:out
	equal "$(manifest_of out | jq -c '[.layers[].digest]')" "$before"
}

@test "mistakes" {
	refused() {   # PATTERN ADD…
		printf 'FROM scratch\n%s\n' "$2" >Dockerfile
		fails "Dockerfile:2: .*$1" imgmake -f Dockerfile
	}
	refused "ADD: git://h/a.git: .*by https or ssh" "ADD git://h/a.git /x"
	refused "ADD: http://.*by https or ssh" "ADD http://example.com/a.git /x"
	refused "give --secret GIT_AUTH_TOKEN" "ADD https://me:pass@example.com/a.git /x"
	refused "unexpected query 'brunch', did you mean 'branch'" "ADD https://example.com/a.git?brunch=x /x"
	refused "names more than one ref" "ADD https://example.com/a.git?tag=x&branch=y /x"
	refused "'--upload-pack=x' is no name of a branch" "ADD https://example.com/a.git#--upload-pack=x /x"
	refused "it needs a host and a path" "ADD ssh://-oProxyCommand=x/a.git /x"
	refused "no branch or tag 'nope'" "ADD $(url)#nope /x"
	refused "has no directory nope" "ADD $(url)#v1:nope /x"
	refused "read http.*not found" "ADD $(url | sed s/a.git/b.git/) /x"
	refused "COPY: the source can't be a git ref" "COPY https://example.com/a.git /x"
	recipe <<-EOF
		image "x" { from = "scratch", add { "ext::sh -c id", git = true, to = "/x" } }
	EOF
	fails "Imagefile:1: add: 'ext::sh -c id' has blanks" imgmake
	recipe <<-EOF
		image "x" { from = "scratch", add { "$(url)", git = true, commit = "abc", to = "/x" } }
	EOF
	fails "Imagefile:1: add: .*commit.*all the hexadecimal digits" imgmake
	recipe <<-EOF
		image "x" { from = "scratch", add { "$(url)", git = true, sha256 = "abc", to = "/x" } }
	EOF
	fails "Imagefile:1: add: .*sha256" imgmake
	dockerfile <<-EOF
		ADD $(url)#v1 /x
	EOF
	mkdir bin
	fails "there is no git on this machine" env PATH="$PWD/bin" "$IMGMAKE" -f Dockerfile
}
