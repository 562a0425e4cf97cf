#!/usr/bin/env bats
# imgmake cache stats|prune: what the remote cache holds, and less of it.
load helpers

setup_file() {
	local d
	start_registry open
	export OPEN=$REGISTRY
	start_registry keeps
	d=$REGISTRIES/keeps
	kill "$(cat "$d/pid")"
	sed -i 's/delete: { enabled: true }/delete: { enabled: false }/' "$d/config.yml"
	start_registry_with "$d"
	export KEEPS=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
	recipe <<-LUA
		image "one" { from = "scratch", copy { "one", to = "/" } }
		image "two" { from = "scratch", copy { "two", to = "/" } }
	LUA
	head -c 100000 /dev/urandom >one
	head -c 200000 /dev/urandom >two
}

# entry_date REPO TAG DATE: the entry says that it was brought then.
entry_date() {
	local url=http://${1/\///v2/}/manifests/$2
	curl -sSf -H 'Accept: application/vnd.oci.image.manifest.v1+json' "$url" |
		jq -c --arg t "$3" '.annotations["org.opencontainers.image.created"] = $t' >"$DIR/entry"
	curl -sSf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @"$DIR/entry" "$url"
}

# The bytes that the manifests of a repository name, each blob once; other eyes than ours.
blob_bytes() {
	local t
	for t in $(tags_of "$1"); do
		skopeo inspect --raw --tls-verify=false "docker://$1:$t" | jq -c '.config, .layers[] | [.digest, .size]'
	done | sort -u | jq -s 'map(.[1]) | add'
}

@test "stats count entries by kind, and each blob once" {
	imgmake --cache "$(repo cache)"
	seed "$(repo cache)" other
	ok imgmake cache stats --json "$(repo cache)"
	equal "$(jq -c '[.entries.result, .entries.table, .others]' <<<"$output")" '[2,0,1]'
	equal "$(jq '.entries.step' <<<"$output")" "$(tags_of "$(repo cache)" | tr ' ' '\n' | grep -c ^step-)"
	curl -sS -X DELETE "http://${OPEN}/v2/t$BATS_TEST_NUMBER/cache/manifests/$(digest_of "$(repo cache):other")"
	equal "$(jq .bytes <<<"$output")" "$(blob_bytes "$(repo cache)")"
	IMGMAKE_CACHE=$(repo cache) ok imgmake cache stats
	contains "$output" '^images and stages +2$'
	contains "$output" "^$(repo cache): [0-9]+ blobs, 30[0-9]\.[0-9] kB$"
	contains "$output" '^oldest 20.*Z, newest 20.*Z$'
	echo "settings { cache = \"$(repo cache)\" }" >>Imagefile
	ok imgmake cache stats
	contains "$output" '^images and stages +2$'
}

@test "prune by age removes what was brought long ago, and it is brought again" {
	local old before
	imgmake --cache "$(repo cache)"
	before=$(tags_of "$(repo cache)")
	old=$(tr ' ' '\n' <<<"$before" | grep ^result- | head -1)
	entry_date "$(repo cache)" "$old" 2020-01-02T03:04:05Z
	ok imgmake cache stats --json "$(repo cache)"
	equal "$(jq -r .oldest <<<"$output")" 2020-01-02T03:04:05Z
	ok imgmake -n cache prune --max-age 30d "$(repo cache)"
	contains "$output" '^would remove 1 of [0-9]+ entries'
	equal "$(tags_of "$(repo cache)")" "$before"
	ok imgmake cache prune --max-age 30d --cache "$(repo cache)"
	contains "$output" '^removed 1 of [0-9]+ entries'
	equal "$(tags_of "$(repo cache)")" "$(tr ' ' '\n' <<<"$before" | grep -v "$old" | xargs)"
	imgmake --cache "$(repo cache)"
	equal "$(tags_of "$(repo cache)")" "$before"
}

@test "prune by size removes the oldest until what is left fits" {
	local tag
	imgmake --cache "$(repo cache)" one
	for tag in $(tags_of "$(repo cache)"); do
		entry_date "$(repo cache)" "$tag" 2024-01-02T03:04:05Z
	done
	imgmake --cache "$(repo cache)" two
	ok imgmake cache prune --json --max-size 250k "$(repo cache)"
	equal "$(jq -c '[.had.entries.result, .left.entries.result, .left.bytes < 256000, .had.bytes > 300000]' \
		<<<"$output")" '[2,1,true,true]'
	# The large one is the one that is left.
	export IMGMAKE_STORE=$DIR/other
	ok imgmake --cache-read "$(repo cache)" two
	contains "$stderr" 'remote cache: 1 of 1 found'
	ok imgmake cache prune --max-size 1b "$(repo cache)"
	equal "$(imgmake cache stats --json "$(repo cache)" | jq .bytes)" 0
}

@test "a registry that deletes nothing, and what makes no sense, is one line" {
	REGISTRY=$KEEPS
	imgmake --cache "$(repo cache)" one
	fails "$KEEPS lets nobody delete" imgmake cache prune --max-size 1b "$(repo cache)"
	ok imgmake cache prune --max-age 30d "$(repo cache)"
	contains "$output" '^removed 0 of'
	fails 'say --max-age' imgmake cache prune "$(repo cache)"
	fails "'1x'" imgmake cache prune --max-age 1x "$(repo cache)"
	fails 'there is no remote cache' imgmake cache stats
	fails "'list' is neither stats nor prune" imgmake cache list
	fails 'localhost:1' imgmake cache stats localhost:1/none
	fails "remote cache 'UPPER case'" imgmake cache stats 'UPPER case'
}
