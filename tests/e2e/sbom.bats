load helpers

# Bills of materials: which packages an image holds, as SPDX 2.3 documents.

setup_file() {
	start_registry open
}

teardown_file() {
	stop_registries
}

# What the specification of SPDX 2.3 and its JSON schema ask of a document, as far as ours use it.
valid_spdx() {   # FILE
	python3 - "$1" <<-'EOT'
		import json, re, sys
		from urllib.parse import urlparse
		d = json.load(open(sys.argv[1], encoding="utf-8"))
		def need(what, so):
		    if not so:
		        sys.exit(f"not valid: {what}")
		def keys(o, required, optional=()):
		    need(f"{sorted(o)}", set(required) <= set(o) <= set(required) | set(optional))
		ident = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
		keys(d, ["SPDXID", "creationInfo", "dataLicense", "documentNamespace", "name", "packages", "relationships",
		         "spdxVersion"])
		need("version", d["spdxVersion"] == "SPDX-2.3" and d["dataLicense"] == "CC0-1.0")
		need("document", d["SPDXID"] == "SPDXRef-DOCUMENT" and d["name"])
		url = urlparse(d["documentNamespace"])
		need("namespace", url.scheme == "https" and url.netloc and "#" not in d["documentNamespace"])
		keys(d["creationInfo"], ["created", "creators"], ["comment"])
		need("created", re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", d["creationInfo"]["created"]))
		need("creators", all(re.match(r"(Tool|Person|Organization): \S", c) for c in d["creationInfo"]["creators"]))
		ids = ["SPDXRef-DOCUMENT"]
		for p in d["packages"]:
		    keys(p, ["SPDXID", "name", "downloadLocation", "filesAnalyzed", "licenseConcluded", "licenseDeclared",
		             "copyrightText", "supplier"],
		         ["versionInfo", "externalRefs", "checksums", "homepage", "licenseComments", "sourceInfo",
		          "primaryPackagePurpose"])
		    need(p["SPDXID"], ident.fullmatch(p["SPDXID"]) and p["name"] and p["filesAnalyzed"] is False)
		    need(p["supplier"], re.fullmatch(r"NOASSERTION|Organization: [^()]+( \([^()]*\))?", p["supplier"]))
		    need("purpose", p.get("primaryPackagePurpose", "FILE") in ["CONTAINER", "OPERATING_SYSTEM", "FILE"])
		    need("homepage", urlparse(p.get("homepage", "https://x")).netloc)
		    for r in p.get("externalRefs", []):
		        keys(r, ["referenceCategory", "referenceType", "referenceLocator"])
		        need(f"{r}", (r["referenceCategory"], r["referenceType"]) == ("PACKAGE-MANAGER", "purl"))
		        need(f"{r}", re.fullmatch(r"pkg:[a-z]+(/[A-Za-z0-9.%_~-]+)+(@[A-Za-z0-9.%_~:-]+)?(\?[a-z]+=[^\s&]+(&[a-z]+=[^\s&]+)*)?",
		                                  r["referenceLocator"]))
		    for c in p.get("checksums", []):
		        keys(c, ["algorithm", "checksumValue"])
		        need("checksum", c["algorithm"] == "SHA256" and re.fullmatch("[0-9a-f]{64}", c["checksumValue"]))
		    ids.append(p["SPDXID"])
		need("one is there twice", len(set(ids)) == len(ids))
		kinds = {"DESCRIBES", "CONTAINS", "DESCENDANT_OF"}
		for r in d["relationships"]:
		    keys(r, ["spdxElementId", "relationshipType", "relatedSpdxElement"])
		    need(f"{r}", {r["spdxElementId"], r["relatedSpdxElement"]} <= set(ids) and r["relationshipType"] in kinds)
		need("nothing is described", sum(r["relationshipType"] == "DESCRIBES" for r in d["relationships"]) == 1)
		told = {r["relatedSpdxElement"] for r in d["relationships"]}
		need("one is related to nothing", told == set(ids) - {"SPDXRef-DOCUMENT"})
	EOT
}

# Name and version of the packages of a kind, one a line.
named() {   # FILE TYPE
	jq -r --arg t "pkg:$2/" '.packages[] | select(.externalRefs[0].referenceLocator // "" | startswith($t)) |
		"\(.name) \(.versionInfo)"' "$1"
}

purls() {   # FILE
	jq -r '.packages[].externalRefs[]?.referenceLocator' "$1"
}

@test "Debian's packages, as dpkg knows them" {
	recipe <<-LUA
		local web = image "web" { from = base "$DEBIAN_APT", write { "/x", "x" } }
		sbom "build/docs/web.spdx.json" { image = web }
	LUA
	ok imgmake build/docs/web.spdx.json
	valid_spdx build/docs/web.spdx.json
	imgmake export web dir:root
	equal "$(named build/docs/web.spdx.json deb)" \
		"$(dpkg-query --admindir root/var/lib/dpkg -W -f '${Package} ${Version}\n' | LC_ALL=C sort)"
	contains "$(purls build/docs/web.spdx.json)" '^pkg:deb/debian/libc6@2.*\?arch=amd64&distro=debian-12&upstream=glibc$'
	equal "$(jq -r '.packages[0].checksums[0].checksumValue' build/docs/web.spdx.json)" \
		"$(digest=$(exported web); echo "${digest#sha256:}")"
	equal "$(jq -r '.packages[] | select(.primaryPackagePurpose == "OPERATING_SYSTEM") | .name + .versionInfo' \
		build/docs/web.spdx.json)" debian12
}

@test "the same image gives the same bytes, another one another document" {
	recipe <<-LUA
		local web = image "web" { from = base "$DEBIAN", copy { "f", to = "/" } }
		sbom "web.json" { image = web }
	LUA
	echo 1 >f
	ok imgmake web.json
	cp web.json first.json
	ok imgmake -q web.json
	rm web.json
	IMGMAKE_STORE=$DIR/other ok env TZ=Asia/Tokyo "$IMGMAKE" web.json
	cmp first.json web.json
	echo 2 >f
	go imgmake -q web.json
	equal "$status" 1
	ok imgmake why web.json
	contains "$output" '^web.json is out of date'
	contains "$output" 'file f: was'
	ok imgmake web.json
	differ "$(jq .documentNamespace first.json)" "$(jq .documentNamespace web.json)"
	equal "$(jq -r .creationInfo.created web.json)" "$(exported web >&2; config_of out-web | jq -r .created)"
	# The date is what the environment says, if it says one.
	SOURCE_DATE_EPOCH=1700000000 ok imgmake web.json
	equal "$(jq -r .creationInfo.created web.json)" 2023-11-14T22:13:20Z
	valid_spdx web.json
	ok imgmake clean
	[ ! -e web.json ]
}

# An SQLite database as rpm's: PACKAGES… of "name version release epoch".
rpm_database() {   # FILE
	python3 - "$1" <<-'EOT'
		import sqlite3, struct, sys
		def header(tags):
		    entries, data = b"", b""
		    for tag, value in tags:
		        if isinstance(value, int):
		            data += b"\0" * (-len(data) % 4)
		            entries += struct.pack(">IIII", tag, 4, len(data), 1)
		            data += struct.pack(">I", value)
		        else:
		            entries += struct.pack(">IIII", tag, 6, len(data), 1)
		            data += value.encode() + b"\0"
		    return struct.pack(">II", len(tags), len(data)) + entries + data
		db = sqlite3.connect(sys.argv[1])
		db.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
		for i in range(300):
		    # Some fit on a page, some need many more.
		    db.execute("INSERT INTO Packages (blob) VALUES (?)", (header([
		        (1000, f"package{i:03}"), (1001, "1.2"), (1002, f"{i}.el9"), (1003, i % 3), (1005, "long " * (i * 7)),
		        (1011, "Example Ltd"), (1014, "GPL-2.0-or-later AND (MIT OR Zlib)"), (1020, "https://example.com/"),
		        (1022, "x86_64"), (1044, "package-1.2-1.el9.src.rpm")]),))
		db.execute("INSERT INTO Packages (blob) VALUES (?)", (header([(1000, "gpg-pubkey"), (1001, "1")]),))
		db.commit()
	EOT
}

@test "apk, rpm, npm and Python, wherever they are" {
	mkdir -p root/lib/apk/db root/usr/lib/sysimage/rpm root/etc root/app/node_modules/@a/b \
		root/app/node_modules/c/node_modules/d root/app/node_modules/broken root/app/node_modules/c/dist \
		root/venv/lib/python3.12/site-packages/Foo_Bar-1.0.dist-info root/usr/lib/python3/dist-packages/old.egg-info
	cat >root/lib/apk/db/installed <<-'EOT'
		C:Q1abc=
		P:musl
		V:1.2.5-r0
		A:x86_64
		L:MIT
		o:musl
		m:Natanael Copa <ncopa@alpinelinux.org>
		F:lib

		P:odd
		V:1_git20230717-r4
		A:x86_64
		L:MIT custom
	EOT
	printf 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID="3.20.1"\n' >root/etc/os-release
	rpm_database root/usr/lib/sysimage/rpm/rpmdb.sqlite
	echo '{"name": "@a/b", "version": "1.2.3", "license": "MIT"}' >root/app/node_modules/@a/b/package.json
	echo '{"name": "c", "version": "4.5.6+x"}' >root/app/node_modules/c/package.json
	echo '{"name": "d", "version": "0.1.0", "license": {"type": "MIT"}}' >root/app/node_modules/c/node_modules/d/package.json
	echo '{"type": "module"}' >root/app/node_modules/c/dist/package.json
	echo '{' >root/app/node_modules/broken/package.json
	printf 'Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\nLicense: MIT License\n\nName: text\n' \
		>root/venv/lib/python3.12/site-packages/Foo_Bar-1.0.dist-info/METADATA
	printf 'Name: old\nVersion: 2\nLicense: UNKNOWN\n' >root/usr/lib/python3/dist-packages/old.egg-info/PKG-INFO
	recipe <<-'LUA'
		local x = image "x" {
		  from = "scratch",
		  copy { "root", to = "/" },
		  write { "/app/node_modules/gone/package.json", '{ "name": "gone", "version": "1" }' },
		  remove "/app/node_modules/gone",
		}
		sbom "x.json" { image = x }
	LUA
	ok imgmake x.json
	valid_spdx x.json
	equal "$(named x.json apk)" $'musl 1.2.5-r0\nodd 1_git20230717-r4'
	equal "$(named x.json npm)" $'broken null\nc 4.5.6+x\nd 0.1.0\n@a/b 1.2.3'
	equal "$(named x.json pypi)" $'foo-bar 1.0\nold 2'
	equal "$(named x.json rpm | wc -l)" 300
	contains "$(named x.json rpm)" '^package007 1:1.2-7.el9$'
	local all
	all=$(purls x.json)
	contains "$all" '^pkg:apk/alpine/musl@1.2.5-r0\?arch=x86_64&distro=alpine-3.20.1&upstream=musl$'
	contains "$all" '^pkg:npm/%40a/b@1.2.3$'
	contains "$all" '^pkg:npm/c@4.5.6%2Bx$'
	contains "$all" '^pkg:rpm/alpine/package001@1.2-1.el9\?arch=x86_64&distro=alpine-3.20.1&epoch=1&upstream=package-1.2-1.el9.src.rpm$'
	equal "$(jq -r '.packages[] | select(.name == "package001") | .licenseDeclared' x.json)" \
		'GPL-2.0-or-later AND (MIT OR Zlib)'
	equal "$(jq -r '.packages[] | select(.name == "odd") | .licenseDeclared + ", " + .licenseComments' x.json)" \
		'NOASSERTION, The package says: MIT custom'
	equal "$(jq -r '.packages[] | select(.name == "musl") | .supplier' x.json)" \
		'Organization: Natanael Copa (ncopa@alpinelinux.org)'
}

@test "an image without packages has a document all the same" {
	recipe <<-'LUA'
		sbom "x.json" { image = image "x" { from = "scratch", write { "/f", "f" } } }
	LUA
	ok imgmake x.json
	valid_spdx x.json
	equal "$(jq '.packages | length' x.json)" 1
}

@test "a base that is called otherwise is told of, though the manifest says the same" {
	skopeo copy -q --dest-tls-verify=false "$DEBIAN" "docker://$(repo one):12"
	skopeo copy -q --dest-tls-verify=false "$DEBIAN" "docker://$(repo two):12"
	local a='["org.opencontainers.image.base.name"] = "b", ["org.opencontainers.image.base.digest"] = "c"' first
	recipe <<-LUA
		local b = var { "B", default = "one" }
		local x = image "x" {
		  from = base("${REGISTRY}/t$BATS_TEST_NUMBER/" .. b .. ":12"), config { annotations = { $a } },
		  publish = { "$(repo)", tags = { "1" }, sbom = true },
		}
		sbom "x.json" { image = x }
	LUA
	ok imgmake x.json
	contains "$(jq -c '[.packages[].name]' x.json)" '/one:12"'
	ok imgmake deploy
	first=$(digest_of "$(repo):1")
	ok imgmake B=two x.json
	contains "$(jq -c '[.packages[].name]' x.json)" '/two:12"'
	ok imgmake B=two deploy
	equal "$(digest_of "$(repo):1")" "$first"
	equal "$(attached "$first" | jq length)" 2
}

@test "what cannot be read is said, and no document is made" {
	head -c 4096 /dev/zero >Packages
	recipe <<-'LUA'
		local from = image "bdb" { from = "scratch", copy { "Packages", to = "/var/lib/rpm/" } }
		sbom "bdb.json" { image = from }
		sbom "wal.json" { image = image "wal" { from = "scratch", write { "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "x" } } }
		sbom "bad.json" { image = image "bad" { from = "scratch", write { "/var/lib/rpm/rpmdb.sqlite", "SQLite format 3, it says" } } }
	LUA
	fails "file 'bdb.json': image 'bdb': list its packages: /var/lib/rpm/Packages: .*Berkeley DB.*cannot be listed" \
		imgmake bdb.json
	fails 'rpmdb.sqlite-wal: .*rpm --rebuilddb' imgmake wal.json
	fails '/var/lib/rpm/rpmdb.sqlite: it is no SQLite database, or damaged' imgmake bad.json
	[ ! -e bdb.json ] && [ ! -e wal.json ] && [ ! -e bad.json ]
}

@test "an image of several platforms: each has its own" {
	recipe <<-LUA
		local x = image "x" {
		  from = "scratch", platforms = { "linux/amd64", "linux/arm64" },
		  write { "/f", "f" }, publish = { "$(repo)", tags = { "1" }, sbom = true },
		}
		sbom "arm.json" { image = x, platform = "linux/arm64" }
	LUA
	ok imgmake arm.json
	valid_spdx arm.json
	ok imgmake deploy
	local index
	index=$(skopeo inspect --raw --tls-verify=false "docker://$(repo):1")
	equal "$(jq -r '.packages[0].versionInfo' arm.json)" \
		"$(jq -r '.manifests[] | select(.platform.architecture == "arm64") | .digest' <<<"$index")"
	local d
	for d in $(jq -r '.manifests[].digest' <<<"$index"); do
		equal "$(attached "$d" | jq length)" 1
	done
}

# What the registry lists of that digest in this test's repository. Ours has no list of its own, so it is a tag.
attached() {   # DIGEST
	curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' \
		"http://$REGISTRY/v2/t$BATS_TEST_NUMBER/app/manifests/${1/:/-}" |
		jq '[.manifests[] | select(.artifactType == "application/spdx+json")]'
}

@test "it is attached to what is published, before the tags move" {
	recipe <<-LUA
		local web = image "web" {
		  from = base "$DEBIAN",
		  copy { "f", to = "/" },
		  publish = { "$(repo)", version = "1.2.3", immutable = false, sbom = true },
		}
		sbom "web.json" { image = web }
	LUA
	echo 1 >f
	ok imgmake -n deploy
	contains "$output" '^web sbom +[^ ]+ +not built yet +\? +\? +\?$'
	contains "$output" '^web sbom: more is not known yet: its packages are listed when it is deployed'
	ok imgmake web
	ok imgmake -n deploy
	contains "$output" '^web sbom: more is not known yet'
	ok imgmake deploy
	ok imgmake web.json
	local image artifact manifest put
	image=$(digest_of "$(repo):1.2.3")
	artifact=$(attached "$image" | jq -r '.[0].digest')
	manifest=$(curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$REGISTRY/v2/t$BATS_TEST_NUMBER/app/manifests/$artifact")
	equal "$(jq -r '.subject.digest' <<<"$manifest")" "$image"
	equal "$(jq -r '.config.mediaType' <<<"$manifest")" application/vnd.oci.empty.v1+json
	# It is the very document that the recipe makes.
	curl -sf "http://$REGISTRY/v2/t$BATS_TEST_NUMBER/app/blobs/$(jq -r '.layers[0].digest' <<<"$manifest")" >got.json
	cmp got.json web.json
	put=$(requests open | grep -E "^PUT /v2/t$BATS_TEST_NUMBER/app/manifests/")
	equal "$(grep -nE "$artifact\$|/1\.2\.3\$" <<<"$put" | sed -E 's/.*manifests.//')" "$artifact"$'\n1.2.3'
	# Nothing changed: a request more, and none that writes. Nor does it matter that the store is new.
	local before
	before=$(requests open | wc -l)
	ok imgmake deploy
	IMGMAKE_STORE=$DIR/second ok imgmake deploy
	equal "$(requests open | tail -n +$((before + 1)) | grep -cvE '^HEAD ')" 0
	ok imgmake -n deploy --json
	equal "$(jq '[.images[] | .image]' -c <<<"$output")" '["web","web sbom"]'
	# Who wants it later gets it without the image being sent again.
	echo 2 >f
	sed -i 's/, sbom = true//' Imagefile
	ok imgmake deploy
	image=$(digest_of "$(repo):1.2.3")
	go attached "$image"
	equal "$output" ""
	sed -i 's/immutable = false/immutable = false, sbom = true/' Imagefile
	ok imgmake deploy
	equal "$(attached "$image" | jq length)" 1
}

@test "an image that is there in another manifest keeps its own: nothing is said of one that is not there" {
	recipe <<-LUA
		image "x" { from = "scratch", write { "/f", "f" }, publish = { "$(repo)", version = "1.2.0", sbom = true } }
	LUA
	ok imgmake deploy
	local image before
	image=$(digest_of "$(repo):1.2.0")
	sed -i 's/from = "scratch"/from = "scratch", compression = "zstd"/' Imagefile
	ok imgmake
	before=$(requests open | wc -l)
	ok imgmake -n deploy --json
	equal "$(jq -c '[.images[].image]' <<<"$output")" '["x"]'
	ok imgmake deploy --json
	equal "$(jq -c '[.images[] | .image, .digest]' <<<"$output")" "[\"x\",\"$image\"]"
	equal "$(requests open | tail -n +$((before + 1)) | grep -cE '^(PUT|POST|PATCH)')" 0
	equal "$(attached "$image" | jq length)" 1
}

@test "what a killed deploy left is finished: the document is on the registry's list" {
	recipe <<-LUA
		image "x" { from = "scratch", write { "/f", "f" }, publish = { "$(repo)", tags = { "1" }, sbom = true } }
	LUA
	ok imgmake deploy
	local image path
	image=$(digest_of "$(repo):1")
	# As if it had been killed behind the document, before the list and the tag.
	path=$REGISTRIES/open/data/docker/registry/v2/repositories/t$BATS_TEST_NUMBER/app/_manifests/tags
	rm -r "${path:?}/1" "${path:?}/${image/:/-}"
	[ -z "$(attached "$image")" ]
	ok imgmake deploy
	equal "$(attached "$image" | jq length)" 1
}

@test "a machine with the remote cache neither reads layers for it nor makes it again" {
	skopeo copy -q --dest-tls-verify=false "$DEBIAN" "docker://$(repo debian):12"
	recipe <<-LUA
		image "x" { from = base "$(repo debian):12", copy { "f", to = "/" }, publish = { "$(repo)", tags = { "1" }, sbom = true } }
	LUA
	echo 1 >f
	ok imgmake deploy --cache "$(repo cache)"
	export IMGMAKE_STORE=$DIR/second
	ok imgmake deploy --cache-read "$(repo cache)"
	equal "$(find "$IMGMAKE_STORE/blobs" -size +1000k)" ""
	# Where the registry has lost it, it is made after all.
	local image base=$REGISTRIES/open/data/docker/registry/v2
	image=$(digest_of "$(repo):1")
	rm -rf "${base:?}/repositories/t$BATS_TEST_NUMBER/app"
	for d in $(grep -l SPDXRef-DOCUMENT "$base"/blobs/sha256/*/*/data); do rm -r "$(dirname "$d")"; done
	export IMGMAKE_STORE=$DIR/third
	ok imgmake deploy --cache-read "$(repo cache)"
	contains "$stderr" 'once more$'
	equal "$(attached "$image" | jq length)" 1
}
