"""Asks services from the place where it runs: all at once, one answer each, in the same order.

    python3 -c PROGRAM '[{"kind", "address", "port", "payload", "source", "seconds"}, ...]'


The kind is "tcp" or "udp", the payload stands in hexadecimal digits, the source may be empty.
Answers are "answered" (with what came back), "reset" (something there said no), "forbidden" (this
place's own kernel said no), "unreachable" (a router said no, or there is no way) and "silent".
It stands alone: hosts run it with their own Python.
"""

import concurrent.futures
import errno
import json
import socket
import sys

WORDS = {
    errno.ECONNREFUSED: "reset",
    errno.ECONNRESET: "reset",
    errno.EPERM: "forbidden",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "unreachable",
}


def converse(one: socket.socket, request: dict) -> bytes:
    """Opens the conversation; the first bytes that come back, if any are expected."""
    one.connect((request["address"], request["port"]))
    payload = bytes.fromhex(request.get("payload", ""))
    if request["kind"] == "tcp" and not payload:
        return b""
    one.sendall(payload)
    return one.recv(4096)


def ask(request: dict) -> dict:
    """One answer."""
    family = socket.AF_INET6 if ":" in request["address"] else socket.AF_INET
    kind = socket.SOCK_STREAM if request["kind"] == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as one:
        one.settimeout(request["seconds"])
        if request.get("source"):
            one.bind((request["source"], 0))
        try:
            data = converse(one, request)
        except TimeoutError:
            return {"answer": "silent", "words": "nothing came back", "data": ""}
        except OSError as error:
            word = WORDS.get(error.errno)
            if word is None:
                raise
            return {"answer": word, "words": str(error), "data": ""}
        return {"answer": "answered", "words": "", "data": data.hex()}


def main() -> None:
    """Asks everything at once: a dropped packet costs its time limit once, not once each."""
    requests = json.loads(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(max(1, len(requests))) as pool:
        json.dump(list(pool.map(ask, requests)), sys.stdout)


main()
