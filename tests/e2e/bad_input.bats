load helpers

# Each is one line, exit status 2, and leaves nothing half-written.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

teardown() {
	store_is_whole
	[ ! -e Imagefile.lock ]
	teardown_test
}

bad() {   # PATTERN OPTION…: the recipe on standard input
	local pattern=$1
	shift
	recipe
	fails "$pattern" timeout 60 "$IMGMAKE" "$@"
}

@test "no Imagefile" {
	fails 'Imagefile' imgmake
}

@test "a directory that does not exist" {
	fails 'nowhere' imgmake -C nowhere
}

@test "an unknown option" {
	recipe <<<'image "x" { from = "scratch" }'
	fails 'no-such-option' imgmake --no-such-option
	fails '-j' imgmake -j many
}

@test "an unknown target has a suggestion" {
	bad "wbe.*web" wbe <<-'EOF'
		image "web" { from = "scratch", write { "/a", "" } }
	EOF
}

@test "an unknown variable on the command line has a suggestion" {
	bad "VERSOIN.*VERSION" VERSOIN=1 <<-'EOF'
		local v = var { "VERSION", default = "1" }
		image "web" { from = "scratch", write { "/a", v } }
	EOF
}

@test "a missing file" {
	bad "Imagefile:3: image 'x': copy: nope\.txt: no such file" <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "nope.txt", to = "/" },
		}
	EOF
}

@test "a pattern that matches nothing" {
	bad 'Imagefile:1: .*\*\.nope' <<-'EOF'
		image "x" { from = "scratch", copy { "*.nope", to = "/" } }
	EOF
}

@test "a file above the Imagefile" {
	echo secret >../secret
	bad 'Imagefile:1: .*\.\./secret' <<-'EOF'
		image "x" { from = "scratch", copy { "../secret", to = "/" } }
	EOF
}

@test "a link that leads out of the project is not followed" {
	ln -s / out
	bad 'Imagefile:1: .*out/etc/passwd' <<-'EOF'
		image "x" { from = "scratch", copy { "out/etc/passwd", to = "/" } }
	EOF
}

@test "a misspelt name has a suggestion" {
	bad "Imagefile:2: .*'imgae'.*'image'" <<-'EOF'
		local a = 1
		imgae "x" {}
	EOF
}

@test "a misspelt option of a step" {
	bad "Imagefile:1: .*'?ot'?.*to" <<-'EOF'
		image "x" { from = "scratch", copy { "a", ot = "/" } }
	EOF
}

@test "a misspelt property of a target" {
	bad "Imagefile:1: .*form.*from" <<-'EOF'
		image "x" { from = "scratch", form = base "scratch" }
	EOF
}

@test "a syntax error" {
	bad 'Imagefile:3: ' <<-'EOF'
		image "x" {
		  from = "scratch",
		  copy { "a" to = "/" },
		}
	EOF
}

@test "bytecode" {
	printf '\x1bLua\x54\x00\x19\x93\r\n\x1a\n' >Imagefile
	fails 'Imagefile' imgmake
}

@test "an error of the recipe's own, with its line" {
	bad 'Imagefile:2: services need an owner' <<-'EOF'
		local owner = nil
		if not owner then error "services need an owner" end
	EOF
}

@test "an error in an imported file names that file" {
	mkdir sub
	echo 'image "a" { from = "scratch", copy { "nope", to = "/" } }' >sub/Imagefile
	bad 'sub/Imagefile:1: .*nope' <<<'import "sub"'
}

@test "an endless loop, in the open, behind pcall and in a coroutine-like retry" {
	bad 'Imagefile' <<<'while true do end'
	bad 'Imagefile' <<<'while true do pcall(function() while true do end end) end'
}

@test "a pattern that runs for ever" {
	bad 'Imagefile|time' <<<'local s = ("a"):rep(200000); s:find((".-"):rep(200) .. "b")'
}

@test "a string of 2 GB, a table without end, a recursion without end" {
	bad 'memory|too (large|long|big)|string' <<<'local s = ("x"):rep(2^31)'
	bad 'memory' <<<'local t = {} for i = 1, 1e12 do t[i] = ("y"):rep(1000) .. i end'
	bad 'Imagefile:1|overflow|deep' <<<'local function f() return 1 + f() end f()'
}

@test "what a recipe cannot see" {
	bad "'?io'?" <<<'io.open("/etc/passwd")'
	bad "'?os'?" <<<'os.execute("true")'
	bad "'?load'?" <<<'load("return 1")()'
	bad "'?debug'?" <<<'debug.getinfo(1)'
	bad "'?package'?" <<<'package.loadlib("x", "y")'
	bad '/etc/passwd' <<<'image "x" { from = "scratch", write { "/a", read "/etc/passwd" } }'
	bad 'passwd' <<<'image "x" { from = "scratch", write { "/a", read "../../../../../etc/passwd" } }'
}

@test "imports in a circle" {
	mkdir a b
	echo 'import "../b"' >a/Imagefile
	echo 'import "../a"' >b/Imagefile
	bad '(a|b)/Imagefile:1: .*(a|b)' <<<'import "a"'
	bad 'Imagefile:1: ' <<<'import "."'
}

@test "rules in a circle" {
	bad 'a.*b|b.*a' a <<-'EOF'
		file "a" { deps = { "b" }, run = { "touch a" } }
		file "b" { deps = { "a" }, run = { "touch b" } }
	EOF
}

@test "a name twice, a command's name, a name of odd letters" {
	bad "Imagefile:2: .*'x'" <<-'EOF'
		image "x" { from = "scratch", write { "/a", "" } }
		image "x" { from = "scratch", write { "/b", "" } }
	EOF
	bad "deploy" <<<'image "deploy" { from = "scratch" }'
	bad "Imagefile:1" <<<'image "a b\n" { from = "scratch" }'
}

@test "two targets that publish the same tag" {
	bad 'registry\.example\.com/app.*1\.2|1\.2.*registry\.example\.com/app' <<-'EOF'
		image "a" { from = "scratch", publish = { "registry.example.com/app", version = "1.2.3" } }
		image "b" { from = "scratch", publish = { "registry.example.com/app", version = "1.2.3" } }
	EOF
}

@test "references that are none" {
	bad 'Imagefile:1: .*UPPER' <<<'image "x" { from = base "localhost:5000/UPPER" }'
	bad 'Imagefile:1: ' <<<'image "x" { from = base "a//b" }'
	bad 'Imagefile:1: ' <<<'image "x" { from = base "a@sha256:123" }'
	bad 'Imagefile:1: ' <<<'image "x" { from = base "" }'
}

@test "a registry that is not there" {
	bad 'localhost:1/x|localhost:1' <<<'image "x" { from = base "localhost:1/x:1" }'
}

@test "a repository and a tag that are not there" {
	bad "$REGISTRY/nothing" <<<"image \"x\" { from = base \"$REGISTRY/nothing:1\" }"
	seed "$(repo)" 1
	bad "app:2" <<<"image \"x\" { from = base \"$(repo):2\" }"
}

@test "a digest that the registry does not have" {
	seed "$(repo)" 1
	local d
	d=sha256:$(printf '0%.0s' {1..64})
	bad "000000" <<<"image \"x\" { from = base \"$(repo)@$d\" }"
}

@test "a layout that is none, and one whose blob is wrong" {
	bad 'nowhere' <<<'image "x" { from = base "oci:nowhere" }'
	mkdir empty
	bad 'empty' <<<'image "x" { from = base "oci:empty" }'
	cp -r "$PREPARED/busybox" bb
	local layer
	layer=$(manifest_of bb | jq -r '.layers[0].digest')
	printf x | dd of="bb/blobs/${layer/://}" bs=1 seek=5000 conv=notrunc 2>/dev/null
	bad "${layer:7:12}" export x tar:o.tar <<<'image "x" { from = base "oci:bb", copy { "Imagefile", to = "/bin/" } }'
	[ ! -e o.tar ]
	truncate -s 5000 "bb/blobs/${layer/://}"
	bad "${layer:7:12}" export x tar:o.tar <<<'image "x" { from = base "oci:bb", copy { "Imagefile", to = "/bin/" } }'
	[ ! -e o.tar ]
}

@test "a blob cut short in the registry's storage" {
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	local layer file
	layer=$(skopeo inspect --tls-verify=false --raw "docker://$(repo base):1" | jq -r '.layers[0].digest')
	file=$REGISTRIES/open/data/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer:7}/data
	cp "$file" "$DIR/whole"
	truncate -s 1000 "$file"
	recipe <<-EOF
		image "x" { from = base "$(repo base):1", copy { "Imagefile", to = "/bin/" } }
	EOF
	# The lock may be written: the digest is what the registry said.
	fails "${layer:7:12}" imgmake export x oci:out
	rm -f Imagefile.lock
	[ ! -e out ]
	cp "$DIR/whole" "$file"
	ok imgmake export x oci:out
	rm -f Imagefile.lock
}

@test "an archive that is none" {
	head -c 5000 /dev/urandom >r.tar
	bad 'Imagefile:1: .*r\.tar' <<<'image "x" { from = "scratch", unpack { "r.tar", to = "/" } }'
}

@test "an archive that climbs out" {
	mkdir t
	echo x >evil
	(cd t && tar -Pcf ../r.tar ../evil)
	bad 'r\.tar.*evil' <<<'image "x" { from = "scratch", unpack { "r.tar", to = "/" } }'
}

@test "a damaged lock file" {
	echo '{ "imgmake": 1, "bases": ' >Imagefile.lock
	bad 'Imagefile\.lock' <<<"image \"x\" { from = base \"$REGISTRY/x:1\" }"
	rm Imagefile.lock
}

@test "an export to a place that is taken or cannot be" {
	recipe <<<'image "x" { from = "scratch", write { "/a", "" } }'
	touch taken
	fails 'taken' imgmake export x dir:taken
	fails 'nowhere' imgmake export x tar:nowhere/o.tar
	fails 'nonsense' imgmake export x nonsense:o
}
