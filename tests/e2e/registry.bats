load helpers

setup_file() {
	start_registry open
	OPEN=$REGISTRY
	start_registry tls htpasswd
	TLS=$REGISTRY
	start_token_registry
	BEARER=$REGISTRY
	export OPEN TLS BEARER
}

teardown_file() {
	stop_registries
}

app() {   # REPOSITORY
	recipe <<-EOF
		image "app" { from = "scratch", write { "/a", "$BATS_TEST_NUMBER" }, publish = { "$1", tags = { "1" } } }
	EOF
}

trust_ca() {
	mkdir -p "$HOME/.config/containers/certs.d/$TLS"
	cp "$REGISTRIES/tls/ca.crt" "$HOME/.config/containers/certs.d/$TLS/ca.crt"
}

basic() {   # USER PASSWORD
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$TLS" "$(printf '%s:%s' "$1" "$2" | base64 -w0)"
}

pushed_to_tls() {
	equal "$(skopeo inspect --cert-dir "$REGISTRIES/tls/trust" --creds ci:secret --format '{{.Digest}}' \
		"docker://$TLS/$1:1")" "$(exported app)"
}

@test "TLS with a private CA and a password from docker's file" {
	trust_ca
	mkdir -p "$HOME/.docker"
	basic ci secret >"$HOME/.docker/config.json"
	app "$TLS/a"
	ok imgmake deploy
	pushed_to_tls a
}

@test "a password from the containers' file, and from where the environment says" {
	trust_ca
	mkdir -p "$HOME/.config/containers" "$HOME/run/containers"
	basic ci secret >"$HOME/.config/containers/auth.json"
	app "$TLS/b1"
	ok imgmake deploy
	pushed_to_tls b1
	rm "$HOME/.config/containers/auth.json"
	basic ci secret >"$HOME/run/containers/auth.json"
	app "$TLS/b2"
	XDG_RUNTIME_DIR=$HOME/run ok imgmake deploy
	pushed_to_tls b2
	mv "$HOME/run/containers/auth.json" "$HOME/elsewhere.json"
	app "$TLS/b3"
	REGISTRY_AUTH_FILE=$HOME/elsewhere.json ok imgmake deploy
	pushed_to_tls b3
	mkdir "$HOME/dc"
	mv "$HOME/elsewhere.json" "$HOME/dc/config.json"
	app "$TLS/b4"
	DOCKER_CONFIG=$HOME/dc ok imgmake deploy
	pushed_to_tls b4
}

@test "a credential helper" {
	trust_ca
	mkdir -p "$HOME/.docker" bin
	printf '{"credHelpers": {"%s": "e2e"}}' "$TLS" >"$HOME/.docker/config.json"
	cat >bin/docker-credential-e2e <<-'EOF'
		#!/bin/sh
		[ "$1" = get ] || exit 1
		read -r host
		printf '{"ServerURL": "%s", "Username": "ci", "Secret": "secret"}' "$host"
	EOF
	chmod +x bin/docker-credential-e2e
	app "$TLS/c"
	PATH=$PWD/bin:$PATH ok imgmake deploy
	pushed_to_tls c
}

@test "a wrong password is one line that names registry and user, and no secret" {
	trust_ca
	mkdir -p "$HOME/.docker"
	basic ci wrongpassword >"$HOME/.docker/config.json"
	app "$TLS/d"
	fails "$TLS.*ci" imgmake deploy
	lacks "$output$stderr" "wrongpassword|$(printf 'ci:wrongpassword' | base64)"
}

@test "no password" {
	trust_ca
	app "$TLS/e"
	fails "$TLS" imgmake deploy
}

@test "an unknown CA is refused, and said" {
	app "$TLS/f"
	fails "$TLS.*[Cc]ertificate|[Cc]ertificate.*$TLS" imgmake deploy
}

@test "an unknown CA is let through with --insecure-registry" {
	mkdir -p "$HOME/.docker"
	basic ci secret >"$HOME/.docker/config.json"
	app "$TLS/g"
	ok imgmake --insecure-registry "$TLS" deploy
	pushed_to_tls g
}

bearer() {   # USER PASSWORD: docker's file
	mkdir -p "$HOME/.docker"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$BEARER" "$(printf '%s:%s' "$1" "$2" | base64 -w0)" \
		>"$HOME/.docker/config.json"
}

@test "bearer tokens" {
	bearer ci secret
	app "$BEARER/team/h"
	ok imgmake deploy
	equal "$(skopeo inspect --tls-verify=false --creds ci:secret --format '{{.Digest}}' \
		"docker://$BEARER/team/h:1")" "$(exported app)"
}

@test "a token server that knows no such password, and a repository without the right" {
	bearer ci wrongpassword
	app "$BEARER/team/i"
	fails "$BEARER" imgmake deploy
	lacks "$output$stderr" wrongpassword
	bearer ci secret
	app "$BEARER/other/i"
	fails "$BEARER/other/i" imgmake deploy
}

@test "blobs of the base are mounted from its repository, not sent" {
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$OPEN/t/base:1"
	recipe <<-EOF
		image "app" {
		  from = base "$OPEN/t/base:1",
		  write { "/a", "x" },
		  publish = { "$OPEN/t/mounted", tags = { "1" } },
		}
	EOF
	ok imgmake deploy
	contains "$(requests open)" 'POST /v2/t/mounted/blobs/uploads/\?.*mount=.*from=t%2Fbase|POST /v2/t/mounted/blobs/uploads/\?.*from=t/base'
	equal "$(digest_of "$OPEN/t/mounted:1")" "$(exported app)"
}

@test "push, pull and copy" {
	recipe <<-EOF
		image "app" { from = "scratch", write { "/a", "pushed" } }
	EOF
	local digest
	digest=$(exported app)
	ok imgmake push app "$OPEN/p/app:v"
	equal "$(digest_of "$OPEN/p/app:v")" "$digest"
	ok imgmake copy "$OPEN/p/app:v" "$OPEN/p/copied:w"
	equal "$(digest_of "$OPEN/p/copied:w")" "$digest"
	IMGMAKE_STORE=$DIR/second
	export IMGMAKE_STORE
	ok imgmake pull "$OPEN/p/copied:w"
	ok imgmake export "$OPEN/p/copied:w" oci:pulled
	equal "$(jq -r '.manifests[0].digest' pulled/index.json)" "$digest"
}

@test "copy carries an index with all its platforms" {
	recipe <<-EOF
		image "app" {
		  from = "scratch",
		  platforms = { "linux/amd64", "linux/arm64" },
		  write { "/a", "x" },
		  publish = { "$OPEN/i/app", tags = { "1" } },
		}
	EOF
	ok imgmake deploy
	ok imgmake copy "$OPEN/i/app:1" "$OPEN/i/other:1"
	equal "$(digest_of "$OPEN/i/other:1")" "$(digest_of "$OPEN/i/app:1")"
	skopeo copy -q --all --src-tls-verify=false "docker://$OPEN/i/other:1" dir:all
}

@test "more tags than one page holds" {
	local i
	for i in {1..120}; do
		seed "$OPEN/many/app" "0.0.$i"
	done
	recipe <<-EOF
		image "app" { from = "scratch", write { "/a", "x" }, publish = { "$OPEN/many/app", version = "0.0.7-rc.1" } }
	EOF
	ok imgmake deploy
	sed -i 's/0.0.7-rc.1/0.0.121/' Imagefile
	ok imgmake deploy
	equal "$(digest_of "$OPEN/many/app:latest")" "$(exported app)"
}

@test "a read-only registry says why" {
	mkdir -p "$REGISTRIES/ro"
	registry_config open "$REGISTRIES/ro" 127.0.0.1:0 | sed 's/delete: .*/&\n  maintenance: { readonly: { enabled: true } }/' \
		>"$REGISTRIES/ro/config.yml"
	start_registry_with "$REGISTRIES/ro"
	app "$REGISTRY/x"
	fails "$REGISTRY" imgmake deploy
}
