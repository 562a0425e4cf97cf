load helpers

# What the image's file holds.
built() {   # TARGET FILE
	rm -rf tree
	imgmake export "$1" dir:tree >&2 && cat "tree/$2"
}

@test "loops, functions, nil and false among steps, lists flattened" {
	mkdir -p services/{a,b,c}
	recipe <<-'EOF'
		local debug = false
		local function both(n)
		  return { write { "/" .. n .. "1", "x" }, { write { "/" .. n .. "2", "x" } } }
		end
		for _, d in ipairs(glob "services/*") do
		  image(path.name(d)) {
		    from = "scratch",
		    debug and write { "/debug", "x" },
		    nil,
		    both "f",
		    write { "/name", path.name(d) },
		  }
		end
	EOF
	equal "$(built b name)" b
	equal "$(ls tree | paste -sd' ')" "f1 f2 name"
	ok imgmake list
	for t in a b c; do
		contains "$output" "(^|[^a-z])$t([^a-z]|\$)"
	done
}

@test "read drops the final newline; json.read gives tables" {
	echo 1.2.3 >VERSION
	echo '{"name": "thing", "list": [1, 2, 3]}' >package.json
	recipe <<-'EOF'
		local p = json.read "package.json"
		image "x" { from = "scratch", write { "/a", read "VERSION" .. "|" .. p.name .. "|" .. #p.list } }
	EOF
	equal "$(built x a)" "1.2.3|thing|3"
	echo 1.2.4 >VERSION
	equal "$(built x a)" "1.2.4|thing|3"
}

@test "pairs goes in sorted order, and tostring shows no address" {
	recipe <<-'EOF'
		local t, out = { z = 1, a = 2, m = 3 }, {}
		for k in pairs(t) do out[#out + 1] = k end
		image "x" { from = "scratch", write { "/a", table.concat(out, "") .. tostring({}):gsub("0x%x+", "ADDRESS") } }
	EOF
	contains "$(built x a)" '^amz'
	lacks "$(cat tree/a)" 'ADDRESS'
}

@test "import: from here, from the root, twice the same target" {
	mkdir -p base svc/one svc/two
	touch Imagefile.lock
	echo '{"imgmake": 1}' >Imagefile.lock
	recipe base <<-'EOF'
		image "shared" { from = "scratch", write { "/shared", "s" } }
	EOF
	recipe svc/one <<-'EOF'
		local b = import "//base"
		image "one" { from = b.shared, write { "/one", "1" } }
	EOF
	recipe svc/two <<-'EOF'
		local b = import "../../base"
		image "two" { from = b.shared, write { "/two", "2" } }
	EOF
	recipe <<-'EOF'
		local one, two = import "svc/one", import "svc/two"
		default { one.one, two.two }
	EOF
	ok imgmake
	ok imgmake -q svc/one/one
	ok imgmake -q base/shared
	equal "$(built svc/two/two shared)" s
	ok imgmake -C svc/one one
}

@test "each Imagefile has an environment of its own" {
	mkdir a
	recipe a <<-'EOF'
		leaked = "x"
		image "a" { from = "scratch", write { "/a", "a" } }
	EOF
	recipe <<-'EOF'
		import "a"
		image "x" { from = "scratch", write { "/x", leaked } }
	EOF
	fails "leaked" imgmake
}

@test "require finds the project's Lua files" {
	mkdir lib
	echo 'return { greeting = "hi" }' >lib/words.lua
	recipe <<-'EOF'
		local w = require "lib.words"
		image "x" { from = "scratch", write { "/a", w.greeting } }
	EOF
	equal "$(built x a)" hi
}

@test "copied names are relative to the Imagefile that says them" {
	mkdir -p sub/src
	echo deep >sub/src/f
	recipe sub <<-'EOF'
		image "s" { from = "scratch", copy { "src/f", to = "/f" } }
	EOF
	recipe <<-'EOF'
		import "sub"
	EOF
	equal "$(built sub/s f)" deep
}

@test "semver and git" {
	git init -q .
	git config user.email e2e@example.com
	git config user.name e2e
	recipe <<-'EOF'
		image "x" { from = "scratch", write { "/a", git.version() } }
	EOF
	git add .
	git commit -qm one
	git tag v1.4.2
	contains "$(built x a)" '^v?1\.4\.2$'
}

@test "choices of a variable" {
	recipe <<-'EOF'
		local v = var { "MODE", default = "debug", choices = { "debug", "release" } }
		image "x" { from = "scratch", write { "/a", v } }
	EOF
	equal "$(imgmake export x dir:t MODE=release >&2 && cat t/a)" release
	fails 'MODE' imgmake MODE=fast
}

@test "what a recipe prints is shown" {
	recipe <<-LUA
		print("here")
		image "x" { from = "scratch", write { "/x", "x" } }
	LUA
	ok imgmake list
	equal "$stderr" 'here'
	ok imgmake
	contains "$stderr" '^here$'
}
