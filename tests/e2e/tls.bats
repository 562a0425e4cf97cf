#!/usr/bin/env bats
# Hosts of other names than ours, over real TLS: a proxy of ours answers for all of them, so that no name need exist.
load helpers

setup_file() {
	local d
	REGISTRIES=$(new_dir)
	d=$REGISTRIES/scripted
	mkdir "$d"
	"$REPO_ROOT/tests/servers/make_names.sh" "$d/certs"
	: >"$d/log"
	python3 "$REPO_ROOT/tests/servers/scripted_registry.py" --port 0 --port-file "$d/port" --log "$d/log" \
		--certs "$d/certs" >"$d/err" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
	CERTS=$d/certs
	export REGISTRIES CERTS
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	http_proxy=http://127.0.0.1:$(cat "$REGISTRIES/scripted/port")
	export http_proxy https_proxy=$http_proxy SSL_CERT_FILE=$CERTS/ca.crt
	mkdir "$HOME/.docker"
	: >"$REGISTRIES/scripted/log"
}

log() {
	cat "$REGISTRIES/scripted/log"
}

in_the_clear() {   # what went to anybody without TLS
	grep -c ' http://' "$REGISTRIES/scripted/log" || true
}

password_for() {   # KEY…: docker's file
	local key
	for key in "$@"; do
		jq -n --arg k "$key" --arg a "$(printf ci:secret | base64)" '{auths: {($k): {auth: $a}}}'
	done | jq -s 'reduce .[] as $x ({}; . * $x)' >"$HOME/.docker/config.json"
}

app() {   # REPOSITORY: an image in it
	recipe <<-EOF
		image "app" { from = "scratch", write { "/a", "$1" }, publish = { "$1", tags = { "1" } } }
	EOF
}

goes_there() {   # REPOSITORY
	app "$1"
	ok imgmake deploy
}

@test "docker.io: where it is, what its images are called, and under what its password is kept" {
	password_for https://index.docker.io/v1/
	goes_there challenge/app
	contains "$(log)" '^CONNECT registry-1.docker.io:443 '
	contains "$(log)" '^PUT /v2/challenge/app/manifests/1 201 registry-1.docker.io .* ci:secret$'
	fails 'docker.io/library/nope has no manifest latest' imgmake pull nope
	contains "$(log)" '^GET /v2/library/nope/manifests/latest 404 registry-1.docker.io '
	equal "$(in_the_clear)" 0
}

@test "docker.io: logged in and out under the name that other tools look for" {
	ok imgmake login docker.io --username ci --password-stdin <<<secret
	equal "$(jq -r '.auths | keys[]' "$HOME/.docker/config.json")" https://index.docker.io/v1/
	contains "$(log)" '^GET /v2/ 200 registry-1.docker.io '
	goes_there challenge/in
	contains "$(log)" '^PUT /v2/challenge/in/manifests/1 201 registry-1.docker.io .* ci:secret$'
	ok imgmake logout docker.io
	equal "$(jq -c .auths "$HOME/.docker/config.json")" '{}'
	equal "$(in_the_clear)" 0
}

@test "redirects: who we are is told to nobody else, be it another host or another port" {
	local kind where
	password_for registry.example.com cdn.example.com
	for kind in upwards=cdn.example.com ports=registry.example.com:8443; do
		where=${kind#*=}
		goes_there "registry.example.com/${kind%=*}/app"
		IMGMAKE_STORE=$DIR/other ok imgmake pull "registry.example.com/${kind%=*}/app:1"
		contains "$(log)" "^GET /v2/${kind%=*}/app/blobs/[^ ]* 307 registry.example.com .* ci:secret\$"
		contains "$(log)" "^GET /storage/[^ ]*[?]signature=a%2Bb%3D&x 200 $where .* -\$"
		lacks "$(log)" "^GET /storage/.*(ci:secret|bearer)"
	done
	# At the same origin it is still us.
	goes_there registry.example.com/moved/app
	IMGMAKE_STORE=$DIR/other ok imgmake pull registry.example.com/moved/app:1
	contains "$(log)" '^GET /v2/moved/app/blobs/[^ ]*[?]there=1 200 registry.example.com .* ci:secret$'
}

@test "a registry on this machine is spoken with directly, whatever proxy there is for others" {
	local host
	host=localhost:$(cat "$REGISTRIES/scripted/port")
	password_for "$host"
	export http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1
	goes_there "$host/challenge/near"
	contains "$(log)" "^PUT /v2/challenge/near/manifests/1 201 $host .* ci:secret$"
	fails "example.com is unreachable: check host, port, network and proxy" imgmake pull registry.example.com/plain/app
}

@test "a proxy that refuses us is told from the registry" {
	fails "locked.example.com: the proxy wants a login .*407.*; put it into https_proxy as http://USER:PASSWORD@HOST:PORT" \
		imgmake pull locked.example.com/x:1
	fails "barred.example.com: the proxy does not lead there .*403.*; check https_proxy and NO_PROXY" \
		imgmake pull barred.example.com/x:1
	equal "$(log | grep -c ^CONNECT)" 2
	fails "gone.example.com: the proxy does not lead there .*502" imgmake pull gone.example.com/x:1
	equal "$(log | grep -c ^CONNECT)" 7   # that may pass
	https_proxy=http://none.invalid:1 fails "registry.example.com: its proxy is not known: .*; check https_proxy" \
		imgmake pull registry.example.com/x:1
}

@test "https never becomes http: neither for a blob nor for an upload" {
	password_for registry.example.com
	goes_there registry.example.com/downwards/app
	IMGMAKE_STORE=$DIR/other fails 'registry.example.com redirects from https to plain http; refused' \
		imgmake pull registry.example.com/downwards/app:1
	app registry.example.com/downupload/app
	fails 'registry.example.com wants the upload over plain http; refused' imgmake deploy
	equal "$(in_the_clear)" 0
}

@test "tokens: the password goes to where one may fetch a token, and nowhere else" {
	password_for registry.example.com
	goes_there registry.example.com/farrealm/app
	contains "$(log)" '^GET /token/farrealm[?]service=.*scope=repository%3Afarrealm%2Fapp%3Apull%2Cpush[^ ]* 200 auth.example.com .* ci:secret$'
	lacks "$(log)" '^[A-Z]+ /v2/.* ci:secret$'
	app registry.example.com/httprealm/app
	fails 'registry.example.com wants us to fetch a token over plain http from auth.example.com' imgmake deploy
	app registry.example.com/homerealm/app
	fails 'over plain http' imgmake deploy
	app registry.example.com/innerrealm/app
	fails 'a token from the inner address 10.0.0.5' imgmake deploy
	app registry.example.com/movedrealm/app
	fails 'auth.example.com gave no token for registry.example.com: HTTP status 307' imgmake deploy
	lacks "$(log)" 'evil.example.com|10.0.0.5'
	equal "$(in_the_clear)" 0
}

@test "plain http is spoken with nobody who was not named" {
	app plain.example.com/plain/app
	fails 'plain.example.com does not speak TLS .*give --insecure-registry plain.example.com' imgmake deploy
	equal "$(in_the_clear)" 0
	ok imgmake --insecure-registry plain.example.com deploy
	contains "$(log)" '^PUT http://plain.example.com/v2/plain/app/manifests/1 201 '
}

@test "a handshake that is cut off is tried again, and never without TLS" {
	goes_there flaky.example.com/plain/app
	contains "$(log)" '^PUT /v2/plain/app/manifests/1 201 flaky.example.com '
	equal "$(grep -c '^CONNECT flaky.example.com:443 hang-up ' "$REGISTRIES/scripted/log")" 3
	equal "$(in_the_clear)" 0
}

@test "a certificate that cannot be trusted is one line that says what to do" {
	local host why
	password_for expired.example.com wrong.example.com self.example.com
	for host in expired='has expired; its owner has to renew it' \
		wrong='is for another name .*check the name' \
		self='is not trusted .*certs.d/self.example.com/ca.crt.*SSL_CERT_FILE'; do
		why=${host#*=} host=${host%%=*}.example.com
		app "$host/challenge/app"
		fails "^imgmake: .*$host .*certificate.*$why" imgmake deploy
	done
	equal "$(grep -vc '^CONNECT ' "$REGISTRIES/scripted/log")" 0
	ok imgmake --insecure-registry self.example.com deploy
	contains "$(log)" '^PUT /v2/challenge/app/manifests/1 201 self.example.com .* ci:secret$'
	app registry.example.com/plain/app
	SSL_CERT_FILE=$DIR/none fails "$DIR/none" imgmake deploy
	unset SSL_CERT_FILE
	fails 'registry.example.com .*not trusted' imgmake deploy
}

@test "authorities of one host: containers' and docker's directories" {
	local house
	unset SSL_CERT_FILE
	for house in containers docker; do
		mkdir -p "$HOME/.config/$house/certs.d/$house.example.com"
		cp "$CERTS/ca.crt" "$HOME/.config/$house/certs.d/$house.example.com/any-name.crt"
		goes_there "$house.example.com/plain/app"
	done
	mkdir -p "$HOME/.config/containers/certs.d/self.example.com"
	cp "$CERTS/self.example.com.crt" "$HOME/.config/containers/certs.d/self.example.com/ca.crt"
	goes_there self.example.com/plain/app
	echo nonsense >"$HOME/.config/docker/certs.d/docker.example.com/other.crt"
	app docker.example.com/plain/app
	fails 'docker.example.com/other.crt holds no certificate' imgmake deploy
}

@test "a certificate of ours, where the registry wants one" {
	local d=$HOME/.config/containers/certs.d/mutual.example.com
	app mutual.example.com/plain/app
	fails 'mutual.example.com wants a certificate of ours; put it into .*/certs.d/mutual.example.com/client.cert' \
		imgmake deploy
	mkdir -p "$d"
	cp "$CERTS/client.cert" "$CERTS/client.key" "$d/"
	ok imgmake deploy
	contains "$(log)" '^PUT /v2/plain/app/manifests/1 201 mutual.example.com '
}
