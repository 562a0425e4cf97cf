#!/usr/bin/env bats
# imgmake -n deploy: the bytes that it says, against those that registries count in the deploy after it; and what it
# says where they cannot be known. More of it, with a remote cache that knows whole images, is in remote_deploy.bats.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
	start_registry other
	export OTHER=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	LAYER=$(skopeo inspect --raw --tls-verify=false "docker://$(repo base):1" | jq -r '.layers[0].size')
	head -c 100000 /dev/urandom >a
	head -c 100000 /dev/urandom >b
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

sent() {
	cut -d' ' -f1 "$DIR/said"
}

mounted() {
	cut -d' ' -f2 "$DIR/said"
}

unknown() {   # of --json: IMAGE
	jq -r --arg i "$1" '.images[] | select(.image == $i) | .unknown' <<<"$output"
}

@test "a new image that is built, the same once more, and a tag that somebody has moved" {
	recipe <<-LUA
		image "x" { from = base "$(repo base):1", copy { "a", to = "/tmp/" }, publish = { "$(repo x)", version = "1.2.0" } }
	LUA
	imgmake
	predicts_exactly open
	[ "$(sent)" -gt 100000 ]
	equal "$(mounted)" "$LAYER"
	predicts_exactly open
	equal "$(sent) $(mounted)" "0 0"
	equal "$(since open | grep -vc '^HEAD .*/manifests/')" 0
	seed "$(repo x)" latest 1.1.9
	predicts_exactly open
	equal "$(sent) $(mounted)" "0 0"
	contains "$(since open)" '^PUT .*/manifests/latest 201'
	equal "$(jq -c '[.images[].tags[] | select(.action == "move").tag]' <<<"$output")" '["latest"]'
}

@test "a base that nobody has read: mounted, or streamed to another host, before anything is built" {
	recipe <<-LUA
		local b = base "$(repo base):1"
		image "near" { from = b, env { A = "b" }, publish = { "$(repo near)", tags = { "1" } } }
		image "far" { from = b, config { labels = { a = "b" } }, publish = { "$OTHER/t$BATS_TEST_NUMBER/far", tags = { "1" } } }
	LUA
	predicts_exactly open near
	equal "$(mounted)" "$LAYER"
	[ "$(sent)" -lt 5000 ]
	machine two
	predicts_exactly other far
	equal "$(mounted)" 0
	[ "$(sent)" -gt "$LAYER" ]
}

@test "what was copied is known, and only the configuration is new: of several platforms, and of what stands on them" {
	parent() {   # VALUE
		recipe <<-LUA
			local p = image "p" { from = "scratch", copy { "a", to = "/" }, env { A = "$1" }, platforms = { "linux/amd64", "linux/arm64" },
			  publish = { "$(repo p)", tags = { "1" } } }
			image "c" { from = p, workdir "/x", platforms = { "linux/amd64", "linux/arm64" }, publish = { "$(repo c)", tags = { "1" } } }
		LUA
	}
	parent one
	imgmake deploy p
	parent two
	predicts_exactly open
	equal "$(unknown p) $(unknown c)" "null null"
	# The layer is where the parent was published, or is at least on its way there.
	[ "$(mounted)" -gt 100000 ]
	[ "$(sent)" -lt 10000 ]
}

@test "steps that a remote cache knows, of an image that it does not" {
	recipe <<-LUA
		image "x" { from = base "$(repo base):1", copy { "a", to = "/tmp/" }, env { A = "one" },
		  publish = { "$(repo x)", tags = { "1" } } }
	LUA
	imgmake --cache "$(repo cache)"
	machine two
	sed -i 's/one/two/' Imagefile
	predicts_exactly open --cache-read "$(repo cache)"
	equal "$(unknown x)" null
	[ "$(mounted)" -gt 100000 ]
	# To another host, straight from the cache's.
	machine three
	sed -i "s,$(repo x),$OTHER/t$BATS_TEST_NUMBER/x,; s/two/three/" Imagefile
	predicts_exactly other --cache-read "$(repo cache)"
	[ "$(sent)" -gt $((LAYER + 100000)) ]
	equal "$(find "$IMGMAKE_STORE/blobs" -size +9k)" ""
}

@test "push, copy and promote say it as exactly" {
	recipe <<-LUA
		image "x" { from = "scratch", copy { "a", to = "/" }, env { A = "one" }, platforms = { "linux/amd64", "linux/arm64" },
		  publish = { "$(repo x)", tags = { "1" } } }
	LUA
	imgmake deploy
	machine two
	says_what_is_done open copy "$(repo x):1" "$(repo copied):1"
	[ "$(mounted)" -gt 100000 ]
	says_what_is_done other copy "$(repo x):1" "$OTHER/t$BATS_TEST_NUMBER/copied:1"
	[ "$(sent)" -gt 100000 ]
	says_what_is_done other copy "$(repo x):1" "$OTHER/t$BATS_TEST_NUMBER/copied:1"
	equal "$(sent) $(mounted)" "0 0"
	imgmake pull "$(repo base):1"
	says_what_is_done other push "$(repo base):1" "$OTHER/t$BATS_TEST_NUMBER/pushed:1"
	[ "$(sent)" -gt "$LAYER" ]
	says_what_is_done open promote "$(repo x):1" --version 1.2.3 --to "$(repo promoted)"
	[ "$(mounted)" -gt 100000 ]
	equal "$(tags_of "$(repo promoted)")" "1 1.2 1.2.3 latest"
}

@test "what cannot be known is said, with what is known in any case" {
	local least
	recipe <<-LUA
		local p = image "p" { from = base "$(repo base):1", copy { "a", to = "/tmp/" }, copy { "b", to = "/tmp/" }, env { A = "b" },
		  publish = { "$(repo p)", tags = { "1" } } }
		image "c" { from = p, write { "/w", "w" }, publish = { "$(repo c)", tags = { "1" } } }
	LUA
	imgmake p
	head -c 100000 /dev/urandom >b
	ok imgmake -n deploy
	contains "$output" '^p +[^ ]+ +not built yet +≥ 10[0-9]\.[0-9] kB +≥ 1\.[0-9] MB +\?$'
	contains "$output" '^p: more is not known yet: p has to be built first \(copy b to /tmp/\)$'
	contains "$output" '^c: more is not known yet: p has to be built first \(copy b to /tmp/\)$'
	ok imgmake -n deploy --json p
	equal "$(unknown p)" 'p has to be built first (copy b to /tmp/)'
	equal "$(jq '.images[0].digest' <<<"$output")" null
	least=$(amounts)
	ok imgmake deploy --json p
	equal "$(unknown p)" null
	equal "$(jq '.images[0].mounted.bytes' <<<"$output")" "$(cut -d' ' -f2 <<<"$least")"
	[ "$(jq '.images[0].sent.bytes' <<<"$output")" -gt "$(cut -d' ' -f1 <<<"$least")" ]
	[ "$(cut -d' ' -f1 <<<"$least")" -ge 100000 ]
	# Of a file that is to be made there is not even a key; nor may anything be looked up with -B.
	recipe <<-LUA
		file "made" { run = "echo made >made" }
		image "r" { from = base "$(repo base):1", copy { "made", to = "/" }, publish = { "$(repo r)", tags = { "1" } } }
	LUA
	ok imgmake -n deploy
	contains "$output" '^r: more is not known yet: file made has to be made first$'
	recipe <<-LUA
		image "p" { from = base "$(repo base):1", copy { "a", to = "/tmp/" }, publish = { "$(repo p)", tags = { "1" } } }
	LUA
	imgmake deploy
	ok imgmake -n -B deploy
	contains "$output" '^p: more is not known yet: p has to be built first \(copy a to /tmp/\)$'
	# A base that is not here and cannot be asked for; the machine is one that has read nothing.
	machine two
	sed -i "s,base \"[^\"]*\",base \"localhost:1/none@sha256:$(printf '%064d' 1)\"," Imagefile
	ok imgmake -n deploy
	contains "$output" '^p +[^ ]+ +not built yet +\? +\? +\?$'
	contains "$output" '^p: more is not known yet: the base localhost:1/none@sha256:0*1 has not been pulled yet$'
	[ ! -e "$IMGMAKE_STORE" ]
}
