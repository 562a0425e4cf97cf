load helpers

# Layers go to the registry while later steps are being made.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# Layers that the registry has for a repository of this test.
layers_there() {   # [NAME]
	ls "$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER/${1:-app}/_layers/sha256" 2>/dev/null | wc -l
}

commits() {   # of blobs to this test's repositories
	requests open | grep -c "^PUT /v2/t$BATS_TEST_NUMBER/.*/blobs/uploads/" || true
}

noise() {   # FILE [KIB]
	openssl enc -aes-128-ctr -K 00 -iv "$(printf '%s' "$1" | od -An -tx1 | tr -d ' \n' | head -c 32)" \
		-in /dev/zero 2>/dev/null | head -c $((${2:-64} * 1024)) >"$1"
}

# A step that ends when the registry has something of this repository, and fails when that takes more than 30 s.
WATCH='i=0; until wget -qO- http://$WHERE/v2/_catalog | grep -q "\"$WHAT\""; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done'

@test "a layer is in its repository before the next step has ended" {
	noise data
	recipe <<-LUA
		image "app" {
		  from = base "$BUSYBOX",
		  copy { "data", to = "/" },
		  run { [[$WATCH]], env = { WHERE = "$REGISTRY", WHAT = "t$BATS_TEST_NUMBER/app" } },
		  publish = { "$(repo)", tags = { "edge" } },
		}
	LUA
	ok imgmake deploy --json
	# It is told as sent all the same, and goes once.
	equal "$(jq '.images[0].sent.blobs' <<<"$output")" "$(layers_there)"
	equal "$(commits)" "$(layers_there)"
	ok imgmake deploy
	contains "$output" 'unchanged'
}

@test "what is told as sent is what was sent" {
	noise one
	noise two 300
	recipe <<-LUA
		image "app" {
		  from = "scratch",
		  copy { "one", to = "/" },
		  copy { "two", to = "/" },
		  publish = { "$(repo)", tags = { "edge" } },
		}
	LUA
	ok imgmake build
	ok imgmake deploy -n --json
	local planned=$output
	rm -rf "$IMGMAKE_STORE"
	ok imgmake deploy --json
	equal "$(jq -c '.images[0] | [.sent, .mounted, .present]' <<<"$output")" \
		"$(jq -c '.images[0] | [.sent, .mounted, .present]' <<<"$planned")"
}

@test "before a check has passed nothing is sent" {
	noise data
	recipe <<-LUA
		app = image "app" {
		  from = "scratch",
		  copy { "data", to = "/" },
		  publish = { "$(repo)", tags = { "edge" } },
		}
		check "first" { image = app, host = true, run = { [[test ! -e "$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER"]], [[test -e pass]] } }
	LUA
	fails 'first' imgmake deploy
	equal "$(layers_there)" 0
	: >pass
	ok imgmake deploy
	contains "$output" 'created'
	equal "$(layers_there)" 2
}

@test "a version that is taken gets no layer of another image" {
	noise data
	recipe <<-LUA
		image "app" { from = "scratch", copy { "data", to = "/" }, publish = { "$(repo)", version = "1.2.3" } }
	LUA
	ok imgmake deploy
	equal "$(layers_there)" 2
	noise data 65
	fails '1\.2\.3.*another image|holds another' imgmake deploy
	equal "$(layers_there)" 2
}

@test "a parent's layer goes once to a host, and is mounted by the other images" {
	noise data
	recipe <<-LUA
		parent = image "parent" { from = "scratch", copy { "data", to = "/" } }
		for _, n in ipairs { "a", "b", "c" } do
		  image(n) { from = parent, write { "/" .. n, n }, publish = { "$REGISTRY/t$BATS_TEST_NUMBER/" .. n, tags = { "edge" } } }
		end
	LUA
	ok imgmake deploy --json
	equal "$(jq '[.images[].mounted.blobs] | add' <<<"$output")" 2
	equal "$(jq '[.images[].sent.blobs] | add' <<<"$output")" 7
	equal "$(commits)" 7
	local n
	for n in a b c; do
		equal "$(layers_there $n)" 3
	done
}

@test "a build that fails says so, and what was sent by then is not sent again" {
	noise data 500
	recipe <<-LUA
		image "app" {
		  from = base "$BUSYBOX",
		  copy { "data", to = "/" },
		  run { [[$WATCH; test -e /ready]], env = { WHERE = "$REGISTRY", WHAT = "t$BATS_TEST_NUMBER/app" } },
		  publish = { "$(repo)", tags = { "edge" } },
		}
	LUA
	fails 'Imagefile:4: ' imgmake deploy
	equal "$(requests open | grep -c "^PUT /v2/t$BATS_TEST_NUMBER/app/manifests/" || true)" 0
	local there
	there=$(layers_there)
	differ "$there" 0
	sed -i 's,test -e /ready,true,' Imagefile
	ok imgmake deploy --json
	equal "$(jq '.images[0].present.blobs' <<<"$output")" "$there"
}

@test "a registry that refuses is told of once, in the end" {
	start_registry closed htpasswd
	local refusing=$REGISTRY
	noise data
	recipe <<-LUA
		image "app" { from = "scratch", copy { "data", to = "/" }, publish = { "$refusing/app", tags = { "edge" } } }
	LUA
	SSL_CERT_FILE=$REGISTRIES/closed/ca.crt fails 'denied|unauthorized|log ?in' imgmake deploy
	# The image is built.
	ok imgmake build -q
}
