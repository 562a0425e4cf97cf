load helpers

# Packages of the distribution: from Debian's real archive, where that can be reached.

teardown() {
	[ ! -e "$DIR/pid" ] || kill "$(cat "$DIR/pid")" 2>/dev/null || true
	teardown_test
}

# The base is unpacked and the lists are fetched once for all tests that do not ask for more.
shared_store() {
	export IMGMAKE_STORE=$BATS_FILE_TMPDIR/store
}

# In a directory and with a store of that user's own.
become_user() {
	mkdir "$DIR/user"
	cp Imagefile "$DIR/user/"
	chown -R "$E2E_USER" "$DIR/user"
	cd "$DIR/user" || return 1
	export HOME=$DIR/user IMGMAKE_STORE=$DIR/user/store
}

apt_recipe() {   # ARGUMENTS…: installs into an image whose configuration is for something else
	needs_mirror
	shared_store
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN_APT",
		  env { PATH = "/usr/local/bin:/usr/bin:/bin" },
		  user "1234:1234",
		  workdir "/no/where",
		  apt.install { $1 },
		}
	LUA
}

@test "a package is installed, whatever user, directory and PATH the image has" {
	apt_recipe '"hello"'
	ok imgmake
	ok imgmake -q
	ok imgmake export x oci:out
	local names
	names=$(last_layer out)
	contains "$names" '^usr/bin/hello$'
	contains "$names" '^var/lib/dpkg/status$'
	# What apt fetches, logs and leaves is in no layer.
	lacks "$(grep -v '\.wh\.' <<<"$names")" '^var/(log|cache/apt|lib/apt/lists|cache/ldconfig)|-old$'
	lacks "$names" 'policy-rc|machine-id|/lock|^no|^(etc|tmp|run|proc|dev)/'
	# It is what dpkg knows, and it runs.
	recipe <<-LUA
		local x = stage "x" { from = base "$DEBIAN_APT", apt.install "hello" }
		image "y" { from = x, run { "dpkg -s hello | grep -q 'ok installed'; dpkg --verify; hello" } }
	LUA
	ok imgmake --progress=plain y
	contains "$stderr" '^y: Hello'
}

@test "two builds give the same bytes" {
	apt_recipe '"python3-minimal"'
	local first
	first=$(exported x)
	export IMGMAKE_STORE=$DIR/store
	equal "$(exported x)" "$first"
}

@test "archives are kept between builds, and give the same bytes" {
	apt_recipe '"hello"'
	local first
	first=$(exported x)
	go imgmake -B --progress=plain
	contains "$stderr" 'Need to get 0 B/'
	equal "$(exported x)" "$first"
}

@test "an ordinary user installs the same bytes" {
	needs_user_with_debian
	apt_recipe '"hello"'
	local root
	root=$(exported x)
	become_user
	ok as_user "$IMGMAKE" export x oci:out
	equal "$(jq -r '.manifests[0].digest' out/index.json)" "$root"
}

@test "so does one without a range of ids" {
	needs_user_with_debian
	apt_recipe '"hello"'
	local root
	root=$(exported x)
	become_user
	ok as_user_without_range "$IMGMAKE" export x oci:out
	equal "$(jq -r '.manifests[0].digest' out/index.json)" "$root"
}

@test "compiled where gcc is, run where it is not" {
	shared_store
	needs_mirror
	echo 'int main(void) { return __builtin_puts("made here") < 0; }' >main.c
	recipe <<-LUA
		local made = stage "made" {
		  from = base "$DEBIAN_APT",
		  apt.install { "gcc", "libc6-dev" },
		  run { "gcc -O2 -o /usr/local/bin/prog main.c", inputs = { "main.c" }, workdir = "/src" },
		}
		image "slim" {
		  from = base "$DEBIAN",
		  copy { "/usr/local/bin/prog", from = made, to = "/usr/local/bin/" },
		  run { "prog", "! command -v gcc" },
		  config { entrypoint = { "prog" } },
		}
	LUA
	ok imgmake --progress=plain slim
	contains "$stderr" '^slim: made here$'
	# Another source does not install the compiler again.
	sed -i 's/made here/made again/' main.c
	ok imgmake --progress=plain slim
	contains "$stderr" '^slim: made again$'
	lacks "$stderr" 'Get:|Unpacking'
	needs_podman
	ok imgmake export slim oci:slim
	ok podman_run slim
	equal "$output" 'made again'
}

@test "a virtual environment made in a stage works in an image that has Python" {
	shared_store
	needs_mirror
	recipe <<-LUA
		local debian = base "$DEBIAN_APT"
		local python = stage "python" { from = debian, apt.install { "python3-minimal" } }
		local deps = stage "deps" {
		  from = python,
		  apt.install { "python3-venv" },
		  run { "python3 -m venv --without-pip /venv",
		        "echo 'said = 42' >\$(echo /venv/lib/python3*/site-packages)/answer.py" },
		}
		image "app" {
		  from = python,
		  copy { "/venv", from = deps, to = "/venv" },
		  env { PATH = "/venv/bin:\${PATH}" },
		  run { "python3 -c 'import answer, sys; print(answer.said, sys.prefix)'" },
		  config { cmd = { "python3", "-c", "import answer; print(answer.said)" } },
		  user "65534:65534",
		}
	LUA
	ok imgmake --progress=plain app
	contains "$stderr" '^app: 42 /venv$'
	needs_podman
	ok imgmake export app oci:app
	ok podman_run app
	equal "$output" 42
	ok podman_run app sh -c 'id -u; command -v python3'
	equal "$output" $'65534\n/venv/bin/python3'
}

node_project() {
	mkdir app
	host_node host
	cat >app/index.js <<-'EOT'
		console.log(require("is-odd")(3), process.version)
	EOT
	echo '{ "name": "app", "version": "1.0.0", "dependencies": { "is-odd": "3.0.1" } }' >app/package.json
	(cd app && npm install --package-lock-only --ignore-scripts >/dev/null 2>&1) ||
		skip "npm cannot make a package-lock.json here"
}

@test "npm ci in a stage, its modules in an image with Node alone" {
	node_project
	shared_store
	recipe <<-LUA
		local node = stage "node" { from = base "$DEBIAN_APT", copy { "host/node", to = "/usr/bin/", mode = "0755" } }
		local modules = stage "modules" {
		  from = node,
		  copy { "host/npm", to = "/usr/lib/npm" },
		  copy { "app/package.json", "app/package-lock.json", to = "/app/" },
		  run { "node /usr/lib/npm/bin/npm-cli.js ci --no-audit --no-fund --no-update-notifier", workdir = "/app",
		        cache = { "/root/.npm" }, secret = { "ca" }, env = { NODE_EXTRA_CA_CERTS = "/run/secrets/ca" } },
		}
		image "app" {
		  from = node,
		  copy { "/app/node_modules", from = modules, to = "/app/node_modules" },
		  copy { "app/index.js", to = "/app/" },
		  workdir "/app",
		  run { "node index.js" },
		  config { cmd = { "node", "index.js" } },
		}
	LUA
	# Where the host has a certificate of its own between it and the world, the step needs it.
	local ca="${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}"
	ok imgmake --progress=plain --secret "ca=$ca" app
	contains "$stderr" '^app: true v'
	# Code changes, dependencies do not: they are not installed again.
	echo 'console.log("again", require("is-odd")(4))' >app/index.js
	ok imgmake --progress=plain --secret "ca=$ca" app
	contains "$stderr" '^app: again false$'
	lacks "$stderr" 'added .* packages'
	needs_podman
	ok imgmake export --secret "ca=$ca" app oci:app-image
	ok podman_run app-image
	equal "$output" 'again false'
}

@test "a package that does not exist fails the step, and apt says why" {
	apt_recipe '"no-such-package-of-debian"'
	go imgmake
	equal "$status" 2
	contains "$stderr" 'Unable to locate package no-such-package-of-debian'
	contains "$stderr" "^imgmake: Imagefile:6: image 'x': run: its command failed with status 100"
}

@test "a snapshot: packages come from the archive as it was" {
	needs_mirror
	[ "${MIRROR#http://*.debian.org/}" = debian ] || skip "$MIRROR is not Debian's own"
	python3 "$REPO_ROOT/tests/servers/snapshot_proxy.py" --mirror "$MIRROR" --port-file "$DIR/port" \
		>"$DIR/requests" 2>/dev/null 3>&- &
	echo $! >"$DIR/pid"
	wait_until test -s "$DIR/port"
	apt_recipe '"hello", snapshot = "20260102T030405Z"'
	export IMGMAKE_STORE=$DIR/store   # without the archive from elsewhere
	http_proxy=http://127.0.0.1:$(cat "$DIR/port") go imgmake export x dir:d
	equal "$status" 0
	[ -x d/usr/bin/hello ]
	contains "$(cat "$DIR/requests")" '/archive/debian/20260102T030405Z/pool/main/h/hello/hello_'
	lacks "$(cat "$DIR/requests")" '//deb\.debian'
	# The image's own sources are as they were.
	lacks "$(cat d/etc/apt/sources.list)" snapshot
}

@test "a snapshot of what Debian does not have is refused" {
	shared_store
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN_APT",
		  write { "/etc/apt/sources.list", "deb http://packages.example.com/x stable main\n" },
		  apt.install { "hello", snapshot = "20260102" },
		}
	LUA
	go imgmake
	equal "$status" 2
	contains "$stderr" 'no source of this image is on debian.org'
}

# A stand-in that writes down how it was called: these distributions are not at hand here.
pretender() {   # NAME STEP
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/usr/bin/$1", "#!/bin/sh\nprintf '%s\\\\n' \"\$@\" >/args\necho >/var/cache/$1/f\necho >/var/log/$1.log\n", mode = "0755" },
		  mkdir "/var/log",
		  user "1234",
		  $2,
		}
	LUA
	ok imgmake export x dir:d
	[ ! -e "d/var/cache/$1/f" ] && [ ! -e "d/var/log/$1.log" ]
	paste -sd' ' d/args
}

@test "apk is called with the packages as written, and its cache is in no layer" {
	local args
	args=$(pretender apk 'apk.add { "curl>8", "nodejs~20", "tini" }' | tail -1)
	equal "$args" "add --no-progress --update-cache --cache-dir /var/cache/apk curl>8 nodejs~20 tini"
}

@test "apk takes Alpine's repositories from a snapshot, others where they are, and the image keeps its own" {
	pretender apk 'mkdir "/etc/apk/repositories.d",
	  write { "/etc/apk/repositories", "https://dl-cdn.alpinelinux.org/alpine/v3.22/main\n@edge http://nl.alpinelinux.org/alpine/edge/main\n" },
	  write { "/etc/apk/repositories.d/own.list", "https://packages.example.com/own\n" },
	  write { "/usr/bin/apk", "#!/bin/sh\nprintf %s\\\\n \"$@\" >/args\nfor f; do [ ! -f \"$f\" ] || cat \"$f\" >/read; done\n", mode = "0755" },
	  apk.add { "tini", snapshot = "https://mirror.example.com/alpine-20260131" }'
	contains "$(paste -sd' ' d/args)" '--repositories-file /var/cache/apk/repositories tini$'
	equal "$(cat d/read)" "https://mirror.example.com/alpine-20260131/v3.22/main
@edge https://mirror.example.com/alpine-20260131/edge/main
https://packages.example.com/own"
	contains "$(cat d/etc/apk/repositories)" '^https://dl-cdn\.alpinelinux\.org/alpine/v3\.22/main$'
	[ -z "$(find d/var/cache/apk -type f)" ]
}

@test "a snapshot of what Alpine does not have is refused" {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/usr/bin/apk", "#!/bin/sh\n", mode = "0755" },
		  write { "/etc/apk/repositories", "https://packages.example.com/own\n" },
		  apk.add { "tini", snapshot = "https://mirror.example.com/alpine-20260131" },
		}
	LUA
	go imgmake
	equal "$status" 2
	contains "$stderr" 'apk.add: no repository of this image is on alpinelinux.org'
}

@test "dnf takes packages of one release, and repositories from where a snapshot of them is" {
	local args
	args=$(pretender dnf 'dnf.install { "curl", release = "9.4" }' | tail -1)
	equal "$args" "-y install --releasever=9.4 --setopt=install_weak_deps=0 --setopt=keepcache=1 curl"
	rm -rf d
	args=$(pretender dnf 'dnf.install { "curl", snapshot = { baseos = "https://m.example.com/9.4/BaseOS/" } }' | tail -1)
	equal "$args" "-y install --disablerepo=* --enablerepo=baseos --setopt=baseos.baseurl=https://m.example.com/9.4/BaseOS \
--setopt=baseos.mirrorlist= --setopt=baseos.metalink= --setopt=install_weak_deps=0 --setopt=keepcache=1 curl"
}

# Debian has dnf itself, for those who make images of others; the repository is made here.
@test "dnf for real: a package from a snapshot, by the image's own repository, and its database is read" {
	needs_mirror
	shared_store
	local tools="stage \"tools\" { from = base \"$DEBIAN_APT\", apt.install { \"createrepo-c\", \"dnf\", \"rpm\" } }"
	recipe <<-LUA
		image "repository" {
		  from = $tools,
		  write { "/hello.spec", [[
		Name: hello
		Version: 1.2
		Release: 3
		Epoch: 4
		Summary: s
		License: MIT
		BuildArch: noarch
		%description
		x
		%install
		mkdir -p %{buildroot}/usr/share
		echo hi >%{buildroot}/usr/share/said
		%files
		/usr/share/said
		]] },
		  run { "rpmbuild --quiet --define '_topdir /rb' -bb /hello.spec", "mkdir /repo", "mv /rb/RPMS/noarch/*.rpm /repo",
		        "createrepo_c -q /repo" },
		}
	LUA
	ok imgmake export repository dir:made
	python3 -u -m http.server -b 127.0.0.1 -d made/repo 0 >server 2>&1 3>&- &
	echo $! >"$DIR/pid"
	wait_until grep -q 'port [0-9]' server
	recipe <<-LUA
		local x = image "x" {
		  from = $tools,
		  write { "/etc/yum.repos.d/own.repo", "[own]\\nname=own\\nmetalink=http://127.0.0.1:1/\\ngpgcheck=0\\n"
		    .. "[other]\\nname=other\\nbaseurl=http://127.0.0.1:1/\\n" },
		  dnf.install { "hello", release = "1", snapshot = {
		    own = "http://127.0.0.1:$(sed -nE 's/.* port ([0-9]+) .*/\1/p' server)" } },
		}
		sbom "x.json" { image = x }
	LUA
	ok imgmake x.json
	equal "$(jq -r '.packages[].externalRefs[]?.referenceLocator | select(startswith("pkg:rpm/"))' x.json)" \
		'pkg:rpm/debian/hello@1.2-3?arch=noarch&distro=debian-12&epoch=4&upstream=hello-1.2-3.src.rpm'
	ok imgmake export x dir:d
	equal "$(cat d/usr/share/said)" hi
	contains "$(cat d/etc/yum.repos.d/own.repo)" metalink
}

@test "dnf is called without weak dependencies, and microdnf where there is no dnf" {
	local args
	args=$(pretender dnf 'dnf.install { "curl", "python3*" }' | tail -1)
	equal "$args" "-y install --setopt=install_weak_deps=0 --setopt=keepcache=1 curl python3*"
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/usr/bin/microdnf", "#!/bin/sh\necho \"\$@\" >/args\n", mode = "0755" },
		  dnf.install { "curl", recommends = true },
		}
	LUA
	ok imgmake export x dir:e
	equal "$(cat e/args)" "-y install --setopt=install_weak_deps=1 --setopt=keepcache=1 curl"
}

@test "runtime.distroless: a C program on its libraries alone, not as root, and scanners know the packages" {
	needs_mirror
	shared_store
	echo 'int main(void) { return __builtin_puts("small") < 0; }' >main.c
	cc -o main main.c
	recipe <<-LUA
		image "small" {
		  from = runtime.distroless { from = base "$DEBIAN_APT" },
		  copy { "main", to = "/usr/bin/" },
		  config { entrypoint = { "main" } },
		}
	LUA
	ok imgmake run small
	equal "$output" small
	ok imgmake -q
	ok imgmake export small dir:d
	[ ! -e d/bin/sh ] && [ ! -e d/usr/bin/dpkg ] && [ -L d/lib ]
	grep -q 'BEGIN CERTIFICATE' d/etc/ssl/certs/ca-certificates.crt
	[ -e d/usr/share/zoneinfo/UTC ] && [ -e d/usr/share/doc/libc6/copyright ]
	contains "$(cat d/var/lib/dpkg/status.d/libc6)" '^Version: 2'
	contains "$(cat d/etc/passwd)" '^nonroot:x:65532:65532:'
	equal "$(exported small >/dev/null; config_of out-small | jq -r .config.User)" 65532:65532
	# Two builds give the same bytes.
	local first
	first=$(exported small)
	equal "$(imgmake -B small >&2; exported small)" "$first"
}
