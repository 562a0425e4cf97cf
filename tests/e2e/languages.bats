load helpers

# Dependencies first, code second: npm and pip, with real tools.

setup_file() {
	clean_environment
	BATS_STORE=$(new_dir)
	export BATS_STORE
}

teardown_file() {
	rm -rf "$BATS_STORE"
}

# The base is unpacked and tools are installed once for all tests here.
shared_store() {
	export IMGMAKE_STORE=$BATS_STORE/store
}

node_project() {
	mkdir -p web/src
	host_node host
	echo 'console.log(require("is-odd")(3), process.env.NODE_ENV)' >web/src/index.js
	cat >web/package.json <<-'EOT'
		{ "name": "web", "version": "1.0.0", "dependencies": { "is-odd": "3.0.1" },
		  "devDependencies": { "left-pad": "1.3.0" },
		  "scripts": { "bundle": "node -e 'require(\"left-pad\"); require(\"fs\").cpSync(\"src\", \"out/js\", { recursive: true })'" } }
	EOT
	(cd web && npm install --package-lock-only --ignore-scripts >/dev/null 2>&1) ||
		skip "npm cannot make a package-lock.json here"
	# Where the host has a certificate of its own between it and the world, the step needs it.
	CA=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
	NODE="local debian = base \"$DEBIAN_APT\"
		local node = stage \"node\" { from = debian, copy { \"host/node\", to = \"/usr/bin/\", mode = \"0755\" } }
		local tools = stage \"tools\" {
		  from = node,
		  copy { \"host/npm\", to = \"/usr/lib/npm\" },
		  symlink { \"/usr/bin/npm\", target = \"../lib/npm/bin/npm-cli.js\" },
		}
		local ca = { secret = \"ca\", env = { NODE_EXTRA_CA_CERTS = \"/run/secrets/ca\" } }"
}

@test "npm.build: production dependencies, then what a script builds with all of them" {
	node_project
	shared_store
	recipe <<-LUA
		$NODE
		image "web" {
		  from = node,
		  npm.build { from = tools, source = "web", run = "bundle", output = "out", secret = ca.secret, env = ca.env },
		  run { "node out/js/index.js" },
		  config { cmd = { "node", "out/js/index.js" } },
		}
	LUA
	ok imgmake --progress=plain --secret "ca=$CA"
	contains "$stderr" '^web: true production$'
	ok imgmake -q --secret "ca=$CA"
	ok imgmake export --secret "ca=$CA" web dir:root
	equal "$(cd root/app && find . -mindepth 1 -maxdepth 1 | sort | paste -sd' ')" "./node_modules ./out ./package.json"
	[ -e root/app/node_modules/is-odd ] && [ ! -e root/app/node_modules/left-pad ] && [ ! -e root/usr/bin/npm ]
	[ -z "$(find root/var/cache/npm root/root/.npm -type f 2>/dev/null)" ]
	# Other code installs nothing, and moves no layer before its own.
	echo 'console.log("again")' >web/src/index.js
	ok imgmake --progress=plain --secret "ca=$CA"
	contains "$stderr" '^web: again$'
	lacks "$stderr" 'added [0-9]+ packages'
	# Another dependency does.
	(cd web && npm install --package-lock-only --ignore-scripts is-even@1.0.0 >/dev/null 2>&1)
	ok imgmake --progress=plain --secret "ca=$CA"
	contains "$stderr" '^npm-modules: added [0-9]+ packages'
	contains "$stderr" '^npm-build: added [0-9]+ packages'
}

@test "npm.build without a script takes the code; npm.install needs a lock file" {
	node_project
	shared_store
	mkdir -p web/node_modules/stale
	echo x >web/node_modules/stale/x
	recipe <<-LUA
		$NODE
		image "web" {
		  from = node,
		  npm.build { from = tools, source = "web", to = "/srv/web", exclude = "secret.txt", secret = ca.secret, env = ca.env },
		  run { "node src/index.js" },
		}
		image "dev" { from = tools, npm.install { source = "web", dev = true, secret = ca.secret, env = ca.env } }
	LUA
	echo x >web/secret.txt
	ok imgmake --progress=plain --secret "ca=$CA" web
	contains "$stderr" '^web: true production$'
	ok imgmake export --secret "ca=$CA" web dir:root
	[ ! -e root/srv/web/node_modules/stale ] && [ ! -e root/srv/web/secret.txt ] && [ -e root/srv/web/src/index.js ]
	ok imgmake export --secret "ca=$CA" dev oci:dev
	contains "$(last_layer dev)" '^app/node_modules/left-pad/package.json$'
	lacks "$(last_layer dev)" '^app/(src|package.json)'
	rm web/package-lock.json
	go imgmake --secret "ca=$CA" dev
	equal "$status" 2
	contains "$stderr" 'package-lock.json'
	contains "$stderr" "^imgmake: Imagefile:[0-9]+: image 'dev': run: its command failed"
}

@test "pip.build: dependencies in a virtual environment, then the code" {
	needs_mirror
	shared_store
	mkdir -p wheels src/__pycache__
	wheel wheels answer 1.0 'said = 42'
	wheel wheels answer 2.0 'said = 43'
	echo 'answer==1.0' >requirements.txt
	echo 'import answer, sys; print(answer.said, sys.prefix, answer.__cached__)' >src/main.py
	echo x >src/__pycache__/old.pyc
	recipe <<-LUA
		local tools = stage "tools" { from = base "$DEBIAN_APT", apt.install "python3-venv" }
		image "web" {
		  from = tools,
		  pip.build { from = tools, wheels = "wheels", source = "src" },
		  run { "python3 main.py" },
		  run { "! command -v pip3" },
		  config { cmd = { "python3", "main.py" } },
		}
	LUA
	ok imgmake --progress=plain
	contains "$stderr" '^web: 42 /venv /venv/lib/python3'
	ok imgmake -q
	ok imgmake export web dir:root
	[ -e root/app/main.py ] && [ ! -e root/app/__pycache__ ] && [ ! -e root/imgmake ] && [ ! -e root/usr/bin/pip3 ]
	[ -z "$(find root/var/cache/pip root/root/.cache -type f 2>/dev/null)" ]
	# Compiled modules are good whatever the times of files in layers are: Python uses them as they are.
	equal "$(od -An -tu4 -j4 -N4 "$(find root/venv -name 'answer.cpython*.pyc')" | tr -d ' ')" 3
	# Other code installs nothing; another requirement does, in the same environment anew.
	echo 'print("again")' >src/main.py
	ok imgmake --progress=plain
	contains "$stderr" '^web: again$'
	lacks "$stderr" 'Successfully installed'
	echo 'answer==2.0' >requirements.txt
	echo 'import answer; print(answer.said)' >src/main.py
	ok imgmake --progress=plain
	contains "$stderr" '^pip-venv: Successfully installed answer-2.0$'
	contains "$stderr" '^web: 43$'
}

@test "pip.install: hashes are asked for, and a package that is not there fails" {
	needs_mirror
	shared_store
	mkdir wheels
	wheel wheels answer 1.0 'said = 42'
	echo "answer==1.0 --hash=sha256:$(sha256sum <wheels/answer-1.0-py3-none-any.whl | cut -d' ' -f1)" >locked.txt
	echo 'answer' >requirements.txt
	echo 'answer<1' >constraints.txt
	recipe <<-LUA
		local tools = stage "tools" { from = base "$DEBIAN_APT", apt.install "python3-venv" }
		image "good" { from = tools, pip.install { requirements = "locked.txt", hashes = true, wheels = "wheels", venv = "/opt/v" } }
		image "bad" { from = tools, pip.install { constraints = "constraints.txt", wheels = "wheels" } }
	LUA
	ok imgmake good
	ok imgmake export good dir:root
	[ -e "$(echo root/opt/v/lib/python3*/site-packages/answer.py)" ]
	sed -i 's/sha256:..../sha256:0000/' locked.txt
	go imgmake good
	equal "$status" 2
	contains "$stderr" 'DO NOT MATCH THE HASHES'
	go imgmake bad
	equal "$status" 2
	contains "$stderr" "ResolutionImpossible"
}
