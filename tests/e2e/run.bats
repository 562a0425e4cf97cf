load helpers

# Run steps: what they may do, what they may not, and when they run again.

run_recipe() {   # LUA-OPTIONS…: a run step on busybox
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { $1 } }
	LUA
}

listing() {   # of the last layer
	exported x >/dev/null
	layer_listing out-x
}

layer_listing() {
	local d
	d=$(manifest_of "$1" | jq -r '.layers[-1].digest')
	gzip -dc "$1/blobs/sha256/${d:7}" | tar -tvf - --numeric-owner
}

@test "a step's difference is a layer, and nothing else is in it" {
	run_recipe '"echo hello >/etc/greeting", "mkdir -p /srv/a", "rm /etc/group"'
	ok imgmake
	local l
	l=$(listing)
	contains "$l" 'etc/greeting'
	contains "$l" 'srv/a/'
	contains "$l" 'etc/\.wh\.group'
	lacks "$l" 'proc|dev/|resolv|passwd'
	ok imgmake export x dir:d
	equal "$(cat d/etc/greeting)" hello
}

@test "nothing changed: the step is known, and an empty difference makes no layer" {
	run_recipe '"true"'
	local layers
	layers=$(exported x >/dev/null && n_layers out-x)
	equal "$layers" 1
	ok imgmake -q
	recipe <<-LUA
		image "x" { from = base "$BUSYBOX", run { "true" }, copy { "f", to = "/" } }
	LUA
	echo 1 >f
	imgmake
	echo 2 >f
	go imgmake --progress=plain
	contains "$stderr" 'known|no change'
}

@test "a changed input, variable or command runs it again; a label does not" {
	echo 1 >in
	recipe <<-LUA
		local v = var { "V", default = "a" }
		image "x" {
		  from = base "$BUSYBOX",
		  run { "cat in >/out; echo \$V >>/out; date +%N >/when", inputs = { "in" }, env = { V = v }, workdir = "/w" },
		  config { labels = { l = var { "L", default = "1" } } },
		}
	LUA
	imgmake
	imgmake export x dir:one
	ok imgmake L=2
	imgmake export x dir:two L=2
	equal "$(cat two/when)" "$(cat one/when)"
	imgmake export x dir:three V=b
	equal "$(tail -1 three/out)" b
	echo 2 >in
	imgmake export x dir:four
	equal "$(head -1 four/out)" 2
	[ ! -e four/w/in ] || [ ! -s four/w/in ]
}

@test "the environment is the image's and the step's, and nothing of the host's" {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  env { A = "image" },
		  workdir "/some/where",
		  run { "env | sort >/env; pwd >/pwd; id -u >/uid", env = { B = "step" } },
		}
	LUA
	export OF_THE_HOST=1
	ok imgmake export x dir:d
	contains "$(cat d/env)" '^A=image$'
	contains "$(cat d/env)" '^B=step$'
	contains "$(cat d/env)" '^SOURCE_DATE_EPOCH=315619200$'
	lacks "$(cat d/env)" 'OF_THE_HOST|IMGMAKE'
	equal "$(cat d/pwd)" /some/where
	equal "$(cat d/uid)" 0
}

@test "user, by number" {
	run_recipe '"id -u >/tmp/uid", user = "1234:1234"'
	ok imgmake export x dir:d
	equal "$(cat d/tmp/uid)" 1234
}

@test "a failing command is one line with its place, its output is shown, and it is not remembered" {
	run_recipe '"echo before it failed", "exit 3"'
	go imgmake
	equal "$status" 2
	contains "$stderr" 'before it failed'
	contains "$stderr" "^imgmake: Imagefile:1: image 'x': run: its command failed with status 3"
	go imgmake
	contains "$stderr" 'before it failed'
}

@test "a signal, and a program that does not exist" {
	run_recipe '"kill -9 $$"'
	fails 'signal 9' imgmake
	run_recipe 'exec = { "/no/such/program" }'
	fails 'no/such/program' imgmake
}

@test "cache directories live on between builds, and are in no layer" {
	run_recipe '"echo x >>/cache/log; wc -l </cache/log >/n", cache = { "/cache" }, env = { N = "1" }'
	ok imgmake export x dir:one
	run_recipe '"echo x >>/cache/log; wc -l </cache/log >/n", cache = { "/cache" }, env = { N = "2" }'
	ok imgmake export x dir:two
	equal "$(cat one/n | tr -d ' ')" 1
	equal "$(cat two/n | tr -d ' ')" 2
	[ ! -e two/cache/log ]
}

@test "a cache's id is a name, never a path" {
	run_recipe '"echo x >/c/f", cache = { { path = "/c", id = "../../../../escape" } }'
	ok imgmake
	[ -z "$(find "$DIR" -name 'escape*')" ]
}

@test "secrets are seen by the step and found nowhere after it" {
	printf %s "s3cr3t-$BATS_TEST_NUMBER-value" >token
	run_recipe '"grep -q s3cr3t /run/secrets/tok", "cat /run/secrets/tok", "test \"$T\" = \"$(cat /run/secrets/tok)\"", secret = { "tok", { id = "tok", env = "T" } }'
	fails 'secret .tok. was not given; add --secret tok=FILE' imgmake
	ok imgmake --secret tok=token
	lacks "$stderr" 's3cr3t-'
	mv token "$DIR/token"
	run grep -rqa 's3cr3t-' "$IMGMAKE_STORE" .
	equal "$status" 1
	ok imgmake export x dir:d --secret "tok=$DIR/token"
	run grep -rqa 's3cr3t-' d
	equal "$status" 1
	# Another secret is no reason to run again.
	echo other >"$DIR/token"
	ok imgmake -q --secret "tok=$DIR/token"
}

@test "no network, on request" {
	run_recipe '"ls /sys/class/net >/net", network = "none"'
	ok imgmake export x dir:d
	equal "$(cat d/net)" lo
}

@test "a private network, on request" {
	needs_root
	{ command -v pasta && : <>/dev/net/tun; } >/dev/null 2>&1 || skip "no pasta, or no /dev/net/tun"
	run_recipe '"ip -o link | cut -d: -f2", network = "private"'
	ok imgmake
	equal "$(grep '^x:  ' <<<"$stderr")" "x:  lo
x:  eth0"
}

@test "files of the project and memory can be mounted, and leave nothing" {
	mkdir data
	echo hi >data/f
	run_recipe '"cat /data/f >/copy", "! echo x 2>/dev/null >/data/f", "echo t >/scratch/t", mount = { { "data", path = "/data" }, { type = "tmpfs", path = "/scratch" } }'
	ok imgmake export x dir:d
	equal "$(cat d/copy)" hi
	[ ! -e d/data ] && [ ! -e d/scratch ]
	equal "$(cat data/f)" hi
}

@test "what is mounted of the project is what the step's key is of" {
	mkdir -p data/sub data/empty
	echo one >data/f
	ln data/f data/hard
	ln -s sub/x data/link
	echo x >data/sub/x
	chmod 700 data/sub/x
	echo secret >data/hidden
	echo data/hidden >.dockerignore
	run_recipe '"cd /data && find . -exec stat -c %n:%a:%u:%Y {} + | sort >/list; cat hard link >/text; ! cat hidden", mount = { { "./data/", path = "/data" } }'
	ok imgmake export x dir:d
	equal "$(cat d/text | xargs)" "one x"
	equal "$(LC_ALL=C sort d/list)" "$(printf '%s:0:315619200\n' .:755 ./empty:755 ./f:644 ./hard:644 ./link:777 ./sub:755 ./sub/x:755 | LC_ALL=C sort)"
	# Neither what is hidden nor times or modes of this machine are in it.
	echo other >data/hidden
	touch data/f
	chmod 755 data/sub/x
	ok imgmake -q
	echo two >data/sub/x
	! imgmake -q
	ok imgmake export x dir:d2
	equal "$(cat d2/text | xargs)" "one two"
	cmp d/list d2/list
	run_recipe '"true", mount = { { "data/hidden", path = "/x" } }'
	fails 'Imagefile:[0-9]+: .*data/hidden is excluded by .dockerignore' imgmake
}

@test "hard links and symbolic links of the project among inputs and mounts" {
	mkdir in
	echo one >in/a
	ln in/a in/b
	ln -s in link
	run_recipe '"cat in/a in/b >/text", workdir = "/w", inputs = { "in" }'
	ok imgmake export x dir:d
	equal "$(cat d/text | xargs)" "one one"
	run_recipe '"true", mount = { { "link", path = "/x" } }'
	fails 'Imagefile:[0-9]+: .*mount link: it is a symbolic link; name what it leads to' imgmake
}

@test "nothing is left running, mounted or lying about" {
	run_recipe '"(trap \"\" TERM; sleep 1000) & echo started"'
	ok imgmake
	! pgrep -f 'sleep 1000' >/dev/null
	! grep -q "$IMGMAKE_STORE" /proc/mounts
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "what a step deletes is deleted in the image, not on the host" {
	echo precious >"$DIR/precious"
	run_recipe '"rm -rf /home /etc/passwd /etc/group / 2>/dev/null || true"'
	ok imgmake export x dir:d
	[ ! -e d/etc/passwd ]
	[ -e /etc/passwd ] && [ -e "$DIR/precious" ]
}

@test "names that a layer cannot hold are refused" {
	run_recipe '"echo >/etc/.wh.passwd"'
	fails '\.wh\.' imgmake
}

@test "hostile images: /dev as a link, a workdir that is a descriptor" {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  layer { remove { "/dev", optional = true }, symlink { "/dev", target = "/etc" } },
		  run { "true" },
		}
	LUA
	fails '/dev' imgmake
	run_recipe '"true", workdir = "/proc/self/fd/8"'
	fails 'run' imgmake
}

@test "an ordinary user gets the same bytes where ownership allows" {
	needs_user
	run_recipe '"echo one >/etc/one", "chmod 600 /etc/one", "mkdir -p /srv/d", "rm /etc/group"'
	local root
	root=$(exported x)
	chmod -R a+rX .
	mkdir "$DIR/user"
	cp Imagefile "$DIR/user/"
	chown -R "$E2E_USER" "$DIR/user"
	cd "$DIR/user"
	export HOME=$DIR/user IMGMAKE_STORE=$DIR/user/store
	ok as_user "$IMGMAKE" export x oci:out
	equal "$(jq -r '.manifests[0].digest' out/index.json)" "$root"
}

@test "stages: compile in one, copy to another" {
	recipe <<-LUA
		local busybox = base "$BUSYBOX"
		local made = stage "made" { from = busybox, run { "mkdir /out; seq 1000 >/out/numbers; ln /out/numbers /out/again" } }
		image "x" { from = busybox, copy { "/out", from = made, to = "/data" } }
	LUA
	ok imgmake export x dir:d
	equal "$(tail -1 d/data/again)" 1000
	equal "$(stat -c %h d/data/again)" 2
}

@test "steps that could not begin leave our standard input alone" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		local wait = "until [ -e /c/go ]; do busybox usleep 20000; done"
		image "x" { from = b, run { "true", user = "nobody-there" } }
		image "y" { from = b, run { "echo ready; " .. wait, cache = { { path = "/c", id = "c" } } } }
	LUA
	imgmake list >/dev/null
	mkfifo never
	exec 8<>never
	"$IMGMAKE" -k -j1 x y >log 2>&1 <&8 8>&- 3>&- &
	local pid=$! input
	wait_until grep -q ready log
	input=$(readlink "/proc/$pid/fd/0")
	kill -TERM "$pid"
	wait "$pid" || true
	exec 8>&-
	contains "$(cat log)" 'nobody-there'
	equal "$input" "$PWD/never"
}

@test "the source of a mount is a name, and no pattern" {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		image "x" { from = b, run { "cp -r /m /seen", mount = { { "a[1]", path = "/m" } } } }
		image "y" { from = b, run { "true", mount = { { "sr*", path = "/m" } } } }
	LUA
	mkdir 'a[1]' src srv
	touch 'a[1]/in' src/one srv/two
	ok imgmake export x dir:d
	equal "$(ls d/seen)" in
	fails 'sr\*: no such file' imgmake y
}

@test "a mount has what the ignore file brings back, with the directories that it hides" {
	mkdir -p src/a/b
	echo in >src/a/b/in
	ln -s in src/a/b/link
	echo out >src/a/b/out
	printf '*\n!src/a/b/in\n!src/a/b/link\n' >.imgmakeignore
	run_recipe '"cd /m && find . -exec stat -c %n:%a:%u:%Y {} + >/list", mount = { { ".", path = "/m" } }'
	ok imgmake export x dir:d
	equal "$(LC_ALL=C sort d/list)" "$(printf '%s:0:315619200\n' .:755 ./src:755 ./src/a:755 ./src/a/b:755 \
		./src/a/b/in:644 ./src/a/b/link:777 | LC_ALL=C sort)"
}
