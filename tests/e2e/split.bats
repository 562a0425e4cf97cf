load helpers

# Large copies become several layers: the same files for every reader, and little to do for one change.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# Files, directories, links, names of one file, owners and modes to be had in several layers.
project() {
	mkdir -p src/deep/er src/empty/er src/sticky
	local i
	for i in {1..40}; do
		seq "$i" $((i * 30)) >"src/deep/f$i"
		echo "$i" >"src/deep/er/g$i"
	done
	ln -s deep/f1 src/soft
	ln src/deep/f7 src/linked
	ln src/deep/f7 src/zlinked
	chmod 755 src/deep/er/g3
	printf '#!/bin/sh\n' >src/tool
	[ "$(id -u)" != 0 ] || setcap cap_net_raw+ep src/tool
}

recipes() {   # of the same files, split and not
	recipe <<-EOF
		local b = base "$BUSYBOX"
		local src = stage "src" { from = b, copy { "src", to = "/s", dir_mode = "1775", owner = "33:34" } }
		for name, n in pairs { whole = false, split = 6 } do
		  image(name) {
		    from = b,
		    copy { "src", to = "/src", owner = "www:web", split = n },
		    copy { "src/deep", to = "/etc", mode = "600", split = n },
		    copy { "src/tool", to = "/usr/bin/", split = n },
		    copy { "/s", from = src, to = "/from", split = n },
		    publish = { "$(repo)", tags = { name } },
		  }
		end
	EOF
}

# The tree by types, modes, owners, times, links, names of one file and attributes. Of / no layer says anything.
tree() {   # DIR
	(cd "$1" && find . -mindepth 1 -printf '%p %y %m %U:%G %T@ %n %l\n' | sort
		find . -type f -print0 | sort -z | xargs -0 sha256sum
		find . -type f -links +1 -printf '%i %p\n' | sort -k2 | awk '{ if (!($1 in n)) n[$1] = ++k; print n[$1], $2 }'
		getfattr -Rhd -m - . 2>/dev/null)
}

# The layers of a store's builds: how many blobs it has of them.
blobs() {
	find "$IMGMAKE_STORE/blobs/sha256" -type f | sort
}

@test "a split copy is the same files as a whole one, for umoci, podman and ourselves" {
	project
	recipes
	imgmake
	exported whole >/dev/null
	exported split >/dev/null
	equal "$(n_layers out-whole)" 5
	[ "$(n_layers out-split)" -gt 12 ]
	for name in whole split; do
		unpacked "out-$name" "u-$name"
		imgmake export "$name" "dir:$PWD/d-$name" >/dev/null
	done
	equal "$(tree u-split/rootfs)" "$(tree u-whole/rootfs)"
	equal "$(tree d-split)" "$(tree d-whole)"
	contains "$(tree d-split)" './src/empty/er d'
	equal "$(stat -c %h d-split/src/zlinked)" 3
	[ "$(id -u)" != 0 ] || contains "$(tree d-split)" 'security.capability'
	if [ "$(id -u)" = 0 ]; then
		skopeo copy -q "oci:$(layout_ref out-split)" "dir:$DIR/skopeo"
		podman --root "$DIR/podman" --runroot "$DIR/podman.run" --storage-driver vfs pull -q "oci:$(layout_ref out-split)" >id
		m=$(podman --root "$DIR/podman" --runroot "$DIR/podman.run" --storage-driver vfs image mount "$(cat id)")
		equal "$(tree "$m/src")" "$(tree d-whole/src)"
	fi
}

@test "history names the parts, and layers do not depend on it, on -j, or on who builds" {
	project
	recipes
	imgmake -j1 build split
	exported split >/dev/null
	contains "$(config_of out-split | jq -r '.history[].created_by')" 'copy src to /src owner www:web \(part 2 of [0-9]+\)'
	ok imgmake inspect split
	first=$(jq -c .manifests out-split/index.json)
	IMGMAKE_STORE=$DIR/other imgmake -j4 build split
	IMGMAKE_STORE=$DIR/other exported split out-other >/dev/null
	equal "$(jq -c .manifests out-other/index.json)" "$first"
	if [ "$(id -u)" = 0 ]; then
		needs_user
		mkdir "$DIR/theirs"
		chown -R "$E2E_USER" . "$DIR/theirs"
		chmod -R a+rX .
		setcap cap_net_raw+ep src/tool
		recipes
		(HOME=$DIR/theirs IMGMAKE_STORE=$DIR/theirs/store as_user "$IMGMAKE" export split "oci:$DIR/theirs/x" >&2)
		equal "$(jq -c '.manifests[].digest' "$DIR/theirs/x/index.json")" "$(jq -c '.manifests[].digest' out-split/index.json)"
	fi
}

@test "one changed file makes, packs and sends one layer; a renamed one two" {
	project
	recipe <<-EOF
		image "x" {
		  from = base "$BUSYBOX",
		  copy { "src", to = "/src", split = 12 },
		  publish = { "$(repo)", tags = { "t" } },
		}
	EOF
	imgmake deploy
	blobs >before
	echo changed >src/deep/f11
	ok imgmake --json deploy
	# A layer, its table of contents, configuration and manifest.
	equal "$(blobs | comm -13 before - | wc -l)" 4
	equal "$(jq -c '.images[0].sent.blobs' <<<"$output")" 2
	blobs >before
	mv src/deep/f12 src/deep/er/renamed
	imgmake
	[ "$(blobs | comm -13 before - | wc -l)" -le 6 ]
	blobs >before
	rm src/deep/er/g9
	imgmake
	equal "$(blobs | comm -13 before - | wc -l)" 4
	# What it was before is still known.
	blobs >before
	seq 12 360 >src/deep/f12
	imgmake
	[ "$(blobs | comm -13 before - | wc -l)" -le 4 ]
}

@test "by itself a copy is split when it is large, a large file apart from the others" {
	mkdir -p src/small src/large
	for i in {1..34}; do
		truncate -s 500000 "src/small/f$i"
	done
	truncate -s 9000000 src/large/one
	recipe <<-'EOF'
		image "small" { from = "scratch", copy { "src/large", to = "/" } }
		image "large" { from = "scratch", copy { "src/small", to = "/" } }
		image "both" { from = "scratch", copy { "src", to = "/" } }
		image "together" { from = "scratch", layer { copy { "src", to = "/" } } }
		image "not" { from = "scratch", copy { "src", to = "/", split = false } }
	EOF
	for t in small large both together not; do
		exported "$t" >/dev/null
	done
	equal "$(n_layers out-small) $(n_layers out-together) $(n_layers out-not)" "1 1 1"
	n=$(n_layers out-large)
	[ "$n" -ge 10 ] && [ "$n" -le 12 ]
	for d in $(manifest_of out-both | jq -r '.layers[].digest'); do
		blob out-both "$d" | tar -tzf - | paste -sd' '
	done >names
	equal "$(grep -c . names) $(grep large/one names)" "$(n_layers out-both) large/ large/one"
	[ "$(n_layers out-both)" -ge 11 ] && [ "$(n_layers out-both)" -le 13 ]
	rm src/small/f1 src/small/f2
	exported large >/dev/null
	equal "$(n_layers out-large)" 1
}

@test "an image stays below 64 layers, whatever its copies are" {
	mkdir src
	for i in {1..200}; do
		truncate -s 100000 "src/f$i"
	done
	{
		echo 'local steps = { from = "scratch" }'
		echo 'for i = 1, 6 do steps[#steps + 1] = copy { "src", to = "/" .. i } end'
		echo 'for i = 1, 9 do steps[#steps + 1] = write { "/w" .. i, "x" } end'
		echo 'local low = image "low" (steps)'
		echo 'image "high" { from = low, copy { "src", to = "/h", split = 60 }, copy { "src", to = "/i" } }'
	} | recipe
	exported low >/dev/null
	exported high >/dev/null
	low=$(n_layers out-low) high=$(n_layers out-high)
	echo "$low $high"
	[ "$low" -gt 40 ] && [ "$low" -lt 60 ]
	[ "$high" -gt "$low" ] && [ "$high" -lt 64 ]
}

@test "a later step more, and a plan that asks for other numbers of layers" {
	project
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "src", to = "/src", split = 6 } }
	EOF
	imgmake
	sed -i 's/split = 6 }/split = 6 }, write { "\/a", "b" }/' Imagefile
	imgmake
	sed -i 's/write/mkdir "\/m", write/' Imagefile
	ok imgmake
	contains "$stderr" 'copy src to /src: 4 layers \(known\)'
	sed -i 's/split = 6/split = 7/' Imagefile
	ok imgmake why x
	contains "$output" 'split'
	imgmake
	exported x >/dev/null
	equal "$(n_layers out-x)" 8   # the base's, 5, mkdir, write
}

@test "what the base has is replaced or refused as by a whole copy" {
	mkdir -p src/d
	for i in {1..9}; do echo "$i" >"src/d/f$i"; done
	recipe <<-EOF
		local low = stage "low" {
		  from = base "$BUSYBOX",
		  mkdir { "/x/d", mode = "0700", owner = "7:8" },
		  write { "/x/d/f1", "old" }, symlink { "/x/d/f2", target = "/etc/passwd" },
		}
		image "x" { from = low, copy { "src", to = "/x", split = 6 } }
		image "bad" { from = low, mkdir "/x/d/f9", copy { "src", to = "/x", split = 6 } }
	EOF
	imgmake build x
	imgmake export x "dir:$PWD/tree"
	equal "$(what tree/x/d) $(cat tree/x/d/f1) $(stat -c %F tree/x/d/f2)" "700 7:8 directory 1 regular file"
	fails '/x/d/f9 is a directory in the image' imgmake build bad
}

has_blobs() {
	[ -n "$(ls -A "$IMGMAKE_STORE/blobs/sha256" 2>/dev/null)" ]
}

@test "a killed build leaves whole layers, and the next one makes only the others" {
	mkdir src
	for i in {1..60}; do
		head -c 300000 /dev/urandom >"src/f$i"
	done
	recipe <<-'EOF'
		image "x" { from = "scratch", copy { "src", to = "/" } }
	EOF
	"$IMGMAKE" -j1 3>&- &
	pid=$!
	wait_until has_blobs
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" || true
	imgmake
	store_is_whole
	exported x >/dev/null
	equal "$(layers_of out-x | wc -l)" 60
}

# Takes files out of the system's memory: all of each, or what is not among its first BYTES.
evict() {   # BYTES FILE...
	python3 - "$@" <<-'EOF'
		import os, sys
		for path in sys.argv[2:]:
		    fd = os.open(path, os.O_RDONLY)
		    os.fsync(fd)
		    os.posix_fadvise(fd, int(sys.argv[1]), 0, os.POSIX_FADV_DONTNEED)
		    os.close(fd)
	EOF
}

@test "files that the system has in memory, in part and not at all come to the same layers" {
	local i warm
	needs_fincore
	mkdir src
	for i in {1..300}; do seq "$i" $((i * 40)) >"src/f$i"; done
	head -c 3000000 /dev/urandom >src/large
	: >src/empty
	recipe <<-EOF
		image "x" { from = base "$BUSYBOX", copy { "src", to = "/src", split = 4 } }
	EOF
	i=$(date +%s%N)
	wait_until settled "$i"
	ok imgmake
	warm=$(exported x)
	evict 0 src/*
	equal "$(in_memory src/large)" 0
	IMGMAKE_STORE=$PWD/cold ok imgmake
	equal "$(IMGMAKE_STORE=$PWD/cold exported x)" "$warm"
	evict 8192 src/*
	IMGMAKE_STORE=$PWD/part ok imgmake
	equal "$(IMGMAKE_STORE=$PWD/part exported x)" "$warm"
	# Their digests are known by now, so that the first to miss them is who packs.
	evict 0 src/*
	ok strace -f -qq -e trace=fadvise64,preadv2 -o advised "$IMGMAKE" -B
	# Some file systems, as overlayfs, cannot tell what is in memory.
	grep -q 'preadv2.*EOPNOTSUPP' advised || contains "$(cat advised)" FADV_WILLNEED
	equal "$(exported x)" "$warm"
}
