# Shared by all tests here: a fresh directory and store for each test, real registries, and ways to look at
# an image with tools that are not ours.
bats_require_minimum_version 1.5.0
REPO_ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
IMGMAKE=${IMGMAKE:-$REPO_ROOT/build/release/imgmake}
PREPARED=$REPO_ROOT/build/tests
BUSYBOX=oci:$PREPARED/busybox:1
DEBIAN=oci:$PREPARED/debian:12
DEBIAN_APT=oci:$PREPARED/debian-apt:12
E2E_USER=imgmake-test

# --- Life cycle -------------------------------------------------------------------------------------

# Readable by others, unlike what bats gives, so that an ordinary user can take part.
new_dir() {
	local d
	d=$(mktemp -d "${TMPDIR:-/tmp}/imgmake-e2e.XXXXXX")
	chmod 755 "$d"
	echo "$d"
}

clean_environment() {
	local v
	for v in $(compgen -e | grep -E '^(IMGMAKE_|MAKE|MFLAGS|XDG_|DOCKER_|REGISTRY_|.*_proxy$|.*_PROXY$)'); do
		unset "$v"
	done
	unset CI SOURCE_DATE_EPOCH NO_COLOR SSL_CERT_FILE TZ
	export LC_ALL=C.UTF-8
	umask 022
}

setup_test() {
	clean_environment
	DIR=$(new_dir)
	mkdir "$DIR/home" "$DIR/work"
	export HOME=$DIR/home IMGMAKE_STORE=$DIR/store
	cd "$DIR/work" || return 1
}

teardown_test() {
	local m
	cd /
	# What podman and the tests of full disks have mounted, innermost first.
	for m in $(awk -v d="$DIR/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r); do
		umount -l "$m"
	done
	wait_until rm -rf "$DIR"   # a container's last helper may still be writing
}

setup() {
	setup_test
}

teardown() {
	teardown_test
}

# Waits for a condition, 10 s at most. The one place that lets time pass.
wait_until() {
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" && return 0
		read -rt 0.05 <> <(:) || true
	done
	echo "gave up waiting for: $*"
	return 1
}

settled() {   # NANOSECONDS, by the clock: what was written before then is old enough for its digest to be remembered
	[ "$(date +%s%N)" -gt $(($1 + 2100000000)) ]
}

# --- The program ------------------------------------------------------------------------------------

imgmake() {
	"$IMGMAKE" "$@"
}

# recipe [DIR]: standard input becomes the Imagefile.
recipe() {
	mkdir -p "${1:-.}"
	cat >"${1:-.}/Imagefile"
}

# on_terminal COMMAND…: standard input is typed at a terminal of its own; says what that shows. 20 s at most.
on_terminal() {
	timeout 20 python3 -c 'import os, pty, sys
typed = sys.stdin.buffer.read()
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.write(fd, typed)
shown = b""
try:
    while True:
        shown += os.read(fd, 4096)
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$@"
}

# Runs it, keeps $output, $stderr and $status, and shows all when a later line fails.
go() {
	run --separate-stderr "$@"
	printf '$ %s\n%s\n%s\nstatus %s\n' "$*" "$output" "$stderr" "$status"
}

ok() {
	go "$@"
	[ "$status" = 0 ]
}

# fails PATTERN COMMAND…: exit status 2 and exactly one line, ours, which matches.
fails() {
	local pattern=$1
	shift
	go "$@"
	[ "$status" = 2 ] || return 1
	[ "$(grep -c '^imgmake: ' <<<"$stderr")" = 1 ] || { echo "not one line of error"; return 1; }
	[ "$(grep -v '^imgmake: ' <<<"$stderr" | grep -ciE 'error|traceback|assert|sanitizer')" = 0 ] ||
		{ echo "more than one line of error"; return 1; }
	grep -qE -- "$pattern" <<<"$(grep '^imgmake: ' <<<"$stderr")" || { echo "no match for: $pattern"; return 1; }
}

as_user() {   # COMMAND…, as an ordinary user, in this directory and environment
	[ "$(id -u)" = 0 ] || { "$@"; return; }
	setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all "$@"
}

needs_fincore() {   # and a disk below this directory, so that something can leave the system's memory
	command -v fincore >/dev/null || skip "fincore is not installed"
	case $(stat -f -c %T .) in
	tmpfs | ramfs) skip "all files are in memory here" ;;
	esac
}

in_memory() {   # FILE: so many bytes of it
	fincore -nb -o RES "$1" | tr -d ' '
}

needs_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

needs_user() {
	needs_root
	id "$E2E_USER" >/dev/null 2>&1 || skip "needs the user $E2E_USER"
	# Binary and base may lie where that user cannot reach.
	install -m755 "$IMGMAKE" "$DIR/imgmake"
	IMGMAKE=$DIR/imgmake
	cp -r "$PREPARED/busybox" "$DIR/busybox"
	chmod -R a+rX "$DIR/busybox"
	BUSYBOX=oci:$DIR/busybox:1
}

needs_user_with_debian() {
	needs_user
	cp -r "$PREPARED/debian-apt" "$DIR/debian-apt"
	chmod -R a+rX "$DIR/debian-apt"
	DEBIAN_APT=oci:$DIR/debian-apt:12
}

# As the ordinary user, who has no ids but its own.
as_user_without_range() {
	unshare --mount --propagation private sh -c '
		mount --bind /dev/null /etc/subuid
		mount --bind /dev/null /etc/subgid
		user=$1
		shift
		exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all --bounding-set=-all "$@"
	' sh "$E2E_USER" "$@"
}

# --- Assertions -------------------------------------------------------------------------------------

equal() {   # ACTUAL EXPECTED
	[ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2") | head -40 || true; return 1; }
}

differ() {
	[ "$1" != "$2" ] || { echo "both are: $1"; return 1; }
}

contains() {   # TEXT PATTERN
	grep -qE -- "$2" <<<"$1" || { printf 'no match for %s in:\n%s\n' "$2" "$1"; return 1; }
}

lacks() {
	! grep -qE -- "$2" <<<"$1" || { printf 'unwanted %s in:\n%s\n' "$2" "$1"; return 1; }
}

# --- Images -----------------------------------------------------------------------------------------

# exported TARGET [DIR]: the target as an OCI layout, and says the digest of its manifest.
exported() {
	local dir=${2:-out-$1}
	rm -rf "$dir"
	imgmake export "$1" "oci:$dir" >&2 || return 1
	jq -re '.manifests[0].digest' "$dir/index.json"
}

# The tag under which a layout of ours names its image.
layout_ref() {   # LAYOUT
	local name
	name=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"] // empty' "$1/index.json")
	echo "$1${name:+:$name}"
}

blob() {   # LAYOUT DIGEST
	cat "$1/blobs/${2/://}"
}

manifest_of() {   # LAYOUT
	blob "$1" "$(jq -r '.manifests[0].digest' "$1/index.json")"
}

config_of() {   # LAYOUT
	blob "$1" "$(manifest_of "$1" | jq -r .config.digest)"
}

# Each layer of a layout as a tar listing: mode, owner, size, name, link. Oldest first.
layers_of() {   # LAYOUT
	local d
	for d in $(manifest_of "$1" | jq -r '.layers[].digest'); do
		blob "$1" "$d" | tar --numeric-owner --full-time -tvf - -z
	done
}

last_layer() {   # LAYOUT: its names, one a line
	blob "$1" "$(manifest_of "$1" | jq -r '.layers[-1].digest')" | tar -tzf - --quoting-style=escape
}

n_layers() {
	manifest_of "$1" | jq '.layers | length'
}

# unpacked LAYOUT DIR: by umoci, as root with owners and without as it can.
unpacked() {
	local rootless=
	[ "$(id -u)" = 0 ] || rootless=--rootless
	umoci unpack $rootless --keep-dirlinks --image "$(layout_with_tag "$1")" "$2" >/dev/null
}

# umoci wants a tag, which a layout need not have.
layout_with_tag() {
	local name copy
	name=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"] // empty' "$1/index.json")
	if [ -n "$name" ]; then
		echo "$1:$name"
	else
		copy=$1.tagged
		rm -rf "$copy"
		cp -r "$1" "$copy"
		jq -c '.manifests[0].annotations = {"org.opencontainers.image.ref.name": "t"}' \
			"$1/index.json" >"$copy/index.json"
		echo "$copy:t"
	fi
}

# What a file in an unpacked tree is: mode, owner, group, type.
what() {
	stat -c '%a %u:%g %F' "$1"
}

# --- Registries -------------------------------------------------------------------------------------

# Each registry has a directory below $REGISTRIES with data/, log and pid. Call from setup_file.
# start_registry NAME [open|htpasswd|token]; sets $REGISTRY to its host:port.
start_registry() {
	local name=$1 kind=${2:-open} d
	[ -n "${REGISTRIES:-}" ] || { REGISTRIES=$(new_dir); export REGISTRIES; }
	d=$REGISTRIES/$name
	mkdir -p "$d/data"
	registry_config "$kind" "$d" 127.0.0.1:0 >"$d/config.yml"
	start_registry_with "$d"
}

start_registry_with() {   # DIR, with a config.yml
	local d=$1
	docker-registry serve "$d/config.yml" >"$d/log" 2>&1 3>&- &
	echo $! >"$d/pid"
	# The whole number: a line may come in pieces.
	wait_until grep -qE 'listening on 127\.0\.0\.1:[0-9]+[^0-9]' "$d/log"
	REGISTRY=localhost:$(sed -nE 's/.*listening on 127\.0\.0\.1:([0-9]+)[^0-9].*/\1/p' "$d/log" | tail -1)
	export REGISTRY
}

registry_config() {   # KIND DIR ADDRESS
	cat <<-EOF
		version: 0.1
		log: { level: info, accesslog: { disabled: false } }
		storage:
		  filesystem: { rootdirectory: $2/data }
		  delete: { enabled: true }
		http:
		  addr: $3
		  secret: imgmake-tests
	EOF
	case $1 in
	htpasswd)
		"$REPO_ROOT/tests/servers/make_certs.sh" "$2" >/dev/null
		mkdir "$2/trust"
		cp "$2/ca.crt" "$2/trust/"
		htpasswd -Bbn ci secret >"$2/htpasswd" 2>/dev/null
		cat <<-EOF
			  tls: { certificate: $2/server.crt, key: $2/server.key }
			auth:
			  htpasswd: { realm: imgmake, path: $2/htpasswd }
		EOF
		;;
	token)
		cat <<-EOF
			auth:
			  token:
			    realm: $TOKEN_REALM
			    service: imgmake-tests
			    issuer: imgmake-tests
			    rootcertbundle: $TOKEN_CERT
		EOF
		;;
	esac
}

# A registry that wants bearer tokens: ci with the password secret may do all below team/.
start_token_registry() {
	local d
	[ -n "${REGISTRIES:-}" ] || { REGISTRIES=$(new_dir); export REGISTRIES; }
	d=$REGISTRIES/tokens
	"$REPO_ROOT/tests/servers/make_certs.sh" "$d" >/dev/null
	python3 "$REPO_ROOT/tests/servers/token_server.py" --key "$d/token.key" --cert "$d/token.crt" \
		--service imgmake-tests --issuer imgmake-tests --user ci:secret --grant 'ci=team/*:pull,push' \
		--port-file "$d/port" >"$d/log" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
	TOKEN_REALM=http://localhost:$(cat "$d/port")/token
	TOKEN_CERT=$d/token.crt
	start_registry token token
}

stop_registries() {
	local p
	[ -n "${REGISTRIES:-}" ] || return 0
	for p in "$REGISTRIES"/*/pid; do
		kill "$(cat "$p")" 2>/dev/null || true
	done
	rm -rf "$REGISTRIES"
}

# tests/servers/fault_proxy.py before a registry; its log is in $REGISTRIES/proxy-NAME.
start_proxy() {   # NAME HOST:PORT
	local d=$REGISTRIES/proxy-$1
	mkdir "$d"
	: >"$d/log"
	python3 "$REPO_ROOT/tests/servers/fault_proxy.py" --to "$2" --port-file "$d/port" --rules "$d/rules" \
		--log "$d/log" >"$d/err" 2>&1 3>&- &
	echo $! >"$d/pid"
	wait_until test -s "$d/port"
}

proxy() {   # NAME: its host:port
	echo "localhost:$(cat "$REGISTRIES/proxy-$1/port")"
}

rules() {   # NAME: standard input becomes the proxy's rules
	cat >"$REGISTRIES/proxy-$1/rules.new"
	mv "$REGISTRIES/proxy-$1/rules.new" "$REGISTRIES/proxy-$1/rules"
}

# An image of one layer that does not compress, published to REPO:1.
image_of() {   # BYTES REPO
	head -c "$1" /dev/urandom >big
	recipe <<-EOF
		image "x" { from = "scratch", copy { "big", to = "/" }, publish = { "$2", tags = { "1" } } }
	EOF
}

# A repository of this test's own in the registry of this file.
repo() {
	echo "$REGISTRY/t$BATS_TEST_NUMBER/${1:-app}"
}

tags_of() {   # REPO: sorted, one line
	skopeo list-tags --tls-verify=false "docker://$1" | jq -r '.Tags | sort | join(" ")'
}

digest_of() {   # REPO:TAG
	skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1"
}

# Requests that the registry has seen: method and path, one a line.
requests() {   # REGISTRY-NAME
	sed -nE 's/.*"(GET|HEAD|PUT|POST|PATCH|DELETE) ([^ ]+) HTTP.*/\1 \2/p' "$REGISTRIES/$1/log"
}

# --- What a registry counts ---------------------------------------------------------

mark() {   # REGISTRY-NAME: what comes from here on is looked at by since and written, below
	wc -l <"$REGISTRIES/$1/log" >"$DIR/mark.$1"
	manifests_in "$1" >"$DIR/manifests.$1"
}

# "REPO sha256:DIGEST", one a line: what the repositories hold.
manifests_in() {   # REGISTRY-NAME
	local at=$REGISTRIES/$1/data/docker/registry/v2/repositories
	[ ! -d "$at" ] || find "$at" -path '*/_manifests/revisions/sha256/*/link' -printf '%P\n' |
		sed -E 's,/_manifests/revisions/sha256/(.*)/link$, sha256:\1,'
}

since() {   # REGISTRY-NAME: "METHOD PATH STATUS", one a line
	tail -n +"$(($(cat "$DIR/mark.$1") + 1))" "$REGISTRIES/$1/log" |
		sed -nE 's/.*"(GET|HEAD|PUT|POST|PATCH|DELETE) ([^ ]+) HTTP[^"]*" ([0-9]+) .*/\1 \2 \3/p'
}

size_of() {   # REGISTRY-NAME DIGEST
	stat -c %s "$REGISTRIES/$1/data/docker/registry/v2/blobs/sha256/${2:7:2}/${2:7}/data"
}

# Bytes that the registry says were sent to it of what a repository lacked, and those that it mounted: "SENT MOUNTED".
written() {   # REGISTRY-NAME
	local method path sent=0 mounted=0 d repo status
	while read -r method path status; do
		path=${path//%3A/:}
		case "$method $path $status" in
		"PUT "*/blobs/uploads/*digest=*" 201")
			d=${path##*digest=}
			sent=$((sent + $(size_of "$1" "${d%%&*}")));;
		"POST "*mount=*" 201")
			d=${path##*mount=}
			mounted=$((mounted + $(size_of "$1" "${d%%&*}")));;
		esac
	done < <(since "$1")
	while read -r repo d; do
		grep -qxF "$repo $d" "$DIR/manifests.$1" || sent=$((sent + $(size_of "$1" "$d")))
	done < <(manifests_in "$1")
	echo "$sent $mounted"
}

amounts() {   # of --json: "SENT MOUNTED PRESENT"
	jq -r '[([.images[].sent.bytes] | add), ([.images[].mounted.bytes] | add), ([.images[].present.bytes] | add)]
		| join(" ")' <<<"$output"
}

# predicts_exactly REGISTRY-NAME ARG...: the dry run says what the deploy after it does, and the registry counts.
predicts_exactly() {
	local name=$1
	shift
	says_what_is_done "$name" deploy "$@"
}

# The same of any command that sends.
says_what_is_done() {   # REGISTRY-NAME COMMAND ARG…
	local name=$1 said
	shift
	mark "$name"
	ok imgmake -n "$@" --json
	said=$(amounts)
	equal "$(since "$name" | grep -c '^\(PUT\|POST\|PATCH\|DELETE\)')" 0
	mark "$name"
	ok imgmake "$@" --json
	equal "$said" "$(amounts)"
	equal "${said% *}" "$(written "$name")"
	echo "$said" >"$DIR/said"
}

# seed REPO TAG [VERSION]: a tiny image of its own under TAG, annotated with VERSION; quicker than skopeo.
# The same text in VERSION gives the same image.
seed() {
	local host=${1%%/*} path=${1#*/} tag=$2 version=${3:-} config digest manifest where annotations='{}'
	config=$(jq -nc --arg t "${version:-$tag}" '{architecture: "amd64", os: "linux",
		config: {Labels: {seed: $t}}, rootfs: {type: "layers", diff_ids: []}}')
	digest=sha256:$(printf %s "$config" | sha256sum | cut -d' ' -f1)
	[ -z "$version" ] || annotations="{\"org.opencontainers.image.version\": \"$version\"}"
	manifest=$(jq -nc --arg d "$digest" --argjson n "${#config}" --argjson a "$annotations" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json", layers: [], annotations: $a,
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $n}}')
	where=$(curl -sS -o /dev/null -w '%header{location}' -X POST "http://$host/v2/$path/blobs/uploads/")
	curl -sSf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "$config" "$where&digest=$digest"
	curl -sSf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
		--data-binary "$manifest" "http://$host/v2/$path/manifests/$tag"
}

# Nothing in the store is damaged (seen with other eyes than ours too) and nothing half-made lies about.
store_is_whole() {
	local f
	[ -d "$IMGMAKE_STORE" ] || return 0
	if [ -d "$IMGMAKE_STORE/tmp" ] && [ -n "$(find "$IMGMAKE_STORE/tmp" -type f)" ]; then
		find "$IMGMAKE_STORE/tmp" -type f
		return 1
	fi
	[ -d "$IMGMAKE_STORE/blobs/sha256" ] || return 0
	for f in "$IMGMAKE_STORE"/blobs/sha256/*; do
		[ -e "$f" ] || continue
		equal "$(sha256sum <"$f" | cut -d' ' -f1)" "$(basename "$f")"
	done
	imgmake fsck >"$DIR/fsck" || { cat "$DIR/fsck"; return 1; }
}

# What 5-safety.md promises after every fault, once a retry has succeeded: nobody uses the store any more, nothing
# is mounted in it, fsck is clean, and gc brings it back to the size that it began with.
store_is_as_ever() {
	[ -d "$IMGMAKE_STORE/blobs" ] || return 0
	flock -n "$IMGMAKE_STORE/lease" true || { echo "somebody is still using the store"; return 1; }
	lacks "$(cat /proc/self/mounts)" " $IMGMAKE_STORE/"
	imgmake fsck >"$DIR/fsck" || { cat "$DIR/fsck"; return 1; }
	imgmake gc --all >/dev/null
	equal "$(cd "$IMGMAKE_STORE" && find blobs/sha256 cache rootfs rotten tmp -mindepth 1 2>/dev/null)" ""
}

# Nothing that a command was given is left: no process is meant here, since who starts one knows its name.
nothing_is_left() {
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ] || { ls -lR "$IMGMAKE_STORE/tmp" | head -20; return 1; }
	! grep "$IMGMAKE_STORE" /proc/mounts
}

# Peak resident memory of a command and its children, in KiB; its output goes to standard error.
peak_kib() {
	python3 -c 'import os, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdout=2)
_, status, usage = os.wait4(p.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))' "$@"
}

# buildah with storage of this test's own.
bud() {
	buildah --root "$DIR/buildah" --runroot "$DIR/buildah.run" --storage-driver vfs "$@"
}

# --- Fewer rights -----------------------------------------------------------------------------------

# The path of the program that tests/servers/confine.c is.
confine() {
	local it=$BATS_RUN_TMPDIR/confine
	if [ ! -x "$it" ]; then
		# shellcheck disable=SC2046
		cc -std=gnu11 -O1 -Wall -Wextra -o "$it.$$" "$REPO_ROOT/tests/servers/confine.c" \
			$(pkg-config --cflags --libs libseccomp) || return 1
		mv "$it.$$" "$it"
	fi
	echo "$it"
}

# confined HOW COMMAND…: with fewer rights. Needs root.
confined() {
	"$(confine)" "$@"
}

# podman_run LAYOUT [COMMAND…]: what a user of the image sees. With limits that we may set where root lacks rights,
# and the control groups of today where the machine also has those of yesterday.
podman_run() {
	local layout=$1
	shift
	unshare --mount --cgroup sh -c '
		[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 none /sys/fs/cgroup
		exec "$@"' sh podman --root "$DIR/podman" --runroot "$DIR/podman.run" --storage-driver vfs \
		--cgroup-manager cgroupfs run --rm --quiet --cgroups disabled --network none \
		--ulimit nofile=1024:1024 --ulimit nproc=4096:4096 "oci:$layout" "$@"
}

needs_podman() {
	needs_root
	command -v podman >/dev/null || skip "podman is not installed"
}

# --- Packages ---------------------------------------------------------------------------

needs_mirror() {
	local proxy
	read -r MIRROR SUITE <"$PREPARED/mirror"
	proxy=$(apt-config dump Acquire::http::Proxy 2>/dev/null | sed -nE 's/.*"(.*)";/\1/p' | head -1)
	curl -sfI --max-time 5 ${proxy:+-x "$proxy"} -o /dev/null "$MIRROR/dists/$SUITE/InRelease" ||
		skip "$MIRROR cannot be reached"
}

# The host's Node and npm, which are quicker than Debian's 300 packages: host_node DIR
host_node() {
	command -v node >/dev/null && command -v npm >/dev/null || skip "node and npm are not installed"
	curl -sfI --max-time 5 -o /dev/null https://registry.npmjs.org/is-odd || skip "the npm registry cannot be reached"
	mkdir -p "$1"
	cp "$(readlink -f "$(command -v node)")" "$1/node"
	cp -rL "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$1/npm"
}

# wheel DIR NAME VERSION CODE: as an index would have it.
wheel() {
	python3 - "$@" <<-'EOT'
		import sys, zipfile, hashlib, base64
		d, name, version, code = sys.argv[1:]
		info = f"{name}-{version}.dist-info"
		files = {f"{name}.py": code + "\n",
		         f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
		         f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
		record = "".join(f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).decode().rstrip('=')},{len(t)}\n"
		                 for n, t in files.items())
		files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
		with zipfile.ZipFile(f"{d}/{name}-{version}-py3-none-any.whl", "w") as z:
		    for n, t in files.items():
		        z.writestr(n, t)
	EOT
}
