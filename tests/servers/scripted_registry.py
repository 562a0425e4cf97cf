#!/usr/bin/env python3
"""A registry of ours, in memory, on 127.0.0.1, that does what real ones do. What it does hangs on the first component
of the repository's name: a registry that people know ("ghcr/app"; PROFILES below says what is told of it), or one quirk:

  cut          the first GET of a blob breaks off half-way; Range is honoured
  norange      the same, but Range is ignored
  redirect     a blob is on another host ("localhost"), which refuses any Authorization; wants Basic ci:secret itself
  busy         the first two POSTs are 429 with Retry-After: 1
  dated        the same, with a date
  nopatch      PATCH is 405; PUT with the body works
  noput        PUT of a blob with a body is 405
  chunks       a body without Content-Range is 416 (PATCH) or 413 (PUT); OCI-Chunk-Min-Length is 9437184
  small        a body of more than 1 MiB is 413
  cutup        the first PATCH is cut half-way; the session tells how far it came
  hold         the first PATCH is taken to its half, then nothing more until the client goes; the session tells
  late         a commit succeeds and then says 500
  hangup       HEAD of a blob that is missing closes the connection
  forbidden    HEAD of a blob that is missing is 403
  paged        tags one a page, with Link (and one of another kind before it) and nulls
  pagelost     the same, and the second page is 404
  evil         a Location, Link and redirect loop nobody should follow
  challenge    wants Basic ci:secret
  silent       the first GET of a manifest or blob has no answer
  warned       every answer has two Warnings: 299
  renew        a token is good for one write
  down         every GET of a manifest is 503
  switch       wants Basic ci:secret, but a token for PATCH and PUT
  turn         wants a token until it has one, and then Basic ci:secret; turn/late hears that when turn/app has asked so
  upmoved      an upload is opened elsewhere, by a redirect, and its Location is relative to there
  norepo       a repository has to be made by other means first
  full         what is pushed is 403, and why is said
  type, digest manifests are served as an index, and under another digest
  throttled    GET of an index of referrers is 429, always

  moved        a blob is at another path of the same origin
  upwards, ports, downwards, downupload, httprealm, innerrealm, farrealm, movedrealm, homerealm
               where blobs, uploads and tokens are told to be; see AWAY and REALMS below

  tests/servers/scripted_registry.py --port PORT [--port-file FILE] [--log FILE]     PORT 0: any free one
      [--certs DIR]    it is a proxy, too, for https (CONNECT) and http: whatever host is asked for, it answers itself,
                       with DIR/HOST.crt or else DIR/any.crt (make_names.sh). plain.example.com has no TLS, and
                       mutual.example.com wants a certificate of the authority DIR/ca.crt. flaky.example.com cuts its
                       first three handshakes; locked, barred and gone.example.com are refused by the proxy.

The log has a line for each request: METHOD PATH STATUS HOST BODY-BYTES CONTENT-RANGE AUTHORIZATION; the last is
"ci:secret" or "bearer:TOKEN" in clear, or "-". The scope of an OAuth POST is logged as if it stood in its URL.
"""
import argparse
import base64
import email.utils
import hashlib
import http.server
import json
import os
import socket
import ssl
import struct
import threading
import time
import urllib.parse

# location  absolute, or relative to the host; state in its query, which a client has to give back
# auth      how the challenge reads ({host} is ours, {realm} our token server's URL)
# token     the field that the token is in; expires: whether its life is told; post: 404 for an OAuth POST
# missing   what HEAD says of a blob that is not there
# mount     201, or what else comes of it
# away      blobs are on another host, which takes no Authorization
# digest    Docker-Content-Digest is sent with manifests
# immutable status and message when a tag that exists is written with another manifest
# page      how many tags are in a page, whatever was asked for
BEARER = 'Bearer realm="{realm}",service="{host}",scope="{scope}"'
PROFILES = {
    "hub": {"location": "absolute", "auth": BEARER, "token": "both", "away": True, "quota": "5;w=21600"},
    "ghcr": {"location": "relative", "auth": BEARER, "token": "token", "expires": False, "mount": 202, "away": True,
             "uploads": "upload"},
    "ecr": {"location": "relative", "auth": 'Basic realm="https://{host}/",service="ecr.amazonaws.com"',
            "missing": 400, "mount": 405, "away": True,
            "immutable": (400, "The image tag 'v1' already exists in the repository and cannot be overwritten "
                               "because the tag is immutable.")},
    "acr": {"location": "relative", "auth": BEARER, "token": "access_token", "expires": False, "away": True,
            "page": 2},
    "google": {"location": "absolute", "auth": BEARER, "token": "token", "away": True, "mount": 202, "nopatch": False,
               "immutable": (400, "cannot update tag v1. The repository has enabled tag immutability")},
    "harbor": {"location": "relative", "auth": BEARER, "token": "token",
               "immutable": (412, "Failed to process request due to 'app:v1' configured as immutable.")},
    "gitlab": {"location": "absolute", "auth": BEARER, "token": "token", "expires": False, "post": 404},
    "artifactory": {"location": "absolute", "missing": 403, "digest": False, "page": 1, "token": "token",
                    "auth": 'Basic realm="Artifactory \\"Realm\\"", Bearer realm="{realm}",service="{host}"'},
    "quay": {"location": "relative", "auth": BEARER, "token": "token", "mount": 202, "page": 2,
             "immutable": (409, "tag is immutable")},
    "nexus": {"location": "relative", "state": False, "auth": 'BASIC realm="Sonatype Nexus Repository Manager"',
              "mount": 404, "digest": False},
    # Of the distribution-spec, for no one registry.
    "tagging": {"many_tags": True},
    "subjects": {"subjects": True},
}
QUIRKS = {
    "redirect": {"auth": 'Negotiate, Basic realm="a, \\"b\\""', "away": True},
    "challenge": {"auth": 'Negotiate, Basic realm="a, \\"b\\""'},
    "forbidden": {"missing": 403},
    "hangup": {"missing": 0},
    "paged": {"page": 1},
    "pagelost": {"page": 1},
    "evil": {"page": 1},
    "renew": {"auth": BEARER, "token": "token"},
    "turn": {"auth": BEARER, "token": "token"},
    "switch": {"auth": 'Basic realm="x"', "token": "token"},
}
# Where a blob of such a repository is redirected to, and where a token for one is to be had.
AWAY = {"upwards": "https://cdn.example.com", "ports": "https://registry.example.com:8443",
        "downwards": "http://registry.example.com"}
REALMS = {"httprealm": "http://auth.example.com/token/httprealm", "innerrealm": "https://10.0.0.5/token/innerrealm",
          "farrealm": "https://auth.example.com/token/farrealm",
          "movedrealm": "https://auth.example.com/token/movedrealm",
          "homerealm": "http://registry.example.com/token/homerealm"}
for name in AWAY:
    QUIRKS[name] = {"auth": 'Basic realm="x"', "away": True}
for name in REALMS:
    QUIRKS[name] = {"auth": BEARER, "token": "token"}
QUIRKS["moved"] = {"auth": 'Basic realm="x"'}
QUIRKS["downupload"] = {"location": "downwards"}
DEFAULTS = {"location": "relative", "state": True, "auth": None, "token": "token", "expires": True, "post": 200,
            "missing": 404, "mount": 201, "away": False, "digest": True, "immutable": None, "page": 0, "quota": None,
            "uploads": "uploads", "many_tags": False, "subjects": False}
# A registry may have any of them, and says "not found" to who does not take it.
ACCEPTED = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json"]

blobs, sessions, manifests, tags, tokens, seen = {}, {}, {}, {}, set(), {}
lock = threading.Lock()
turns = {"token": threading.Event(), "basic": threading.Event()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken = 0

    def log_message(self, *args):
        pass

    def who(self):
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode()
        return "bearer:" + value if kind == "Bearer" else "-"

    def note(self, status):
        if self.server.log:
            with lock, open(self.server.log, "a", encoding="ascii") as f:
                f.write("%s %s %s %s %d %s %s\n" % (self.command, self.path, status, self.headers["Host"], self.taken,
                                                    self.headers.get("Content-Range", "-"), self.who()))

    def send(self, status, body=b"", **headers):
        self.note(status)
        self.send_response(status)
        if getattr(self, "kind", "") == "paged":
            self.send_header("Link", "</logo.svg>; rel=preload")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if getattr(self, "kind", "") == "warned":
            self.send_header("Warning", '299 - "this registry will close"')
            self.send_header("Warning", '299 - "this registry will close"')
            self.send_header("Warning", '199 - "of no interest"')
        if getattr(self, "quirk", {}).get("quota"):
            self.send_header("ratelimit-remaining", self.quirk["quota"])
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message=""):
        self.send(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())

    def first(self, what, times=1):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what] <= times

    def hang_up(self):
        self.note("hang-up")
        self.close_connection = True
        self.connection.close()

    def body(self, most=None):
        size = int(self.headers.get("Content-Length", "0"))
        data = self.rfile.read(size if most is None else min(most, size))
        self.taken += len(data)
        return data

    # --- Who may ---------------------------------------------------------------------------------------

    def token(self, kind):
        if kind == "movedrealm":
            return self.send(307, Location="https://evil.example.com/token/farrealm")
        quirk = {**DEFAULTS, **PROFILES.get(kind, {}), **QUIRKS.get(kind, {})}
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.body().decode())
            if quirk["post"] != 200:
                return self.send(quirk["post"])
            good = form.get("refresh_token") == ["identity-of-ci"] and form.get("grant_type") == ["refresh_token"]
            good = good and len(form.get("scope", [])) == 1 and "client_id" in form and "service" in form
            self.path += "?scope=" + urllib.parse.quote(" ".join(form.get("scope", [])), safe="")
        else:
            good = self.who() in ("ci:secret", "-", "<token>:identity-of-ci")
        if not good:
            return self.send(401)
        with lock:
            seen["tokens"] = seen.get("tokens", 0) + 1
            value = "%s-%d" % (kind, seen["tokens"])
            tokens.add(value)
        fields = {"token": ["token"], "access_token": ["access_token"], "both": ["token", "access_token"]}
        answer = {name: value for name in fields[quirk["token"]]}
        if quirk["expires"]:
            answer["expires_in"] = 300
        return self.send(200, json.dumps(answer).encode())

    def wanted(self):
        if self.kind == "switch" and self.command in ("PATCH", "PUT"):
            return BEARER
        if self.kind == "turn" and self.who() != "-":
            return QUIRKS["switch"]["auth"]
        return self.quirk["auth"]

    def allowed(self):
        if not self.quirk["auth"]:
            return True
        host = self.headers["Host"]
        who = self.who()
        good = who[7:] in tokens if who.startswith("bearer:") else who == "ci:secret"
        if good and who.startswith("bearer:") and self.kind == "renew" and self.command in ("PATCH", "PUT"):
            with lock:
                tokens.discard(who[7:])
        if good and ("earer" in self.wanted()) == who.startswith("bearer:"):
            if self.repo == "turn/app":
                turns["basic"].set()
            return True
        if self.kind == "turn" and who != "-":
            late = self.repo == "turn/late"
            if late:
                turns["token"].set()
            turns["basic" if late else "token"].wait(20)
        self.body()
        realm = REALMS.get(self.kind, "http%s://%s/token/%s" % ("s" * self.secure, host, self.kind))
        challenge = self.wanted().format(host=host, realm=realm,
                                              scope="repository:%s:pull" % self.repo)
        self.send(401, WWW_Authenticate=challenge)
        return False

    # --- What is asked for -----------------------------------------------------------------------------

    secure = False

    def do_CONNECT(self):
        """From here on this connection is one to that host."""
        self.taken = 0
        host = self.path.split(":")[0]
        refused = {"locked.example.com": 407, "barred.example.com": 403, "gone.example.com": 502}.get(host)
        if refused:
            return self.send(refused)
        self.note(200)
        self.send_response_only(200)
        self.end_headers()
        if host == "plain.example.com":
            return
        if host == "flaky.example.com" and self.first(host, 3):
            self.connection.recv(1)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self.hang_up()
        certs = self.server.certs
        name = os.path.join(certs, host if os.path.exists(os.path.join(certs, host + ".crt")) else "any")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(name + ".crt", name + ".key")
        if host == "mutual.example.com":
            context.load_verify_locations(os.path.join(certs, "ca.crt"))
            context.verify_mode = ssl.CERT_REQUIRED
        self.close_connection = True  # if it comes to nothing
        self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secure = True
        self.close_connection = False

    def answer(self):
        self.taken = 0
        self.kind, self.quirk = "", {}
        if self.headers.get("Expect"):
            return self.send(417)
        url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(url.query)
        parts = url.path.strip("/").split("/")
        if parts[0] == "storage":
            if self.headers.get("Authorization"):
                return self.send(400, b"no Authorization here")
            return self.ranged(blobs[parts[1]])
        if parts[0] == "token":
            return self.token(parts[1])
        if parts == ["v2"]:
            return self.send(200)
        at = max(i for i, p in enumerate(parts) if p in ("blobs", "manifests", "tags"))
        self.kind, self.repo, rest = parts[1], "/".join(parts[1:at]), parts[at:]
        self.quirk = {**DEFAULTS, **PROFILES.get(self.kind, {}), **QUIRKS.get(self.kind, {})}
        if self.kind in ("busy", "dated") and self.command == "POST" and self.first(self.kind, 2):
            self.body()
            after = "1" if self.kind == "busy" else email.utils.formatdate(time.time() + 2, usegmt=True)
            return self.send(429, Retry_After=after)
        if self.kind == "silent" and self.command == "GET" and self.first(url.path):
            self.note("silence")
            self.connection.recv(1)
            return self.hang_up()
        if not self.allowed():
            return None
        if rest[0] == "tags":
            return self.tags()
        if rest[0] == "manifests":
            return self.manifest(rest[1])
        if rest[1] in ("uploads", "upload"):
            return self.upload(rest[2] if len(rest) > 2 else "")
        return self.blob(rest[1])

    def tags(self):
        if self.kind in ("paged", "pagelost", "evil"):
            names = ["a", "b", "c"]
        else:
            names = sorted(tags.get(self.repo, {}))
        at = int(self.query.get("at", ["0"])[0])
        if self.kind == "pagelost" and at:
            return self.refuse(404, "NAME_UNKNOWN")
        size = self.quirk["page"] or 1000
        link = '</v2/%s/tags/list?n=%d&at=%d>; rel="next"' % (self.repo, size, at + size)
        if self.kind == "evil":
            link = '<http://localhost:%d/v2/paged/tags/list>; rel="next"' % self.server.server_port
        headers = {"Link": link} if at + size < len(names) else {}
        page = [*names[at:at + size], None, "sha256:ab"]
        self.send(200, json.dumps({"name": self.repo, "tags": page}).encode(), **headers)

    def ranged(self, data):
        wanted = self.headers.get("Range")
        if wanted and self.kind != "norange":
            start = int(wanted.split("=")[1].rstrip("-"))
            return self.send(206, data[start:], Content_Range="bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        return self.send(200, data)

    def blob(self, digest):
        data = blobs.get(digest) if digest in seen.get(("in", self.repo), set()) else None
        if data is None and self.command == "HEAD":
            return self.send(self.quirk["missing"]) if self.quirk["missing"] else self.hang_up()
        if self.kind == "evil":
            return self.send(307, Location=self.path)
        if data is None:
            return self.send(404)
        if self.command == "HEAD":
            return self.send(200, data)
        if self.kind == "moved" and "there" not in self.query:
            return self.send(307, Location="?there=1")
        if self.quirk["away"]:
            away = AWAY.get(self.kind, "http://localhost:%d" % self.server.server_port)
            return self.send(307, Location="%s/storage/%s?signature=a%%2Bb%%3D&x" % (away, digest))
        if self.kind in ("cut", "norange") and self.first((self.kind, digest)):
            self.note(200)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            return self.hang_up()
        return self.ranged(data)

    # --- Uploads ---------------------------------------------------------------------------------------

    def where(self, session):
        if self.kind == "upmoved":
            return "%s?_state=a%%2Bb%%3D%d&x" % (session, len(sessions[session]))
        path = "/v2/%s/blobs/%s/%s" % (self.repo, self.quirk["uploads"], session)
        if self.quirk["state"]:
            path += "?_state=a%%2Bb%%3D%d&x" % len(sessions[session])
        if self.quirk["location"] == "relative":
            return path
        plain = not self.secure or self.quirk["location"] == "downwards"
        return "http%s://%s%s" % ("" if plain else "s", self.headers["Host"], path)

    def is_in(self, digest):
        with lock:
            seen.setdefault(("in", self.repo), set()).add(digest)

    def mount(self, digest):
        source = self.query["from"][0]
        if self.quirk["mount"] == 201 and digest in seen.get(("in", source), set()):
            self.is_in(digest)
            return self.send(201, Location="/v2/%s/blobs/%s" % (self.repo, digest))
        if self.quirk["mount"] >= 400:
            return self.refuse(self.quirk["mount"], "UNSUPPORTED")
        return self.open_session()

    def open_session(self):
        with lock:
            seen["sessions"] = seen.get("sessions", 0) + 1
            session = "s%d" % seen["sessions"]
            sessions[session] = b""
        least = {"OCI_Chunk_Min_Length": "9437184"} if self.kind == "chunks" else {}
        return self.send(202, Location=self.where(session), **least)

    def upload(self, session):
        if self.kind == "upmoved" and not self.repo.endswith("/elsewhere"):
            self.body()
            if session:
                return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return self.send(307, Location="/v2/%s/elsewhere/blobs/uploads/?there" % self.repo)
        if self.command == "POST" and self.kind == "norepo":
            self.body()
            return self.refuse(404, "NAME_UNKNOWN", "The repository with name '%s' does not exist" % self.repo)
        if self.command == "POST" and self.kind == "full":
            self.body()
            return self.refuse(403, "DENIED", "adding 1 MiB of storage would exceed the quota of project full")
        if self.command == "POST":
            self.body()
            return self.mount(self.query["mount"][0]) if "mount" in self.query else self.open_session()
        if session not in sessions:
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        asking = self.command in ("GET", "DELETE")
        if self.quirk["state"] and not asking and self.query.get("_state") != ["a+b=%d" % len(sessions[session])]:
            self.body()
            return self.refuse(400, "BLOB_UPLOAD_INVALID", "the state is lost")
        if self.command == "GET":
            return self.send(204, Location=self.where(session), Range="0-%d" % max(len(sessions[session]) - 1, 0))
        if self.command == "DELETE":
            del sessions[session]
            return self.send(204)
        if self.command == "PATCH":
            return self.patch(session)
        return self.commit(session)

    def patch(self, session):
        ranged = self.headers.get("Content-Range")
        if self.kind in ("cutup", "hold") and self.first(self.kind):
            sessions[session] += self.body(int(self.headers["Content-Length"]) // 2)
            if self.kind == "hold":
                self.note("held")
                while self.connection.recv(1, 2):  # MSG_PEEK: what comes is not taken
                    time.sleep(0.01)
            return self.hang_up()
        data = self.body()
        if self.kind == "nopatch":
            return self.send(405)
        if self.kind == "small" and len(data) > 1 << 20:
            return self.send(413)
        if self.kind == "chunks" and not ranged:
            return self.send(416)
        if ranged and int(ranged.split("-")[0]) != len(sessions[session]):
            return self.send(416)
        sessions[session] += data
        return self.send(202, Location=self.where(session), Range="0-%d" % (len(sessions[session]) - 1))

    def commit(self, session):
        data = self.body()
        if data and self.kind == "noput":
            return self.send(405)
        if data and (self.kind == "chunks" or (self.kind == "small" and len(data) > 1 << 20)):
            return self.send(413)
        whole = sessions[session] + data
        digest = "sha256:" + hashlib.sha256(whole).hexdigest()
        if digest != self.query["digest"][0]:
            return self.refuse(400, "DIGEST_INVALID")
        blobs[digest] = whole
        del sessions[session]
        self.is_in(digest)
        return self.send(500 if self.kind == "late" else 201)

    # --- Manifests -------------------------------------------------------------------------------------

    def manifest(self, name):
        known = tags.setdefault(self.repo, {})
        if self.command == "PUT":
            return self.put_manifest(name, known)
        if self.kind == "throttled" and self.command == "GET" and name.startswith("sha256-"):
            return self.send(429)
        if self.kind == "down" and self.command == "GET":
            return self.send(503)
        if any(kind not in " ".join(self.headers.get_all("Accept", [])) for kind in ACCEPTED):
            return self.refuse(404, "MANIFEST_UNKNOWN", "of no kind that is accepted")
        digest = known.get(name, name)
        if (self.repo, digest) not in manifests:
            return self.refuse(404, "MANIFEST_UNKNOWN")
        body = manifests[self.repo, digest]
        headers = {"Content_Type": json.loads(body)["mediaType"]}
        if self.quirk["digest"]:
            headers["Docker_Content_Digest"] = digest
        if self.kind == "type":
            headers["Content_Type"] = "application/vnd.oci.image.index.v1+json"
        if self.kind == "digest":
            headers["Docker_Content_Digest"] = "sha256:" + "0" * 64
        return self.send(200, body, **headers)

    def put_manifest(self, name, known):
        body = self.body()
        root = json.loads(body)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        if self.headers["Content-Type"] != root["mediaType"]:
            return self.refuse(400, "MANIFEST_INVALID", "type of body and header differ")
        if self.quirk["immutable"] and known.get(name, digest) != digest:
            status, message = self.quirk["immutable"]
            return self.refuse(status, "DENIED", message)
        manifests[self.repo, digest] = body
        names = [] if name.startswith("sha256:") else [name]
        if self.quirk["many_tags"]:
            names += self.query.get("tag", [])[:3]
        for tag in names:
            known[tag] = digest
        headers = {"OCI_Tag": ", ".join(names)} if self.quirk["many_tags"] else {}
        if self.quirk["subjects"] and "subject" in root:
            headers["OCI_Subject"] = root["subject"]["digest"]
        return self.send(201, Docker_Content_Digest=digest, **headers)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if self.verbose:
            super().handle_error(request, client_address)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--port-file")
    p.add_argument("--log")
    p.add_argument("--certs")
    p.add_argument("--verbose", action="store_true")
    o = p.parse_args()
    server = Server(("127.0.0.1", o.port), Handler)
    server.log, server.verbose, server.certs = o.log, o.verbose, o.certs
    if o.port_file:
        with open(o.port_file + ".new", "w", encoding="ascii") as f:
            print(server.server_port, file=f)
        os.rename(o.port_file + ".new", o.port_file)
    server.serve_forever()


main()
