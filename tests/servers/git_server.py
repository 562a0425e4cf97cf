#!/usr/bin/env python3
"""Repositories below a directory by http(s), through `git http-backend`.

git_server.py --root DIR --port-file FILE [--cert FILE --key FILE] [--auth HEADER] [--dumb] [--old] [--moving REF=HASH]
              [--elsewhere URL]

With --auth, requests without that Authorization header are refused; with --dumb, all is plain files, and what is asked for
below /moved is said to be elsewhere. With --old, only what is pointed at is given, as before version 2 of the protocol. With
--moving, the first two who ask for the refs are answered when both are there, and between the answers the ref moves. With --elsewhere, all is said to be below that URL. The log on standard output has one request a line.
"""
import argparse
import http.server
import itertools
import os
import ssl
import subprocess
import threading
import urllib.parse


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, form, *args):
        print(f"{self.command} {self.path}", flush=True)

    def refused(self):
        if not options.auth or self.headers.get("Authorization") == options.auth:
            return False
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def backend(self):
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length", 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=options.root, GIT_HTTP_EXPORT_ALL="1", REQUEST_METHOD=self.command,
                   PATH_INFO=urllib.parse.unquote(path), QUERY_STRING=query, REMOTE_ADDR="127.0.0.1",
                   CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(length),
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
                   GIT_PROTOCOL="" if options.old else self.headers.get("Git-Protocol", ""))
        done = subprocess.run(["git", "http-backend"], input=self.rfile.read(length), env=env, stdout=subprocess.PIPE,
                              check=False).stdout
        head, _, body = done.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def backend_while_it_moves(self):
        both.wait(30)
        with one_at_a_time:
            self.backend()
            ref, new = options.moving.split("=")
            subprocess.run(["git", "-C", "a.git", "update-ref", ref, new], check=True)

    def do_GET(self):
        if self.refused():
            return
        if options.moving and next(asked) < 2:
            self.backend_while_it_moves()
            return
        moved = options.dumb and self.path.startswith("/moved/")
        if moved or options.elsewhere:
            self.send_response(302)
            self.send_header("Location", self.path[len("/moved"):] if moved else options.elsewhere + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif options.dumb:
            super().do_GET()
        else:
            self.backend()

    def do_POST(self):
        if not self.refused():
            self.backend()


parser = argparse.ArgumentParser()
parser.add_argument("--root", required=True)
parser.add_argument("--port-file", required=True)
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--auth")
parser.add_argument("--dumb", action="store_true")
parser.add_argument("--old", action="store_true")
parser.add_argument("--moving")
parser.add_argument("--elsewhere")
options = parser.parse_args()
both, one_at_a_time, asked = threading.Barrier(2), threading.Lock(), itertools.count()
os.chdir(options.root)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(options.port_file + ".new", "w") as f:
    f.write(str(server.server_port))
os.rename(options.port_file + ".new", options.port_file)
server.serve_forever()
