load helpers

# Downloads, from a web server on loopback.

setup_file() {
	WEB=$(new_dir)
	export WEB
	echo content >"$WEB/file.txt"
	mkdir "$WEB/t"
	echo inner >"$WEB/t/inner"
	tar -C "$WEB/t" -czf "$WEB/t.tar.gz" inner
	python3 -u -m http.server --bind 127.0.0.1 --directory "$WEB" 0 >"$WEB/log" 2>&1 3>&- &
	echo $! >"$WEB/pid"
	wait_until grep -q 'Serving HTTP' "$WEB/log"
	URL=http://localhost:$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$WEB/log")
	export URL
}

teardown_file() {
	kill "$(cat "$WEB/pid")"
	rm -rf "$WEB"
}

@test "a file with its digest" {
	recipe <<-EOF
		image "x" {
		  from = "scratch",
		  add { "$URL/file.txt", sha256 = "$(sha256sum <"$WEB/file.txt" | cut -d' ' -f1)", to = "/etc/" },
		  add { "$URL/file.txt", sha256 = "$(sha256sum <"$WEB/file.txt" | cut -d' ' -f1)", to = "/opt/name", mode = "0600" },
		}
	EOF
	ok imgmake export x dir:d
	equal "$(cat d/etc/file.txt)" content
	equal "$(stat -c %a d/opt/name)" 600
	[ ! -e Imagefile.lock ] || equal "$(jq -r '.downloads // {} | length' Imagefile.lock)" 0
}

@test "a file without digest is locked on first use" {
	recipe <<-EOF
		image "x" { from = "scratch", add { "$URL/file.txt", to = "/f" } }
	EOF
	ok imgmake
	equal "$(jq -r --arg u "$URL/file.txt" '.downloads[$u].sha256' Imagefile.lock)" \
		"$(sha256sum <"$WEB/file.txt" | cut -d' ' -f1)"
	echo other >"$WEB/file.txt"
	rm -rf "$IMGMAKE_STORE"
	fails "file\.txt" imgmake
	echo content >"$WEB/file.txt"
	ok imgmake
}

@test "a wrong digest is one line with both" {
	recipe <<-EOF
		image "x" { from = "scratch", add { "$URL/file.txt", sha256 = "$(printf 0%.0s {1..64})", to = "/f" } }
	EOF
	fails '0000000' imgmake
	store_is_whole
}

@test "an archive is unpacked when asked for" {
	recipe <<-EOF
		image "x" { from = "scratch", add { "$URL/t.tar.gz", to = "/t/", unpack = true } }
	EOF
	ok imgmake export x dir:d
	equal "$(cat d/t/inner)" inner
}

@test "what is not there" {
	recipe <<-EOF
		image "x" { from = "scratch", add { "$URL/nothing", to = "/f" } }
	EOF
	fails "404|not found" imgmake
}
