#!/usr/bin/env bats
# imgmake convert: what an Imagefile makes of it is the same image as the Dockerfile's own.
load helpers

setup_file() {
	load helpers
	needs_root
}

setup() {
	setup_test
	BASE=localhost/busybox=oci-layout://$PREPARED/busybox:1
}

dockerfile() {   # [NAME]: standard input
	cat >"${1:-Dockerfile}"
}

# converts [NAME=VALUE…]: builds the Dockerfile, converts it, builds that, and compares all that images say and hold.
converts() {
	local name
	rm -rf Imagefile ../theirs ../ours
	imgmake export -f "${FILE:-Dockerfile}" --build-context "$BASE" "${OPTIONS[@]}" "${TARGET:-default}" oci:../theirs "$@"
	ok imgmake convert "${FILE:-Dockerfile}" --build-context "$BASE" -o Imagefile
	cat Imagefile
	name=${NAME:-$(sed -nE 's/.*image "([^"]*)".*/\1/p' Imagefile | tail -1)}
	imgmake export "${OPTIONS[@]}" "$name" oci:../ours "$@"
	go imgmake diff "${OPTIONS[@]}" oci:../theirs oci:../ours
	[ "$status" = 0 ]
}

OPTIONS=()

@test "stages, arguments, environment and configuration" {
	mkdir src
	echo hi >src/a
	echo b >src/b.md
	dockerfile <<-'EOF'
		# syntax=docker/dockerfile:1
		# About it.

		# Which one.
		ARG TAG=1
		FROM localhost/busybox AS build
		ARG TAG
		ENV A=1 B="two words" \
		    C=${TAG:-x}
		WORKDIR /work/deep
		# Sources.
		COPY src/ ./src/
		RUN echo "$A $B $C $TAG" > out && \
		    # inside
		    cat out

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
		# The end.
	EOF
	converts
	converts TAG=7
	for line in '^-- About it\.$' '^-- Which one\.$' '^  -- Sources\.$' '^  -- inside$' '^-- The end\.$' \
		'^local tag = var \{ "TAG", default = "1" \}$' '^local build = stage "build-stage" \{$' '^image "app" \{$' \
		'^  env \{ PATH = "/opt/bin:\$\{PATH\}" \},$' 'copy \{ "work/deep/out", to = "/x/out", from = build, owner = "1000:1000" \}'; do
		contains "$(cat Imagefile)" "$line"
	done
	lacks "$(cat Imagefile)" 'syntax='
}

@test "copies of all kinds, with their directories, owners and modes" {
	mkdir -p d/sub e "odd [1]"
	echo 1 >d/one; echo 2 >d/sub/two; echo 3 >e/three.txt; echo 4 >four.txt; echo 5 >five.md
	ln -s one d/link
	ln -s d/one link
	echo "q" >"odd [1]/q"
	echo Imagefile >.dockerignore
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ARG WHO=12
		COPY d /all
		COPY d/one /renamed
		COPY d/one /new/dir/
		COPY four.txt five.md /two/
		COPY *.txt /texts/
		COPY e/*.txt /three
		COPY none*.x /none/
		COPY d/sub /all
		COPY link /followed
		WORKDIR /w
		COPY d/one .
		COPY d/one x/y
		COPY ["d/one", "with space"]
		COPY --chown=$WHO:34 d /owned/deep
		COPY --chmod=600 four.txt /secret
		COPY --chmod=640 d/one /key/store/one
		COPY --chmod=700 --chown=8:9 d /closed/all
		COPY --chmod=750 d/sub /cs/
		COPY --chmod=+x four.txt /runs
		COPY --chmod=go-rwx d /letters/
		COPY --chmod=u=rwX,go=rX d /usual/
		COPY /four.txt ./../up
		COPY --parents ./d/./sub/two /kept/
		COPY --exclude=*.md --exclude=sub . /some/
		WORKDIR /w/made
		USER 1000:1000
		WORKDIR /w/mine/deep
		RUN id -u > /tmp/who
	EOF
	converts
	converts WHO=99
}

@test "commands: what stops at a failure, and what does not" {
	dockerfile <<-'EOF'
		FROM localhost/busybox
		RUN echo one > /1 && \
		    # a comment inside
		    echo "two && 'three'" > /2 && test -e /1
		RUN false; echo after > /3
		RUN false || echo or > /4 && echo and >> /4
		RUN ["sh", "-c", "echo $0 > /5", "arg"]
		RUN set -eux; echo strict > /6; echo "$-" > /7
		RUN for i in a b; do echo $i; done > /8
		RUN (echo x; false); echo $? > /9
		RUN ! false && echo "it's" > /10
		RUN x=1 && [ -n "$x" ] && echo $(false; echo in)"${x:+y}" > /11
		RUN echo a very long line that was written as several of them by somebody who wants to read it >> /12 && \
		    echo 'single \
		quotes' >> /12; echo "and double \
		ones" >> /12; \
		    true
		SHELL ["/bin/sh", "-xc"]
		RUN echo shell > /13; false; echo "$-" > /14
		CMD echo "$X"
		RUN <<END
		false
		echo heredoc > /15
		END
		RUN <<'END' cat > /16
		]] and ]=] and "quotes" \ $N
		END
		RUN <<END
		#!/bin/sh -e
		echo "$0" > /17
		END
	EOF
	converts
	contains "$(cat Imagefile)" '"set \+e",'
	contains "$(cat Imagefile)" '^  run \{ "echo one > /1", '
	contains "$(cat Imagefile)" '^echo a very long line .* && \\$'
}

@test "mounts, caches, secrets, the agent and the network" {
	mkdir in ../ctx
	echo data >in/f
	echo plain >file
	printf 'in/hidden\n' >.dockerignore
	echo h >in/hidden
	printf s3cret >../secret
	dockerfile <<-'EOF'
		FROM localhost/busybox AS tools
		RUN echo tool > /tool
		FROM localhost/busybox
		WORKDIR /w
		RUN --mount=type=bind,source=in,target=/in cat /in/f > /1; ls /in > /2
		RUN --mount=type=bind,source=file,target=/f cat /f > /3
		RUN --mount=from=tools,source=/tool,target=/t,ro cat /t > /4
		RUN --mount=source=in,target=rel,rw echo new > rel/new && cat rel/f rel/new > /5
		RUN --mount=type=cache,target=/c,id=k,uid=12,gid=34,mode=0750 stat -c '%a %u:%g' /c > /6; echo kept > /c/k
		RUN --mount=type=cache,target=/d,id=k,sharing=locked,ro cat /d/k > /7
		RUN --mount=type=tmpfs,target=/tmp/t,size=1m df /tmp/t | tail -1 | awk '{print $2}' > /8
		RUN --mount=type=secret,id=s,target=/s,mode=0444,uid=5 stat -c '%a %u' /s > /9
		RUN --mount=type=secret,id=s,env=S [ ${#S} = 6 ]
		RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ]
		RUN --mount=type=ssh echo "[$SSH_AUTH_SOCK]" > /10
		RUN --network=none [ "$(wc -l < /proc/net/route)" = 1 ]
		USER 7:8
		RUN --mount=type=secret,id=s,required stat -c %u /run/secrets/s > /tmp/11
	EOF
	OPTIONS=(--secret s=../secret)
	converts
	contains "$(cat Imagefile)" 'mount = \{ \{ "file", path = "/f" \} \}'
	lacks "$(cat Imagefile)" s3cret
}

@test "files of heredocs, archives, and what is unpacked" {
	mkdir t
	echo in >t/f
	tar -C t -czf a.tgz f
	echo no >b.tgz
	dockerfile <<-'EOF'
		FROM localhost/busybox
		ENV N=name
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
		ADD a.tgz /a/
		ADD *.tgz /b/
		ADD t /d
		ADD --unpack=false a.tgz /e/
	EOF
	converts
}

@test "triggers of stages and of images, and what a base says" {
	echo f >f
	dockerfile <<-'EOF'
		FROM localhost/busybox AS parent
		ENV WHO=parent
		SHELL ["/bin/sh", "-euc"]
		USER 33
		WORKDIR /home/x
		ONBUILD COPY f /from-trigger
		ONBUILD RUN echo "$WHO" > /tmp/who
		FROM parent AS child
		RUN test -e /tmp/who
	EOF
	converts
	imgmake export -f Dockerfile --build-context "$BASE" parent oci:../parent
	dockerfile <<-'EOF'
		FROM p
		ENV COPIED="${WHO:?the base has it}" PATH=/x:$PATH
		WORKDIR below/$WHO
		RUN echo "$- $(id -u)" > /tmp/said
		CMD hello
	EOF
	BASE=p=oci-layout://$DIR/parent converts
}

@test "variables: defaults of defaults, several defaults, none, and all that \${…} can do" {
	dockerfile <<-'EOF'
		ARG A=1.2.3
		ARG B=${A%.*}
		ARG WHICH=localhost/busybox
		FROM ${WHICH} AS one
		ARG A
		ARG B
		ARG NONE
		ARG USER=me
		ARG end
		ENV V=$A W=${B} X=${NONE} Y=${NONE:-nothing}-${USER} Z=${A#1.}
		RUN echo "$A $B ${NONE-unset} $USER ${end-unset}" > /1
		FROM one
		ARG A=other
		ARG PORT=8080
		ENV AGAIN=$A/$V "odd name"=x
		LABEL label="$A" v="${A/o/0}"
		EXPOSE $PORT 53/udp
		WORKDIR /opt/$A/${PORT}
		STOPSIGNAL ${SIG:-TERM}
		ENTRYPOINT []
	EOF
	converts
	converts A=9.8.7 NONE=given end=e USER=you
	converts NONE= PORT=1
	contains "$(cat Imagefile)" 'local a = var "A"'
	contains "$(cat Imagefile)" 'expose = \{ port, "53/udp" \}'
	# A value that the name of a label depends on is fixed, and that is said.
	echo 'LABEL "$A"=label' >>Dockerfile
	converts
	contains "$(cat Imagefile)" "-- line [0-9]+, with today's values of its variables: LABEL"
}

@test "platforms: variables that the engine gives, and stages of the builder's" {
	dockerfile <<-'EOF'
		FROM --platform=$BUILDPLATFORM localhost/busybox AS build
		ARG TARGETARCH
		ARG TARGETPLATFORM
		ARG BUILDPLATFORM
		RUN echo "$TARGETARCH $TARGETPLATFORM $BUILDPLATFORM" > /out
		FROM scratch
		COPY --from=build /out /
	EOF
	converts
	contains "$(cat Imagefile)" 'platform = "build",'
	OPTIONS=(--platform linux/arm64)
	converts
}

@test "stages that nothing needs are images of their own, and no name is a command's" {
	dockerfile web.Dockerfile <<-'EOF'
		FROM localhost/busybox AS build
		RUN echo b > /b
		FROM build AS test
		RUN echo t > /t
		FROM build AS end
		RUN echo e > /e
		FROM scratch AS deploy
		COPY --from=build /b /
		COPY --from=end /e /
	EOF
	FILE=web.Dockerfile converts
	FILE=web.Dockerfile TARGET=test NAME=test converts
	contains "$(cat Imagefile)" '^image "test"'
	contains "$(cat Imagefile)" '^local deploy = image "deploy-stage" \{$'
	contains "$(cat Imagefile)" '^default \{ deploy \}$'
	contains "$(cat Imagefile)" '^local end_stage = stage "end" \{$'
	ok imgmake list
}

@test "named contexts: images, and directories below" {
	mkdir near
	echo in >near/f
	dockerfile <<-'EOF'
		FROM localhost/busybox
		COPY --from=ctx f /near
		COPY --from=localhost/busybox /bin/busybox /bb
	EOF
	imgmake export -f Dockerfile --build-context "$BASE" --build-context ctx=near default oci:../theirs
	imgmake convert --build-context "$BASE" --build-context ctx=near >Imagefile
	imgmake export app oci:../ours
	ok imgmake diff oci:../theirs oci:../ours
	mkdir ../far
	fails "^imgmake: Dockerfile:2: the context '.*far' is not below the directory of the Imagefile" \
		imgmake convert --build-context "$BASE" --build-context ctx=../far
}

@test "hostile strings come back as they are" {
	python3 - <<-'EOF'
		import json, random
		random.seed(6)
		alphabet = ["]]", "]=]", "[[", "]", "[", "=", "'", '"', "\\", "$", "`", "--", "\t", "é", "x", " ", "#", "{", "}", "%", "\r", "\x01", "\x7f", "\n", "${A}", "$${B", "é\xff".encode("latin1").decode("latin1")]
		def text():
		    return "".join(random.choice(alphabet) for _ in range(random.randrange(1, 14)))
		lines = ["FROM scratch"]
		for i in range(120):
		    t = text()
		    lines.append("CMD " + json.dumps(["a", t, t + "]"]))
		    lines.append("SHELL " + json.dumps(["s", text()]))
		    lines.append("VOLUME " + json.dumps(["/" + "".join(c for c in text() if c not in "\n\r'\"\\$")]))
		    quoted = text().replace("\n", "").replace("\r", "").replace("'", "")
		    key = quoted.replace("=", "")
		    lines.append(f"LABEL l{i}='{quoted}' 'k{i}{key}'=v")
		    lines.append(f"ENV E{i}='{quoted}'")
		    lines.append(f"ARG D{i}='{quoted}'")
		    lines.append(f"ENV F{i}=$D{i}")
		lines.append("ENTRYPOINT " + json.dumps([text() for _ in range(300)]))
		open("Dockerfile", "w", newline="").write("\n".join(lines) + "\n")
	EOF
	converts >/dev/null
}

@test "bad input, what is there already, and other places" {
	fails '^imgmake: .*Dockerfile' imgmake convert
	printf 'FROM scratch\nCOPPY a b\n' >Dockerfile
	fails '^imgmake: Dockerfile:2: unknown instruction: COPPY, did you mean COPY\?' imgmake convert
	recipe <<<'image "x" { from = "scratch" }'
	fails '^imgmake: Imagefile:1: this is no Dockerfile' imgmake convert Imagefile
	printf 'FROM scratch\nCMD ["x"]\n' >Dockerfile
	fails '^imgmake: Imagefile is there already' imgmake convert -o Imagefile
	equal "$(cat Imagefile)" 'image "x" { from = "scratch" }'
	mkdir sub
	ok imgmake convert -o sub/Imagefile
	contains "$stderr" 'warning: sub/Imagefile: an Imagefile copies what is beside it'
	fails '^imgmake: create none/Imagefile: No such file' imgmake convert -o none/Imagefile
	printf 'x\n' >Dockerfile.dockerignore
	contains "$(imgmake convert)" '^-- Dockerfile.dockerignore is not looked at here: call it .imgmakeignore\.$'
}

@test "a base that cannot be had is said, and all else converted" {
	printf 'FROM registry.invalid/x/y:1\nENV A=1\nRUN echo a\n' >Dockerfile
	ok imgmake convert
	contains "$stderr" 'warning: what registry.invalid/x/y:1 says is taken for nothing'
	contains "$output" '^-- what registry.invalid/x/y:1 says of environment, user and triggers was not to be had'
	contains "$output" '^  run "echo a",$'
}
