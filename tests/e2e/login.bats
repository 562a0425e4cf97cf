#!/usr/bin/env bats
# imgmake login and logout: passwords checked against real registries, kept where other tools find them.
load helpers

setup_file() {
	start_registry tls htpasswd
	export TLS=$REGISTRY
	start_token_registry
	export BEARER=$REGISTRY
	start_registry open
	export OPEN=$REGISTRY
}

teardown_file() {
	stop_registries
}

trust_ca() {
	mkdir -p "$HOME/.config/containers/certs.d/$TLS"
	cp "$REGISTRIES/tls/ca.crt" "$HOME/.config/containers/certs.d/$TLS/"
}

config=.docker/config.json

log_in() {   # PASSWORD HOST OPTION…
	local password=$1
	shift
	go imgmake login "$@" --username ci --password-stdin <<<"$password"
}

@test "a right password is kept, for skopeo too, and used" {
	trust_ca
	mkdir -p "$HOME/.docker"
	echo '{"auths": {"other.example.com": {"auth": "eDp5"}}, "currentContext": "kept"}' >"$HOME/$config"
	log_in secret "$TLS"
	[ "$status" = 0 ]
	contains "$stderr" "^logged in to $TLS as \"ci\" \($HOME/$config\)\$"
	lacks "$output$stderr" secret
	equal "$(stat -c %a "$HOME/$config")" 600
	equal "$(jq -c '[.currentContext, .auths["other.example.com"].auth]' "$HOME/$config")" '["kept","eDp5"]'
	recipe <<-LUA
		image "app" { from = "scratch", write { "/a", "x" }, publish = { "$TLS/a", tags = { "1" } } }
	LUA
	ok imgmake deploy
	skopeo inspect --authfile "$HOME/$config" --cert-dir "$REGISTRIES/tls/trust" "docker://$TLS/a:1" >/dev/null
	ok imgmake logout "$TLS"
	contains "$stderr" "^logged out of $TLS \($HOME/$config\)\$"
	equal "$(jq -c '.auths | keys' "$HOME/$config")" '["other.example.com"]'
	ok imgmake logout "$TLS"
	equal "$stderr" "not logged in to $TLS"
}

@test "a wrong password is kept nowhere" {
	trust_ca
	fails "denied: $TLS refused the password of \"ci\"" \
		imgmake login "$TLS" -u ci --password-stdin <<<wrongpassword
	[ ! -e "$HOME/$config" ]
	lacks "$output$stderr" wrongpassword
}

@test "a token server is asked, too" {
	log_in secret "$BEARER"
	[ "$status" = 0 ]
	recipe <<-LUA
		image "app" { from = "scratch", write { "/a", "x" }, publish = { "$BEARER/team/a", tags = { "1" } } }
	LUA
	ok imgmake deploy
	fails "$BEARER" imgmake login "$BEARER" --username ci --password-stdin <<<wrongpassword
	# What was right is still there.
	ok imgmake deploy
}

@test "a registry that asks nobody" {
	log_in secret "$OPEN"
	[ "$status" = 0 ]
	contains "$stderr" "^$OPEN asks nobody for a password; it was kept unverified\$"
}

@test "through the helper that the file names" {
	trust_ca
	mkdir -p "$HOME/.docker" bin
	echo '{"credsStore": "e2e"}' >"$HOME/$config"
	cat >bin/docker-credential-e2e <<-EOF
		#!/bin/sh
		case \$1 in
		store) cat >"$HOME/kept" ;;
		get) [ -e "$HOME/kept" ] && cat "$HOME/kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
		erase) rm "$HOME/kept" ;;
		esac
	EOF
	chmod +x bin/docker-credential-e2e
	PATH=$PWD/bin:$PATH
	log_in secret "$TLS"
	[ "$status" = 0 ]
	contains "$stderr" '\(docker-credential-e2e\)$'
	equal "$(jq -c '[.ServerURL, .Username, .Secret]' "$HOME/kept")" "[\"$TLS\",\"ci\",\"secret\"]"
	equal "$(jq -c .auths "$HOME/$config")" "{\"$TLS\":{}}"
	recipe <<-LUA
		image "app" { from = "scratch", write { "/a", "x" }, publish = { "$TLS/b", tags = { "1" } } }
	LUA
	ok imgmake deploy
	ok imgmake logout "$TLS"
	[ ! -e "$HOME/kept" ]
}

@test "a helper that fails keeps nothing, and nobody else does instead" {
	local plain
	plain=$(printf ci:old | base64)
	mkdir -p "$HOME/.docker" bin
	jq -n --arg h "$OPEN" --arg a "$plain" '{credHelpers: {($h): "broken"}, auths: {($h): {auth: $a}}}' >"$HOME/$config"
	printf '#!/bin/sh\n[ -e "%s" ] || { echo "no keychain here" >&2; exit 1; }\ncat >"%s"\n' "$DIR/mended" "$DIR/kept" \
		>bin/docker-credential-broken
	chmod +x bin/docker-credential-broken
	PATH=$PWD/bin:$PATH
	fails 'docker-credential-broken failed: no keychain here' \
		imgmake login "$OPEN" --username ci --password-stdin <<<secret
	lacks "$(cat "$HOME/$config")" "$(printf ci:secret | base64)"
	touch "$DIR/mended"
	log_in secret "$OPEN"
	[ "$status" = 0 ]
	contains "$(cat "$DIR/kept")" '"Secret": *"secret"'
	# What stood in the file goes: it would be a password in plain text.
	lacks "$(cat "$HOME/$config")" "$plain|$(printf ci:secret | base64)"
	ok imgmake logout "$OPEN"
	equal "$(cat "$DIR/kept")" "$OPEN"
}

@test "where the environment says, and where an entry would hide the new one" {
	mkdir "$HOME/dc" "$HOME/run"
	DOCKER_CONFIG=$HOME/dc log_in secret "$OPEN"
	contains "$stderr" "\($HOME/dc/config.json\)\$"
	REGISTRY_AUTH_FILE=$HOME/auth.json log_in secret "$OPEN"
	contains "$stderr" "\($HOME/auth.json\)\$"
	mkdir "$HOME/run/containers"
	echo "{\"auths\": {\"$OPEN\": {\"auth\": \"eDp5\"}}}" >"$HOME/run/containers/auth.json"
	XDG_RUNTIME_DIR=$HOME/run log_in secret "$OPEN"
	contains "$stderr" "\($HOME/run/containers/auth.json\)\$"
	equal "$(jq -r ".auths[\"$OPEN\"].auth" "$HOME/run/containers/auth.json" | base64 -d)" ci:secret
}

@test "a configuration that is a symlink stays one, and what it leads to forgets" {
	mkdir -p "$HOME/.docker" dotfiles
	echo '{"auths": {"localhost:1": {"auth": "bWU6c2Vj"}}}' >dotfiles/config.json
	chmod 644 dotfiles/config.json
	ln -s "$PWD/dotfiles/config.json" "$HOME/.docker/config.json"
	ok imgmake logout localhost:1
	[ -L "$HOME/.docker/config.json" ]
	lacks "$(cat dotfiles/config.json)" bWU6c2Vj
	equal "$(stat -c %a dotfiles/config.json)" 600
}

@test "a person is asked, and the password is not shown" {
	python3 - "$IMGMAKE" "$OPEN" <<-'PYTHON'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "login", sys.argv[2]])
		said = b""
		def expect(text):
		    global said
		    while text not in said:
		        said += os.read(fd, 1000)
		expect(b"user name: ")
		os.write(fd, b"ci\n")
		expect(b"password: ")
		os.write(fd, b"hidden\n")
		try:
		    while True:
		        more = os.read(fd, 1000)
		        if not more: break
		        said += more
		except OSError:
		    pass
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
		assert b"hidden" not in said, said
	PYTHON
	equal "$(jq -r ".auths[\"$OPEN\"].auth" "$HOME/$config" | base64 -d)" ci:hidden
}

@test "an interrupt at the prompt leaves the terminal as it was" {
	python3 - "$IMGMAKE" "$OPEN" <<-'PYTHON'
		import os, pty, signal, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "login", "--username", "ci", sys.argv[2]])
		said = b""
		while b"password: " not in said:
		    said += os.read(fd, 1000)
		assert not termios.tcgetattr(fd)[3] & termios.ECHO
		keep = os.open("/proc/%d/fd/0" % pid, os.O_RDWR | os.O_NOCTTY)
		os.write(fd, b"half\x03")
		status = os.waitpid(pid, 0)[1]
		assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
		assert termios.tcgetattr(keep)[3] & termios.ECHO
	PYTHON
	[ ! -e "$HOME/$config" ]
}

@test "what cannot be" {
	fails 'no path' imgmake login registry.example.com/team
	fails 'wants --username' imgmake login "$OPEN" --password-stdin <<<x
	fails 'the password is empty' imgmake login "$OPEN" --username ci --password-stdin </dev/null
	fails 'no terminal' imgmake login "$OPEN" --username ci </dev/null
	fails 'no colon' imgmake login "$OPEN" --username c:i --password-stdin <<<x
	mkdir -p "$HOME/.docker"
	echo '{' >"$HOME/$config"
	fails "credentials in $HOME/$config" imgmake login "$OPEN" --username ci --password-stdin <<<secret
	equal "$(cat "$HOME/$config")" '{'
}
