#!/usr/bin/env python3
"""A proxy before a real registry that breaks what goes through it, as a rule file says.

  tests/servers/fault_proxy.py --to HOST:PORT --port-file FILE --rules FILE --log FILE

It listens on 127.0.0.1, on a free port unless --port says which. Like nginx it takes a request whole before it passes
it on. The rule file is read at each request; a line is a rule, the first that fits a request is used:

  TIMES METHOD PATH-REGEX WHAT [AT]        TIMES "-": always. Counting starts anew when the file changes.

  cut-up AT        the registry gets that part of the body (0.3), then both sides are cut
  cut-down AT      the client gets that part of the answer's body, then it is cut
  reset-before     cut without a word to the registry
  reset-after      the registry has done it, but its answer is cut
  400 AT, 404 AT, 429 AT, 503 AT
                   that status; AT is the Retry-After ("date": a second from now as a date; "-": none)
  413 AT           that status for bodies of more than AT bytes; others pass
  slow AT          AT bytes of the answer come one a second, then the rest
  slow-up AT       AT bytes of the body are taken one a second, then the rest
  pass             what it does anyway
  silence          nothing, until the client goes away
  hang-up AT       the registry gets that part of the body, and nothing more is taken or said
  hang-down AT     the client gets that part of the answer's body, and then nothing
  hang-after       the registry has done it, and does not say so
  logout           the registry does not see the Authorization
  short, long      the answer's body is too short or too long, and its Content-Length agrees with that
  flip             a bit of the answer's body is wrong
  misname          Docker-Content-Digest is one of other bytes

The log has a line for each request: METHOD PATH BODY-BYTES RANGE RESULT; the last is a status or the fault.
"""
import argparse
import email.utils
import http.client
import http.server
import os
import re
import select
import socket
import struct
import threading
import time


class Rules:
    def __init__(self, path):
        self.path, self.text, self.rules = path, None, []
        self.lock = threading.Lock()

    def find(self, line, size):
        with self.lock:
            text = ""
            if os.path.exists(self.path):
                with open(self.path, encoding="ascii") as f:
                    text = f.read()
            if text != self.text:
                self.text, self.rules = text, [r.split() for r in text.splitlines() if r]
            for rule in self.rules:
                if rule[0] == "0" or not re.match("(?:%s) .*%s" % (rule[1], rule[2]), line):
                    continue
                if rule[3] == "413" and size <= int(rule[4]):
                    continue
                if rule[0] != "-":
                    rule[0] = str(int(rule[0]) - 1)
                return "" if rule[3] == "pass" else rule[3], rule[4] if len(rule) > 4 else ""
        return "", ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, size, result):
        with self.server.lock, open(self.server.log, "a", encoding="ascii") as f:
            f.write("%s %s %d %s %s\n" % (self.command, self.path, size,
                                          self.headers.get("Content-Range", "-"), result))

    def cut(self):
        """Closes with a reset, not with an end."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def until_gone(self):
        while self.connection.recv(65536):
            pass
        self.close_connection = True

    def until_tired(self):
        """As until_gone, of a client that still has something to say."""
        ends = select.poll()
        ends.register(self.connection, select.POLLRDHUP)
        ends.poll(20000)
        self.close_connection = True

    def take_slowly(self, n):
        taken = b""
        for _ in range(n):
            taken += self.rfile.read(1)
            time.sleep(1)
        return taken

    def upstream(self, body, keep=None, logout=False):
        c = http.client.HTTPConnection(self.server.to, timeout=30)
        c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if not (logout and name.lower() == "authorization"):
                c.putheader(name, value)
        c.endheaders()
        c.send(body if keep is None else body[:keep])
        if keep is not None:
            c.sock.shutdown(socket.SHUT_WR)
            try:
                c.getresponse().read()  # it has noticed
            except (http.client.HTTPException, OSError):
                pass
            c.close()
            return None
        return c.getresponse()

    def pass_on(self, answer, data, length=None, misname=False):
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if misname and name.lower() == "docker-content-digest":
                value = "sha256:" + "0" * 64
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        head = self.command == "HEAD"
        if answer.status not in (204, 304):
            self.send_header("Content-Length",
                             answer.getheader("Content-Length", "0") if head else str(length or len(data)))
        self.end_headers()
        if not head:
            self.wfile.write(data)
        self.wfile.flush()

    def refuse(self, status, at):
        self.send_response(status)
        if at == "date":
            self.send_header("Retry-After", email.utils.formatdate(time.time() + 2, usegmt=True))
        elif at not in ("", "-") and status != 413:
            self.send_header("Retry-After", at)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def before(self, body, what, at):
        """True: nothing goes to the registry."""
        if what == "silence":
            self.until_gone()
        elif what == "reset-before":
            self.cut()
        elif what == "cut-up":
            self.upstream(body, keep=int(len(body) * float(at)))
            self.cut()
        elif what in ("400", "404", "413", "429", "503"):
            self.refuse(int(what), at)
        else:
            return False
        return True

    def answer(self):
        size = int(self.headers.get("Content-Length", "0"))
        what, at = self.server.rules.find(self.command + " " + self.path, size)
        if what == "hang-up":
            part = int(size * float(at))
            self.note(size, what)
            self.upstream(self.rfile.read(part), keep=part)
            return self.until_tired()
        slowly = int(at) if what == "slow-up" else 0
        body = self.take_slowly(slowly) + self.rfile.read(size - slowly)
        if len(body) < size:  # the client is gone
            self.close_connection = True
            return self.note(len(body), "gone")
        if what:
            self.note(size, what)
        if self.before(body, what, at):
            return None
        answer = self.upstream(body, logout=what == "logout")
        data = answer.read()
        if not what:
            self.note(size, answer.status)
        return self.after(answer, data, what, at)

    def after(self, answer, data, what, at):
        if what == "reset-after":
            return self.cut()
        if what == "hang-after":
            return self.until_gone()
        if what == "hang-down":
            self.pass_on(answer, data[:int(len(data) * float(at))], len(data))
            return self.until_gone()
        if what == "cut-down":
            self.pass_on(answer, data[:int(len(data) * float(at))], len(data))
            return self.cut()
        if what == "slow":
            self.pass_on(answer, b"", len(data))
            for i in range(int(at)):
                time.sleep(1)
                self.wfile.write(data[i:i + 1])
                self.wfile.flush()
            data = data[int(at):]
            return self.wfile.write(data)
        if what == "short":
            data = data[:len(data) // 2]
        if what == "long":
            data += b"x"
        if what == "flip":
            data = data[:-1] + bytes([data[-1] ^ 1])
        return self.pass_on(answer, data, misname=what == "misname")

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are what this is for


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--to", required=True)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--port-file", required=True)
    p.add_argument("--rules", required=True)
    p.add_argument("--log", required=True)
    o = p.parse_args()
    server = Server(("127.0.0.1", o.port), Handler)
    server.to, server.log, server.rules = o.to, o.log, Rules(o.rules)
    server.lock = threading.Lock()
    with open(o.port_file + ".new", "w", encoding="ascii") as f:
        print(server.server_port, file=f)
    os.rename(o.port_file + ".new", o.port_file)
    server.serve_forever()


main()
