load helpers

# What a registry and the way to it may do to us, with real registries behind a proxy that breaks what goes through
# it, and with one of ours that does what real ones are told of.

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

start_proxy() {   # NAME HOST:PORT
	local d=$REGISTRIES/proxy-$1
	mkdir "$d"
	: >"$d/log"
	python3 "$REPO_ROOT/tests/servers/fault_proxy.py" --to "$2" --port-file "$d/port" --rules "$d/rules" \
		--log "$d/log" >"$d/err" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
}

teardown_file() {
	stop_registries
}

proxy() {   # NAME: its host:port
	echo "localhost:$(cat "$REGISTRIES/proxy-$1/port")"
}

rules() {   # NAME: standard input becomes the proxy's rules
	cat >"$REGISTRIES/proxy-$1/rules.new"
	mv "$REGISTRIES/proxy-$1/rules.new" "$REGISTRIES/proxy-$1/rules"
}

# An image of one layer that does not compress, published to REPO:1.
image_of() {   # BYTES REPO
	head -c "$1" /dev/urandom >big
	recipe <<-EOF
		image "x" { from = "scratch", copy { "big", to = "/" }, publish = { "$2", tags = { "1" } } }
	EOF
}

upload_is_noted() {
	grep -qa 'http.*/blobs/uploads/' "$IMGMAKE_STORE/state.mdb"
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
	wait_until upload_is_noted
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
	wait_until upload_is_noted
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
	wait_until upload_is_noted
	kill_hard "$pid"
	rm -rf "$REGISTRIES/open/data/docker/registry/v2/repositories/t/gone/_uploads"
	ok imgmake deploy
	lacks "$stderr" 'warning|uploads'
	exported x >/dev/null
	equal "$(digest_of "$repo:1")" "$(jq -r '.manifests[0].digest' out-x/index.json)"
	store_is_whole
}
