#!/bin/sh
# seeds.sh DIR: makes DIR/tar and DIR/toc, small inputs from which the fuzzers start.
set -eu
mkdir -p "$1/tar" "$1/toc"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p d/e
printf content > d/f
ln d/f d/hard
ln -s ../f d/e/soft
mkfifo d/pipe
long=$(printf 'n%.0s' $(seq 1 150))
printf x > "d/$long"
ln -s "$long/$long" d/e/long
truncate -s 20000 d/sparse
printf mid | dd of=d/sparse bs=1 seek=9000 conv=notrunc 2>/dev/null
: > d/.wh.gone
: > d/e/.wh..wh..opq

# The first byte is the fuzz target's own: how to read what follows.
seed() {
	name=$1
	shift
	{ printf '\001'; tar "$@" -b 1 -cf - d; } > "$out/tar/$name"
}
seed v7 --format=v7 --exclude="$long" --exclude=long --exclude=pipe
seed ustar --format=ustar --exclude="$long" --exclude=long
seed gnu --format=gnu
seed oldgnu-sparse --format=gnu --sparse
seed pax --format=pax
for v in 0.0 0.1 1.0; do
	seed pax-sparse-$v --format=pax --sparse --sparse-version=$v
done

python3 - "$out" <<'EOF'
import io, struct, sys, tarfile

out = sys.argv[1]
t = tarfile.TarFile(out + "/tar/xattrs", "w", format=tarfile.PAX_FORMAT)
for name, kind in (("c", tarfile.CHRTYPE), ("b", tarfile.BLKTYPE), ("f", tarfile.REGTYPE)):
    i = tarfile.TarInfo(name)
    i.type, i.devmajor, i.devminor, i.uid = kind, 8, 1, 4294967294
    i.pax_headers = {"SCHILY.xattr.security.capability": "\1", "SCHILY.xattr.user.a": "1",
                     "LIBARCHIVE.xattr.user.b": "WFg", "mtime": "-1.5"}
    t.addfile(i, io.BytesIO())
t.close()
data = open(out + "/tar/xattrs", "rb").read()
open(out + "/tar/xattrs", "wb").write(b"\1" + data)

def text(s):
    return struct.pack("<I", len(s)) + s + b"\0"

def entry(kind, path, body=b"", xattrs=b"\0\0\0\0"):
    return kind + text(path) + struct.pack("<IIIq", 0o644, 0, 0, 1) + body + xattrs

link = text(b"../x")
attr = struct.pack("<I", 1) + text(b"user.a") + text(b"1")
entries = [entry(b"d", b"a"), b"o" + text(b"a"), entry(b"c", b"a/c", struct.pack("<II", 1, 3)),
           entry(b"f", b"a/f", struct.pack("<qq", 5, 512) + b"\7" * 32, attr),
           entry(b"h", b"a/h", text(b"a/f")), entry(b"l", b"a/l", link), b"w" + text(b"b")]
head = b"imgmake-toc 1\n" + struct.pack("<qI", 2048, len(entries))
open(out + "/toc/all", "wb").write(head + b"".join(entries))
open(out + "/toc/none", "wb").write(b"imgmake-toc 1\n" + struct.pack("<qI", 0, 0))
EOF
