import threading
import unittest
import urllib.request
from http.server import HTTPServer

from service.handler import Handler


class HandlerTest(unittest.TestCase):
    def test_answers_with_the_path(self):
        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.handle_request).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/x") as answer:
            self.assertEqual(answer.read(), b"you asked for /x\n")
        server.server_close()


if __name__ == "__main__":
    unittest.main()
