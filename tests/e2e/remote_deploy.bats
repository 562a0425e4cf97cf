#!/usr/bin/env bats
# Deploying on a machine that has nothing yet, from what a remote cache knows; and what a dry run says of it.
load helpers

setup_file() {
	start_registry open
	export OPEN=$REGISTRY
	start_registry other
	export OTHER=$REGISTRY
}

teardown_file() {
	stop_registries
}

setup() {
	setup_test
	export REGISTRY=$OPEN
}

machine() {   # NAME: another one, with nothing in its store
	export IMGMAKE_STORE=$DIR/store.$1
}

family_recipe() {   # HOST: three images on a parent, published there
	recipe <<-LUA
		local parent = image "parent" { from = base "$(repo base):1", copy { "lib", to = "/lib/" }, env { A = "b" } }
		for _, name in ipairs { "a", "b", "c" } do
		  image(name) { from = parent, copy { name, to = "/" },
		    publish = { "$1/t$BATS_TEST_NUMBER/" .. name, version = "1.2.0" } }
		end
	LUA
	mkdir -p lib
	head -c 300000 /dev/urandom >lib/x
	for n in a b c; do head -c 10000 /dev/urandom >$n; done
	skopeo copy -q --dest-tls-verify=false "$BUSYBOX" "docker://$(repo base):1"
}

mark() {   # REGISTRY-NAME: what comes from here on is looked at by written, below
	wc -l <"$REGISTRIES/$1/log" >"$DIR/mark.$1"
}

since() {   # REGISTRY-NAME: "METHOD PATH STATUS", one a line
	tail -n +"$(($(cat "$DIR/mark.$1") + 1))" "$REGISTRIES/$1/log" |
		sed -nE 's/.*"(GET|HEAD|PUT|POST|PATCH|DELETE) ([^ ]+) HTTP[^"]*" ([0-9]+) .*/\1 \2 \3/p'
}

size_of() {   # REGISTRY-NAME DIGEST
	stat -c %s "$REGISTRIES/$1/data/docker/registry/v2/blobs/sha256/${2:7:2}/${2:7}/data"
}

# Bytes that the registry says were sent to it, each manifest of a repository once, and those that it mounted:
# "SENT MOUNTED".
written() {   # REGISTRY-NAME
	local method path sent=0 mounted=0 d repo status seen=
	while read -r method path status; do
		path=${path//%3A/:}
		case "$method $path $status" in
		"PUT "*/blobs/uploads/*digest=*" 201")
			d=${path##*digest=}
			sent=$((sent + $(size_of "$1" "${d%%&*}")));;
		"POST "*mount=*" 201")
			d=${path##*mount=}
			mounted=$((mounted + $(size_of "$1" "${d%%&*}")));;
		"PUT "*/manifests/*" 201")
			repo=${path#/v2/} repo=${repo%/manifests/*}
			d=${path##*/} d=${d%%\?*}
			[[ $d = sha256:* ]] || d=$(digest_of "${2:-$OPEN}/$repo:$d")
			[[ $seen = *" $repo $d "* ]] || sent=$((sent + $(size_of "$1" "$d")))
			seen="$seen $repo $d ";;
		esac
	done < <(since "$1")
	echo "$sent $mounted"
}

amounts() {   # of --json: "SENT MOUNTED PRESENT"
	jq -r '[([.images[].sent.bytes] | add), ([.images[].mounted.bytes] | add), ([.images[].present.bytes] | add)]
		| join(" ")' <<<"$output"
}

# predicts_exactly REGISTRY-NAME HOST ARG...: the dry run says what the deploy after it does, and the registry counts.
predicts_exactly() {
	local name=$1 host=$2 said
	shift 2
	mark "$name"
	ok imgmake -n deploy --json "$@"
	said=$(amounts)
	equal "$(since "$name" | grep -c '^\(PUT\|POST\|PATCH\|DELETE\)')" 0
	mark "$name"
	ok imgmake deploy --json "$@"
	equal "$said" "$(amounts)"
	equal "${said% *}" "$(written "$name" "$host")"
	echo "$said" >"$DIR/said"
}

@test "deploy -n predicts the bytes, on a fresh machine too" {
	family_recipe "$OPEN"
	imgmake --cache "$(repo cache)"
	machine two
	predicts_exactly open "$OPEN" --cache-read "$(repo cache)"
	[ ! -e "$DIR/store.none" ]
	# All blobs were there to be mounted: what is sent are manifests.
	[ "$(cut -d' ' -f1 "$DIR/said")" -lt 50000 ]
	# Once more: nothing.
	machine three
	predicts_exactly open "$OPEN" --cache-read "$(repo cache)"
	equal "$(cut -d' ' -f1,2 "$DIR/said")" "0 0"
	# The store that a dry run was to look at has nothing of it.
	machine four
	ok imgmake -n deploy --cache-read "$(repo cache)"
	lacks "$output" 'not built yet'
	[ ! -e "$IMGMAKE_STORE" ]
	# Without the cache it is known to be out of date, and no more.
	ok imgmake -n deploy
	contains "$output" 'not built yet'
}

@test "deploy -n predicts the bytes of another version and of one changed image" {
	family_recipe "$OPEN"
	imgmake deploy
	sed -i 's/1\.2\.0/1.2.1/' Imagefile
	predicts_exactly open "$OPEN"
	head -c 10000 /dev/urandom >b
	sed -i 's/1\.2\.1/1.3.0/' Imagefile
	imgmake
	predicts_exactly open "$OPEN"
}

@test "deploy -n with a base that cannot be had says that nothing is built" {
	family_recipe "$OPEN"
	imgmake -n deploy >/dev/null
	sed -i 's,base "[^"]*","BASE",; s,from = "BASE",from = base "localhost:1/none@sha256:'"$(printf '%064d' 1)"'",' Imagefile
	ok imgmake -n deploy
	contains "$output" 'not built yet'
}

@test "on another host than the cache's, blobs are streamed from registry to registry" {
	local blobs
	family_recipe "$OTHER"
	imgmake --cache "$(repo cache)"
	machine two
	mark open
	predicts_exactly other "$OTHER" --cache-read "$(repo cache)"
	# Each layer was asked for once, though three images need it.
	blobs=$(since open | sed -nE 's,^GET .*/cache/blobs/([^ ]*) .*,\1,p')
	equal "$(sort <<<"$blobs" | uniq -d)" ""
	[ "$(cut -d' ' -f1 "$DIR/said")" -gt 300000 ]
	# Nothing of them is in the store.
	equal "$(find "$IMGMAKE_STORE/blobs" "$IMGMAKE_STORE/tmp" -type f -size +9k)" ""
	machine three
	predicts_exactly other "$OTHER" --cache-read "$(repo cache)"
	equal "$(cut -d' ' -f1,2 "$DIR/said")" "0 0"
	equal "$(tags_of "$OTHER/t$BATS_TEST_NUMBER/b")" "1 1.2 1.2.0 latest"
}
