#!/usr/bin/env bats
# imgmake size and tree: where bytes are, and what images share.
load helpers

big() {   # a kilobyte, N times
	local i
	for ((i = 0; i < $1; i++)); do
		printf 'x%.0s' {1..1000}
	done
}

@test "size: what later layers replace or remove is wasted" {
	big 30 >kept
	big 20 >replaced
	big 10 >removed
	recipe <<-LUA
		image "web" { from = base "$BUSYBOX", copy { "kept", "replaced", "removed", to = "/d/" },
		  write { "/d/replaced", "new" }, remove { "/d/removed" } }
	LUA
	ok imgmake size web --json
	equal "$(jq -c '[.wasted, (.wasted_files | map([.path, .size, .layer]))]' <<<"$output")" \
		'[30000,[["/d/replaced",20000,2],["/d/removed",10000,2]]]'
	equal "$(jq -c '[.layers[] | [.unpacked, .wasted]][1:]' <<<"$output")" '[[60000,30000],[3,0],[0,0]]'
	equal "$(jq '.stored' <<<"$output")" "$(exported web >&2; manifest_of out-web | jq '[.layers[].size] | add')"
	ok imgmake size web
	contains "$output" '^20\.0 kB +2  /d/replaced +replaced later$'
	contains "$output" '^10\.0 kB +2  /d/removed +removed later$'
	contains "$output" '30\.0 kB of it wasted'
}

@test "tree: each layer once, below what stands on it" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		local parent = image "parent" { from = b, write { "/p", "1" } }
		image "a" { from = parent, write { "/a", "1" }, write { "/b", "2" } }
		image "b" { from = parent, write { "/a", "2" } }
		image "same" { from = parent, env { A = "1" } }
		image "lone" { from = "scratch", write { "/a", "1" } }
		image "none" { from = "scratch", env { A = "1" } }
	LUA
	ok imgmake tree
	equal "$(sed -E 's/  .*in ([0-9]+ layers?)$/: \1/' <<<"$output")" "$(cat <<-EOT
		parent, same: 2 layers
		├─ a: 2 layers
		└─ b: 1 layer
		lone: 1 layer
		none  no layers
	EOT
	)"
	ok imgmake tree a b --json
	equal "$(jq -c '.above[0] | [(.layers | length), .images, [.above[].images[]]]' <<<"$output")" '[2,[],["a","b"]]'
	exported a >&2
	ok imgmake tree "oci:$(layout_ref out-a)" b
	contains "$output" '^\(shared\)'
	fails 'no Imagefile with images here' imgmake -C / tree
}
