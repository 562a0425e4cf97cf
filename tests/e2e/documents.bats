# Configurations and manifests of images that are up to date are not written again, and are there all the same.
load helpers

blob() {   # DIGEST: its file
	echo "$IMGMAKE_STORE/blobs/sha256/${1#sha256:}"
}

root_of() {   # TARGET
	imgmake plan --json "$1" | jq -r '.[] | select(.target == "'"$1"'") | .digest'
}

built() {
	imgmake build "$@" >said 2>&1 || { cat said; return 1; }
}

@test "a manifest and a configuration that are gone are written anew, the same" {
	recipe <<-'EOF'
		image "x" { from = "scratch", env { A = "b" }, write { "/f", "text" } }
	EOF
	built
	root=$(root_of x)
	config=$(jq -r .config.digest "$(blob "$root")")
	built
	grep -q "nothing to do" said
	for lost in "$root" "$config"; do
		rm "$(blob "$lost")"
		built
		[ "sha256:$(sha256sum <"$(blob "$lost")" | cut -d ' ' -f 1)" = "$lost" ]
		grep -q "nothing to do" said
	done
	[ "$(root_of x)" = "$root" ]
	imgmake fsck
}

@test "a plan knows the digest, and a build that changes nothing writes nothing" {
	recipe <<-'EOF'
		local a = image "a" { from = "scratch", write { "/f", "text" } }
		image "b" { from = a, env { A = "b" } }
	EOF
	built
	imgmake plan --json | jq -r '.[].digest' >first
	built
	before=$(sha256sum "$IMGMAKE_STORE/state.mdb")
	built
	[ "$(sha256sum "$IMGMAKE_STORE/state.mdb")" = "$before" ]
	imgmake plan --json | jq -r '.[].digest' | diff - first
	rm -rf "$IMGMAKE_STORE"
	built
	imgmake plan --json | jq -r '.[].digest' | diff - first
}

@test "annotations alone make another manifest of the same result, and both are remembered" {
	recipe <<-'EOF'
		local note = var { "NOTE", default = "one" }
		image "x" { from = "scratch", write { "/f", "text" }, annotations = { note = note } }
		image "y" { from = "scratch", write { "/f", "text" }, annotations = { note = "two" } }
	EOF
	built
	x=$(root_of x) y=$(root_of y)
	[ "$x" != "$y" ]
	[ "$(jq -r .annotations.note "$(blob "$x")")" = one ]
	[ "$(jq -r .annotations.note "$(blob "$y")")" = two ]
	built NOTE=two
	[ "$(imgmake plan --json NOTE=two x | jq -r '.[].digest')" = "$y" ]
	built
	[ "$(root_of x)" = "$x" ]
	built
	before=$(sha256sum "$IMGMAKE_STORE/state.mdb")
	built
	[ "$(sha256sum "$IMGMAKE_STORE/state.mdb")" = "$before" ]
}

@test "what stands on an image that was only looked up has its configuration" {
	recipe <<-'EOF'
		local more = var { "MORE", default = "1" }
		local a = image "a" { from = "scratch", env { A = "a" }, user "7", write { "/f", "text" } }
		image "b" { from = a, env { B = "${A}" .. more } }
	EOF
	built
	built MORE=2
	root=$(imgmake plan --json MORE=2 b | jq -r '.[] | select(.target == "b") | .digest')
	config=$(blob "$(jq -r .config.digest "$(blob "$root")")")
	[ "$(jq -c .config.Env "$config")" = '["A=a","B=a2"]' ]
	[ "$(jq -r .config.User "$config")" = 7 ]
}
