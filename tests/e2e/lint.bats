#!/usr/bin/env bats
# imgmake lint: each rule finds what it is for, and is silent about what only looks like it.
load helpers

# finds RULE LINE [PATTERN]: exactly that, at that line of the recipe that is standard input; the images are built first.
finds() {
	recipe
	built
	go imgmake lint
	[ "$status" = 1 ] || return 1
	contains "$output" "^Imagefile:$2: $1: ${3:-}"
	equal "$(grep -c ": $1: " <<<"$output")" 1
}

# silent RULE: the recipe that is standard input has nothing of the kind.
silent() {
	recipe
	built
	go imgmake lint
	[ "$status" != 2 ] || return 1
	lacks "$output" ": $1: "
	lacks "$stderr" "not looked at"
}

built() {
	imgmake >"$DIR/log" 2>&1 || { cat "$DIR/log"; return 1; }
}

@test "a clean recipe: nothing, and status 0; rules are listed and explained" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "web" { from = b, run "echo x > /x", user "65534:65534", config { cmd = { "sh" } } }
	LUA
	ok imgmake lint
	equal "$output" ""
	contains "$stderr" 'the layers of web: it is not built, or out of date: not looked at'
	imgmake
	ok imgmake lint
	equal "$output$stderr" ""
	ok imgmake lint --json
	equal "$(jq -c . <<<"$output")" '{"findings":[],"not_looked_at":[]}'
	ok imgmake lint --list
	contains "$output" '^root-user +an image that is run as root'
	ok imgmake lint --explain root-user
	contains "$output" 'Instead: .*65534'
	fails "^imgmake: --explain: there is no rule 'rot-user'" imgmake lint --explain rot-user
	fails "^imgmake: no target 'wbe'" imgmake lint wbe
	# Every rule has a test here.
	for rule in $(imgmake lint --list --json | jq -r '.[].rule'); do
		grep -qE "^[^#]*[:, ] ?$rule" "$BATS_TEST_FILENAME" || { echo "no test finds $rule"; return 1; }
	done
}

@test "findings are allowed at their line, above it, and at their target" {
	recipe <<-LUA
		image "a" { -- lint: allow root-user, secret-env it is a test
		  from = base "$BUSYBOX",
		  env { API_TOKEN = "abcdefgh" },
		  config { cmd = { "sh" } },
		}
		-- For old clients.
		-- lint: allow root-user
		image "b" {
		  from = base "$BUSYBOX",
		  env { API_TOKEN = "abcdefgh" }, -- lint: allow wasted secret-env
		  config { cmd = { "sh" } },
		}
		-- lint: allow root-user

		image "c" { from = base "$BUSYBOX", config { cmd = { "sh" } } }
	LUA
	imgmake
	go imgmake lint
	[ "$status" = 1 ]
	equal "$(cut -d: -f1-3 <<<"$output")" "Imagefile:15: root-user"
	go imgmake lint a b
	equal "$status$output" 0
	go imgmake lint c --json
	equal "$(jq -c '.findings[] | [.rule, .file, .line, .target]' <<<"$output")" '["root-user","Imagefile",15,"c"]'
}

@test "bases: latest, unpinned, unused" {
	recipe <<-LUA
		local a = base "docker.io/library/debian:latest"
		local b = base "localhost:5000/x"
		local c = base "docker.io/library/debian:12"
		local d = base "docker.io/library/alpine@sha256:$(printf '%064d' 0)"
		local e = base "oci:../x"
		local f = base "docker.io/library/busybox:1"
		image "x" { from = a, copy { "/a", from = b, to = "/" }, copy { "/a", from = c, to = "/" }, copy { "/a", from = d, to = "/" },
		  copy { "/a", from = e, to = "/" } }
	LUA
	go imgmake lint
	[ "$status" = 1 ]
	equal "$(cut -d: -f2,3 <<<"$output" | tr '\n' ',')" "1: latest,1: unpinned,2: latest,2: unpinned,3: unpinned,6: unused-base,"
	contains "$stderr" 'the layers of x: its base is not in the lock yet: not looked at'
	cat >Imagefile.lock <<-EOF
		{"imgmake": 1, "bases": {"docker.io/library/debian:12": {"digest": "sha256:$(printf '%064d' 0)"}}}
	EOF
	go imgmake lint
	contains "$output" ': unpinned: '
	lacks "$output" 'Imagefile:3: unpinned'
}

@test "root-user: what is run as root, and not what others stand on or nobody runs" {
	finds root-user 1 "image 'w' runs as root" <<-LUA
		image "w" { from = base "$BUSYBOX", user "root", config { entrypoint = { "sh" } } }
	LUA
	silent root-user <<-LUA
		local parent = image "parent" { from = base "$BUSYBOX", config { cmd = { "sh" } } }
		image "child" { from = parent, user "1000" }
		image "data" { from = "scratch", write { "/a", "b" } }
	LUA
}

@test "secret-env, secret-text" {
	finds secret-env 2 'DB_PASSWORD is set for everybody' <<-LUA
		image "x" { from = "scratch",
		  env { DB_PASSWORD = "hunter2" } }
	LUA
	silent secret-env <<-LUA
		image "x" { from = "scratch", env { DB_PASSWORD_FILE = "/run/secrets/db", TOKEN_TTL = "3600s", ALLOW_EMPTY_PASSWORD = "yes",
		  SECRET_KEY = "", ACCESS_TOKEN = "\${OTHER}", TOKENIZERS = "parallel", PASSWORD_MIN_LENGTH = "12" } }
	LUA
	finds secret-text 2 'a token of GitHub stands in the recipe' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  run "echo ghp_$(printf 'a%.0s' {1..36}) > /dev/null" }
	LUA
	finds secret-text 2 'a private key' <<-LUA
		image "x" { from = "scratch",
		  write { "/k", "-----BEGIN RSA PRIVATE KEY-----\nx\n" } }
	LUA
	silent secret-text <<-LUA
		image "x" { from = "scratch", env { A = "AKIAIOSFODNN7EXAMPLE", B = "ghp_short", C = "risk_live_in_town" },
		  write { "/k", "-----BEGIN PUBLIC KEY-----" } }
	LUA
}

@test "secret-file, git-directory" {
	mkdir -p src/.git src/certs src/node_modules/x
	echo ref >src/.git/HEAD
	printf -- '-----BEGIN PRIVATE KEY-----\nx\n' >src/certs/server.key
	finds secret-file 1 '/app/certs/server.key holds a secret' <<-LUA
		image "x" { from = "scratch", copy { "src", to = "/app" } }
	LUA
	contains "$output" '^Imagefile:1: git-directory: /app/.git is in the image'
	rm -r src/.git
	mv src/certs/server.key src/node_modules/x/
	echo '-----BEGIN CERTIFICATE-----' >src/certs/server.pem
	echo 'registry=https://example.com' >src/.npmrc
	: >src/.env
	mkdir src/.github
	silent '(secret-file|git-directory)' <<-LUA
		image "x" { from = "scratch", copy { "src", to = "/app" } }
	LUA
	echo '//example.com/:_authToken=abc' >src/.npmrc
	# Also where a later layer takes it away again.
	finds secret-file 2 '/app/.npmrc' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  copy { "src", to = "/app" },
		  run "rm /app/.npmrc" }
	LUA
}

@test "package-lists, cache-left" {
	finds package-lists 2 '50.* below /var/lib/apt/lists stay in the layer' <<-LUA
		local b = stage "b" { from = base "$BUSYBOX",
		  run "mkdir -p /var/lib/apt/lists && head -c 50000 /dev/urandom > /var/lib/apt/lists/x" }
		image "x" { from = b, run "echo more > /x" }
	LUA
	# Before anything is built, too.
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX",
		  run { "apt-get update", "apt-get install -y curl" },
		  run "apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*",
		  run { "apt-get update", "apt-get install -y curl", cache = { "/var/lib/apt/lists" } },
		  apt.install { "curl" } }
		stage "tools" { from = base "$BUSYBOX", run { "apt-get update", "apt-get install -y curl" } }
	LUA
	go imgmake lint
	equal "$(grep package-lists <<<"$output" | cut -d: -f2)" 2
	finds cache-left 2 '100.0 kB below /root/.cache/pip/http stay' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  run "mkdir -p /root/.cache/pip/http && head -c 100000 /dev/urandom > /root/.cache/pip/http/x" }
	LUA
	silent '(cache-left|package-lists)' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  run { "head -c 100000 /dev/urandom > /root/.cache/pip/x", cache = { "/root/.cache/pip" } },
		  run "mkdir -p /var/lib/apt/lists/partial && echo > /var/lib/apt/lists/lock" }
	LUA
}

@test "build-tools: in what is run, and not in its stages" {
	finds build-tools 2 '/usr/bin/gcc in image' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  run "mkdir -p /usr/bin && echo > /usr/bin/gcc", user "1", config { cmd = { "sh" } } }
	LUA
	silent build-tools <<-LUA
		local b = stage "b" { from = base "$BUSYBOX", run "mkdir -p /usr/bin && echo > /usr/bin/gcc" }
		image "x" { from = base "$BUSYBOX", copy { "/usr/bin/gcc", from = b, to = "/out/app" }, user "1", config { cmd = { "sh" } } }
		image "sdk" { from = b }
	LUA
}

@test "wasted, huge-file, duplicate-files" {
	head -c 2000000 /dev/urandom >big
	head -c 2000000 /dev/urandom >other
	truncate -s 100000000 huge
	finds wasted 2 '2.0 MB of this layer are removed or replaced .*/big' <<-LUA
		image "x" { from = base "$BUSYBOX",
		  copy { "big", to = "/" },
		  run "rm /big" }
	LUA
	silent wasted <<-LUA
		image "x" { from = base "$BUSYBOX", layer { copy { "big", to = "/" }, run "rm /big" }, write { "/a", "x" }, remove "/a",
		  remove "/bin" }
	LUA
	finds duplicate-files 3 '/a/big and /b/big are the same 2.0 MB' <<-LUA
		image "x" { from = "scratch",
		  copy { "big", to = "/a/" },
		  copy { "big", to = "/b/" } }
	LUA
	silent '(duplicate-files|huge-file)' <<-LUA
		image "x" { from = base "$BUSYBOX", copy { "big", "other", to = "/a/" }, run "ln /a/big /a/linked" }
	LUA
	finds huge-file 2 '/a/huge has 100.* MB' <<-LUA
		image "x" { from = "scratch",
		  copy { "huge", to = "/a/" } }
	LUA
}

@test "code-before-deps, no-ignore-file" {
	echo '{}' >package.json
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "x" { from = b,
		  copy { ".", to = "/app" },
		  run "npm ci" }
		image "y" { from = b, copy { "package.json", to = "/app/" }, run "npm ci", copy { "src", to = "/app" }, run "npm run build" }
		image "z" { from = b, copy { "package.json", to = "/app/" }, run "pip install -r x", copy { ".", to = "/app" }, run "npm install" }
		image "w" { from = b, copy { ".", to = "/app", exclude = { "x" } }, run "apt-get install npm" }
	LUA
	go imgmake lint
	[ "$status" = 1 ]
	equal "$(grep code-before-deps <<<"$output" | cut -d: -f2)" 3
	contains "$output" '^Imagefile:3: code-before-deps: the code is copied before npm ci \(line 4\)'
	equal "$(grep no-ignore-file <<<"$output" | cut -d: -f2 | tr '\n' ' ')" "3 6 "
	contains "$output" '^Imagefile:3: no-ignore-file: '
	echo .git >.dockerignore
	go imgmake lint
	lacks "$output" no-ignore-file
}

@test "unused-stage, unused-variable" {
	finds unused-stage 3 "nothing stands on stage 'u'" <<-LUA
		local used = stage "used" { from = base "$BUSYBOX" }
		local mounted = stage "mounted" { from = base "$BUSYBOX", write { "/a", "b" } }
		stage "u" { from = used }
		image "x" { from = used, run { "true", mount = { { "/a", from = mounted, path = "/a" } } } }
	LUA
	finds unused-variable 2 'nothing reads the variable B' <<-LUA
		local a = var { "A", default = "1" }
		local b = var { "B", default = "2" }
		image "x" { from = "scratch", env { A = a } } -- b
	LUA
}

@test "Dockerfiles: the same, at their own lines" {
	head -c 2000000 /dev/urandom >big
	cat >Dockerfile <<-'EOF'
		ARG NEVER=1
		ARG TAG=1
		FROM b:${TAG} AS test
		RUN true
		FROM b:1
		COPY . /app
		ENV API_TOKEN=abcdefgh
		RUN rm /app/big
		# It listens to port 80. lint: allow root-user
		CMD ["sh"]
	EOF
	B=b:1=oci-layout://$PREPARED/busybox:1
	imgmake -f Dockerfile --build-context "$B"
	go imgmake lint -f Dockerfile --build-context "$B"
	[ "$status" = 1 ]
	equal "$(cut -d: -f1-3 <<<"$output" | tr '\n' ,)" \
		"Dockerfile:1: unused-variable,Dockerfile:5: root-user,Dockerfile:6: no-ignore-file,Dockerfile:6: wasted,Dockerfile:7: secret-env,"
	sed -i 's/^FROM b:1/# lint: allow root-user\nFROM b:1/' Dockerfile
	go imgmake lint -f Dockerfile --build-context "$B"
	lacks "$output" root-user
}

@test "nothing is changed by it, and a recipe that is wrong is a failure" {
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run "true" }
	LUA
	ok imgmake lint
	[ ! -e Imagefile.lock ] && [ ! -e "$IMGMAKE_STORE/blobs/sha256" ]
	recipe <<<'image "x" { from = nothing }'
	fails "^imgmake: Imagefile:1: unknown name 'nothing'" imgmake lint
}
