#!/usr/bin/env python3
"""Images that real registries hold and few tools make, pushed to a registry that speaks plain http.

  tests/servers/odd_images.py HOST:PORT/REPO     says "NAME DIGEST" for each; NAME is the tag

  none       no layers                            twice      the same layer twice
  empty      a layer without entries              zstd, tar  layers compressed with zstd, and not at all
  docker     Docker's types                       foreign    a layer that is kept elsewhere, and one that is not
  artifact   an artifact of OCI 1.1               chart      one of before, known by its configuration
  multi      an index: amd64, arm64, arm/v7 and an attestation as BuildKit makes them
  nested     an index of that index               list       Docker's manifest list
  large      a manifest of 3 MB                   wrong      says that its layer is a byte longer
"""
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import urllib.request

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX, CONFIG, LAYER = (OCI + kind for kind in ("manifest.v1+json", "index.v1+json", "config.v1+json",
                                                          "layer.v1.tar"))
DOCKER_MANIFEST = DOCKER + "distribution.manifest.v2+json"
HOST, REPO = sys.argv[1].split("/", 1)


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def ask(method, url, data, kind):
    if url.startswith("/"):
        url = f"http://{HOST}{url}"
    return urllib.request.urlopen(urllib.request.Request(url, data=data, method=method,
                                                         headers={"Content-Type": kind}))


def blob(data, kind):
    where = ask("POST", f"/v2/{REPO}/blobs/uploads/", b"", "text/plain").headers["Location"]
    ask("PUT", where + ("&" if "?" in where else "?") + "digest=" + sha(data), data, "application/octet-stream")
    return {"mediaType": kind, "digest": sha(data), "size": len(data)}


def put(tag, kind, members):
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, **members}).encode()
    ask("PUT", f"/v2/{REPO}/manifests/{tag or sha(body)}", body, kind)
    if tag:
        print(tag, sha(body))
    return {"mediaType": kind, "digest": sha(body), "size": len(body)}


def tar(name):
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode="w", format=tarfile.USTAR_FORMAT) as t:
        info = tarfile.TarInfo(name)
        info.size = len(name)
        t.addfile(info, io.BytesIO(name.encode()))
    return f.getvalue()


def packed(data):
    return gzip.compress(data, mtime=0)


def config(tars, arch="amd64", kind=CONFIG):
    return blob(json.dumps({"architecture": arch, "os": "linux",
                            "rootfs": {"type": "layers", "diff_ids": [sha(t) for t in tars]}}).encode(), kind)


def image(tag, tars, arch="amd64", kind=LAYER + "+gzip", pack=packed, **more):
    return put(tag, MANIFEST, {"config": config(tars, arch), "layers": [blob(pack(t), kind) for t in tars], **more})


def docker(tag, arch, tars):
    return put(tag, DOCKER_MANIFEST, {"config": config(tars, arch, DOCKER + "container.image.v1+json"), "layers": [
        blob(packed(t), DOCKER + "image.rootfs.diff.tar.gzip") for t in tars]})


def entry(what, arch, system="linux", **more):
    return {**what, "platform": {"architecture": arch, "os": system, **more}}


A, B = tar("a"), tar("b")
image("none", [])
image("twice", [A, A, B])
image("empty", [b"\0" * 1024])
image("zstd", [A], kind=LAYER + "+zstd", pack=lambda t: subprocess.run(["zstd", "-qc"], input=t, capture_output=True,
                                                                        check=True).stdout)
image("tar", [A], kind=LAYER, pack=lambda t: t)
docker("docker", "amd64", [A])
put("foreign", DOCKER_MANIFEST, {"config": config([A, B], kind=DOCKER + "container.image.v1+json"), "layers": [
    {"mediaType": DOCKER + "image.rootfs.foreign.diff.tar.gzip", "digest": sha(packed(A) + b"elsewhere"), "size": 99,
     "urls": ["https://example.com/layer"]},
    blob(packed(B), DOCKER + "image.rootfs.diff.tar.gzip")]})
put("artifact", MANIFEST, {"artifactType": "application/x-sbom", "config": blob(b"{}", "application/vnd.oci.empty.v1+json"),
                           "layers": [blob(b'{"sbom": 1}', "application/x-sbom+json")]})
put("chart", MANIFEST, {"config": blob(b'{"name": "x"}', "application/vnd.cncf.helm.config.v1+json"),
                        "layers": [blob(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")]})
AMD = image(None, [A], "amd64")
STATEMENT = put(None, MANIFEST, {"config": config([B], "unknown"),
                                 "layers": [blob(b'{"in-toto": 1}', "application/vnd.in-toto+json")]})
MULTI = put("multi", INDEX, {"manifests": [
    entry(AMD, "amd64"), entry(image(None, [B], "arm64"), "arm64"), entry(image(None, [B, A], "arm"), "arm", variant="v7"),
    {**entry(STATEMENT, "unknown", "unknown"), "annotations": {
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": AMD["digest"]}}]})
put("nested", INDEX, {"manifests": [MULTI]})
put("list", DOCKER + "distribution.manifest.list.v2+json", {"manifests": [
    entry(docker(None, "amd64", [A]), "amd64"), entry(docker(None, "arm64", [B]), "arm64")]})
image("large", [A], annotations={f"key{i}": "v" * 1000 for i in range(3000)})
WRONG = blob(packed(tar("wrong")), LAYER + "+gzip")
put("wrong", MANIFEST, {"config": config([tar("wrong")]), "layers": [{**WRONG, "size": WRONG["size"] + 1}]})
