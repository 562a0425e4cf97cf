load helpers

# Dependencies first, code second: go, cargo and maven, with real tools of Debian's packages and dependencies that
# need no network.

setup_file() {
	clean_environment
	BATS_STORE=$(new_dir)
	export BATS_STORE
	# What stands in for Docker Hub.
	start_registry hub
	HUB=$REGISTRY
	export HUB
}

teardown_file() {
	stop_registries
	rm -rf "$BATS_STORE"
}

setup() {
	setup_test
	needs_mirror
	# The base is unpacked and tools are installed once for all tests here.
	export IMGMAKE_STORE=$BATS_STORE/store
	TOOLS="local tools = stage \"tools\" { from = base \"$DEBIAN_APT\",
		apt.install { \"cargo\", \"gcc\", \"golang-go\", \"libc6-dev\" } }"
}

# A module proxy in a directory, and go.sum for it: go_module DIR VERSION SAID
go_module() {
	python3 - "$@" <<-'PY'
		import base64, hashlib, os, sys, zipfile
		root, version, said = sys.argv[1:]
		path, at = "example.com/answer", f"{root}/example.com/answer/@v"
		files = {"go.mod": f"module {path}\n\ngo 1.19\n", "answer.go": f'package answer\n\nconst Said = "{said}"\n'}
		os.makedirs(at, exist_ok=True)
		open(f"{at}/list", "a").write(version + "\n")
		open(f"{at}/{version}.info", "w").write(f'{{"Version":"{version}","Time":"2020-01-01T00:00:00Z"}}')
		open(f"{at}/{version}.mod", "w").write(files["go.mod"])
		with zipfile.ZipFile(f"{at}/{version}.zip", "w") as z:
		    for name, text in files.items():
		        z.writestr(f"{path}@{version}/{name}", text)
		def h1(names):
		    lines = "".join(f"{hashlib.sha256(t.encode()).hexdigest()}  {n}\n" for n, t in sorted(names.items()))
		    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()
		with open("go.sum", "a") as f:
		    f.write(f"{path} {version} {h1({f'{path}@{version}/{n}': t for n, t in files.items()})}\n")
		    f.write(f"{path} {version}/go.mod {h1({'go.mod': files['go.mod']})}\n")
	PY
}

@test "go.build: modules, then a static program for an empty image" {
	mkdir -p cmd/say
	go_module proxy v1.0.0 forty-two
	printf 'module example.com/say\n\ngo 1.19\n\nrequire example.com/answer v1.0.0\n' >go.mod
	cat >cmd/say/main.go <<-'GO'
		package main

		import (
			"fmt"
			"example.com/answer"
		)

		var version = "none"

		func main() { fmt.Println("said", answer.Said, version) }
	GO
	recipe <<-LUA
		$TOOLS
		image "say" {
		  from = "scratch",
		  go.build {
		    from = tools, packages = "./cmd/say", ldflags = "-s -w -X main.version=1.2.3", files = "proxy/**",
		    env = { GOPROXY = "file:///imgmake/go/proxy", GOSUMDB = "off" },
		  },
		  config { entrypoint = { "/usr/local/bin/say" } },
		}
	LUA
	ok imgmake --progress=plain
	ok imgmake run say
	equal "$output" "said forty-two 1.2.3"
	ok imgmake export say dir:../root
	equal "$(cd ../root && find . -type f)" ./usr/local/bin/say
	ok imgmake -q
	# Other code downloads no module; the program is other bytes.
	sed -i 's/"said"/"says"/' cmd/say/main.go
	ok imgmake -d explain --progress=plain
	lacks "$stderr" 'go-modules'
	ok imgmake run say
	equal "$output" "says forty-two 1.2.3"
	# Another version of a module does.
	go_module proxy v1.1.0 forty-three
	sed -i 's/v1.0.0/v1.1.0/' go.mod
	ok imgmake --progress=plain
	contains "$stderr" 'go-modules'
	ok imgmake run say
	equal "$output" "says forty-three 1.2.3"
}

# A directory of sources in place of crates.io, as "cargo vendor" makes it: crate VERSION SAID
crate() {
	rm -rf vendor/answer
	mkdir -p vendor/answer/src
	printf '[package]\nname = "answer"\nversion = "%s"\nedition = "2018"\n' "$1" >vendor/answer/Cargo.toml
	printf 'pub const SAID: &str = "%s";\n' "$2" >vendor/answer/src/lib.rs
	printf '{"files":{},"package":"%064d"}' 1 >vendor/answer/.cargo-checksum.json
	cat >Cargo.lock <<-EOT
		version = 3

		[[package]]
		name = "answer"
		version = "$1"
		source = "registry+https://github.com/rust-lang/crates.io-index"
		checksum = "$(printf %064d 1)"

		[[package]]
		name = "own"
		version = "0.1.0"

		[[package]]
		name = "say"
		version = "0.1.0"
		dependencies = [
		 "answer",
		 "own",
		]
	EOT
}

@test "cargo.build: dependencies are compiled once, the code anew, of a workspace too" {
	mkdir -p .cargo src own/src
	crate 1.0.0 forty-two
	cat >.cargo/config.toml <<-'EOT'
		[source.crates-io]
		replace-with = "here"
		[source.here]
		directory = "vendor"
	EOT
	cat >Cargo.toml <<-'EOT'
		[package]
		name = "say"
		version = "0.1.0"
		edition = "2018"
		[workspace]
		members = ["own"]
		[[bin]]
		name = "say"
		path = "src/say.rs"
		[[bin]]
		name = "whisper"
		[dependencies]
		answer = "1"
		own = { path = "own" }
	EOT
	printf '[package]\nname = "own"\nversion = "0.1.0"\nedition = "2018"\n' >own/Cargo.toml
	echo 'pub const SAID: &str = "says";' >own/src/lib.rs
	mkdir src/bin
	echo 'fn main() { println!("{} {}", own::SAID, answer::SAID); }' | tee src/say.rs >src/bin/whisper.rs
	recipe <<-LUA
		$TOOLS
		image "say" {
		  from = base "$DEBIAN_APT",
		  cargo.build { from = tools, files = { "vendor/**", "own/Cargo.toml" }, exclude = "root" },
		  config { entrypoint = { "/usr/local/bin/say" } },
		}
	LUA
	ok imgmake --progress=plain
	contains "$stderr" '^cargo-dependencies: +Compiling answer v1.0.0'
	lacks "$stderr" '^cargo-build: +Compiling answer'
	ok imgmake run say
	equal "$output" "says forty-two"
	ok imgmake export say dir:../root
	[ ! -e ../root/imgmake ] && [ ! -e ../root/usr/bin/cargo ]
	ok imgmake -q
	# Other code compiles no dependency, be it older than what there was: A, B, A.
	cp -p own/src/lib.rs ../lib.rs
	echo 'pub const SAID: &str = "said";' >own/src/lib.rs
	ok imgmake --progress=plain
	lacks "$stderr" 'Compiling answer'
	ok imgmake run say
	equal "$output" "said forty-two"
	cp -p ../lib.rs own/src/lib.rs
	ok imgmake run say
	equal "$output" "says forty-two"
	# Another version of a dependency does.
	crate 1.1.0 forty-three
	ok imgmake --progress=plain
	contains "$stderr" '^cargo-dependencies: +Compiling answer v1.1.0'
	ok imgmake run say
	equal "$output" "says forty-three"
}

@test "cargo.build: what a stand-in compiles is never the program, and Cargo.lock is needed" {
	mkdir -p src/bin
	printf '[package]\nname = "two"\nversion = "0.1.0"\nedition = "2018"\n[lib]\nname = "inner"\n' >Cargo.toml
	printf 'version = 3\n\n[[package]]\nname = "two"\nversion = "0.1.0"\n' >Cargo.lock
	echo 'pub fn said() -> &'"'"'static str { "inner" }' >src/lib.rs
	echo 'fn main() { println!("one {}", inner::said()); }' >src/bin/one.rs
	echo 'fn main() { println!("other {}", inner::said()); }' >src/bin/other.rs
	recipe <<-LUA
		$TOOLS
		image "both" { from = base "$DEBIAN_APT", cargo.build { from = tools } }
		image "one" { from = base "$DEBIAN_APT", cargo.build { from = tools, bins = "one", name = "one", profile = "dev" } }
	LUA
	ok imgmake both one
	ok imgmake run both -- sh -c 'ls /usr/local/bin; one; other'
	equal "$output" $'one\nother\none inner\nother inner'
	ok imgmake run one -- sh -c 'ls /usr/local/bin; one'
	equal "$output" $'one\none inner'
	rm Cargo.lock
	go imgmake both
	equal "$status" 2
	contains "$stderr" 'Cargo.lock'
	contains "$stderr" "^imgmake: Imagefile:[0-9]+: (image|stage) '(both|cargo-dependencies)': run: its command failed"
}

# Images for the hub, made from Debian's packages; the store that made them has them unpacked.
for_hub() {
	recipe ../hub
	ok imgmake -C ../hub deploy
}

# imgmake, where the hub is ours.
ours() {
	"$IMGMAKE" --registry-mirror "docker.io=$HUB" "$@"
}

example() {
	cp -r "$REPO_ROOT/examples/$1/." .
}

@test "go-app: the example, as it is" {
	for_hub <<-LUA
		$TOOLS
		image "golang" { from = tools, publish = { "$HUB/library/golang", tags = { "1.22" } } }
	LUA
	example go-app
	ok ours run go-app VERSION=7 -- go-app -once you
	equal "$output" "Hello from Go 7, you"
	ok ours export go-app dir:../root VERSION=7
	equal "$(cd ../root && find . -type f)" ./usr/local/bin/go-app
	ok ours -q VERSION=7
}

@test "java-app: the example, as it is: dependencies, then a jar that a Java without Maven runs" {
	# Maven Central, too, is what Debian has packaged.
	for_hub <<-LUA
		local jre = image "jre" {
		  from = base "$DEBIAN_APT",
		  apt.install "openjdk-17-jre-headless",
		  publish = { "$HUB/library/eclipse-temurin", tags = { "17-jre" } },
		}
		image "maven" {
		  from = jre,
		  apt.install { "libcommons-cli-java", "libmaven-compiler-plugin-java", "libmaven-dependency-plugin-java",
		    "libmaven-jar-plugin-java", "libmaven-resources-plugin-java", "libsurefire-java", "maven", "openjdk-17-jdk-headless" },
		  write { "/etc/maven/settings.xml", "<settings><mirrors><mirror><id>debian</id><mirrorOf>*</mirrorOf>"
		    .. "<url>file:///usr/share/maven-repo</url></mirror></mirrors></settings>\n" },
		  run { "cd /usr/share/maven-repo/commons-cli/commons-cli", "[ -e 1.4 ] || { mkdir 1.4 && for f in debian/*; do ln -s ../\$f 1.4/commons-cli-1.4.\${f##*.}; done; }" },
		  publish = { "$HUB/library/maven", tags = { "3-eclipse-temurin-17" } },
		}
	LUA
	example java-app
	ok ours run java-app -- java -cp "/app/*" com.example.Hello --name me
	equal "$output" "Hello from Java, me"
	ok ours run java-app -- ls /app
	equal "$output" $'commons-cli-1.4.jar\njava-app-1.0.0.jar'
	# Other code downloads nothing.
	sed -i 's/Hello from/Greetings from/' src/main/java/com/example/Hello.java
	ok ours --progress=plain
	lacks "$stderr" 'maven-dependencies'
	ok ours run java-app
	equal "$output" "Greetings from Java, you"
}
