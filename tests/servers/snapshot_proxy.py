#!/usr/bin/env python3
"""A proxy that serves a mirror of today as if it were a snapshot of Debian's archive.

GET http://snapshot.debian.org/archive/debian/TIME/PATH gives MIRROR/PATH; all else is not found. Each request is
a line of the log, the port a line of the port file.
"""
import argparse
import http.server
import re
import shutil
import urllib.error
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = re.fullmatch(r"http://snapshot\.debian\.org/archive/debian/\d{8}T\d{6}Z/(.*)", self.path)
        if not path:
            self.send_error(404)
            return
        try:
            with urllib.request.urlopen(f"{self.server.mirror}/{path[1]}", timeout=10) as got:
                self.send_response(200)
                self.send_header("Content-Length", got.headers["Content-Length"])
                self.end_headers()
                shutil.copyfileobj(got, self.wfile)
        except urllib.error.HTTPError as e:
            self.send_error(e.code)

    def log_message(self, *args):
        print(self.path, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mirror", required=True)
    parser.add_argument("--port-file", required=True)
    o = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.mirror = o.mirror
    with open(o.port_file, "w", encoding="ascii") as f:
        print(server.server_port, file=f)
    server.serve_forever()


main()
