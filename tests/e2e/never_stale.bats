# Attacks on the memory of files' digests: whatever is done to a file, the next build sees it.
# Files are only remembered when they are some seconds old, so all projects are made at once, and each
# test has one of its own.
load helpers

PROJECTS="quiet touched older swapped linked kinds ignored utimes mounted reused rights capability
	symlink deps output unpacked literal mapped edited future foreign looked packed again pattern
	vanished moved large names"

write_project() {   # NAME
	mkdir -p "$1/src/sub"
	printf 'aaaa' >"$1/src/a"
	printf 'bbbb' >"$1/src/b"
	echo "$1" >"$1/src/name" # or two projects might come to the same image
	printf 'cccc' >"$1/src/sub/c"
	ln -s target "$1/src/link"
	touch -d '2020-01-01 12:00' "$1/src/a" "$1/src/b" "$1/src/sub/c"
	recipe "$1" <<-'EOF'
		image "x" { from = "scratch", copy { "src", to = "/" } }
	EOF
}

other_recipes() {
	local p
	for p in deps output; do
		recipe "$p" <<-'EOF'
			default { file "out" { deps = { "src/*" }, run = "cat src/a src/b >out; echo run >>ran" } }
		EOF
	done
	truncate -s 20M large/src/a
	tar -C unpacked/src -cf unpacked/archive.tar a b
	recipe unpacked <<-'EOF'
		image "x" { from = "scratch", unpack { "archive.tar", to = "/" } }
	EOF
	recipe literal <<-'EOF'
		image "x" { from = "scratch", copy { "src/a", to = "/renamed" } }
	EOF
	recipe pattern <<-'EOF'
		image "x" { from = "scratch", copy { "src/**/[a-c]", to = "/" } }
	EOF
	printf 'src/b\n' >ignored/.imgmakeignore
	ln linked/src/a "$ALL/outside"
	ln names/src/a names/src/too
	recipe names <<-'EOF'
		image "x" { from = "scratch", copy { "src", to = "/" } }
		image "y" { from = "scratch", copy { "src/too", to = "/" } }
	EOF
}

# A program that keeps src/a mapped, and stores a byte for each line that it is sent.
start_mapper() {   # DIR
	mkfifo "$1.orders" "$1.done"
	python3 - "$1/src/a" "$1.orders" "$1.done" 3>&- <<-'EOF' &
		import mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		m = mmap.mmap(fd, 4)
		os.close(fd)
		with open(sys.argv[2]) as orders, open(sys.argv[3], "w") as done:
		    m[0]
		    for line in orders:
		        m[0] = ord(line[0])
		        print("stored", file=done, flush=True)
	EOF
	exec {ORDERS}>"$1.orders" {DONE}<"$1.done"
}

store_byte() {
	echo "$1" >&"$ORDERS"
	read -r <&"$DONE"
}

setup_file() {
	local p
	ALL=$(new_dir)
	export ALL
	case $(stat -f -c %T "$ALL") in
	ext2/ext3 | xfs | btrfs | f2fs) export STAMPS=1 ;;
	*) export STAMPS= ;;
	esac
	clean_environment
	export HOME=$ALL IMGMAKE_STORE=$ALL/store
	cd "$ALL" || return 1
	for p in $PROJECTS; do
		write_project "$p"
	done
	other_recipes
	if [ "$(id -u)" = 0 ]; then
		mkdir memory
		mount -t tmpfs t memory
		write_project memory/p
	fi
	p=$(date +%s%N)
	wait_until settled "$p"
	for p in $PROJECTS; do
		imgmake -C "$p" 2>&1
	done
	p=$(date +%s%N)
	wait_until settled "$p" # for what a rule has made
	imgmake -C output 2>&1
	[ ! -d memory ] || imgmake -C memory/p 2>&1
}

teardown_file() {
	[ ! -d "$ALL/memory" ] || umount -l "$ALL/memory"
	rm -rf "$ALL"
}

setup() {
	setup_test
	export IMGMAKE_STORE=$ALL/store
	cd "$ALL" || return 1
}

teardown() {
	[ -z "${ORDERS:-}" ] || exec {ORDERS}>&- {DONE}<&-
	local m
	for m in $(awk -v d="$ALL/mounted/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r); do
		umount -l "$m"
	done
	teardown_test
}

# Project files that are read when it is looked at, one name a line.
read_of() {   # PROJECT
	strace -f -qq -y -e trace=read,pread64,preadv2,readlink,readlinkat -o "$DIR/trace" "$IMGMAKE" -C "$1" -q
	grep -oE "<$ALL/$1/[^>]*>" "$DIR/trace" | grep -vE '/(Imagefile|\.imgmakeignore)>' | sort -u
}

needs_memory() {   # PROJECT: as it is now, nothing of it is read to know that nothing changed
	[ -n "$STAMPS" ] || skip "no file system here whose stamps are trusted"
	go imgmake -C "$1" -q
	[ "$status" = 0 ]
	equal "$(read_of "$1")" ""
}

sees() {   # PROJECT: it is out of date, and up to date when it was built
	go imgmake -C "$1" -q
	[ "$status" = 1 ]
	ok imgmake -C "$1"
	go imgmake -C "$1" -q
	[ "$status" = 0 ]
}

content() {   # PROJECT FILE-OF-THE-IMAGE
	(cd "$1" && exported x "$DIR/out" >/dev/null)
	blob "$DIR/out" "$(manifest_of "$DIR/out" | jq -r '.layers[-1].digest')" | tar -xzOf - "$2"
}

@test "an unchanged project is not read, and nothing is written" {
	needs_memory quiet
	local before
	before=$(stat -c '%Y %Z %s' store/state.mdb; sha256sum <store/state.mdb)
	ok imgmake -C quiet
	equal "$(stat -c '%Y %Z %s' store/state.mdb; sha256sum <store/state.mdb)" "$before"
}

@test "same size and mtime, other content" {
	needs_memory touched
	printf 'AAAA' >new
	touch -r touched/src/a new
	cat new >touched/src/a
	touch -r new touched/src/a
	sees touched
	equal "$(content touched a)" AAAA
}

@test "one byte of a large file, its size and times as before" {
	needs_memory large
	touch -r large/src/a stamp
	printf 'L' | dd of=large/src/a bs=1 seek=18000000 conv=notrunc status=none
	touch -r stamp large/src/a
	sees large
}

@test "an older file put back with its times" {
	needs_memory older
	printf 'OOOO' >old
	touch -d '2001-01-01' old
	cp -p old older/src/a
	sees older
	equal "$(content older a)" OOOO
}

@test "two files of one size and time change places" {
	needs_memory swapped
	mv swapped/src/a swapped/src/x
	mv swapped/src/b swapped/src/a
	mv swapped/src/x swapped/src/b
	sees swapped
	equal "$(content swapped a)$(content swapped b)" bbbbaaaa
}

@test "a directory moved in from elsewhere" {
	needs_memory moved
	mkdir elsewhere
	printf 'CCCC' >elsewhere/c
	touch -r moved/src/sub/c elsewhere/c
	touch -r moved/src/sub elsewhere
	rm -r moved/src/sub
	mv elsewhere moved/src/sub
	sees moved
	equal "$(content moved sub/c)" CCCC
}

@test "content changed through a hard link outside of the project" {
	needs_memory linked
	printf 'LLLL' >outside
	touch -d '2020-01-01 12:00' outside
	sees linked
	equal "$(content linked a)" LLLL
}

@test "a file becomes a directory, a symlink, and a file again" {
	needs_memory kinds
	rm kinds/src/a
	mkdir kinds/src/a
	sees kinds
	rmdir kinds/src/a
	ln -s aaaa kinds/src/a
	sees kinds
	rm kinds/src/a
	printf 'aaab' >kinds/src/a
	sees kinds
	equal "$(content kinds a)" aaab
}

@test "two names of one file: what is remembered of the second is in no key" {
	ok imgmake -C names -q
	printf 'AAAA' >names/src/too
	touch -r names/src/b names/src/too
	ok imgmake -C names export x tar:x.tar
	equal "$(tar -xOf names/x.tar a)" AAAA   # "too" is a link to it
}

@test "an ignore file changes" {
	needs_memory ignored
	printf 'src/a\n' >ignored/.imgmakeignore
	sees ignored
	equal "$(content ignored b)" bbbb
	rm ignored/.imgmakeignore
	sees ignored
}

@test "an edit in place with its mtime restored to the nanosecond" {
	needs_memory utimes
	python3 - utimes/src/a <<-'EOF'
		import os, sys
		st = os.stat(sys.argv[1])
		with open(sys.argv[1], "r+b") as f:
		    f.write(b"UUUU")
		os.utime(sys.argv[1], ns=(st.st_atime_ns, st.st_mtime_ns))
		assert os.stat(sys.argv[1]).st_mtime_ns == st.st_mtime_ns
	EOF
	sees utimes
	equal "$(content utimes a)" UUUU
}

@test "another file system mounted over a directory, and taken away" {
	needs_root
	needs_memory mounted
	mkdir other
	printf 'MMMM' >other/c
	touch -r mounted/src/sub/c other/c
	mount --bind other mounted/src/sub
	sees mounted
	umount mounted/src/sub
	mount -t tmpfs t mounted/src/sub
	printf 'TTTT' >mounted/src/sub/c
	touch -d '2020-01-01 12:00' mounted/src/sub/c
	sees mounted
	equal "$(content mounted sub/c)" TTTT
	umount mounted/src/sub
	go imgmake -C mounted -q
	[ "$status" = 0 ]
}

@test "a mapped file on a memory file system, where no time tells of a store" {
	needs_root
	go imgmake -C memory/p -q
	[ "$status" = 0 ]
	contains "$(read_of memory/p)" '/src/a>'
	start_mapper memory/p
	store_byte M
	sees memory/p
	equal "$(content memory/p a)" Maaa
}

@test "a new file on an old file's inode" {
	needs_memory reused
	local inode i
	inode=$(stat -c %i reused/src/a)
	for ((i = 0; i < 100; i++)); do
		rm reused/src/a
		printf 'RRRR' >reused/src/a
		[ "$(stat -c %i reused/src/a)" != "$inode" ] || break
	done
	touch -d '2020-01-01 12:00' reused/src/a
	sees reused
	equal "$(content reused a)" RRRR
}

@test "a file becomes executable" {
	needs_memory rights
	chmod +x rights/src/a
	sees rights
}

@test "a file gets a capability, and another one" {
	needs_root
	needs_memory capability
	setcap cap_net_raw+ep capability/src/a
	sees capability
	setcap cap_chown+ep capability/src/a
	sees capability
	setcap -r capability/src/a
	go imgmake -C capability -q
	[ "$status" = 0 ]
}

@test "a symlink gets another text of the same length" {
	needs_memory symlink
	ln -s tegrat new-link
	touch -h -r symlink/src/link new-link
	mv new-link symlink/src/link
	sees symlink
}

@test "deps of a host rule" {
	equal "$(wc -l <deps/ran)" 1
	printf 'DDDD' >deps/src/a
	touch -d '2020-01-01 12:00' deps/src/a
	ok imgmake -C deps
	equal "$(wc -l <deps/ran)" 2
	equal "$(cat deps/out)" DDDDbbbb
}

@test "the output of a host rule, altered" {
	needs_memory output
	printf 'xxxxyyyy' >new
	touch -r output/out new
	cat new >output/out
	touch -r new output/out
	ok imgmake -C output
	equal "$(cat output/out)" aaaabbbb
}

@test "an archive to be unpacked" {
	needs_memory unpacked
	touch -r unpacked/archive.tar then
	printf 'XXXX' >unpacked/src/a
	tar -C unpacked/src -cf unpacked/archive.tar a b
	touch -r then unpacked/archive.tar
	sees unpacked
	equal "$(content unpacked a)" XXXX
}

@test "a file that is named itself" {
	needs_memory literal
	printf 'NNNN' >literal/src/a
	touch -d '2020-01-01 12:00' literal/src/a
	sees literal
	equal "$(content literal renamed)" NNNN
}

@test "a file that a pattern finds" {
	needs_memory pattern
	printf 'PPPP' >pattern/src/sub/c
	touch -d '2020-01-01 12:00' pattern/src/sub/c
	sees pattern
}

@test "a file that is gone, and back" {
	needs_memory vanished
	mv vanished/src/a away
	sees vanished
	mv away vanished/src/a
	go imgmake -C vanished -q
	[ "$status" = 0 ]
}

@test "a store into a mapped page that is dirty already" {
	[ -n "$STAMPS" ] || skip "no file system here whose stamps are trusted"
	local now
	start_mapper mapped
	store_byte 1
	now=$(date +%s%N)
	wait_until settled "$now"
	sees mapped
	store_byte 2
	sees mapped
	equal "$(content mapped a)" 2aaa
	store_byte 3
	sees mapped
}

@test "edits within one tick, before and after a build" {
	local round
	for ((round = 100; round < 140; round++)); do
		printf "A$round" >edited/src/a
		imgmake -C edited 2>/dev/null
		printf "B$round" >edited/src/a
		go imgmake -C edited -q
		[ "$status" = 1 ]
	done
}

@test "times in the future" {
	needs_memory future
	touch -d '2100-01-01' future/src/a
	go imgmake -C future -q
	[ "$status" = 0 ]
	printf 'FFFF' >future/src/a
	touch -d '2100-01-01' future/src/a
	sees future
	# And it is not remembered.
	contains "$(read_of future)" '/src/a>'
	touch -d '2600-01-01' future/src/a
	printf 'GGGG' >future/src/a
	touch -d '2600-01-01' future/src/a
	sees future
}

@test "another user's project: remembered by an ordinary user, and seen to change" {
	needs_user
	needs_memory foreign
	mkdir "$DIR/store"
	chown "$E2E_USER" "$DIR/store" "$DIR/home" "$DIR"
	export IMGMAKE_STORE=$DIR/store
	ok as_user "$IMGMAKE" -C foreign
	equal "$(as_user strace -f -qq -y -e trace=read,pread64,preadv2 "$IMGMAKE" -C foreign -q 2>&1 | grep foreign/src)" ""
	printf 'VVVV' >foreign/src/a
	touch -d '2020-01-01 12:00' foreign/src/a
	go as_user "$IMGMAKE" -C foreign -q
	[ "$status" = 1 ]
}

@test "-n and -q remember nothing, and a build does" {
	needs_memory looked
	export IMGMAKE_STORE=$DIR/store
	ok imgmake -C looked -n
	go imgmake -C looked -q
	[ ! -e "$DIR/store" ]
	contains "$(read_of looked)" '/src/a>'
	ok imgmake -C looked
	equal "$(read_of looked)" ""
}

# Files are packed in the order of the steps: a long one first, so that there is time. It has to be compressed:
# noise is stored as it is, and quickly.
slow_recipe() {   # PROJECT
	head -c 40000000 /dev/urandom | base64 >"$1/src/large"
	recipe "$1" <<-'EOF'
		image "x" { from = "scratch", copy { "src/large", to = "/" }, copy { "src/a", to = "/" } }
	EOF
}

packing_begun() {
	[ -n "$(find "$IMGMAKE_STORE/tmp" -type f -size +100k 2>/dev/null | head -1)" ]
}

@test "a file changed between planning and packing: planned again, once" {
	local pid
	needs_memory packed
	export IMGMAKE_STORE=$DIR/store
	slow_recipe packed
	"$IMGMAKE" -C packed >"$DIR/said" 2>&1 3>&- &
	pid=$!
	wait_until packing_begun
	wait_until packing_begun
	printf 'ZZZZ' >packed/src/a
	touch -d '2020-01-01 12:00' packed/src/a
	wait "$pid"
	contains "$(cat "$DIR/said")" 'src/a changed while it was packed; planning again'
	equal "$(content packed a)" ZZZZ
	store_is_whole
}

@test "a file that never stands still is an error, and nothing is remembered of it" {
	local pid
	export IMGMAKE_STORE=$DIR/store
	slow_recipe again
	python3 - again/src/a 3>&- <<-'EOF' &
		import os, sys
		fd, i = os.open(sys.argv[1], os.O_WRONLY), 0
		while os.path.exists(sys.argv[1]):
		    i += 1
		    os.pwrite(fd, b"%04d" % (i % 10000), 0)
	EOF
	pid=$!
	wait_until grep -q '[0-9]' again/src/a
	go imgmake -B -C again # so that the large one is packed again, too
	[ "$status" = 2 ]
	contains "$stderr" '^imgmake: Imagefile:1: image .x.: copy: src/a changed while it was packed$'
	rm again/src/a
	wait "$pid"
	printf 'done' >again/src/a
	ok imgmake -C again
	equal "$(content again a)" "done"
	store_is_whole
}

# image FILE CONTENT: an ext4 image with that in /f, made without a trace of when.
image() {
	mkdir -p tree
	printf %s "$2" >tree/f
	touch -d 2020-01-01 tree/f tree
	mke2fs -q -t ext4 -U 11111111-1111-1111-1111-111111111111 \
		-E hash_seed=22222222-2222-2222-2222-222222222222 -d tree "$1" 8M
	debugfs -w -R 'set_inode_field /f ctime 20200101' "$1" 2>/dev/null
}

@test "another file system under the same device number, with the same stamps" {
	needs_root
	command -v mke2fs debugfs >/dev/null || skip "e2fsprogs is not installed"
	image a A
	image b B
	mkdir m
	mount -o loop,ro a m || skip "no loop devices here"
	recipe <<<'image "x" { from = "scratch", copy { "m/f", to = "/" } }'
	imgmake
	local was
	was=$(stat -c '%d %i %s %Y %Z' m/f)
	umount m
	mount -o loop,ro b m
	if [ "$(stat -c '%d %i %s %Y %Z' m/f)" != "$was" ]; then
		umount m
		skip "another loop device was taken"
	fi
	go imgmake -q
	umount m
	[ "$status" = 1 ]
}
