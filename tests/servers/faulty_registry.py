#!/usr/bin/env python3
"""A registry that misbehaves as real ones do, in memory, on 127.0.0.1. What it does hangs on the repository:

  cut        the first GET of a blob breaks off half-way; Range is honoured
  norange    the same, but Range is ignored
  redirect   a blob is on another host ("localhost"), which refuses any Authorization; wants Basic ci:secret itself
  busy       the first two requests of each path are 429 with Retry-After: 1
  nopatch    PATCH is 405; PUT with the body works
  chunks     a body without Content-Range is 416 (PATCH) or 413 (PUT); OCI-Chunk-Min-Length is 9437184
  cutup      the first PATCH is cut half-way; the session tells how far it came
  late       a commit succeeds and then says 500
  hangup     HEAD of a blob that is missing closes the connection
  forbidden  HEAD of a blob that is missing is 403
  paged      tags one a page, with Link
  evil       a Location, Link and redirect loop nobody should follow
  challenge  wants Basic ci:secret

  tests/servers/faulty_registry.py --port PORT [--log FILE]     log: "METHOD PATH STATUS" a line
"""
import argparse
import hashlib
import http.server
import threading
import urllib.parse

blobs, sessions, seen = {}, {}, {}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body=b"", **headers):
        if self.server.log:
            with lock, open(self.server.log, "a") as f:
                f.write("%s %s %d\n" % (self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def first(self, what, times=1):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what] <= times

    def hang_up(self):
        self.close_connection = True
        self.connection.close()

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(url.query)
        parts = url.path.strip("/").split("/")
        if parts[0] == "storage":
            if self.headers.get("Authorization"):
                return self.send(400, b"no Authorization here")
            return self.send(200, blobs[parts[1]])
        self.repo, rest = parts[1], parts[2:]
        if self.repo == "busy" and self.first((self.command, url.path), 2):
            self.body()
            return self.send(429, Retry_After="1")
        if self.repo in ("challenge", "redirect") and self.headers.get("Authorization") != "Basic Y2k6c2VjcmV0":
            self.body()
            return self.send(401, WWW_Authenticate='Negotiate, Basic realm="a, \\"b\\""')
        if rest[0] == "tags":
            return self.tags()
        if rest[1] == "uploads":
            return self.upload(rest[2] if len(rest) > 2 else "")
        return self.blob(rest[1])

    def tags(self):
        names = ["a", "b", "c"]
        at = int(self.query.get("at", ["0"])[0])
        link = '</v2/%s/tags/list?n=1&at=%d>; rel="next"' % (self.repo, at + 1)
        if self.repo == "evil":
            link = '<http://localhost:%d/v2/paged/tags/list>; rel="next"' % self.server.server_port
        headers = {"Link": link} if at + 1 < len(names) else {}
        self.send(200, ('{"tags":["%s",null]}' % names[at]).encode(), **headers)

    def blob(self, digest):
        data = blobs.get(digest)
        if data is None and self.command == "HEAD" and self.repo == "hangup":
            return self.hang_up()
        if data is None:
            return self.send(403 if self.repo == "forbidden" and self.command == "HEAD" else 404)
        if self.command == "HEAD":
            return self.send(200, data)
        if self.repo == "evil":
            return self.send(307, Location=self.path)
        if self.repo == "redirect":
            host = "http://localhost:%d/storage/%s" % (self.server.server_port, digest)
            return self.send(307, Location=host)
        if self.repo in ("cut", "norange") and self.first((self.repo, digest)):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            return self.hang_up()
        wanted = self.headers.get("Range")
        if wanted and self.repo != "norange":
            start = int(wanted.split("=")[1].rstrip("-"))
            return self.send(206, data[start:],
                             Content_Range="bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        self.send(200, data)

    def upload(self, session):
        where = "/v2/%s/blobs/uploads/%s?state=x" % (self.repo, session)
        if self.command == "POST":
            self.body()
            session = "s%d" % len(sessions)
            sessions[session] = b""
            return self.send(202, Location="/v2/%s/blobs/uploads/%s?state=x" % (self.repo, session),
                             OCI_Chunk_Min_Length="9437184")
        if self.query.get("state") != ["x"]:
            return self.send(400, b"the state is lost")
        if self.command == "GET":
            return self.send(204, Location=where, Range="0-%d" % (len(sessions[session]) - 1))
        if self.command == "PATCH":
            return self.patch(session, where)
        return self.commit(session)

    def patch(self, session, where):
        ranged = self.headers.get("Content-Range")
        if self.repo == "cutup" and self.first(session):
            n = int(self.headers["Content-Length"]) // 2
            sessions[session] += self.rfile.read(n)
            return self.hang_up()
        data = self.body()
        if self.repo == "nopatch":
            return self.send(405)
        if self.repo == "chunks" and not ranged:
            return self.send(416)
        if ranged and int(ranged.split("-")[0]) != len(sessions[session]):
            return self.send(416)
        sessions[session] += data
        self.send(202, Location=where, Range="0-%d" % (len(sessions[session]) - 1))

    def commit(self, session):
        data = self.body()
        if self.repo == "chunks" and data:
            return self.send(413)
        whole = sessions[session] + data
        digest = "sha256:" + hashlib.sha256(whole).hexdigest()
        if digest != self.query["digest"][0]:
            return self.send(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        blobs[digest] = whole
        self.send(500 if self.repo == "late" else 201)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = answer


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--log")
    options = p.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.log = options.log
    server.serve_forever()


main()
