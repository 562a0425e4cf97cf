load helpers

# What tells about images and the project, to people and to scripts.

project() {
	mkdir -p app
	echo 1 >app/one
	recipe <<-EOF
		local v = var { "MODE", default = "debug", help = "how to build" }
		local parent = image "parent" { from = base "$BUSYBOX", write { "/parent", v } }
		image "app" {
		  from = parent,
		  copy { "app", to = "/app" },
		  env { A = "b" },
		  config { cmd = { "x" } },
		  publish = { "registry.example.com/team/app", version = "1.2.3" },
		}
		stage "helper" { from = "scratch", write { "/h", "" } }
	EOF
}

json() {   # COMMAND…: standard output is one JSON document
	ok "$@"
	jq -e . <<<"$output" >/dev/null
}

@test "list names targets with their kinds, and variables" {
	project
	ok imgmake list
	contains "$output" 'parent'
	contains "$output" 'app'
	contains "$output" 'helper'
	json imgmake --json list
	contains "$(jq -r '.. | strings' <<<"$output")" '^helper$'
}

@test "history tells what made each layer" {
	project
	imgmake
	ok imgmake history app
	contains "$output" 'copy'
	contains "$output" '/parent|write'
	json imgmake --json history app
}

@test "the configuration's history is one entry a step, empty ones marked" {
	project
	exported app >/dev/null
	equal "$(config_of out-app | jq '[.history[] | select(.empty_layer | not)] | length')" "$(n_layers out-app)"
	contains "$(config_of out-app | jq -r '.history[].created_by // empty')" 'copy'
}

@test "inspect prints the raw documents" {
	project
	imgmake
	json imgmake inspect app
	json imgmake --json inspect app
	contains "$(jq -r '.. | strings' <<<"$output")" '^A=b$'
}

@test "list shows what reached the store, import brings it, export takes it" {
	project
	local digest
	digest=$(exported app)
	IMGMAKE_STORE=$DIR/second
	export IMGMAKE_STORE
	ok imgmake import oci:out-app
	contains "$output" "${digest:7:12}"
}

@test "every command has --help, which says usage and exits 0" {
	local c
	ok imgmake --help
	contains "$output" '[Uu]sage'
	for c in build deploy check clean plan why list history inspect export import pull push copy tags promote; do
		contains "$(imgmake --help)" "(^|[^a-z])$c([^a-z]|\$)"
		ok imgmake "$c" --help
		contains "$output" '[Uu]sage'
	done
}

@test "version" {
	ok imgmake version
	contains "$output" '[0-9]+\.[0-9]+\.[0-9]+'
	ok imgmake --version
}

@test "results go to standard output, progress to standard error" {
	project
	ok imgmake --progress=plain
	equal "$output" ""
	ok imgmake --progress=plain -B
	equal "$output" ""
}

@test "foreign text reaches the terminal without its escapes" {
	local esc
	esc=$(printf '\033')
	recipe <<-EOF
		image "x" { from = "scratch", copy { "nope${esc}[31m", to = "/" } }
	EOF
	go imgmake
	equal "$status" 2
	lacks "$output$stderr" "$esc"
}

@test "a closed standard output is an error or the signal, never a success" {
	project
	imgmake
	run bash -c '"$0" --json inspect app >/dev/full' "$IMGMAKE"
	[ "$status" != 0 ]
}
