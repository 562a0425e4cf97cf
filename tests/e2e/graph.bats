#!/usr/bin/env bats
# imgmake graph: who needs whom, and what is out of date, in each of its forms.
load helpers

graph_recipe() {
	recipe <<-LUA
		local b = base "$BUSYBOX"
		local parent = image "parent" { from = b, write { "/a", "1" } }
		local tools = stage "tools" { from = parent, write { "/t", "1" } }
		file "made.txt" { deps = { "source" }, run = { "cp source made.txt" } }
		local web = image "web" { from = parent, copy { "/t", from = tools, to = "/t" },
		  copy { "made.txt", to = "/" } }
		image "other" { from = b, write { "/o", "$1" } }
		check "starts" { image = web, run = { "true" } }
	LUA
	echo x >source
}

edges() {   # of `graph --format=json`: "NEEDED TARGET", one a line
	jq -r '.[] | .target as $t | .needs[] | "\(.) \($t)"' <<<"$1" | sort
}

@test "all targets, with what each needs" {
	graph_recipe 1
	ok imgmake graph --format=json
	equal "$(edges "$output")" "$(sort <<-EOT
		$BUSYBOX parent
		parent tools
		parent web
		tools web
		made.txt web
		$BUSYBOX other
		web starts
	EOT
	)"
}

@test "named targets, and what they need" {
	graph_recipe 1
	ok imgmake graph --json tools
	equal "$(jq -r '.[].target' <<<"$output")" "$BUSYBOX"$'\n'parent$'\n'tools
}

@test "what is out of date is marked in every form, and nothing is written" {
	graph_recipe 1
	imgmake build web other
	graph_recipe 2
	ok imgmake graph --json
	equal "$(jq -r '.[] | select(.stale) | .target' <<<"$output")" other
	ok imgmake graph
	equal "$(grep -c 'fillcolor' <<<"$output")" 1
	contains "$output" 'label="other.*fillcolor'
	ok imgmake graph --format=mermaid
	equal "$(grep ':::stale' <<<"$output" | grep -c other)" 1
	ok imgmake graph --format=svg
	equal "$(grep -c 'class="image stale"' <<<"$output")" 1
	# Without a store, it makes none.
	IMGMAKE_STORE=$DIR/none ok imgmake graph
	[ ! -e "$DIR/none" ]
}

@test "the drawing is well-formed, and no box lies on another" {
	graph_recipe 1
	imgmake graph --format=svg >g.svg
	python3 - <<-PYTHON
		import xml.etree.ElementTree as tree
		ns = "{http://www.w3.org/2000/svg}"
		root = tree.parse("g.svg").getroot()
		boxes = [tuple(int(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter(ns + "rect")]
		assert len(boxes) == 7, boxes
		for i, (x, y, w, h) in enumerate(boxes):
		    assert 0 <= x and x + w <= int(root.get("width")) and 0 <= y and y + h <= int(root.get("height"))
		    for a, b, c, d in boxes[i + 1:]:
		        assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
		assert len(list(root.iter(ns + "path"))) == 7
	PYTHON
}

@test "a base that cannot be reached: drawn all the same, with a warning" {
	recipe <<-LUA
		image "a" { from = base "localhost:1/none:1", write { "/a", "1" } }
	LUA
	ok imgmake graph --json
	equal "$(jq -c 'map(.target)' <<<"$output")" '["localhost:1/none:1","a"]'
	contains "$stderr" 'not known everywhere: .*localhost:1'
}

@test "bad words" {
	graph_recipe 1
	fails "no target 'wbe', did you mean 'web'" imgmake graph wbe
	fails 'format.*dot, mermaid, json' imgmake graph --format=png
}
