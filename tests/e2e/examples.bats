load helpers

# The examples, as they are, in a copy.

setup_file() {
	start_registry open
	# What stands in for Docker Hub, with bases made from Debian's packages.
	BASES=$REGISTRY
	start_registry hub
	HUB=$REGISTRY REGISTRY=$BASES
	export HUB REGISTRY
}

teardown_file() {
	stop_registries
}

teardown() {
	[ -z "${INDEX_PID:-}" ] || kill "$INDEX_PID" 2>/dev/null || true
	teardown_test
}

# imgmake, where the hub is ours.
ours() {
	"$IMGMAKE" --registry-mirror "docker.io=$HUB" "$@"
}

# The base is unpacked once for all that is made for the hub.
for_hub() {
	IMGMAKE_STORE=$BATS_FILE_TMPDIR/store "$IMGMAKE" -C "$1" deploy >&2
}

example() {
	cp -r "$REPO_ROOT/examples/$1/." .
	find . -name build -type d -prune -exec rm -rf {} +
}

# spotless [NAME=VALUE…]: lint has looked at all of it, and finds nothing.
spotless() {
	ok ours lint "$@"
	equal "$output$stderr" ""
}

@test "hello: the image holds one file, and that runs" {
	example hello
	ok imgmake
	ok imgmake history hello
	contains "$output" 'copy'
	imgmake export hello dir:root
	equal "$(cd root && find . -type f)" ./hello
	contains "$(root/hello)" '^Hello'
	ok imgmake -q
	spotless
}

@test "python-service: publishes a parent and a service with its tag family" {
	needs_root
	example python-service
	ok imgmake deploy "REGISTRY=$(repo)" "SUITE=$(suite)"
	equal "$(tags_of "$(repo)/service")" "1 1.0 1.0.0 latest"
	equal "$(tags_of "$(repo)/python")" "$(suite)"
	# The parent's layer is the service's first, and there once.
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/service:1" | jq -r '.layers[0].digest')" \
		"$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/python:$(suite)" | jq -r '.layers[0].digest')"
	ok imgmake -q "REGISTRY=$(repo)" "SUITE=$(suite)"
	spotless "REGISTRY=$(repo)" "SUITE=$(suite)"
	imgmake export service dir:root "REGISTRY=$(repo)" "SUITE=$(suite)"
	[ ! -e root/app/service/handler_test.py ]
	[ -L root/bin ]
	contains "$(chroot root python3 -c 'import sys; sys.path.insert(0, "/app"); import service.handler; print("fine")')" fine
}

suite() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "$VERSION_CODENAME")
}

@test "monorepo: ten services on one parent; one changed file moves one of them" {
	example monorepo
	ok imgmake deploy "REGISTRY=$(repo)"
	local s
	for s in services/*; do
		equal "$(tags_of "$(repo)/$(basename "$s")")" "1 1.0 1.0.0 latest"
	done
	equal "$(ls services | wc -l)" 10
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/cart:1" | jq -r '.layers[0].digest')" \
		"$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/stock:1" | jq -r '.layers[0].digest')"
	ok imgmake -q
	spotless "REGISTRY=$(repo)"
	echo more >>services/cart/www/index.html
	echo 1.0.1 >services/cart/VERSION
	local before
	before=$(requests open | wc -l)
	ok imgmake deploy "REGISTRY=$(repo)"
	equal "$(requests open | tail -n +$((before + 1)) | grep -E '^PUT .*/manifests/' | grep -vc '/cart/')" 0
	equal "$(tags_of "$(repo)/cart")" "1 1.0 1.0.0 1.0.1 latest"
}

@test "company-base: ten children with tags of their own on shared parents; a change costs what stands on it" {
	needs_mirror
	skopeo copy -q --dest-tls-verify=false "oci:$PREPARED/debian-apt:12" "docker://$HUB/library/debian:12-slim"
	example company-base
	local here="REGISTRY=$REGISTRY/t$BATS_TEST_NUMBER" s
	ok ours deploy "$here"
	equal "$(tags_of "$(repo base/company)")" "12 12.4 12.4.0 latest"
	equal "$(tags_of "$(repo base/python)" | wc -w)" 8   # each in two spellings
	equal "$(ls services | wc -l)" 10
	equal "$(tags_of "$(repo accounts)")" "2 2.4 2.4.1 latest"
	equal "$(tags_of "$(repo billing)")" "1 1.9 1.9.3"
	equal "$(tags_of "$(repo cart)")" "0.7 0.7.0 latest"
	equal "$(tags_of "$(repo checkout)")" "3.0.0-rc.1"
	equal "$(tags_of "$(repo invoices)")" "1 1.0 1.0.0 latest stable"
	# A service's layers are its parent's, then its own.
	for s in accounts:python:2.4.1 mailer:python:5.2.0 docs:web:latest status:web:latest; do
		equal "$(layers_at "base/$(cut -d: -f2 <<<"$s"):latest")" "$(layers_at "${s%%:*}:${s##*:}" | head -n -1)"
	done
	equal "$(layers_at base/python:latest | head -n -1)" "$(layers_at base/company:latest)"
	spotless "$here"
	ok ours run cart "$here" -- sh -c 'id -un; readlink /etc/ssl/certs/example.pem'
	equal "$output" $'app\n/usr/local/share/ca-certificates/example.crt'
	ok ours -q "$here"
	# One service: nothing else is made or sent.
	echo 'print("the cart is here")' >services/cart/main.py
	sed -i 's/"0.7.0"/"0.7.1"/' Imagefile
	local before
	before=$(requests open | wc -l)
	ok ours deploy "$here"
	equal "$(requests open | tail -n +$((before + 1)) | grep -E '^PUT .*/manifests/' | grep -vc '/cart/')" 0
	equal "$(tags_of "$(repo cart)")" "0.7 0.7.0 0.7.1 latest"
	# The base: all that stand on it.
	sed -i 's/Example Ltd/Example plc/' Imagefile
	go ours plan --json "$here"
	equal "$(jq '[.[] | select(.kind == "image" and .status == "out of date")] | length' <<<"$output")" 13
}

# The digests of an image's layers, one a line.
layers_at() {   # REPO:TAG below this test's
	skopeo inspect --raw --tls-verify=false "docker://$(repo "$1")" | jq -r '.layers[].digest'
}

@test "node-app: dependencies before code" {
	host_node ../hub/host
	cp "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" ../hub/host/ca.crt
	recipe ../hub <<-LUA
		local slim = image "slim" {
		  from = base "$DEBIAN_APT",
		  copy { "host/node", to = "/usr/bin/", mode = "0755" },
		  copy { "host/ca.crt", to = "/etc/ssl/" },
		  env { NODE_EXTRA_CA_CERTS = "/etc/ssl/ca.crt" },
		  publish = { "$HUB/library/node", tags = { "20-slim" } },
		}
		image "node" {
		  from = slim,
		  copy { "host/npm", to = "/usr/lib/npm" },
		  symlink { "/usr/bin/npm", target = "../lib/npm/bin/npm-cli.js" },
		  publish = { "$HUB/library/node", tags = { "20" } },
		}
	LUA
	for_hub ../hub
	example node-app
	ok ours
	spotless
	ok ours run node-app
	equal "$output" 'Hello from Node: true'
	echo 'console.log("again")' >src/index.js
	ok ours run node-app
	equal "$output" again
	lacks "$stderr" 'added [0-9]+ packages'
}

@test "python-app: dependencies before code, not as root" {
	needs_mirror
	recipe ../hub <<-LUA
		image "python" {
		  from = base "$DEBIAN_APT",
		  apt.install "python3-venv",
		  publish = { "$HUB/library/python", tags = { "3.11-slim" } },
		}
	LUA
	for_hub ../hub
	mkdir -p ../index/simple/itsdangerous
	wheel ../index/simple/itsdangerous itsdangerous 2.2.0 'x = 1'
	python3 -u -m http.server -b 127.0.0.1 -d ../index 0 >../index/log 2>&1 3>&- &
	INDEX_PID=$!
	wait_until grep -q 'port [0-9]' ../index/log
	local index
	index=INDEX=http://127.0.0.1:$(sed -nE 's/.* port ([0-9]+) .*/\1/p' ../index/log)/simple
	example python-app
	ok ours run python-app "$index"
	equal "$output" 'Hello from Python: itsdangerous'
	spotless "$index"
	ok ours run python-app "$index" -- id -un
	equal "$output" app
	echo 'print("again")' >src/main.py
	ok ours run python-app "$index"
	equal "$output" again
	lacks "$stderr" 'Successfully installed'
}

@test "ci-release: three layers of images, released by tag; the next machine builds nothing" {
	needs_mirror
	skopeo copy -q --dest-tls-verify=false "oci:$PREPARED/debian-apt:12" "docker://$HUB/library/debian:12-slim"
	example ci-release
	local in_ci="GITHUB_ACTIONS=true" team="REGISTRY=$(repo)"
	ok env $in_ci GITHUB_REF=refs/tags/v1.2.3 "$IMGMAKE" --registry-mirror "docker.io=$HUB" \
		deploy --with-parents --cache "$(repo)/cache" "$team"
	equal "$(tags_of "$(repo)/app")" "1 1.2 1.2.3 latest"
	equal "$(tags_of "$(repo)/base") $(tags_of "$(repo)/runtime")" "12 3.11"
	GITHUB_ACTIONS=true GITHUB_REF=refs/tags/v1.2.3 spotless "$team"
	# Another machine, for a pull request: it has nothing, and installs nothing.
	export IMGMAKE_STORE=$DIR/second
	ok env $in_ci GITHUB_REF=refs/pull/7/merge "$IMGMAKE" --registry-mirror "docker.io=$HUB" --progress=plain \
		check --cache-read "$(repo)/cache" "$team"
	lacks "$stderr" 'Unpacking|Setting up'
	# From machine to machine without a registry.
	ok ours export app oci-archive:app.tar --cache-read "$(repo)/cache" "$team"
	export IMGMAKE_STORE=$DIR/third
	ok imgmake import oci-archive:app.tar
	ok imgmake push oci-archive:app.tar "$(repo)/moved:1"
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/moved:1" | jq -r .config.digest)" \
		"$(skopeo inspect --raw --tls-verify=false "docker://$(repo)/app:1.2.3" | jq -r .config.digest)"
}

@test "distroless: a program and its libraries, not as root" {
	needs_mirror
	skopeo copy -q --dest-tls-verify=false "oci:$PREPARED/debian-apt:12" "docker://$HUB/library/debian:12-slim"
	example distroless
	ok ours run hello
	contains "$output" '^Hello'
	spotless
	imgmake export hello dir:root --registry-mirror "docker.io=$HUB"
	[ ! -e root/bin/sh ]
}

@test "save-load: saved in one place, built upon in another that reaches nothing" {
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$HUB/library/busybox:1"
	example save-load
	ok ours export site oci-archive:site.tar
	ok ours export site docker-archive:docker.tar
	spotless
	rm -r "$IMGMAKE_STORE"
	# A mirror that nobody serves: what is asked for fails.
	ok imgmake --registry-mirror docker.io=localhost:1 -C there run site-there -- cat /srv/www/index.html /srv/www/place.html
	equal "$output" $'<p>Carried here.</p>\n<p>Behind the wall.</p>'
	ok imgmake push oci-archive:site.tar "$(repo site):1"
	equal "$(skopeo inspect --raw --tls-verify=false "docker://$(repo site):1" | jq -r .config.digest)" \
		"$(skopeo inspect --raw oci-archive:site.tar | jq -r .config.digest)"
	equal "$(skopeo inspect --config docker-archive:docker.tar | jq -c .config.Cmd)" \
		'["httpd","-f","-p","8080","-h","/srv/www"]'
}
