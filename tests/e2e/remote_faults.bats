#!/usr/bin/env bats
# The remote cache when things go wrong: each costs a warning at most, never the build.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

warnings() {
	grep -c 'warning: remote cache' <<<"$stderr" || true
}

@test "a cache that dies in the midst of a build costs one warning" {
	local pid build
	start_registry dying
	pid=$(cat "$REGISTRIES/dying/pid")
	recipe <<-LUA
		local first = stage "first" { from = base "$BUSYBOX", run { "echo 1 >/1" } }
		image "x" { from = first, run { "while wget -q -O /dev/null http://127.0.0.1:${REGISTRY#*:}/v2/; do :; done" },
		  run { "echo 2 >/2" }, copy { "Imagefile", to = "/" } }
	LUA
	touch "$DIR/events"
	imgmake --cache "$(repo cache)" --events "$DIR/events" x 2>"$DIR/said" &
	build=$!
	wait_until grep -q '"begin".*while wget' "$DIR/events"
	kill "$pid"
	wait "$build"
	cat "$DIR/said"
	equal "$(grep -c 'warning: remote cache' "$DIR/said")" 1
	ok imgmake x
	equal "$(imgmake run x -- cat /1 /2 | xargs)" "1 2"
}

@test "credentials that may only read: one warning, and the build goes on" {
	local d
	d=$REGISTRIES/tokens
	"$REPO_ROOT/tests/servers/make_certs.sh" "$d" >/dev/null
	python3 "$REPO_ROOT/tests/servers/token_server.py" --key "$d/token.key" --cert "$d/token.crt" \
		--service imgmake-tests --issuer imgmake-tests --user ci:secret --user reader:secret \
		--grant 'ci=team/*:pull,push' --grant 'reader=team/*:pull' \
		--port-file "$d/port" >"$d/log" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
	TOKEN_REALM=http://localhost:$(cat "$d/port")/token
	TOKEN_CERT=$d/token.crt
	export TOKEN_REALM TOKEN_CERT
	start_registry token token
	echo 'image "x" { from = "scratch", copy { "a", to = "/" } } image "y" { from = "scratch", copy { "b", to = "/" } }' | recipe
	echo a >a
	echo b >b
	mkdir ci reader
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf ci:secret | base64)" >ci/config.json
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REGISTRY" "$(printf reader:secret | base64)" >reader/config.json
	DOCKER_CONFIG=$PWD/ci ok imgmake --cache "$REGISTRY/team/cache" x
	equal "$(warnings)" 0
	machine two
	DOCKER_CONFIG=$PWD/reader ok imgmake --cache "$REGISTRY/team/cache" x y
	equal "$(warnings)" 1
	contains "$stderr" "warning: remote cache .*team/cache: .*no push right"
	contains "$stderr" 'remote cache: 1 of'
}

@test "two machines that bring the same at once" {
	local one two
	echo "image \"x\" { from = base \"$BUSYBOX\", copy { \"a\", to = \"/\" }, run { \"echo x >/x\" } }" | recipe
	head -c 1000000 /dev/urandom >a
	IMGMAKE_STORE=$DIR/store.a imgmake --cache "$(repo cache)" 2>"$DIR/a" &
	one=$!
	IMGMAKE_STORE=$DIR/store.b imgmake --cache "$(repo cache)" 2>"$DIR/b" &
	two=$!
	wait "$one"
	wait "$two"
	lacks "$(cat "$DIR/a" "$DIR/b")" warning
	machine three
	ok imgmake --cache-read "$(repo cache)"
	contains "$stderr" 'remote cache: 1 of 1 found'
}

@test "a registry that falls silent is waited for once, and then done without" {
	local log=$REGISTRIES/proxy-silent/log i
	start_proxy silent "$OPEN"
	echo '- GET|HEAD|POST|PUT|PATCH . silence' | rules silent
	for i in 1 2 3 4 5 6 7 8 9; do
		echo "image \"x$i\" { from = base \"$BUSYBOX\", run { \"echo $i >/x\" }, run { \"echo $i >/y\" } }"
	done | recipe
	ok imgmake --cache "$(proxy silent)/cache"
	equal "$(warnings)" 1
	contains "$stderr" 'warning: remote cache .*: .*fell silent.*; going on without it'
	# Eight ask at once; whoever comes later does not.
	[ "$(grep -c '/cache/' "$log")" -le 8 ] || { cat "$log"; return 1; }
	equal "$(grep '/cache/' "$log" | sort | uniq -d)" ""
	# The same where nothing is looked up, and only what was made is brought.
	echo '- HEAD . silence' | rules silent
	: >"$log"
	ok imgmake -B --cache "$(proxy silent)/cache" x1
	equal "$(warnings)" 1
	equal "$(grep -c '/cache/.* silence' "$log")" 1
}

@test "a registry that asks for minutes is done without" {
	start_proxy busy "$OPEN"
	echo "image \"x\" { from = \"scratch\", write { \"/a\", \"a\" } }" | recipe
	echo '- GET|HEAD|POST|PUT|PATCH . 429 120' | rules busy
	ok timeout 20 "$IMGMAKE" --cache "$(proxy busy)/cache"
	equal "$(warnings)" 1
	contains "$stderr" 'warning: remote cache .*: .*allows no more requests for now.*; going on without it'
	# What is soon over is waited for.
	machine two
	printf '%s\n' '2 GET . 429 1' '1 POST . 429 1' | rules busy
	ok timeout 20 "$IMGMAKE" --cache "$(proxy busy)/cache"
	equal "$(warnings)" 0
	contains "$stderr" 'remote cache: 0 of [0-9]+ found, [1-9][0-9]* brought'
}

@test "a cache in the repository of its image: what the deploy needs is waited for" {
	start_proxy shared "$OPEN"
	local repo
	repo=$(proxy shared)/app
	echo "image \"x\" { from = \"scratch\", write { \"/a\", \"a\" }, publish = { \"$repo\", tags = { \"edge\" } } }" | recipe
	echo '1 HEAD /manifests/edge 429 11' | rules shared
	ok timeout 60 "$IMGMAKE" deploy --cache "$repo"
	contains "$output" 'created'
}

@test "what was made is brought although something else failed" {
	cat >Imagefile <<-LUA
		image "bad" { from = base "$BUSYBOX", run { "exit 3" } }
		image "good" { from = base "$BUSYBOX", run { "echo good >/good" } }
	LUA
	go imgmake -k --cache "$(repo cache)"
	equal "$status" 2
	machine two
	ok imgmake --cache-read "$(repo cache)" good
	contains "$stderr" 'remote cache: 1 of 1 found'
	go imgmake --cache-read "$(repo cache)" bad
	equal "$status" 2
	contains "$stderr" 'failed with status 3'
}

@test "an interrupted build does not wait for its cache" {
	local build
	python3 -c 'import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1], "w").write(str(s.getsockname()[1]) + "\n")
kept = []
while True:
    kept.append(s.accept())' "$DIR/port" 3>&- &
	echo $! >"$DIR/pid"
	wait_until test -s "$DIR/port"
	echo 'image "x" { from = "scratch", copy { "Imagefile", to = "/" } }' | recipe
	imgmake --cache "127.0.0.1:$(cat "$DIR/port")/cache" 2>"$DIR/said" &
	build=$!
	connected() { [ -n "$(ss -Htn state established "dport = :$(cat "$DIR/port")")" ]; }
	wait_until connected
	kill -TERM "$build"
	ended() { [ "$(ps -o stat= -p "$build" | head -c1)" = Z ] || ! kill -0 "$build"; }
	wait_until ended
	wait "$build" || [ $? = 143 ]
	kill "$(cat "$DIR/pid")"
}

@test "what has flat owners neither comes from a cache nor goes there" {
	needs_user
	chmod 777 "$DIR" "$DIR/work" "$DIR/home"
	echo "image \"x\" { from = base \"$BUSYBOX\", run { \"echo x >/x\", cache = { path = \"/c\", export = true } } } image \"y\" { from = \"scratch\", copy { \"Imagefile\", to = \"/\" } }" | recipe
	machine user
	ok unshare --mount --propagation private sh -c '
		mount --bind /dev/null /etc/subuid
		mount --bind /dev/null /etc/subgid
		exec setpriv --reuid "$0" --regid "$0" --init-groups --inh-caps=-all --bounding-set=-all "$@"' \
		"$E2E_USER" "$IMGMAKE" --cache "$(repo cache)"
	# Of y alone: its result, and its step by what was written and by what it came to.
	equal "$(tags_of "$(repo cache)" | tr ' ' '\n' | sed 's/-.*//' | sort | uniq -c | xargs)" "1 result 2 step"
	machine root
	ok imgmake --cache-read "$(repo cache)" x
	contains "$stderr" 'remote cache: 0 of'
}
