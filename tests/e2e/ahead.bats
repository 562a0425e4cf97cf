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

@test "a parent's layer goes to images of its own platform only" {
	needs_root
	recipe <<-LUA
		local s = stage "s" { platform = "build", from = base "$BUSYBOX", run { "echo \$TARGETARCH >/arch", platform = true } }
		local p = image "p" { from = "scratch", copy { "arch", from = s, to = "/" } }
		for _, a in ipairs { "amd64", "arm64" } do
		  image(a) { from = p, platforms = { "linux/" .. a }, write { "/" .. a, a }, publish = { "$REGISTRY/t$BATS_TEST_NUMBER/" .. a, tags = { "edge" } } }
		end
	LUA
	ok imgmake deploy --json
	equal "$(jq -c '[.images[].sent.blobs]' <<<"$output")" '[3,3]'
	equal "$(layers_there amd64) $(layers_there arm64)" "3 3"
}

@test "an image that is refused for its owners gets no layer of its parent either" {
	needs_user
	recipe <<-LUA
		local p = image "p" { from = base "$BUSYBOX", copy { "Imagefile", to = "/" } }
		image "x" { from = p, run { "echo 1 >/1" }, publish = { "$(repo)", tags = { "1" } } }
	LUA
	chown -R "$E2E_USER" .
	chmod 777 "$DIR"
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	go as_user_without_range "$IMGMAKE" deploy
	equal "$status" 2
	contains "$stderr" "image 'x': .*one owner"
	equal "$(layers_there)" 0
}

@test "a blob that is damaged in the store is said, and made anew, wherever it is noticed first" {
	noise data 300
	recipe <<-LUA
		image "app" { from = "scratch", copy { "data", to = "/" }, publish = { "$(repo)", tags = { "edge" } } }
	LUA
	ok imgmake
	local big
	big=$(find "$IMGMAKE_STORE/blobs" -type f -size +200k)
	chmod u+w "$big"
	printf x | dd of="$big" bs=1 seek=1000 conv=notrunc status=none
	ok imgmake deploy -B
	contains "$stderr" 'is damaged.*once more'
	equal "$(layers_there)" 2
}

@test "other images wait for the one that a layer is on its way to, and mount it" {
	start_proxy ahead "$REGISTRY"
	rules ahead <<<'1 PATCH /plain/blobs/ slow-up 2'
	noise data 300
	recipe <<-LUA
		local p = image "p" { from = "scratch", copy { "data", to = "/" } }
		local a = image "a" { from = p, write { "/a", "a" }, publish = { "$(proxy ahead)/t$BATS_TEST_NUMBER/checked", tags = { "1" } } }
		image "b" { from = p, write { "/b", "b" }, publish = { "$(proxy ahead)/t$BATS_TEST_NUMBER/plain", tags = { "1" } } }
		check "c" { image = a, host = true, run = { "true" } }
	LUA
	ok imgmake deploy --json
	equal "$(jq -c '[.images[].mounted.blobs]' <<<"$output")" '[1,0]'
}

@test "what fails while the deploy waits for it is not tried all over again" {
	start_proxy failing "$REGISTRY"
	rules failing <<<'- PATCH /app/blobs/ cut-up 0.3'
	noise data 300
	recipe <<-LUA
		image "app" { from = "scratch", copy { "data", to = "/" }, publish = { "$(proxy failing)/t$BATS_TEST_NUMBER/app", tags = { "1" } } }
	LUA
	fails "image 'app': .*cut the connection" imgmake deploy
	equal "$(grep -c '^PATCH ' "$REGISTRIES/proxy-failing/log")" 5
}

@test "layers that have not begun when all is built do not wait for those that have" {
	start_proxy queue "$REGISTRY"
	rules queue <<<'4 PUT /app/blobs/ slow-up 3'
	recipe <<-LUA
		image "app" {
		  from = "scratch",
		  write { "/1", "1" }, write { "/2", "2" }, write { "/3", "3" }, write { "/4", "4" }, write { "/5", "5" }, write { "/6", "6" },
		  publish = { "$(proxy queue)/t$BATS_TEST_NUMBER/app", tags = { "1" } },
		}
	LUA
	ok imgmake deploy
	# The configuration, and two layers.
	lacks "$(grep '^PUT .*/blobs/' "$REGISTRIES/proxy-queue/log" | head -3)" 'slow'
	equal "$(layers_there)" 7
}

@test "a damaged blob that a step notices is made anew, and not put aside by who reads it still" {
	needs_root
	start_proxy slow "$REGISTRY"
	noise data 20000
	recipe <<-LUA
		image "app" {
		  from = base "$BUSYBOX",
		  copy { "data", to = "/" },
		  run { "echo x >/x" },
		  publish = { "$(proxy slow)/t$BATS_TEST_NUMBER/app", tags = { "edge" } },
		}
	LUA
	ok imgmake
	local big
	big=$(find "$IMGMAKE_STORE/blobs" -type f -size +15000k)
	chmod u+w "$big"
	printf x | dd of="$big" bs=1 seek=1000 conv=notrunc status=none
	rm -r "$IMGMAKE_STORE/rootfs"
	rules slow <<<'1 PATCH /app/blobs/ slow-up 2'
	ok imgmake deploy -B
	contains "$stderr" 'is damaged.*once more'
	equal "$(layers_there)" 4
}

@test "what was sent is not kept in the system's memory" {
	local d
	needs_fincore
	noise data 20480
	recipe <<-LUA
		image "app" { from = base "$BUSYBOX", copy { "data", to = "/" }, publish = { "$(repo)", tags = { "edge" } } }
	LUA
	ok imgmake
	d=$(find "$IMGMAKE_STORE/blobs/sha256" -size +16M)
	cat "$d" >/dev/null
	[ "$(in_memory "$d")" -gt 16000000 ]
	ok imgmake deploy
	[ "$(in_memory "$d")" -lt 1000000 ]
}
