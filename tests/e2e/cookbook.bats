load helpers

# Every recipe of docs/cookbook.md, as it stands, in a project that has what they name.

setup_file() {
	clean_environment
	start_registry hub
	local busybox=busybox
	[ ! -e "$PREPARED/busybox-both" ] || busybox=busybox-both
	skopeo copy -q --all --dest-tls-verify=false "oci:$PREPARED/$busybox:1" "docker://$REGISTRY/library/busybox:1"
}

teardown_file() {
	stop_registries
}

project() {
	mkdir -p www services/cart services/stock config lib rootfs/etc
	echo '<p>hello</p>' >www/index.html
	echo later >www/new.draft
	echo a=1 >config/test.conf
	echo a=2 >config/production.conf
	echo cart >services/cart/page
	echo stock >services/stock/page
	echo ours >rootfs/etc/motd
	tar -C rootfs -czf rootfs.tar.gz .
	echo hush >../token
	cat >lib/team.lua <<-'LUA'
		local team = {}

		function team.defaults()
		  return { env { TEAM = "site" }, config { labels = { ["com.example.team"] = "site" } } }
		end

		return team
	LUA
	printf 'FROM docker.io/library/busybox:1\nENV A=1\n' >Dockerfile
	git init -q
	git -c user.name=t -c user.email=t@example.com commit -q --allow-empty -m first
}

# Writes the recipes one by one to ../recipe.N, and their headings to ../headings.
recipes() {
	awk '/^## / { heading = substr($0, 4) }
		/^```lua$/ { n++; print heading >"../headings"; inside = 1; next }
		/^```$/ { inside = 0 }
		inside { print >("../recipe." n) }' "$REPO_ROOT/docs/cookbook.md"
}

@test "each recipe of the cookbook builds, and again with nothing to do" {
	project
	recipes
	local n=0 heading
	while read -r heading; do
		n=$((n + 1))
		if [ "$heading" = "Several platforms" ] && [ ! -e "$PREPARED/busybox-both" ]; then
			continue
		fi
		echo "# $heading"
		cp "../recipe.$n" Imagefile
		ok imgmake --registry-mirror "docker.io=$REGISTRY" --secret token=../token
		ok imgmake --registry-mirror "docker.io=$REGISTRY" --secret token=../token check
		ok imgmake -q --registry-mirror "docker.io=$REGISTRY" --secret token=../token
	done <../headings
	[ "$n" -gt 15 ]
}
