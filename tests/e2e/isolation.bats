load helpers

# Run steps where namespaces or overlayfs are not to be had: copies of the layers, chroot, and machines on which
# nothing can be run at all.

# A step with what a difference can hold.
busy_recipe() {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  write { "/etc/keep", "as it is" },
		  run {
		    "echo one >/etc/one", "chmod 600 /etc/one", "ln /etc/one /etc/two", "ln -s one /etc/three",
		    "mkdir -p /srv/d/e", "rm /etc/group", "rm -rf /home", "echo more >>/etc/keep", "touch /etc/passwd",
		  },
		  run { "rm -r /srv/d", "mkdir /srv/d", "echo two >/srv/d/f", "cat in >/srv/in", inputs = { "in" } },
		}
	LUA
	echo "input" >in
}

# --- Copies -----------------------------------------------------------------------------------------

@test "kernel overlay, fuse-overlayfs and copies give the same image" {
	needs_root
	busy_recipe
	local kernel
	kernel=$(exported x)
	ok imgmake doctor
	contains "$output" '^root file systems +ok +overlayfs'

	# Overlayfs takes no upper directory that is on overlayfs.
	mkdir -p "$DIR/o/"{lower,upper,work,m}
	if command -v fuse-overlayfs >/dev/null && [ -w /dev/fuse ] &&
		mount -t overlay overlay -o "lowerdir=$DIR/o/lower,upperdir=$DIR/o/upper,workdir=$DIR/o/work" "$DIR/o/m"; then
		ok imgmake doctor --store "$DIR/o/m/store"
		contains "$output" '^root file systems +ok +fuse-overlayfs'
		equal "$(IMGMAKE_STORE=$DIR/o/m/store exported x)" "$kernel"
		ok confined no-overlay "$IMGMAKE" export x oci:copied --store "$DIR/o/m/copies"
		equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$kernel"
	fi

	export IMGMAKE_STORE=$DIR/copies
	ok confined no-overlay "$IMGMAKE" doctor
	contains "$output" '^root file systems +ok +copies of the layers'
	contains "$output" '^Run steps work here'
	ok confined no-overlay "$IMGMAKE" export x oci:copied
	equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$kernel"
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}

@test "a step that works in a copy writes to no layer" {
	needs_root
	recipe <<-LUA
		image "a" { from = base "$BUSYBOX", run { "echo changed >>/etc/passwd", "rm /etc/group", "echo >/usr/bin/new" } }
		image "b" { from = base "$BUSYBOX", run { "! grep changed /etc/passwd", "test -e /etc/group", "test ! -e /usr/bin/new" } }
	LUA
	ok confined no-overlay "$IMGMAKE" -j1 a b
}

@test "an ordinary user with copies gets the same image" {
	needs_user
	busy_recipe
	local root
	root=$(exported x)
	chown -R "$E2E_USER" .
	export HOME=$PWD IMGMAKE_STORE=$PWD/store
	ok confined no-overlay setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all \
		--bounding-set=-all "$IMGMAKE" export x oci:copied
	equal "$(jq -r '.manifests[0].digest' copied/index.json)" "$root"
	ok confined no-overlay setpriv --reuid "$E2E_USER" --regid "$E2E_USER" --init-groups --inh-caps=-all \
		--bounding-set=-all "$IMGMAKE" doctor
	contains "$output" '^root file systems +ok +copies of the layers'
	[ -z "$(ls "$IMGMAKE_STORE/tmp")" ]
}
