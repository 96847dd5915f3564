#!/usr/bin/python3
"""Stands in for Patroni: says over TLS whether a member leads, as the file `leader` has it."""

import http.server
import ssl
import threading
from pathlib import Path

PROOF = Path("/root/proof")
MEMBERS = {"db1-70": "127.0.0.11", "db2-70": "127.0.0.12", "db3-70": "127.0.0.13"}
IMPOSTOR = "db3-70"


def answers(member: str) -> type[http.server.BaseHTTPRequestHandler]:
    """Makes the handler of one member."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            leads = member in (IMPOSTOR, (PROOF / "leader").read_text().strip())
            wanted = self.path.startswith("/primary") == leads
            self.send_response(200 if wanted else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def serve(member: str, address: str) -> None:
    """Serves one member for ever; a client that goes away early stops nothing."""
    server = http.server.ThreadingHTTPServer((address, 8008), answers(member))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PROOF / f"{member}.pem", PROOF / f"{member}.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


for name, place in MEMBERS.items():
    threading.Thread(target=serve, args=(name, place)).start()
