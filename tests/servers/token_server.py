#!/usr/bin/env python3
"""A token server for tests, as docker-registry's auth.token wants one. Only Python's library and openssl.

  tests/servers/make_certs.sh DIR          # makes token.key and token.crt
  tests/servers/token_server.py --key DIR/token.key --cert DIR/token.crt \\
      --service test-registry --user ci:secret --grant 'ci=team/*:pull,push' \\
      --grant '*=public/*:pull' --port-file DIR/token.port --log DIR/token.log

It listens on 127.0.0.1 (--port, default any free one), writes the port to --port-file once it does, and runs
until it is killed. The registry's configuration:

  auth: { token: { realm: "http://127.0.0.1:PORT/token", service: test-registry,
                   issuer: imgmake-test, rootcertbundle: DIR/token.crt } }

  --user NAME:PASSWORD      may log in (GET with Basic)
  --refresh NAME:TOKEN      an identity token of that user (OAuth POST, grant_type=refresh_token)
  --grant NAME=GLOB:ACTIONS rights on repositories; NAME "*" is everybody, logged in or not
  --life SECONDS            of a token (default 300); --no-expires-in leaves it out of the answer
  --no-post                 answers POST with 404, as older servers do
  --tls CERT:KEY            https
  --log FILE                one JSON object a request: method, user, scopes, status

A wrong password is 401. Scopes without a right are left out of the token; the registry then says 401.
"""
import argparse
import base64
import fnmatch
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens:
    def __init__(self, options):
        self.o = options
        self.users = dict(u.split(":", 1) for u in options.user)
        self.refresh = {t: n for n, t in (r.split(":", 1) for r in options.refresh)}
        self.grants = []
        for grant in options.grant:
            name, rest = grant.split("=", 1)
            glob, actions = rest.rsplit(":", 1)
            self.grants.append((name, glob, set(actions.split(","))))
        with open(options.cert) as f:
            pem = f.read()
        self.x5c = ["".join(pem.split("-----")[2].split())]

    def access(self, user, scopes):
        out = []
        for scope in scopes:
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            have = set()
            for who, glob, rights in self.grants:
                if who in ("*", user) and fnmatch.fnmatch(name, glob):
                    have |= rights
            allowed = sorted(have & set(actions.split(",")))
            if allowed:
                out.append({"type": kind, "name": name, "actions": allowed})
        return out

    def sign(self, user, scopes):
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": self.x5c}
        claims = {"iss": self.o.issuer, "sub": user, "aud": self.o.service, "jti": str(uuid.uuid4()),
                  "iat": now, "nbf": now - 30, "exp": now + self.o.life,
                  "access": self.access(user, scopes)}
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.o.key],
                                   input=text.encode(), capture_output=True, check=True).stdout
        return text + "." + b64(signature)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, user, scopes, status):
        if self.server.tokens.o.log:
            line = json.dumps({"method": self.command, "user": user, "scopes": scopes, "status": status})
            with self.server.lock, open(self.server.tokens.o.log, "a") as f:
                f.write(line + "\n")

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def grant(self, user, scopes, field):
        t = self.server.tokens
        self.note(user, scopes, 200)
        body = {field: t.sign(user, scopes)}
        if not t.o.no_expires_in:
            body["expires_in"] = t.o.life
        self.answer(200, body)

    def refuse(self, status, user, scopes):
        self.note(user, scopes, status)
        self.answer(status, {"details": "no"})

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        scopes = query.get("scope", [])
        user = ""
        login = self.headers.get("Authorization", "")
        if login.startswith("Basic "):
            user, _, password = base64.b64decode(login[6:]).decode().partition(":")
            if self.server.tokens.users.get(user) != password:
                return self.refuse(401, user, scopes)
        self.grant(user, scopes, "token")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        scopes = form.get("scope", [""])[0].split()
        user = self.server.tokens.refresh.get(form.get("refresh_token", [""])[0])
        if self.server.tokens.o.no_post:
            return self.refuse(404, user, scopes)
        if user is None:
            return self.refuse(401, user, scopes)
        self.grant(user, scopes, "access_token")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--port-file")
    p.add_argument("--key", required=True)
    p.add_argument("--cert", required=True)
    p.add_argument("--service", default="test-registry")
    p.add_argument("--issuer", default="imgmake-test")
    p.add_argument("--user", action="append", default=[])
    p.add_argument("--refresh", action="append", default=[])
    p.add_argument("--grant", action="append", default=[])
    p.add_argument("--life", type=int, default=300)
    p.add_argument("--no-expires-in", action="store_true")
    p.add_argument("--no-post", action="store_true")
    p.add_argument("--tls")
    p.add_argument("--log")
    options = p.parse_args()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.lock = threading.Lock()
    server.tokens = Tokens(options)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls.split(":", 1))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    if options.port_file:
        with open(options.port_file + ".new", "w") as f:
            f.write("%d\n" % server.server_address[1])
        os.rename(options.port_file + ".new", options.port_file)
    server.serve_forever()


main()
