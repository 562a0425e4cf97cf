#!/usr/bin/env python3
"""Copies a remote cache's entries into another repository, with a lie in each.

lying_cache.py HOST FROM TO LIE"""
import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
import urllib.request

HOST, FROM, TO, LIE = sys.argv[1:]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ENTRY = "io.imgmake.cache.entry"


def ask(method, path, data=None, **headers):
    url = path if path.startswith("http") else f"http://{HOST}/v2/{path}"
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method))


def put_blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    where = ask("POST", f"{TO}/blobs/uploads/", b"").headers["Location"]
    ask("PUT", f"{where}&digest={digest}", data, Content_Type="application/octet-stream")
    return digest, len(data)


def tar_of(name, kind=tarfile.REGTYPE):
    out = io.BytesIO()
    info = tarfile.TarInfo(name)
    info.type = kind
    info.devmajor, info.devminor = 1, 3
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(info)
    return out.getvalue()


def zstd(data):
    """A frame of one block that is not compressed (RFC 8878, 3.1.1)."""
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + struct.pack("<I", 1 | len(data) << 3)[:3] + data


def lie_about_tree(entry):
    tree, times = entry["tree"], entry["times"]
    if LIE == "tree-size":
        tree["size"] += 1
    elif LIE == "tree-huge":
        tree["size"] = 1 << 50
    elif LIE == "tree-type":
        tree["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
    elif LIE == "tree-lost":
        tree["digest"] = "sha256:" + "1" * 64
    elif LIE == "tree-no-tar":
        tree["digest"], tree["size"] = put_blob(b"no tar" * 1000)
    elif LIE == "tree-climbs":
        tree["digest"], tree["size"] = put_blob(zstd(tar_of("../../climbed")))
    elif LIE == "tree-device":
        tree["digest"], tree["size"] = put_blob(zstd(tar_of("null", tarfile.CHRTYPE)))
    elif LIE == "tree-times":
        times["digest"], times["size"] = put_blob(b"imgmake-times 1\n" + b"x" * 100)
    elif LIE == "tree-no-times":
        del entry["times"]


def lie_about(layer, ours):
    if LIE == "base":
        if not ours:
            layer["digest"], layer["size"] = put_blob(b"no layer")
        return
    if not ours:
        return
    if LIE == "table":
        layer["toc"], layer["tocSize"] = put_blob(b"no table of contents")
    elif LIE == "no-table":
        del layer["toc"]
    elif LIE == "lost-table":
        layer["toc"] = "sha256:" + "1" * 64
    elif LIE == "size":
        layer["size"] += 1
    elif LIE == "type":
        layer["mediaType"] = "text/plain"
    elif LIE == "no-tar":
        layer["digest"], layer["size"] = put_blob(gzip.compress(b"no tar" * 1000))
    elif LIE == "other-layer":
        layer["digest"], layer["size"] = put_blob(gzip.compress(tar_of("other")))
    elif LIE == "climbs":
        tar = tar_of("../../climbed")
        layer["digest"], layer["size"] = put_blob(gzip.compress(tar))
        layer["diffId"] = "sha256:" + hashlib.sha256(tar).hexdigest()


def lie_in(text):
    if LIE == "no-json":
        return "{" * 100000
    entry = json.loads(text)
    if "digest" in entry:  # a base's table
        if LIE == "table":
            entry["digest"], entry["size"] = put_blob(b"no table of contents")
        return json.dumps(entry)
    if "tree" in entry:  # a cache directory
        lie_about_tree(entry)
        return json.dumps(entry)
    if LIE == "platform" and "config" in entry:
        entry["config"]["architecture"] = "s390x"
    for layer in entry["layers"]:
        lie_about(layer, "toc" in layer)
    return json.dumps(entry)


for tag in json.load(ask("GET", f"{FROM}/tags/list"))["tags"]:
    m = json.load(ask("GET", f"{FROM}/manifests/{tag}", Accept=MANIFEST))
    for blob in m["layers"] + [m["config"]]:
        put_blob(ask("GET", f"{FROM}/blobs/{blob['digest']}").read())
    m["annotations"][ENTRY] = lie_in(m["annotations"][ENTRY])
    ask("PUT", f"{TO}/manifests/{tag}", json.dumps(m).encode(), Content_Type=MANIFEST)
