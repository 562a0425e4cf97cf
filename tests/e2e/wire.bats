load helpers

# What lasts longer than a run, or is told at its end: with a real registry behind a proxy that breaks what goes through
# it (more of that in wire_faults.bats), and with one of ours.

setup_file() {
	local d
	start_registry open
	d=$REGISTRIES/scripted
	mkdir "$d"
	: >"$d/log"
	python3 "$REPO_ROOT/tests/servers/scripted_registry.py" --port 0 --port-file "$d/port" --log "$d/log" \
		>"$d/err" 2>&1 3>&- &
	echo $! >"$d/pid"
	start_proxy open "$REGISTRY"
	wait_until test -s "$d/port"
	SCRIPTED=localhost:$(cat "$d/port")
	export SCRIPTED
}

teardown_file() {
	stop_registries
}

record_is_there() {
	grep -qa 'http.*/blobs/uploads/' "$IMGMAKE_STORE/state.mdb"
}

# The record is in the file before its transaction has ended, which it has when another one, of a build, has been made.
upload_is_noted() {
	wait_until record_is_there
	mkdir -p "$DIR/other"
	echo "image 'other' { from = 'scratch', write { '/now', '$(date +%s%N)' } }" >"$DIR/other/Imagefile"
	imgmake -C "$DIR/other" >&2
}

kill_hard() {   # PID
	kill -9 "$1"
	wait "$1" 2>/dev/null || true
}

# --- Killed in the midst of an upload ---------------------------------------------------------------

@test "kill -9: the next run goes on where the registry says the upload stopped" {
	local repo=$SCRIPTED/hold/app log=$REGISTRIES/scripted/log pid size half
	image_of 6000000 "$repo"
	ok imgmake build
	"$IMGMAKE" deploy >first 2>&1 3>&- &
	pid=$!
	upload_is_noted
	wait_until grep -q '^PATCH /v2/hold/.* held' "$log"
	kill_hard "$pid"
	exported x >/dev/null
	size=$(manifest_of out-x | jq '.layers[0].size')
	half=$((size / 2))
	: >"$log"
	ok imgmake deploy
	# Of the layer the rest went out, to the same session, and nothing else.
	equal "$(awk '$1 == "PATCH" && $5 > 100000 { print $3, $5, $6 }' "$log")" \
		"202 $((size - half)) $half-$((size - 1))"
	contains "$(cat "$log")" 'GET /v2/hold/app/blobs/uploads/s[0-9]+[^ ]* 204'
	equal "$(digest_of "$repo:1")" "$(jq -r '.manifests[0].digest' out-x/index.json)"
	store_is_whole
}

@test "kill -9 before a real registry whose proxy takes small bodies only: whole chunks are not sent again" {
	local repo log=$REGISTRIES/proxy-open/log pid size
	repo=$(proxy open)/t/chunks
	image_of 24000000 "$repo"
	ok imgmake build
	printf '%s\n' '- PATCH . 413 9000000' '2 PATCH . pass' '1 PATCH . silence' | rules open
	: >"$log"
	"$IMGMAKE" deploy >first 2>&1 3>&- &
	pid=$!
	wait_until grep -q '^PATCH .* silence' "$log"
	upload_is_noted
	kill_hard "$pid"
	echo '- PATCH . 413 9000000' | rules open
	: >"$log"
	ok imgmake deploy
	exported x >/dev/null
	size=$(manifest_of out-x | jq '.layers[0].size')
	equal "$(awk '$1 == "PATCH" && $3 > 100000 { print $4, $5 }' "$log")" "16777216-$((size - 1)) 202"
	equal "$(digest_of "$repo:1")" "$(jq -r '.manifests[0].digest' out-x/index.json)"
	store_is_whole
}

@test "kill -9, and the registry has forgotten the upload: it starts anew" {
	local repo log=$REGISTRIES/proxy-open/log pid
	repo=$(proxy open)/t/gone
	image_of 3000000 "$repo"
	ok imgmake build
	echo '1 PATCH . silence' | rules open
	: >"$log"
	"$IMGMAKE" deploy >first 2>&1 3>&- &
	pid=$!
	wait_until grep -q '^PATCH .* silence' "$log"
	upload_is_noted
	kill_hard "$pid"
	rm -rf "$REGISTRIES/open/data/docker/registry/v2/repositories/t/gone/_uploads"
	cp -r "$IMGMAKE_STORE" "$DIR/copied"
	ok imgmake deploy
	lacks "$stderr" 'warning|uploads'
	# Nor does it hang on what the store can tell of it.
	rm "$DIR/copied/uploads"
	mkdir "$DIR/copied/uploads"
	rm -rf "$REGISTRIES/open/data/docker/registry/v2/repositories/t/gone"
	IMGMAKE_STORE=$DIR/copied ok imgmake deploy
	contains "$stderr" 'warning: .*uploads'
	exported x >/dev/null
	equal "$(digest_of "$repo:1")" "$(jq -r '.manifests[0].digest' out-x/index.json)"
	store_is_whole
}

# --- Overtaken ----------------------------------------------------------------------------------------

@test "a release that appears while a slow one is uploaded never sees its floats go back" {
	local repo=t/overtaken log=$REGISTRIES/proxy-open/log pid tag
	image_of 200000 "$(proxy open)/$repo"
	sed -i 's/tags = { "1" }/version = "1.2.3"/' Imagefile
	ok imgmake build
	echo '1 PATCH . slow-up 3' | rules open
	: >"$log"
	"$IMGMAKE" deploy >first 2>&1 3>&- &
	pid=$!
	upload_is_noted
	for tag in 1.2.4 1.2 1 latest; do seed "$REGISTRY/$repo" $tag 1.2.4; done
	wait "$pid"
	cat first
	contains "$(cat first)" ':latest .*kept back +1\.2\.4, .*is newer'
	equal "$(sed -n 's,^PUT .*/manifests/\([^ ]*\) .*,\1,p' "$log" | grep -v sha256)" 1.2.3
}

# --- Busy ---------------------------------------------------------------------------------------------

@test "requests, retries and the time waited are told at the end" {
	local repo
	repo=$(proxy open)/t/counted
	image_of 1000 "$repo"
	rules open <<<'1 POST . 429 1'
	ok imgmake deploy
	contains "$output" '^[0-9]+ requests to registries, 1 retry, [1-9]\.[0-9] s waiting$'
	: >"$REGISTRIES/proxy-open/log"
	ok imgmake --json deploy
	# Counted at the registry; not all of ours get there, since TLS is tried first.
	[ "$(jq .registry.requests <<<"$output")" -ge "$(wc -l <"$REGISTRIES/proxy-open/log")" ]
	equal "$(jq -c '[.registry.retries, .registry.waited]' <<<"$output")" '[0,0]'
}

@test "a registry that stays busy is given up with one line, and nothing is damaged" {
	local repo
	repo=$(proxy open)/t/busy
	image_of 200000 "$repo"
	ok imgmake
	rules open <<<'- POST . 503 -'
	fails "$repo.*(503|fails)" imgmake deploy
	rules open <<<'- GET|HEAD /manifests/ 429 -'
	fails "allows no more requests for now" imgmake deploy
	rules open </dev/null
	ok imgmake deploy
	store_is_whole
}

@test "a token that is no longer taken in mid-push is renewed, and the request repeated with its body" {
	local repo
	start_token_registry
	start_proxy tokens "$REGISTRY"
	mkdir -p "$HOME/.docker"
	repo=$(proxy tokens)/team/app
	jq -n --arg h "${repo%%/*}" --arg a "$(printf ci:secret | base64)" '{auths: {($h): {auth: $a}}}' \
		>"$HOME/.docker/config.json"
	image_of 200000 "$repo"
	printf '%s\n' '1 PATCH . logout' '1 PUT /blobs/ logout' '1 PUT /manifests/ logout' | rules tokens
	ok imgmake deploy
	equal "$(grep -c ' logout$' "$REGISTRIES/proxy-tokens/log")" 3
	equal "$(skopeo inspect --tls-verify=false --creds ci:secret --format '{{.Digest}}' "docker://$repo:1")" \
		"$(exported x)"
	store_is_whole
}
