load helpers

# ADD of what is on the network, from servers on loopback.

setup_file() {
	load helpers
	WEB=$(new_dir)
	export WEB
	mkdir -p "$WEB/files/dir" "$WEB/t"
	echo content >"$WEB/files/file.txt"
	echo named >"$WEB/files/dir/with blank"
	touch -d 2001-02-03 "$WEB/files/file.txt"
	echo inner >"$WEB/t/inner"
	tar -C "$WEB/t" -czf "$WEB/files/t.tar.gz" inner
	"$REPO_ROOT/tests/servers/make_certs.sh" "$WEB/certs" >/dev/null
	start_web plain
	start_web tls --cert "$WEB/certs/server.crt" --key "$WEB/certs/server.key"
}

teardown_file() {
	kill "$(cat "$WEB/plain.pid")" "$(cat "$WEB/tls.pid")"
	rm -rf "$WEB"
}

start_web() {   # NAME [OPTION…]
	local name=$1
	shift
	python3 "$REPO_ROOT/tests/servers/git_server.py" --dumb --root "$WEB/files" --port-file "$WEB/$name.port" "$@" \
		>"$WEB/$name.log" 2>&1 3>&- &
	echo $! >"$WEB/$name.pid"
	wait_until test -s "$WEB/$name.port"
}

setup() {
	setup_test
	URL=http://localhost:$(cat "$WEB/plain.port")
}

dockerfile() {
	{ echo FROM scratch; cat; } >Dockerfile
}

exported_dir() {
	rm -rf d
	ok imgmake export -f Dockerfile default dir:d "$@"
}

sum() {   # FILE
	sha256sum <"$WEB/files/$1" | cut -d' ' -f1
}

n_requests() {
	wc -l <"$WEB/plain.log"
}

@test "names, modes, owners and times" {
	dockerfile <<-EOF
		ADD $URL/file.txt /dir/
		ADD $URL/file.txt /as/this
		ADD $URL/file.txt?version=1#part .
		ADD $URL/dir/with%20blank /dir/
		ADD --chown=12:34 --chmod=755 $URL/file.txt /owned
		WORKDIR /w
		ADD $URL/file.txt $URL/t.tar.gz here/
		ADD $URL/dir/?list /list/
	EOF
	exported_dir
	equal "$(cd d && find . -type f | sort)" "$(printf '%s\n' ./as/this './dir/with blank' ./dir/file.txt ./file.txt \
		./list/__unnamed__ ./owned ./w/here/file.txt ./w/here/t.tar.gz | sort)"
	equal "$(cat d/dir/file.txt "d/dir/with blank")" "$(printf 'content\nnamed')"
	needs_root
	equal "$(what d/dir/file.txt)" "600 0:0 regular file"
	equal "$(what d/owned)" "755 12:34 regular file"
	equal "$(stat -c %Y d/dir/file.txt)" 315619200
	SOURCE_DATE_EPOCH=1000000000 exported_dir
	equal "$(stat -c %Y d/dir/file.txt)" 1000000000
}

@test "--checksum: the right one, a wrong one, and one of several" {
	dockerfile <<-EOF
		ARG SUM=sha256:$(sum file.txt)
		ADD --checksum=\$SUM $URL/file.txt /f
	EOF
	exported_dir --lock=strict
	equal "$(cat d/f)" content
	[ ! -e Imagefile.lock ]
	fails "Dockerfile:3: .*file.txt is sha256:$(sum file.txt) now, but the recipe says sha256:00" \
		imgmake -f Dockerfile SUM=sha256:"$(printf '0%.0s' {1..64})"
	dockerfile <<-EOF
		ADD --checksum=sha256:$(sum file.txt) $URL/file.txt $URL/t.tar.gz /f/
	EOF
	fails "Dockerfile:2: ADD: --checksum can't be specified for multiple sources" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD --checksum=md5:$(sum file.txt) $URL/file.txt /f
	EOF
	fails "Dockerfile:2: ADD: --checksum=md5:.*expected sha256: and 64" imgmake -f Dockerfile
	store_is_whole
}

@test "redirections are followed, and the name is that of the instruction" {
	dockerfile <<-EOF
		ADD $URL/moved/moved/file.txt /x/
		ADD $URL/moved/dir/with%20blank /x/
	EOF
	exported_dir
	equal "$(cat d/x/file.txt "d/x/with blank")" "$(printf 'content\nnamed')"
}

@test "what cannot be had is one line with the instruction's" {
	dockerfile <<-EOF
		ADD $URL/nothing /f
	EOF
	fails "Dockerfile:2: .*add: fetch $URL/nothing: .*(404|not found)" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD $URL/moved/nothing /f
	EOF
	fails "Dockerfile:2: .*add: fetch $URL/moved/nothing: .*(404|not found)" imgmake -f Dockerfile
	dockerfile <<-EOF
		ADD https://localhost:$(cat "$WEB/tls.port")/file.txt /f
	EOF
	fails "Dockerfile:2: .*add: .*(certificate|trusted)" imgmake -f Dockerfile
	SSL_CERT_FILE=$WEB/certs/ca.crt exported_dir
	equal "$(cat d/f)" content
	store_is_whole
}

@test "archives stay as they are, unless --unpack says so" {
	dockerfile <<-EOF
		ADD $URL/t.tar.gz /plain/
		ADD --unpack=false $URL/t.tar.gz /false/
		ADD --unpack=true --chown=5:6 $URL/t.tar.gz /out/
		ADD --unpack $URL/moved/t.tar.gz /here
	EOF
	exported_dir
	equal "$(cd d && find . -type f | sort)" "$(printf '%s\n' ./false/t.tar.gz ./here/inner ./out/inner ./plain/t.tar.gz)"
	needs_root
	equal "$(what d/out/inner)" "644 5:6 regular file"
	dockerfile <<-EOF
		ADD --unpack $URL/file.txt /x
	EOF
	fails "Dockerfile:2: .*add: .*file.txt" imgmake -f Dockerfile
}

@test "what is locked is asked for no more; a change at the server counts with --lock=update" {
	echo first >"$WEB/files/changes"
	dockerfile <<-EOF
		ADD $URL/changes /f
	EOF
	exported_dir
	before=$(n_requests)
	exported_dir
	ok imgmake -f Dockerfile -q
	equal "$(n_requests)" "$before"
	echo second >"$WEB/files/changes"
	exported_dir
	equal "$(cat d/f)" first
	equal "$(n_requests)" "$before"
	exported_dir --lock=update
	equal "$(cat d/f)" second
	equal "$(jq -r --arg u "$URL/changes" '.downloads[$u].sha256' Imagefile.lock)" "$(sum changes)"
	echo third >"$WEB/files/changes"
	rm -rf "$IMGMAKE_STORE"   # another machine, to which the locked bytes are lost
	fails "Dockerfile:2: .*changes is sha256:$(sum changes) now, but Imagefile.lock says sha256:" imgmake -f Dockerfile
	exported_dir --lock=update
	equal "$(cat d/f)" third
	rm Imagefile.lock
	fails "Dockerfile:2: .*changes is not in Imagefile.lock; give sha256 =" imgmake -f Dockerfile --lock=strict
}
