#!/usr/bin/env python3
"""Copies a remote cache's entries into another repository, with a lie in each.

lying_cache.py HOST FROM TO LIE"""
import gzip
import hashlib
import io
import json
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


def tar_of(name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


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
