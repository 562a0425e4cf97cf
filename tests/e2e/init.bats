load helpers

# imgmake init: what it writes is a recipe that builds, and editors are told what recipes can say.

setup_file() {
	clean_environment
	start_registry hub
	skopeo copy -q --dest-tls-verify=false "oci:$PREPARED/busybox:1" "docker://$REGISTRY/library/busybox:1"
}

teardown_file() {
	stop_registries
}

@test "a site: found out, built, and served" {
	mkdir -p My_Site/www
	cd My_Site
	echo hi >www/index.html
	ok imgmake init </dev/null
	contains "$output" '^wrote Imagefile$'
	contains "$output" '^next: imgmake, then imgmake run my-site$'
	ok imgmake --registry-mirror "docker.io=$REGISTRY"
	ok imgmake export my-site dir:../root --registry-mirror "docker.io=$REGISTRY"
	equal "$(ls ../root/srv/www)" index.html
	# Nothing that is there is touched, but what this program tells editors is new.
	echo '-- mine' >>Imagefile
	cp Imagefile ../before
	echo old >"$HOME/.config/imgmake/meta/imgmake.lua"
	ok imgmake init
	contains "$output" '^Imagefile is there already: left as it is$'
	cmp Imagefile ../before
	contains "$(head -1 "$HOME/.config/imgmake/meta/imgmake.lua")" '^---@meta$'
}

@test "each kind gives itself away, and its recipe says what is there" {
	mkdir node python go java
	echo '{ "main": "dist/server.js", "scripts": { "build": "x" } }' >node/package.json
	echo '{ "lockfileVersion": 3 }' >node/package-lock.json
	mkdir python/src go/cmd go/cmd/web
	touch python/requirements.txt python/src/app.py
	echo 'module example.com/thing' >go/go.mod
	echo '<project/>' >java/pom.xml
	for kind in node python go java; do
		ok imgmake -C "$kind" init </dev/null
		ok imgmake -C "$kind" list --json
		contains "$output" "\"$kind(-app)?\""
		[ -e "$kind/.imgmakeignore" ] && jq -e . "$kind/.luarc.json"
	done
	contains "$(cat node/Imagefile)" 'run = "build",$'
	contains "$(cat node/Imagefile)" '"dist/server.js"'
	contains "$(cat python/Imagefile)" 'source = "src"'
	contains "$(cat python/Imagefile)" '"app.py"'
	contains "$(cat go/Imagefile)" 'packages = "./cmd/web"'
	contains "$(cat go/Imagefile)" '"/bin/web"'
	touch x.go
	lacks "$(cat ./*/Imagefile)" '@'
}

@test "what cannot be found out is asked for, or to be said" {
	fails 'say it, as --type=node' imgmake init </dev/null
	[ ! -e Imagefile ]
	fails "unknown|none of|rust" imgmake init --type=rust
	go on_terminal "$IMGMAKE" init <<<"pyton"
	contains "$output" 'What is this project: node, python, go, java or static\?'
	contains "$output" "'pyton' is none of node, python, go, java and static"
	[ ! -e Imagefile ]
	touch index.html
	go on_terminal "$IMGMAKE" init <<<""
	contains "$output" '\[static\]\?'
	contains "$(cat Imagefile)" 'httpd'
	rm Imagefile
	echo '*' >.dockerignore
	ok imgmake init --type=go
	contains "$output" '.dockerignore is there already, and counts'
	contains "$(cat Imagefile)" 'go.build'
}

@test "a directory without a usable name, or with a command's, gives a target that can be" {
	mkdir _ build
	ok imgmake -C _ init --type=static
	contains "$output" 'imgmake run app$'
	ok imgmake -C build init --type=static
	contains "$output" 'imgmake run build-app$'
	ok imgmake -C build list
}

@test "what editors are told is what recipes see: both ways" {
	ok imgmake init --type=static
	local meta=$HOME/.config/imgmake/meta/imgmake.lua
	{
		echo 'local meta = {}'
		sed -nE 's/^function ([a-z_.]+)\(.*/meta["\1"] = true assert(type(\1) == "function", "\1")/p' "$meta"
		sed -nE 's/^([a-z]+) = \{\}$/for name in pairs(\1) do assert(type(\1[name]) ~= "function" or meta["\1." .. name], "\1." .. name) end/p' "$meta"
		cat <<-'LUA'
			local lua = "assert error ipairs next pairs pcall print select setmetatable tonumber tostring type import require"
			for name, value in pairs(_ENV) do
			  assert(type(value) ~= "function" or meta[name] or lua:find(name, 1, true), name)
			end
		LUA
	} >Imagefile
	ok imgmake list
	[ "$(grep -c assert Imagefile)" -gt 40 ]
}
