import os
from http.server import ThreadingHTTPServer

from service.handler import Handler

ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
