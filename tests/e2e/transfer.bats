#!/usr/bin/env bats
# imgmake pull, push and copy: what real registries hold and few tools make, by tag, by digest and by platform.
load helpers

setup_file() {
	local d
	REGISTRIES=$(new_dir)
	export REGISTRIES
	mkdir -p "$REGISTRIES/from/data"
	{
		registry_config open "$REGISTRIES/from" 127.0.0.1:0
		echo "validation: { manifests: { urls: { allow: ['^https://example.com/'] } } }"
	} >"$REGISTRIES/from/config.yml"
	start_registry_with "$REGISTRIES/from"
	export FROM=$REGISTRY/odd/images
	"$REPO_ROOT/tests/servers/odd_images.py" "$FROM" >"$REGISTRIES/digests"
	start_registry to
	export TO=$REGISTRY
	# One that takes anything.
	d=$REGISTRIES/scripted
	mkdir "$d"
	python3 "$REPO_ROOT/tests/servers/scripted_registry.py" --port 0 --port-file "$d/port" --log "$d/log" \
		>"$d/err" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
	SCRIPTED=localhost:$(cat "$d/port")
	export SCRIPTED
}

teardown_file() {
	stop_registries
}

digest() {   # TAG
	sed -n "s/^$1 //p" "$REGISTRIES/digests"
}

raw_digest() {   # REFERENCE: of the bytes there, by skopeo
	echo "sha256:$(skopeo inspect --tls-verify=false --raw "docker://$1" | sha256sum | cut -d' ' -f1)"
}

config_arch() {   # REFERENCE
	skopeo inspect --tls-verify=false --config "docker://$1" | jq -r .architecture
}

# Manifests by hand, of any kind, into the registry that takes anything.
put_raw() {   # TYPE TAG <BODY
	curl -sSf -X PUT -H "Content-Type: $1" -H Expect: --data-binary @- "http://$SCRIPTED/v2/plain/raw/manifests/$2"
}

human() {   # BYTES, as we write them
	awk -v n="$1" 'BEGIN { split("B kB MB GB", u, " "); i = 1; while (n >= 1000) { n /= 1000; i++ }
		printf i == 1 ? "%d %s" : "%.1f %s", n, u[i] }'
}

everything() {
	echo none twice empty zstd tar docker artifact chart multi nested list large
}

@test "copy: whatever it is, byte for byte, mounted on the same host" {
	local tag
	for tag in $(everything) foreign; do
		ok imgmake copy "$FROM:$tag" "${FROM%%/*}/mounted/images:$tag"
		equal "$(raw_digest "${FROM%%/*}/mounted/images:$tag")" "$(digest "$tag")"
	done
	lacks "$(requests from)" '^PATCH /v2/mounted/'
	contains "$(requests from)" '^POST /v2/mounted/images/blobs/uploads/\?mount='
	[ ! -e "$IMGMAKE_STORE/blobs/sha256" ] || equal "$(find "$IMGMAKE_STORE/blobs/sha256" -type f)" ""
}

@test "copy: to another host, streamed and not kept; once more, nothing is sent" {
	local tag
	for tag in $(everything); do
		ok imgmake copy "$FROM:$tag" "$TO/t/images:$tag"
		equal "$(raw_digest "$TO/t/images:$tag")" "$(digest "$tag")"
	done
	[ ! -e "$IMGMAKE_STORE/blobs/sha256" ] || equal "$(find "$IMGMAKE_STORE/blobs/sha256" -type f)" ""
	skopeo copy -q --all --src-tls-verify=false "docker://$TO/t/images:multi" dir:all
	: >"$REGISTRIES/to/log"
	for tag in $(everything); do
		ok imgmake copy "$FROM:$tag" "$TO/t/images:$tag"
		contains "$output" 'unchanged'
	done
	equal "$(requests to | grep -vc '^HEAD /v2/t/images/manifests/')" 0
}

@test "pull, then push from the store alone" {
	local tag
	for tag in $(everything); do
		ok imgmake pull "$FROM:$tag"
		equal "$output" "$(digest "$tag")"
	done
	: >"$REGISTRIES/from/log"
	for tag in $(everything); do
		ok imgmake push "$FROM:$tag" "$TO/t/pushed:$tag"
		equal "$(raw_digest "$TO/t/pushed:$tag")" "$(digest "$tag")"
	done
	equal "$(requests from)" ""
	store_is_whole
}

@test "pull tells how much came, as the registry counts it, and in how many requests" {
	local manifest asked layers
	manifest=$(skopeo inspect --raw --tls-verify=false "docker://$FROM:twice" | tee raw | wc -c)
	layers=$(jq '[.config, .layers[]] | unique_by(.digest) | map(.size) | add' raw)
	: >"$REGISTRIES/from/log"
	ok imgmake pull "$FROM:twice"
	asked=$(requests from | wc -l)
	contains "$stderr" "^$(human $((manifest + layers))) received, $asked requests to registries\$"
	ok imgmake pull "$FROM:twice"
	contains "$stderr" "^$(human "$manifest") received, 1 request to registries\$"
}

@test "push: of what the store lacks, its layers pass through from where it is" {
	ok imgmake push "$FROM:multi" "$TO/t/through:1"
	equal "$(raw_digest "$TO/t/through:1")" "$(digest multi)"
	ok imgmake push "$FROM:twice" "${FROM%%/*}/t/through:1"
	contains "$(requests from)" '^POST /v2/t/through/blobs/uploads/\?mount='
}

@test "push: by the digest that pull and import say" {
	ok imgmake pull "$FROM:multi"
	ok imgmake export "$FROM:multi" oci:layout
	export IMGMAKE_STORE=$DIR/other
	ok imgmake import oci:layout   # with its attestations
	equal "$output" "$(digest multi)"
	ok imgmake push "$output" "$TO/t/bydigest:1"
	equal "$(raw_digest "$TO/t/bydigest:1")" "$(digest multi)"
	fails 'is not in the store' imgmake push "sha256:$(printf 0%.0s {1..64})" "$TO/t/bydigest:2"
	fails 'is no digest' imgmake push sha256:abc "$TO/t/bydigest:2"
}

@test "a digest, and a digest that wins over a tag" {
	local d
	d=$(digest multi)
	ok imgmake pull "$FROM@$d"
	equal "$output" "$d"
	ok imgmake pull "$FROM:none@$d"
	equal "$output" "$d"
	ok imgmake copy "$FROM:none@$d" "$TO/t/dest:x@$d"
	equal "$(raw_digest "$TO/t/dest:x")" "$d"
	ok imgmake copy "$FROM:multi" "$TO/t/untagged@$d"
	lacks "$output" 'TAG'
	equal "$(raw_digest "$TO/t/untagged@$d")" "$d"
	lacks "$(requests to)" 'PUT /v2/t/untagged/manifests/(latest|x)'
	fails "the image is $d, and a digest cannot be chosen" \
		imgmake copy "$FROM:multi" "$TO/t/dest@$(digest none)"
}

@test "one platform of several, also of an index in an index" {
	ok imgmake copy --platform linux/arm64 "$FROM:multi" "$TO/t/one:arm64"
	equal "$(config_arch "$TO/t/one:arm64")" arm64
	ok imgmake copy --platform linux/arm/v8 "$FROM:nested" "$TO/t/one:arm"
	equal "$(config_arch "$TO/t/one:arm")" arm
	ok imgmake pull --platform linux/arm64 "$FROM:list"
	ok imgmake push "$FROM:list" "$TO/t/one:list"
	equal "$(config_arch "$TO/t/one:list")" arm64
	ok imgmake pull --platform linux/amd64 "$FROM:twice"
	fails 'no platform linux/s390x' imgmake pull --platform linux/s390x "$FROM:nested"
	fails 'for linux/amd64 only, not for linux/arm64' imgmake pull --platform linux/arm64 "$FROM:twice"
}

@test "layers that are kept outside are left there" {
	fails 'kept outside the registry' imgmake pull "$FROM:foreign"
	ok imgmake copy "$FROM:foreign" "$SCRIPTED/plain/foreign:1"
	equal "$(raw_digest "$SCRIPTED/plain/foreign:1")" "$(digest foreign)"
	lacks "$(cat "$REGISTRIES/scripted/log")" 'example.com'
}

@test "what agrees with nothing is one line" {
	fails 'sent 98 of 99 bytes' imgmake pull "$FROM:wrong"
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
	fails "has no manifest nope \('imgmake tags $FROM' shows what it has\)" imgmake pull "$FROM:nope"
	fails 'has no manifest 1' imgmake copy "${FROM%%/*}/nope:1" "$TO/t/x:1"
	put_raw application/vnd.docker.distribution.manifest.v1+prettyjws schema1 <<-EOF
		{"schemaVersion": 1, "name": "x", "fsLayers": [], "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
	EOF
	fails 'schema 1 manifest, a form given up in 2016; push the image again' imgmake pull "$SCRIPTED/plain/raw:schema1"
	put_raw application/vnd.oci.artifact.manifest.v1+json other <<-EOF
		{"schemaVersion": 2, "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []}
	EOF
	fails 'neither an image manifest nor an index' imgmake copy "$SCRIPTED/plain/raw:other" "$TO/t/x:1"
	{
		printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [], "annotations": {"a": "'
		head -c 4200000 /dev/zero | tr '\0' x
		printf '"}}'
	} | put_raw application/vnd.oci.image.index.v1+json huge
	fails 'manifest huge of .* has more than 4194304 bytes; --limit manifest=AMOUNT allows more$' \
		imgmake pull "$SCRIPTED/plain/raw:huge"
	ok imgmake --limit manifest=5m pull "$SCRIPTED/plain/raw:huge"
	fails 'has 3 layers; at most 1 are read; --limit layers=AMOUNT allows more' \
		imgmake --limit layers=1 pull "$FROM:twice"
	fails "there is no limit 'manifst', did you mean manifest\\?" imgmake --limit manifst=5m pull "$FROM:twice"
}

two_are_up() {   # LOG
	[ "$(grep -c '^PUT .* 201' "$1")" = 2 ]
}

@test "a copy that is killed goes on, and what is there is not sent again" {
	local log=$REGISTRIES/proxy-to/log pid copy
	start_proxy to "$TO"
	image_of 3000000 "${FROM%%/*}/big/app"
	head -c 2000000 /dev/urandom >smaller
	sed -i 's/publish/copy { "smaller", to = "\/" }, publish/' Imagefile
	ok imgmake deploy
	export IMGMAKE_STORE=$DIR/other
	copy=$(proxy to)/big/copied:1
	# Two blobs, of which one is the configuration or none is, are up when the third meets silence.
	printf '%s\n' '2 PUT /blobs/ pass' '- PUT /blobs/ silence' | rules to
	"$IMGMAKE" copy "${FROM%%/*}/big/app:1" "$copy" >out 2>&1 3>&- &
	pid=$!
	wait_until grep -q '^PUT .* silence' "$log"
	wait_until two_are_up "$log"
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	rules to </dev/null
	: >"$log"
	ok imgmake copy "${FROM%%/*}/big/app:1" "$copy"
	[ "$(awk '$1 == "PATCH" && $3 > 100000' "$log" | wc -l)" -le 1 ]
	equal "$(raw_digest "$TO/big/copied:1")" "$(raw_digest "${FROM%%/*}/big/app:1")"
}

@test "load: an engine that runs images is given no artifact, and of several platforms the one asked for" {
	needs_podman
	printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$DIR/podman" "$DIR/podman.run" >"$DIR/storage.conf"
	export CONTAINERS_STORAGE_CONF=$DIR/storage.conf
	fails 'no image in it, but only artifacts' imgmake load --into podman "$FROM:artifact"
	ok imgmake load --into podman --platform linux/arm64 "$FROM:multi"
	equal "$(podman image inspect --format '{{.Architecture}}' "$FROM:multi")" arm64
	ok imgmake load --into podman "$FROM:multi"
	equal "$(podman image inspect --format '{{.Architecture}}' "$FROM:multi")" amd64
}

in_little_memory() {   # COMMAND…
	local peak
	peak=$(peak_kib "$IMGMAKE" "$@")
	echo "peak of $1: $peak KiB"
	[[ $IMGMAKE = *asan* ]] || [ "$peak" -lt 32768 ]
}

@test "200 MB go up, across and down in 32 MB of memory" {
	head -c 200000000 /dev/urandom >big
	recipe <<-LUA
		image "x" { from = "scratch", compression = "zstd", copy { "big", to = "/", split = false },
		  publish = { "${FROM%%/*}/heavy/x", tags = { "1" } } }
	LUA
	imgmake
	in_little_memory deploy
	in_little_memory copy "${FROM%%/*}/heavy/x:1" "$TO/heavy/x:1"
	export IMGMAKE_STORE=$DIR/other
	in_little_memory pull "$TO/heavy/x:1"
	[ -n "$(find "$IMGMAKE_STORE/blobs" -size +190M)" ]
}

# --- Mirrors ------------------------------------------------------------------------------------------

mirrored() {   # MIRROR COMMAND…: what docker.io has is asked for there first, then where FROM is
	ok imgmake --registry-mirror "docker.io=$1" --registry-mirror "docker.io=${FROM%%/*}" "${@:2}"
}

@test "mirrors: one that has it, one that lacks it, one that is down" {
	ok imgmake copy "$FROM:multi" "$TO/mirror/odd/images:multi"
	: >"$REGISTRIES/from/log"
	mirrored "$TO/mirror" pull docker.io/odd/images:multi
	equal "$output" "$(digest multi)"
	lacks "$stderr" warning
	contains "$(requests to)" '^GET /v2/mirror/odd/images/blobs/'
	equal "$(requests from | grep -c '^GET /v2/odd/images/blobs/')" 0
	mirrored "$TO/mirror" pull docker.io/odd/images:twice   # lacks it
	equal "$output" "$(digest twice)"
	lacks "$stderr" warning
	mirrored localhost:1 pull docker.io/odd/images:list
	equal "$output" "$(digest list)"
	equal "$(grep -c 'warning: mirror passed over: .*localhost:1 is unreachable' <<<"$stderr")" 1
	store_is_whole
}

@test "mirrors: what one lies about is had from the next, and said" {
	local what n=0
	start_proxy lying "$TO"
	ok imgmake copy "$FROM:multi" "$TO/mirror/odd/images:multi"
	for what in 'GET /manifests/ flip' 'GET /blobs/ flip' 'GET /blobs/ short'; do
		rules lying <<<"- $what"
		export IMGMAKE_STORE=$DIR/${what//[\/ ]/-}
		mirrored "$(proxy lying)/mirror" pull docker.io/odd/images:multi
		equal "$output" "$(digest multi)"
		equal "$(grep -c 'warning: mirror passed over: ' <<<"$stderr")" 1
		store_is_whole
		# The same on the way from registry to registry, of what is not here.
		export IMGMAKE_STORE=$DIR/copied.$n
		mirrored "$(proxy lying)/mirror" copy docker.io/odd/images:multi "$SCRIPTED/plain/$((++n)):multi"
		equal "$(raw_digest "$SCRIPTED/plain/$n:multi")" "$(digest multi)"
		equal "$(grep -c 'warning: mirror passed over: ' <<<"$stderr")" 1
	done
}

@test "mirrors: one that lags behind has no say in what tags are set to" {
	local host=${FROM%%/*} newest
	seed "$host/judged/app" latest 2.0.1
	newest=$(digest_of "$host/judged/app:latest")
	seed "$TO/mirror/judged/app" latest 1.0.0
	recipe <<-EOF
		image "x" { from = "scratch", copy { "Imagefile", to = "/" }, publish = { "$host/judged/app", version = "1.9.1" } }
	EOF
	ok imgmake --registry-mirror "$host=$TO/mirror" deploy
	contains "$output" '2\.0\.1'
	equal "$(digest_of "$host/judged/app:latest")" "$newest"
	equal "$(tags_of "$host/judged/app")" "1 1.9 1.9.1 latest"
	# A full tag that only the mirror believes to be ours.
	ok imgmake copy "$host/judged/app:1.9.1" "$TO/mirror/judged/app:1.9.2"
	seed "$host/judged/app" 1.9.2 other
	sed -i s/1.9.1/1.9.2/ Imagefile
	fails '1\.9\.2 already holds another image' imgmake --registry-mirror "$host=$TO/mirror" deploy
	# What is promoted is what the tag names there.
	ok imgmake --registry-mirror "$host=$TO/mirror" promote "$host/judged/app:latest" --version 3.0.0
	equal "$(digest_of "$host/judged/app:3.0.0")" "$newest"
}

# --- Rights -------------------------------------------------------------------------------------------

@test "a target that may only be read, and one that wants a login" {
	mkdir -p "$REGISTRIES/ro" "$HOME/.docker"
	registry_config open "$REGISTRIES/ro" 127.0.0.1:0 |
		sed 's/delete: .*/&\n  maintenance: { readonly: { enabled: true } }/' >"$REGISTRIES/ro/config.yml"
	start_registry_with "$REGISTRIES/ro"
	fails "$REGISTRY takes no uploads: it may be read only, or a mirror$" imgmake copy "$FROM:multi" "$REGISTRY/t/x:1"
	ok imgmake copy "$FROM:multi" "$SCRIPTED/plain/rights:1"
	fails "denied: no p[a-z]* right on $SCRIPTED/challenge/x \(not logged in\); log in first: imgmake login $SCRIPTED" \
		imgmake copy "$FROM:multi" "$SCRIPTED/challenge/x:1"
	jq -n --arg h "$SCRIPTED" --arg a "$(printf ci:wrongpassword | base64)" '{auths: {($h): {auth: $a}}}' \
		>"$HOME/.docker/config.json"
	fails "denied: $SCRIPTED refused the password of \"ci\" \(from .*config.json\); log in again" \
		imgmake copy "$FROM:multi" "$SCRIPTED/challenge/x:1"
	lacks "$output$stderr" wrongpassword
	fails "no push right on $SCRIPTED/full/x \(logged in as \"ci\"\): adding 1 MiB .* quota of project full$" \
		imgmake copy "$FROM:multi" "$SCRIPTED/full/x:1"
	fails "$SCRIPTED has no repository norepo/x: The repository .* does not exist; it has to be made there first" \
		imgmake copy "$FROM:multi" "$SCRIPTED/norepo/x:1"
}
