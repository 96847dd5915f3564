"""A small program that stands for the province's applications: takes records and gives them back.

    sample_service SETTINGS        JSON; keys and the password are read from the places it names

Speaks HTTP over TLS, in IPv4 and IPv6. On SIGHUP it reads its certificate again.
"""

import json
import os
import signal
import socket
import ssl
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from application import Answer, Request, Settings, answer
from store import PostgresStore

BODY_BYTES = 65_536
Address = tuple[str, int]
IDLE_SECONDS = 30
"""Longer than the proxy keeps an idle connection."""


class Server(ThreadingHTTPServer):
    """Listens on every address of both families; each connection has a thread and a limit."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, settings: Settings, store: PostgresStore) -> None:
        self.settings = settings
        self.store = store
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        super().__init__(("::", port), Handler)

    def server_bind(self) -> None:
        """Binds to both families."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request: socket.socket, client_address: Address) -> None:
        """Serves a connection, from its handshake on, in its own thread."""
        request.settimeout(IDLE_SECONDS)
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: socket.socket, client_address: Address) -> None:  # noqa: ARG002
        """Writes one line where the library would write a trace."""
        log(f"{client_address[0]}: {sys.exc_info()[1]!r}")


class Handler(BaseHTTPRequestHandler):
    """Turns HTTP into requests and answers into HTTP."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "sample_service"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers a request, whatever its method."""
        size = self.headers.get("Content-Length", "0")
        if not size.isdecimal() or int(size) > BODY_BYTES or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            said = Answer(413, {"error": f"the body must say its length, at most {BODY_BYTES}"})
        else:
            path, _, query = self.path.partition("?")
            said = answer(
                Request(
                    method=self.command,
                    path=path,
                    query=dict(urllib.parse.parse_qsl(query)),
                    body=self.rfile.read(int(size)),
                    token=self.headers.get("Authorization", "").removeprefix("Bearer "),
                ),
                self.server.settings,
                self.server.store,
            )
        self.send(said)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def send(self, said: Answer) -> None:
        """Sends an answer, and writes to the journal what it does not say."""
        if said.reason:
            log(f"the database is away: {said.reason}")
        body = json.dumps(dict(said.body), ensure_ascii=False).encode()
        self.send_response(said.status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        """Writes one line, without what stood behind the question mark."""
        address = self.client_address[0].removeprefix("::ffff:")
        log(f"{address} {self.requestline.partition('?')[0]!r} {code}")


def log(line: str) -> None:
    """Writes a line to the journal."""
    print(line, file=sys.stderr, flush=True)


def main(path: Path) -> None:
    """Serves until it is stopped."""
    wanted = json.loads(path.read_text())
    database = wanted["database"] or {"parameters": {}, "owner": ""}
    if wanted["database"]:
        password = Path(os.environ["CREDENTIALS_DIRECTORY"], "password").read_text()
        database["parameters"] |= {"password": password.strip(), "prepare_threshold": None}
    store = PostgresStore(
        wanted["name"],
        {**database["parameters"], "autocommit": True},
        database["owner"],
        wanted["connections"],
    )
    settings = Settings(wanted["name"], wanted["title"], wanted["tenant_kind"], wanted["tokens"])
    server = Server(wanted["port"], settings, store)

    def read_certificate(*_: object) -> None:
        server.context.load_cert_chain(wanted["certificate"], wanted["key"])

    read_certificate()
    signal.signal(signal.SIGHUP, read_certificate)
    if notify := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(b"READY=1", notify)
    log(f"{wanted['name']}: serves on port {wanted['port']}")
    server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - itself and one argument
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
