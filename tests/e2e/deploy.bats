load helpers

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# holds TAG[=VERSION]…: the registry has these before we come.
holds() {
	local t
	for t; do
		seed "$(repo)" "${t%%=*}" "$([[ $t = *=* ]] && echo "${t#*=}")"
	done
}

release() {   # VERSION LUA-OPTIONS
	recipe <<-EOF
		image "app" {
		  from = "scratch",
		  write { "/version", "$1" },
		  publish = { "$(repo)", version = "$1"${2:+, $2} },
		}
	EOF
}

# The tags put to this test's repository, in order.
tags_put() {
	requests open | sed -nE "s,^PUT /v2/t$BATS_TEST_NUMBER/app/manifests/,,p" | grep -v '^sha256:' |
		tail -n +$((${1:-0} + 1)) | paste -sd' '
}

# publishes VERSION LUA-OPTIONS EXPECTED: what deploy pushes is this, in this order, and all the same image.
publishes() {
	local before t digest
	before=$(tags_put | wc -w)
	release "$1" "$2"
	ok imgmake deploy
	equal "$(tags_put "$before")" "$3"
	digest=$(exported app)
	for t in $3; do
		equal "$t $(digest_of "$(repo):$t")" "$t $digest"
	done
}

@test "family: the first release has all levels" {
	publishes v1.2.3 "" "1.2.3 1.2 1 latest"
}

@test "family: a prefix" {
	publishes v1.2.3 'prefix = "v"' "v1.2.3 v1.2 v1 latest"
}

@test "family: an older major line moves its own floats only" {
	holds 2.0.1 2.0 2 latest 1.9.0 1.9 1
	publishes 1.9.1 "" "1.9.1 1.9 1"
}

@test "family: an older minor line" {
	holds 1.2.3 1.3.0
	publishes 1.2.4 "" "1.2.4 1.2"
}

@test "family: a late patch moves nothing" {
	holds 1.2.3 1.2 1 latest
	publishes 1.2.2 "" "1.2.2"
}

@test "family: ten is more than nine" {
	holds 1.2.9 1.2
	publishes 1.2.10 "" "1.2.10 1.2 1 latest"
}

@test "family: a prerelease has its full tag alone" {
	holds 1.9.9
	publishes 2.0.0-rc.1 "" "2.0.0-rc.1"
}

@test "family: channels" {
	holds 2.0.0-rc.1 1.9.9
	publishes 2.0.0-rc.2 "channels = true" "2.0.0-rc.2 2.0-rc 2-rc rc"
}

@test "family: zero has no major tag" {
	holds 0.3.0
	publishes 0.3.1 "" "0.3.1 0.3 latest"
}

@test "family: build metadata never orders" {
	holds 1.3.0
	publishes 1.2.3+b5 "" "1.2.3_b5 1.2"
}

@test "family: a full tag with another image is an error, and nothing moves" {
	holds 1.2.3
	local before
	before=$(digest_of "$(repo):1.2.3")
	release 1.2.3 ""
	fails '1\.2\.3' imgmake deploy
	equal "$(tags_of "$(repo)") $(digest_of "$(repo):1.2.3")" "1.2.3 $before"
}

@test "family: another variant's release does not count" {
	holds 1.2.4-alpine
	publishes 1.2.3 'variants = { "alpine" }' "1.2.3 1.2 1 latest"
}

@test "family: a variant is judged against its own series" {
	holds 1.2.2-alpine 9.9.9
	publishes 1.2.3 'variant = "alpine", default = false' "1.2.3-alpine 1.2-alpine 1-alpine alpine"
}

@test "family: an alias shared with a newer release is kept back" {
	holds 1.2.9-alpine3.21 1.2.9-alpine
	publishes 1.2.3 'variant = "alpine3.22", aliases = { "alpine" }, variants = { "alpine3.21" }, default = false' \
		"1.2.3-alpine3.22 1.2.3-alpine 1.2-alpine3.22 1-alpine3.22 alpine3.22"
}

@test "family: two components" {
	holds 1.1 1
	publishes 1.2 "" "1.2 1 latest"
}

@test "family: calendar versions keep their zeros" {
	holds 2026.07.30
	publishes 2026.08.01 "" "2026.08.01 2026.08 2026 latest"
}

@test "family: an annotation tells of a release whose full tag was pruned" {
	holds 1.2=1.2.9 1=1.2.9 latest=1.2.9
	publishes 1.2.3 "" "1.2.3"
}

@test "family: latest follows the line it is told to" {
	holds 3.0.0 2.4.0
	publishes 2.4.1 'latest = "2"' "2.4.1 2.4 2 latest"
}

@test "family: no version is an error" {
	release nightly ""
	fails 'nightly' imgmake deploy
	equal "$(requests open | grep -c "^PUT /v2/t$BATS_TEST_NUMBER/")" 0
}

@test "each tag that is kept back is said, with the reason" {
	holds 1.2.3 1.3.0
	release 1.2.4 ""
	ok imgmake deploy
	contains "$output$stderr" 'latest.*1\.3\.0'
}

@test "the closing table tells old and new" {
	publishes 1.0.0 "" "1.0.0 1.0 1 latest"
	local old new
	old=$(exported app)
	release 1.0.1 ""
	ok imgmake deploy
	new=$(exported app)
	contains "$output" "${old:7:10}.*${new:7:10}"
}

@test "plain moving tags" {
	recipe <<-EOF
		image "app" { from = "scratch", write { "/a", "1" }, publish = { "$(repo)", tags = { "edge", "dev" } } }
	EOF
	ok imgmake deploy
	equal "$(tags_of "$(repo)")" "dev edge"
	local first
	first=$(digest_of "$(repo):edge")
	sed -i 's/"1"/"2"/' Imagefile
	ok imgmake deploy
	differ "$(digest_of "$(repo):edge")" "$first"
	equal "$(digest_of "$(repo):edge")" "$(digest_of "$(repo):dev")"
}

@test "a second deploy sends no write request and no more than a HEAD a tag" {
	publishes 1.2.3 "" "1.2.3 1.2 1 latest"
	local before
	before=$(requests open | wc -l)
	ok imgmake deploy
	equal "$(requests open | tail -n +$((before + 1)) | grep -vE '^(HEAD /v2/t[0-9]+/app/manifests/|GET /v2/$)')" ""
	[ "$(requests open | tail -n +$((before + 1)) | grep -c '^HEAD')" -le 4 ]
}

@test "deploy -n says which tags would move and writes nothing anywhere" {
	holds 1.2.3 1.2 1 latest
	release 1.2.4 ""
	local before tags
	before=$(requests open | wc -l)
	tags=$(tags_of "$(repo)")
	ok imgmake -n deploy
	contains "$output" '1\.2\.4'
	contains "$output" 'latest'
	equal "$(requests open | tail -n +$((before + 1)) | grep -E '^(PUT|POST|PATCH|DELETE)')" ""
	equal "$(tags_of "$(repo)")" "$tags"
	[ ! -e Imagefile.lock ]
	[ ! -e "$IMGMAKE_STORE/blobs" ] || equal "$(find "$IMGMAKE_STORE/blobs" -type f)" ""
}

@test "deploy --json gives image, digest and tags" {
	release 1.2.3 ""
	ok imgmake --json deploy
	jq -e . <<<"$output" >/dev/null
	contains "$(jq -r '.. | strings' <<<"$output")" "^$(exported app)\$"
	contains "$(jq -r '.. | strings' <<<"$output")" "^1\\.2\$"
}

@test "several repositories get the same bytes, each blob sent once" {
	head -c 300000 /dev/urandom >data
	recipe <<-EOF
		image "app" {
		  from = "scratch",
		  copy { "data", to = "/" },
		  publish = { "$(repo one)", "$(repo two)", tags = { "1" } },
		}
	EOF
	ok imgmake deploy
	equal "$(digest_of "$(repo one):1")" "$(digest_of "$(repo two):1")"
	# The data went up as one PATCH or PUT in all: the second repository mounts it.
	local d
	d=$(manifest_of "$( (exported app >/dev/null); echo out-app)" | jq -r '.layers[0].digest')
	contains "$(requests open)" "^POST /v2/t$BATS_TEST_NUMBER/(one|two)/blobs/uploads/\\?.*mount=${d/:/(:|%3A)}"
}

@test "deploy publishes the targets that are named, and others not" {
	recipe <<-EOF
		image "a" { from = "scratch", write { "/a", "" }, publish = { "$(repo a)", tags = { "1" } } }
		image "b" { from = "scratch", write { "/b", "" }, publish = { "$(repo b)", tags = { "1" } } }
	EOF
	ok imgmake deploy b
	equal "$(tags_of "$(repo b)")" 1
	equal "$(requests open | grep -c "^PUT /v2/t$BATS_TEST_NUMBER/a/")" 0
	ok imgmake deploy
	equal "$(tags_of "$(repo a)")" 1
}

@test "a failing host check keeps deploy from pushing anything" {
	recipe <<-EOF
		local app = image "app" { from = "scratch", write { "/a", "" }, publish = { "$(repo)", tags = { "1" } } }
		check "scan" { image = app, host = true, run = { "test -e \$IMAGE/index.json", "exit 3" } }
	EOF
	fails "scan" imgmake deploy
	equal "$(requests open | grep -cE "^(PUT|POST|PATCH) /v2/t$BATS_TEST_NUMBER/")" 0
	sed -i 's/exit 3/true/' Imagefile
	ok imgmake deploy
	equal "$(tags_of "$(repo)")" 1
}

@test "a release version from a dirty tree is refused without --dirty" {
	git init -q .
	git config user.email e2e@example.com
	git config user.name e2e
	release 1.2.3 ""
	git add . && git commit -qm one
	echo "-- changed" >>Imagefile
	fails '--dirty' imgmake deploy
	ok imgmake --dirty deploy
	equal "$(tags_of "$(repo)")" "1 1.2 1.2.3 latest"
}

@test "a version given on the command line" {
	recipe <<-EOF
		local v = var { "VERSION", default = "0.0.1" }
		image "app" { from = "scratch", write { "/v", v }, publish = { "$(repo)", version = v } }
	EOF
	ok imgmake deploy VERSION=1.2.3
	equal "$(tags_of "$(repo)")" "1 1.2 1.2.3 latest"
}

@test "an image for several platforms is an index under each tag" {
	recipe <<-EOF
		image "app" {
		  from = "scratch",
		  platforms = { "linux/amd64", "linux/arm64" },
		  write { "/a", "x" },
		  publish = { "$(repo)", version = "1.2.3" },
		}
	EOF
	ok imgmake deploy
	skopeo inspect --raw --tls-verify=false "docker://$(repo):1.2" >index.json
	equal "$(jq -r '[.manifests[].platform | "\(.os)/\(.architecture)"] | join(" ")' index.json)" \
		"linux/amd64 linux/arm64"
	equal "$(skopeo inspect --override-arch arm64 --tls-verify=false --format '{{.Architecture}}' \
		"docker://$(repo):latest")" arm64
}

@test "tags shows the family and what would move" {
	holds 1.2.3 1.2 1 latest
	release 1.3.0 ""
	ok imgmake tags app
	contains "$output" '1\.3\.0'
	contains "$output" 'latest'
	ok imgmake --json tags app
	jq -e . <<<"$output" >/dev/null
	equal "$(tags_of "$(repo)")" "1 1.2 1.2.3 latest"
}

@test "promote gives an existing digest a family, in another repository too" {
	seed "$(repo)" candidate
	local digest
	digest=$(digest_of "$(repo):candidate")
	ok imgmake promote "$(repo)@$digest" --version 1.2.3
	equal "$(tags_of "$(repo)")" "1 1.2 1.2.3 candidate latest"
	equal "$(digest_of "$(repo):1.2")" "$digest"
	ok imgmake promote "$(repo):candidate" --version 2.0.0 --to "$(repo stable)"
	equal "$(tags_of "$(repo stable)")" "2 2.0 2.0.0 latest"
	equal "$(digest_of "$(repo stable):latest")" "$digest"
}

@test "the manifest tells version and base" {
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
	recipe <<-EOF
		image "app" {
		  from = base "$(repo base):1",
		  write { "/a", "x" },
		  publish = { "$(repo)", version = "1.2.3" },
		}
	EOF
	ok imgmake deploy
	skopeo inspect --raw --tls-verify=false "docker://$(repo):1.2.3" >m.json
	equal "$(jq -r '.annotations["org.opencontainers.image.version"]' m.json)" 1.2.3
	contains "$(jq -r '.annotations["org.opencontainers.image.base.name"]' m.json)" 'base:1$'
	equal "$(jq -r '.annotations["org.opencontainers.image.base.digest"]' m.json)" \
		"$(digest_of "$(repo base):1")"
}

# No scanner is in Debian: this program stands in for trivy, and says what it was asked.
@test "scan.trivy is a check that deploy waits for; what it leaves out is part of a pass" {
	mkdir bin
	cat >bin/trivy <<-'EOT'
		#!/bin/sh
		for word; do last=$word; done
		jq -e '.manifests[0].digest' "${last#--input=}/index.json" >/dev/null || exit 9
		echo "asked: ${*%--input=*}" >>"$ASKED"
		exit "$(cat "$VERDICT")"
	EOT
	chmod +x bin/trivy
	export ASKED=$PWD/asked VERDICT=$PWD/verdict
	echo 1 >verdict
	echo CVE-2020-1 >ignored
	recipe <<-LUA
		local web = image "web" { from = "scratch", write { "/f", "x" }, publish = { "$(repo)", version = "1.0.0" } }
		scan.trivy { image = web, unfixed = false, ignore = "ignored" }
	LUA
	fails "scan.trivy: trivy is not installed|check 'web-trivy'" imgmake deploy
	contains "$stderr" 'scan.trivy: trivy is not installed on this machine, or not in PATH'
	fails "check 'web-trivy'" env PATH="$PWD/bin:$PATH" "$IMGMAKE" deploy
	equal "$(cat asked)" "asked: image --quiet --exit-code=1 --severity=HIGH,CRITICAL --ignore-unfixed --ignorefile=ignored "
	go tags_of "$(repo)"
	lacks "$output" '1.0.0'
	echo 0 >verdict
	PATH=$PWD/bin:$PATH ok imgmake deploy
	equal "$(tags_of "$(repo)")" "1 1.0 1.0.0 latest"
	PATH=$PWD/bin:$PATH ok imgmake check web-trivy
	equal "$(wc -l <asked)" 2
	echo CVE-2020-2 >>ignored
	PATH=$PWD/bin:$PATH ok imgmake check web-trivy
	equal "$(wc -l <asked)" 3
}

# Nor is this one.
@test "so is scan.grype, with a severity and a name of its own" {
	mkdir bin
	cat >bin/grype <<-'EOT'
		#!/bin/sh
		for word; do last=$word; done
		jq -e '.manifests[0].digest' "${last#oci-dir:}/index.json" >/dev/null || exit 9
		echo "asked: ${*%oci-dir:*}" >"$ASKED"
	EOT
	chmod +x bin/grype
	export ASKED=$PWD/asked
	recipe <<-LUA
		local web = image "web" { from = "scratch", write { "/f", "x" }, publish = { "$(repo)", version = "1.0.0" } }
		scan.grype { image = web, severity = "medium", name = "known-holes" }
	LUA
	fails 'scan.grype: grype is not installed|known-holes' imgmake deploy
	PATH=$PWD/bin:$PATH ok imgmake deploy
	equal "$(cat asked)" "asked: --quiet --fail-on=medium "
}
