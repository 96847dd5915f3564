#!/usr/bin/python3
"""Stands for an application behind the proxy: says who answered, and what it was sent.

proof_application NAME ADDRESS PORT STEM: certificate in STEM.pem, key in STEM.key.
"""

import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers everything; below /slow after three seconds."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Says what arrived."""
        size = int(self.headers.get("Content-Length", 0))
        said = {
            "application": sys.argv[1],
            "path": self.path,
            "host": self.headers["Host"],
            "source": self.headers["X-Forwarded-For"],
            "body": self.rfile.read(size).decode(),
        }
        if self.path.startswith("/slow"):
            time.sleep(3)
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Powered-By", "proof")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815


class Server(ThreadingHTTPServer):
    """Takes many connections at once; each does its handshake in its own thread."""

    request_queue_size = 128


def main() -> None:
    """Serves until it is stopped."""
    _, _, address, port, stem = sys.argv
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{stem}.pem", f"{stem}.key")
    server = Server((address, int(port)), Handler)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


main()
