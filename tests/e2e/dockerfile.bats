load helpers

# Real Dockerfiles, built by us and by buildah, must come to the same tree and configuration. Where buildah 1.28 differs
# from BuildKit, whose meaning counts, the test says so.

setup_file() {
	load helpers
	needs_root
	DIR=$(new_dir)
	BUILDAH_DIR=$DIR
	export BUILDAH_DIR
	bud_once pull -q "oci:$PREPARED/busybox:1" >"$DIR/id"
	bud_once tag "$(cat "$DIR/id")" localhost/busybox
}

teardown_file() {
	rm -rf "$BUILDAH_DIR"
}

bud_once() {
	buildah --root "$BUILDAH_DIR/buildah" --runroot "$BUILDAH_DIR/buildah.run" --storage-driver vfs "$@"
}

setup() {
	setup_test
	BASE=localhost/busybox=oci-layout://$PREPARED/busybox:1
}

dockerfile() {   # [NAME]: standard input
	cat >"${1:-Dockerfile}"
}

# ours [OPTION…]: the last stage as an unpacked tree in ours/ and its configuration in ours.json
ours() {
	rm -rf out ../ours
	imgmake export -f "${FILE:-Dockerfile}" --build-context "$BASE" "${TARGET:-default}" oci:out "$@" || return 1
	unpacked out ../ours
	config_of out >../ours.json
	rm -rf out out.tagged
}

# theirs [OPTION…]: the same by buildah
theirs() {
	rm -rf ../theirs
	bud_once bud -q --isolation chroot --format docker --layers=false --timestamp 315619200 -f "${FILE:-Dockerfile}" \
		-t localhost/t"$BATS_TEST_NUMBER" "$@" . >../bud.log 2>&1 || { cat ../bud.log; return 1; }
	bud_once push -q --format oci localhost/t"$BATS_TEST_NUMBER" oci:../theirs.oci:t
	umoci unpack --keep-dirlinks --image ../theirs.oci:t ../theirs >/dev/null
	bud_once inspect --type image localhost/t"$BATS_TEST_NUMBER" | jq .Docker >../theirs.json
	bud_once rmi -f localhost/t"$BATS_TEST_NUMBER" >/dev/null
	rm -rf ../theirs.oci
}

# Names, types, modes, owners, link texts and contents; what runtimes make for themselves is left out.
tree_of() {
	(cd "$1/rootfs" && find . -mindepth 1 ! -path './proc*' ! -path './sys*' ! -path './dev*' ! -path './run' \
		! -path './run/*' ! -path './etc/hosts' ! -path './etc/resolv.conf' ! -path './etc/hostname' \
		-printf '%P %y %m %U:%G %l' \( -type f -exec sh -c 'printf " %s" "$(sha256sum <"$1")"' - {} \; -o -true \) \
		-printf '\n' | sort)
}

# What an image says about itself, without dates and history, and empty values as absent.
says() {
	jq -S '.config | {Env: (.Env // [] | sort), Cmd, Entrypoint, WorkingDir: (.WorkingDir // "/" | if . == "" then "/" else . end),
		User: (.User // ""), ExposedPorts: (.ExposedPorts // {}), Volumes: (.Volumes // {}),
		Labels: (.Labels // {} | del(.["io.buildah.version"])), Healthcheck, StopSignal: (.StopSignal // ""),
		OnBuild: (.OnBuild // [])} | walk(if . == [] or . == "" or . == {} then null else . end)' "$1"
}

same() {   # [NAME=VALUE…]
	local v args=()
	for v; do
		args+=(--build-arg "$v")
	done
	ours "$@"
	theirs "${args[@]}"
	equal "$(tree_of ../ours)" "$(tree_of ../theirs)"
	equal "$(says ../ours.json)" "$(says ../theirs.json)"
}

# refused PATTERN [OPTION…]: one line that begins with file and line of the Dockerfile
refused() {
	local pattern=$1
	shift
	fails "$pattern" imgmake build -f Dockerfile --build-context "$BASE" "$@"
}

@test "two stages, arguments, environment and configuration" {
	mkdir src
	echo hi >src/a
	echo b >src/b.md
	dockerfile <<-'EOF'
		# syntax=docker/dockerfile:1
		ARG TAG=1
		FROM localhost/busybox AS build
		ARG TAG
		ENV A=1 B="two words" \
		    C=${TAG:-x}
		WORKDIR /work/deep
		COPY src/ ./src/
		RUN echo "$A $B $C $TAG" > out && cat out

		FROM localhost/busybox
		ENV PATH=/opt/bin:$PATH
		COPY --from=build --chown=1000:1000 /work/deep/out /x/out
		COPY --from=0 /work/deep/src /src
		EXPOSE 80 90/udp
		LABEL a=b "c d"="e f"
		LABEL version 1 of it
		VOLUME /data /more
		VOLUME ["/d1", "/d2"]
		HEALTHCHECK --interval=1m30s --timeout=3s --retries=2 CMD ["true", "x"]
		ENTRYPOINT ["sh", "-c"]
		CMD echo hi
		STOPSIGNAL SIGTERM
		USER 1000:1000
		ONBUILD RUN echo x
	EOF
	same TAG=7
}

@test "copies: files, directories, wildcards, renames, destinations with and without slash" {
	mkdir -p d/sub e
	echo 1 >d/one; echo 2 >d/sub/two; echo 3 >e/three.txt; echo 4 >four.txt; echo 5 >five.md
	ln -s one d/link
	dockerfile <<-'EOF'
		FROM localhost/busybox
		COPY d /all
		COPY d/one /renamed
		COPY d/one /new/dir/
		COPY four.txt five.md /two/
		COPY *.txt /texts/
		COPY e/*.txt /three
		COPY d/sub /all
		WORKDIR /w
		COPY d/one .
		COPY d/one x/y
		COPY ["d/one", "with space"]
		COPY --chown=12:34 d /owned/deep
		COPY --chmod=600 four.txt /secret
		COPY /four.txt ./../up
	EOF
	same
}

# What buildah 1.28 does otherwise; BuildKit's source and BuildKit 0.8 say this.
@test "what a copy makes on its way is nobody's, and links that a pattern matches are followed" {
	needs_root
	mkdir -p d/sub
	echo 1 >d/one
	echo 2 >d/sub/two
	ln -s one d/link
	ln -s sub d/way
	dockerfile <<-'EOF'
		FROM localhost/busybox AS src
		RUN mkdir -p /s/in && echo 1 > /s/in/f && chmod 640 /s/in/f && chmod 711 /s/in && chown -R 5:6 /s && 		    chmod 700 /s && ln -s in/f /s/link && ln -s in /s/way
		FROM scratch
		COPY --chmod=640 d/one /key/store/one
		COPY --chmod=700 --chown=8:9 d /dir/all
		COPY d/l* d/w* /links/
		COPY --from=src /s /from
		COPY --from=src /s/in/f /deep/er/f
		COPY --from=src --chown=8:9 /s/in /owned/in
		COPY --from=src /s/li* /s/wa* /followed/
	EOF
	ours
	cd ../ours/rootfs
	equal "$(what key/store) $(what key) $(what key/store/one)" "755 0:0 directory 755 0:0 directory 640 0:0 regular file"
	equal "$(what dir) $(what dir/all) $(what dir/all/sub)" "755 8:9 directory 755 8:9 directory 700 8:9 directory"
	equal "$(find links -mindepth 1 -printf '%P %y\n' | sort)" "$(printf 'link f\ntwo f')"
	equal "$(what from) $(what from/in)" "755 0:0 directory 711 5:6 directory"
	equal "$(what deep/er) $(what deep/er/f)" "755 0:0 directory 640 5:6 regular file"
	equal "$(what owned) $(what owned/in) $(what owned/in/f)" "755 8:9 directory 755 8:9 directory 640 8:9 regular file"
	equal "$(find followed -mindepth 1 -printf '%P %y\n' | sort)" "$(printf 'f f\nlink f')"
	equal "$(readlink from/link from/way)" "$(printf 'in/f\nin')"
}

@test "--chmod in letters changes what each file is" {
	mkdir -p d/sub
	echo 1 >d/plain
	echo 2 >d/sub/tool
	chmod +x d/sub/tool
	dockerfile <<-'EOF'
		FROM localhost/busybox AS src
		RUN mkdir -p /s/in && echo 1 > /s/f && chmod 666 /s/f && chmod 2770 /s/in && echo x > /s/in/x && chmod 700 /s/in/x
		FROM scratch
		ARG MODE=go-rwx
		COPY --chmod=+x d/plain /entry
		COPY --chmod=$MODE d /all
		COPY --chmod=u=rwX,go=rX d /usual
		COPY --from=src --chmod=g=u,o= /s /from
		COPY --chmod=a-w <<END /here
		text
		END
	EOF
	ours
	cd ../ours/rootfs
	modes() {
		find "$@" -printf '%m %p\n' | sort -k2
	}
	equal "$(modes entry here)" "$(printf '755 entry\n444 here')"
	equal "$(modes all)" "$(printf '%s\n' '755 all' '600 all/plain' '700 all/sub' '700 all/sub/tool')"
	equal "$(modes usual)" "$(printf '%s\n' '755 usual' '644 usual/plain' '755 usual/sub' '755 usual/sub/tool')"
	equal "$(modes from)" "$(printf '%s\n' '755 from' '660 from/f' '2770 from/in' '770 from/in/x')"
}

@test "shell forms, exec forms, SHELL, and variables in between" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		RUN echo one > /1 && \
		    # a comment inside
		    echo two > /2
		RUN ["sh", "-c", "echo $0 > /3", "arg"]
		SHELL ["/bin/sh", "-xc"]
		RUN echo shell > /4
		ENV X=a
		ENV X=b Y=$X
		RUN echo "$X$Y" > /5
	EOF
	same
	# buildah 1.28 forgets the options of SHELL here.
	echo 'CMD echo "$X"' >>Dockerfile
	ours
	equal "$(jq -c .config.Cmd ../ours.json)" '["/bin/sh","-xc","echo \"$X\""]'
}

@test "an ENTRYPOINT takes the base's CMD away, and one after CMD does not" {
	dockerfile <<-'EOF'
		FROM localhost/busybox AS a
		CMD ["x"]
		FROM a
		ENTRYPOINT ["/bin/sh"]
	EOF
	ours
	equal "$(jq -c '[.config.Entrypoint, .config.Cmd]' ../ours.json)" '[["/bin/sh"],null]'
	dockerfile <<-'EOF'
		FROM localhost/busybox
		CMD ["x"]
		ENTRYPOINT ["/bin/sh"]
	EOF
	same
}

@test "WORKDIR: relative, with variables, made with the user's ids" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ENV D=dir
		WORKDIR /a
		WORKDIR b/$D
		RUN pwd > /where
		USER 1000:1000
		WORKDIR mine
		WORKDIR /a
	EOF
	ours
	equal "$(cat ../ours/rootfs/where)" /a/b/dir
	# BuildKit gives a new directory to USER, which buildah 1.28 does not.
	equal "$(what ../ours/rootfs/a/b/dir/mine)" '755 1000:1000 directory'
	equal "$(what ../ours/rootfs/a)" '755 0:0 directory'
	equal "$(jq -r .config.WorkingDir ../ours.json)" /a
}

# As BuildKit 0.8 has it, where buildah gives no supplementary groups.
@test "USER: home, group and groups of a command are those that the image knows" {
	needs_root
	dockerfile <<-'EOF'
		FROM localhost/busybox
		RUN echo 'me:x:77:78::/home/me:/bin/sh' >>/etc/passwd; echo 'us:x:79:you,me' >>/etc/group; chmod 1777 /tmp
		USER 1000
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/1
		USER 1000:5
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/2
		USER 77
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/3
		USER me
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/4
		USER me:us
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/5
		ENV HOME=/else
		RUN echo "$(id -u) $(id -g) $(id -G) $HOME" > /tmp/6
		USER root
		RUN echo "$(id -u) $(id -g) $HOME" > /tmp/7
	EOF
	ours
	equal "$(cat ../ours/rootfs/tmp/*)" "$(printf '%s\n' '1000 0 0 /' '1000 5 5 /' '77 78 78 79 /home/me' \
		'77 78 78 79 /home/me' '77 79 79 /home/me' '77 79 79 /else' '0 0 /else')"
}

@test "heredocs: scripts, programs, several, and files" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ENV N=name
		RUN <<END
		echo first > /1
		echo "$N" > /2
		END
		RUN <<-END
			echo tabs > /3
		END
		RUN <<'END' cat > /4
		$N stays
		END
		RUN <<END
		#!/bin/sh -e
		echo "$0" > /5
		END
		RUN cat <<A <<B > /6 && echo done > /7
		of a
		A
		of b
		B
		COPY <<END /etc/conf
		N is ${N} and "quoted"
		END
		COPY <<"END" /etc/raw
		N is ${N}
		END
		COPY --chmod=755 <<one <<-two /files/
		1
		one
			2
		two
		COPY <<inside /etc
		x
		inside
		ADD --chown=7:8 <<END /added
		a
		END
	EOF
	ours
	cd ../ours/rootfs
	equal "$(cat 1 2 3 4 5 6 7)" "$(printf '%s\n' first name tabs '$N stays' /dev/pipes/END 'of b' done)"
	equal "$(cat etc/conf etc/raw)" "$(printf '%s\n' 'N is name and "quoted"' 'N is ${N}')"
	equal "$(cat files/one files/two etc/inside added)" "$(printf '%s\n' 1 2 x a)"
	equal "$(what files/one)" '755 0:0 regular file'
	equal "$(what added)" '644 7:8 regular file'
	[ ! -e dev/pipes ]
}

@test "ADD unpacks archives of the context, whatever they are called, and only those" {
	mkdir t
	echo in >t/f
	tar -C t -czf a.tgz f
	tar -C t -cf plain f
	echo no >b.tgz
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ADD a.tgz /a/
		ADD plain /b/
		ADD b.tgz /c/
		ADD t /d
		ADD --unpack=false a.tgz /e/
		COPY a.tgz /f/
		ADD *.tgz /g/
	EOF
	ours
	cd ../ours/rootfs
	equal "$(cat a/f b/f d/f g/f)" "$(printf '%s\n' in in in in)"
	cmp "$DIR/work/b.tgz" c/b.tgz
	cmp "$DIR/work/b.tgz" g/b.tgz
	cmp "$DIR/work/a.tgz" e/a.tgz
	cmp "$DIR/work/a.tgz" f/a.tgz
	[ ! -e g/a.tgz ]
}

@test "ignore files: .dockerignore, and X.dockerignore before it" {
	echo 1 >a; echo 2 >b; echo 3 >c
	printf 'a\n' >.dockerignore
	dockerfile <<-'EOF'
		FROM localhost/busybox
		COPY . /x
	EOF
	cp Dockerfile other.Dockerfile
	printf 'b\n!a\n' >other.Dockerfile.dockerignore
	same
	[ ! -e ../ours/rootfs/x/a ]
	FILE=other.Dockerfile ours
	[ -e ../ours/rootfs/x/a ] && [ ! -e ../ours/rootfs/x/b ]
	printf 'FROM localhost/busybox\nCOPY a /\n' >Dockerfile
	refused '^imgmake: Dockerfile:2: .*a is excluded by .dockerignore'
}

@test "a Dockerfile in a directory below copies from where one is" {
	mkdir docker
	echo top >file
	printf 'FROM localhost/busybox\nCOPY file /\n' >docker/Dockerfile
	FILE=docker/Dockerfile same
	equal "$(cat ../ours/rootfs/file)" top
}

@test "mounts: bind, cache, tmpfs, secret" {
	mkdir in
	echo data >in/f
	printf s3cret >../secret
	dockerfile <<-'EOF'
		FROM localhost/busybox AS tools
		RUN echo tool > /tool
		FROM localhost/busybox
		WORKDIR /w
		RUN --mount=type=bind,source=in,target=/in cat /in/f > /1; echo x > /in/g || echo ro > /2
		RUN --mount=from=tools,source=/tool,target=/t,ro cat /t > /3
		RUN --mount=source=in,target=rel,rw echo new > rel/new && cat rel/f rel/new > /4
		RUN --mount=type=cache,target=/c,id=k,uid=12,gid=34,mode=0750 stat -c '%a %u:%g' /c > /5; echo kept > /c/k
		RUN --mount=type=cache,target=/d,id=k cat /d/k > /6
		RUN --mount=type=tmpfs,target=/tmp/t,size=1m df /tmp/t | tail -1 | awk '{print $2}' > /7; echo gone > /tmp/t/x
		RUN --mount=type=secret,id=s,target=/s,mode=0444,uid=5 stat -c '%a %u' /s > /8; cat /s | wc -c > /9
		RUN --mount=type=secret,id=s,env=S [ "$S" = s3cret ]
		RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ]
		RUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" > /10
		RUN --network=none [ "$(wc -l < /proc/net/route)" = 1 ]
	EOF
	ours --secret s=../secret
	cd ../ours/rootfs
	equal "$(cat 1 2 3 4 5 6 7 8 9 10)" \
		"$(printf '%s\n' data ro tool data new '750 12:34' kept 1024 '444 5' 6 '[]')"
	equal "$(find in c d t rel s w tmp/t 2>/dev/null | xargs -r ls -A)" ""
	cd "$DIR/work"
	sed -i 's/id=none .*/id=none,required echo again/' Dockerfile
	refused '^imgmake: Dockerfile:13: .*secret'
}

@test "ONBUILD runs in what stands on it, from stages and from images" {
	echo f >f
	dockerfile <<-'EOF'
		FROM localhost/busybox AS parent
		ENV WHO=parent
		ONBUILD COPY f /from-trigger
		ONBUILD RUN echo "$WHO" > /who
		FROM parent
		RUN test -e /who
	EOF
	ours
	equal "$(cat ../ours/rootfs/who ../ours/rootfs/from-trigger)" "$(printf 'parent\nf\n')"
	equal "$(jq -c .config.OnBuild ../ours.json)" null
	TARGET=parent ours
	equal "$(jq -c .config.OnBuild ../ours.json)" '["COPY f /from-trigger","RUN echo \"$WHO\" > /who"]'
	[ ! -e ../ours/rootfs/who ]
	rm -rf ../parent
	imgmake export -f Dockerfile --build-context "$BASE" parent oci:../parent
	printf 'FROM p\nENV WHO=child\nCMD ["x"]\n' >Dockerfile
	BASE=p=oci-layout://$DIR/parent ours
	equal "$(cat ../ours/rootfs/who)" parent
	equal "$(jq -c .config.OnBuild ../ours.json)" null
	equal "$(jq -r '.config.Env[]' ../ours.json | grep WHO)" WHO=child
}

@test "what a base says is known: its environment, shell and user" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ENV FROM_BASE=yes
		SHELL ["/bin/sh", "-euc"]
		USER 33
		WORKDIR /home/x
	EOF
	imgmake export -f Dockerfile --build-context "$BASE" default oci:../parent
	dockerfile <<-'EOF'
		FROM p
		ENV COPIED="${FROM_BASE:?the base has it}" PATH=/x:$PATH
		WORKDIR below
		RUN echo "$- $(id -u)" > /tmp/said
		CMD hello
	EOF
	BASE=p=oci-layout://$DIR/parent ours
	equal "$(jq -r '.config.Env[]' ../ours.json | grep COPIED)" COPIED=yes
	contains "$(jq -r '.config.Env[]' ../ours.json)" '^PATH=/x:/usr/local/bin:'
	equal "$(jq -c .config.Cmd ../ours.json)" '["/bin/sh","-euc","hello"]'
	equal "$(jq -r .config.WorkingDir ../ours.json)" /home/x/below
	contains "$(cat ../ours/rootfs/tmp/said)" '^eu?c? ?.*33$|33$'
}

@test "stages that nothing needs are not built, nor their bases looked at" {
	dockerfile <<-'EOF'
		FROM registry.invalid/none AS unused
		RUN false
		FROM localhost/busybox AS used
		RUN true > /ok
		FROM registry.invalid/other AS last
		FROM used
		ENV X=${UNUSED:-1}
	EOF
	same
}

@test "platforms: predefined arguments, and stages for the builder's" {
	dockerfile <<-'EOF'
		FROM --platform=$BUILDPLATFORM localhost/busybox AS build
		ARG TARGETARCH
		ARG TARGETPLATFORM
		ARG BUILDPLATFORM
		RUN echo "$TARGETARCH $TARGETPLATFORM $BUILDPLATFORM" > /out
		FROM scratch
		COPY --from=build /out /
	EOF
	ours
	equal "$(cat ../ours/rootfs/out)" "amd64 linux/amd64 linux/amd64"
	ours --platform linux/arm64
	equal "$(cat ../ours/rootfs/out)" "arm64 linux/arm64 linux/amd64"
	equal "$(jq -r .architecture ../ours.json)" arm64
}

@test "proxies given as arguments reach the step and nothing else" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		RUN [ "$HTTP_PROXY" ] && [ "$http_proxy" = "$HTTP_PROXY" ]
	EOF
	ours HTTP_PROXY=http://p:1
	lacks "$(cat ../ours.json)" 'p:1'
	go imgmake -n -f Dockerfile --build-context "$BASE" HTTP_PROXY=http://other:2
	equal "$output" ""
}

@test "COPY --parents with a pivot, and --exclude" {
	mkdir -p a/b/c
	echo 1 >a/b/c/f.txt; echo 2 >a/b/g.md
	dockerfile <<-'EOF'
		FROM scratch
		COPY --parents a/b/c/f.txt /p/
		COPY --parents a/./b/c/f.txt /q/
		COPY --parents ./a/**/*.txt /r/
		COPY --exclude=*.md --exclude=c a/b /s/
		COPY --exclude=**/*.md a /t/
	EOF
	ours
	equal "$(cd ../ours/rootfs && find . -type f | sort)" \
		"$(printf '%s\n' ./p/a/b/c/f.txt ./q/b/c/f.txt ./r/a/b/c/f.txt ./t/b/c/f.txt)"
}

@test "named contexts: directories and images; links named as sources are followed" {
	mkdir -p ../ctx other
	echo out >../ctx/f; echo in >other/f; echo hidden >../ctx/h
	echo h >../ctx/.dockerignore
	ln -s other/f link
	dockerfile <<-'EOF'
		FROM img AS x
		FROM scratch
		COPY --from=ctx . /out
		COPY --from=near f /near
		COPY link /followed
		COPY --from=x /bin/busybox /bb
	EOF
	BASE=img=oci-layout://$PREPARED/busybox:1 ours --build-context ctx=../ctx --build-context near=other
	equal "$(cd ../ours/rootfs && cat out/f near followed)" "$(printf 'out\nin\nin\n')"
	[ ! -e ../ours/rootfs/out/h ] && [ ! -L ../ours/rootfs/followed ]
}

@test "an unchanged Dockerfile has nothing to do, and an argument rebuilds only what sees it" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		RUN echo first > /1
		ARG V=1
		RUN echo $V > /2
	EOF
	imgmake -f Dockerfile --build-context "$BASE"
	ok imgmake -f Dockerfile --build-context "$BASE"
	contains "$stderr" 'nothing to do'
	ok imgmake -f Dockerfile --build-context "$BASE" V=2
	contains "$stderr" 'first > /1: .* \(known\)'
	contains "$stderr" 'run /bin/sh -c echo \$V'
}

@test "dockerfile in a recipe gives its stages as targets" {
	mkdir app
	echo f >app/f
	dockerfile app/Dockerfile <<-'EOF'
		ARG BASE
		FROM ${BASE} AS build
		COPY f /f
		FROM build AS final
		LABEL x=y
	EOF
	recipe <<-EOF
		local d = dockerfile { "app/Dockerfile", context = "app", prefix = "app-", args = { BASE = "localhost/busybox" } }
		image "web" { from = d.final, copy { "/f", from = d.build, to = "/again" } }
		default { d.default, image "more" { from = d[1] } }
	EOF
	imgmake --build-context "$BASE" default web
	ok imgmake --build-context "$BASE" list
	contains "$output" 'app-build'
	contains "$output" 'app-final'
	recipe <<-'EOF'
		dockerfile { "app/Dockerfile", args = { BAES = "x" } }
	EOF
	fails "^imgmake: Imagefile:1: dockerfile: app/Dockerfile declares no ARG 'BAES', did you mean 'BASE'\?" imgmake
}

# bad LINE TEXT PATTERN: the Dockerfile of TEXT is refused, with that line in front
bad() {
	printf "$2" >Dockerfile
	refused "^imgmake: Dockerfile:$1: $3" || { echo "of: $2"; return 1; }
}

@test "mistakes are told with file, line and the nearest valid word" {
	local F='FROM localhost/busybox\n'
	echo f >f
	bad 2 "${F}RNU true\n" 'unknown instruction: RNU, did you mean RUN\?'
	bad 3 "${F}\nCOPY --form=x a b\n" "COPY: unknown flag --form, did you mean '--from'\?"
	bad 2 "${F}COPY f\n" 'COPY requires at least two arguments, but only one was provided'
	bad 2 "${F}COPY missing /\n" '.*missing: no such file'
	bad 2 "${F}COPY --chmod=u+y f /\n" 'COPY: --chmod=u\+y: it should be an octal number .*, or letters like u\+x'
	bad 2 "${F}COPY --chmod=888 f /\n" 'COPY: --chmod=888: it should be an octal number'
	bad 2 "${F}COPY --chmod=755+x f /\n" 'COPY: --chmod=755\+x: it should be an octal number'
	bad 2 "${F}COPY --from=\$X f /\n" 'COPY: variable expansion is not supported for --from'
	bad 2 "${F}COPY --from=7 f /\n" 'COPY: invalid stage index 7'
	bad 2 "${F}RUN --mount=type=cahce,target=/x true\n" "RUN: unsupported mount type 'cahce', did you mean 'cache'\?"
	bad 2 "${F}RUN --mount=type=cache,taget=/x true\n" "RUN: unexpected key 'taget' in .*, did you mean 'target'\?"
	bad 2 "${F}RUN --mount=type=bind,target=/x,uid=1 true\n" "RUN: unexpected key 'uid' for the mount type 'bind'"
	bad 2 "${F}RUN --security=insecure true\n" 'RUN: --security=insecure is not supported'
	bad 2 "${F}RUN --network=non true\n" "RUN: unsupported network mode 'non', did you mean 'none'\?"
	bad 2 "${F}RUN <<EOF\ntrue\n" "unterminated heredoc: there is no line 'EOF'"
	bad 2 "${F}ENV x\n" 'ENV must have two arguments'
	bad 2 "${F}ENV x=1 y\n" "ENV: can't find = in 'y'"
	bad 2 "${F}ENV x=\"\${y:?must be set}\"\n" 'ENV: failed to process .*: y: must be set'
	bad 2 "${F}ENV x=\${y\n" "ENV: failed to process .*missing '}'"
	bad 2 "${F}EXPOSE 99999\n" "EXPOSE: invalid containerPort: '99999'"
	bad 2 "${F}HEALTHCHECK CMDD true\n" "HEALTHCHECK: unknown type 'CMDD'"
	bad 2 "${F}HEALTHCHECK --interval=5x CMD true\n" "HEALTHCHECK: --interval: '5x' is no time"
	bad 2 "${F}SHELL /bin/sh\n" 'SHELL requires the arguments to be in JSON form'
	bad 2 "${F}STOPSIGNAL SIGTREM\n" "STOPSIGNAL: invalid signal: SIGTREM, did you mean 'TERM'\?"
	bad 2 "${F}ONBUILD FROM x\n" "FROM isn't allowed as an ONBUILD trigger"
	bad 2 "${F}ONBUILD COPY x\n" 'COPY requires at least two arguments'
	bad 2 "${F}ADD git://github.com/a/b.git /\\n" "ADD: git://github.com/a/b.git: .* by https or ssh"
	bad 2 "${F}ADD --checksum=sha256:12 https://x.invalid/y /\n" 'ADD: --checksum=sha256:12: expected sha256: and 64'
	bad 2 "${F}CMD [\"a\", 1]\n" 'CMD: when using JSON array syntax, arrays must be comprised of strings only'
	bad 2 "${F}RUN echo fine; exit 3\n" '.*its command failed with status 3'
	bad 1 "RUN true\n" 'RUN: no build stage begins before it'
	bad 1 "# escape=x\n${F}" "invalid escape token 'x'"
	bad 1 "FROM localhost/busybox AS 1x\n" "FROM: invalid name for a build stage: '1x'"
	bad 1 "FROM \$NOTHING\n" 'FROM: base name \(\$NOTHING\) should not be blank'
	bad 3 "${F}FROM localhost/busybox AS b\nCOPY --from=c f /\nFROM b AS c\n" \
		"COPY: cannot copy from stage 'c', it needs to be defined before"
	printf "$F" >Dockerfile
	refused "^imgmake: Dockerfile:1: no variable 'XYZ' is declared" XYZ=1
}

@test "as people write them: a service with its own user, built in one stage and run in another" {
	mkdir -p src/bin conf
	printf '#!/bin/sh\necho "$GREETING"\n' >src/bin/serve
	chmod 755 src/bin/serve
	echo 'port = 8080' >conf/app.conf
	printf '**/*.bak\nDockerfile\n' >.dockerignore
	echo old >conf/app.bak
	dockerfile <<-'EOF'
		# Build.
		ARG ALPINE=localhost/busybox
		FROM ${ALPINE} AS builder
		ARG VERSION=dev
		WORKDIR /src
		COPY . .
		RUN set -eux; \
		    mkdir -p /out/bin; \
		    for f in src/bin/*; do \
		        sed "s/@VERSION@/${VERSION}/" "$f" > /out/bin/"$(basename "$f")"; \
		    done; \
		    chmod +x /out/bin/*; \
		    echo "$VERSION" > /out/VERSION

		# Run.
		FROM ${ALPINE} AS runtime
		ARG VERSION
		LABEL org.opencontainers.image.title="service" \
		      org.opencontainers.image.version="${VERSION:-unknown}"
		RUN echo 'app:x:1234:1234::/:/bin/sh' >> /etc/passwd && echo 'app:x:1234:' >> /etc/group
		ENV GREETING="hello, world" \
		    PATH="/opt/app/bin:${PATH}"
		COPY --from=builder --chown=app:app /out /opt/app
		COPY --chown=1234 conf/ /etc/app/
		USER app
		EXPOSE 8080/tcp
		VOLUME ["/var/lib/app"]
		HEALTHCHECK --interval=10s --start-period=5s --retries=3 CMD serve || exit 1
		STOPSIGNAL 15
		ENTRYPOINT ["serve"]
		CMD ["--listen", ":8080"]
	EOF
	same VERSION=1.4.2
	equal "$(what ../ours/rootfs/opt/app/bin/serve)" '755 1234:1234 regular file'
	[ ! -e ../ours/rootfs/etc/app/app.bak ]
}

@test "as people write them: a shared parent, two children of it, and a small image from scratch" {
	mkdir one two
	echo 1 >one/f; echo 2 >two/f
	dockerfile <<-'EOF'
		FROM localhost/busybox AS parent
		ENV LANG=C.UTF-8
		RUN mkdir -p /opt/shared && echo shared > /opt/shared/x && chmod 2775 /opt/shared
		FROM parent AS one
		COPY one /data
		FROM parent AS two
		COPY two /data
		RUN cat /opt/shared/x >> /data/f && rm /opt/shared/x
		FROM scratch AS final
		COPY --from=one /data/f /one
		COPY --from=two /data/f /two
		COPY --from=two /opt /opt
		COPY --from=parent /bin/busybox /bin/sh
		ENV PATH=/bin
		ENTRYPOINT ["/bin/sh", "-c", "cat /one /two"]
	EOF
	same
	equal "$(what ../ours/rootfs/opt/shared)" '2775 0:0 directory'
}

@test "as people write them: defaults of arguments from arguments, and configuration generated in place" {
	dockerfile <<-'EOF'
		ARG MAJOR=3
		ARG FULL=${MAJOR}.1
		FROM localhost/busybox
		ARG FULL
		ARG MAJOR=9
		ARG NAME="svc-${FULL%.*}" DIR=/srv/${FULL//./_}
		ENV NAME=${NAME} DIR=$DIR EMPTY= QUOTED='$NAME' ESCAPED=\$NAME
		WORKDIR $DIR
		RUN printf '%s\n' "$NAME" "$DIR" "$MAJOR" "$FULL" "[$EMPTY]" "$QUOTED" "$ESCAPED" > values
		LABEL name="$NAME" raw='$NAME'
		CMD ["sh", "-c", "cat $DIR/values"]
	EOF
	ours
	equal "$(cat ../ours/rootfs/srv/3_1/values)" "$(printf '%s\n' svc-3 /srv/3_1 9 3.1 '[]' '$NAME' '$NAME')"
	equal "$(jq -c .config.Labels ../ours.json)" '{"name":"svc-3","raw":"$NAME"}'
	ours FULL=4.7.1
	equal "$(sed -n 1,2p ../ours/rootfs/srv/4_7_1/values)" "$(printf '%s\n' svc-4.7 /srv/4_7_1)"
}
