load helpers

# The work that people do, by an ordinary user, with a range of ids and without: install, compile, make an
# environment, npm ci; what comes of it runs under podman. packages.bats does the same as root.

project() {
	needs_user_with_debian
	needs_mirror
	needs_podman
	host_node host
	mkdir app
	echo 'int main(void) { return __builtin_puts("made here") < 0; }' >main.c
	echo 'console.log(require("is-odd")(3))' >app/index.js
	echo '{ "name": "app", "version": "1.0.0", "dependencies": { "is-odd": "3.0.1" } }' >app/package.json
	(cd app && npm install --package-lock-only --ignore-scripts >/dev/null 2>&1) ||
		skip "npm cannot make a package-lock.json here"
	# Where the host has a certificate of its own between it and the world, the step needs it.
	cp "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" ca.crt
	recipe <<-LUA
		local debian = base "$DEBIAN_APT"
		local node = stage "node" { from = debian, copy { "host/node", to = "/usr/bin/", mode = "0755" } }
		local tools = stage "tools" {
		  from = node,
		  apt.install { "gcc", "libc6-dev", "python3-venv" },
		  copy { "host/npm", to = "/usr/lib/npm" },
		}
		local program = stage "program" {
		  from = tools,
		  run { "gcc -O2 -o /prog main.c", inputs = { "main.c" }, workdir = "/src" },
		}
		local environment = stage "environment" {
		  from = tools,
		  run { "python3 -m venv --without-pip /venv",
		        "echo 'said = 42' >\$(echo /venv/lib/python3*/site-packages)/answer.py",
		        "/venv/bin/python3 -B -c 'import answer; print(answer.said)'" },
		}
		local modules = stage "modules" {
		  from = tools,
		  copy { "app/package.json", "app/package-lock.json", to = "/app/" },
		  run { "node /usr/lib/npm/bin/npm-cli.js ci --no-audit --no-fund --no-update-notifier", workdir = "/app",
		        cache = { "/root/.npm" }, secret = { "ca" }, env = { NODE_EXTRA_CA_CERTS = "/run/secrets/ca" } },
		}
		image "slim" {
		  from = node,
		  copy { "/prog", from = program, to = "/usr/local/bin/" },
		  copy { "/venv", from = environment, to = "/venv" },
		  copy { "/app/node_modules", from = modules, to = "/app/node_modules" },
		  copy { "app/index.js", to = "/app/" },
		  run { "prog", "node /app/index.js", "test -e /venv/pyvenv.cfg", "! command -v gcc" },
		  config { cmd = { "sh", "-c", "prog && node /app/index.js" } },
		}
	LUA
	chown -R "$E2E_USER" "$DIR/work" "$DIR/home"
	export IMGMAKE_STORE=$HOME/store
}

built_and_run() {   # HOW: as_user or as_user_without_range
	ok "$1" "$IMGMAKE" export slim oci:out --secret ca=ca.crt --progress=plain
	contains "$stderr" '^environment: 42$'
	contains "$stderr" '^slim: made here$'
	contains "$stderr" '^slim: true$'
	ok "$1" "$IMGMAKE" -q --secret ca=ca.crt
	ok podman_run out
	equal "$output" $'made here\ntrue'
}

@test "with a range of ids" {
	project
	built_and_run as_user
}

@test "without one" {
	project
	built_and_run as_user_without_range
}
