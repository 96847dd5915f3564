"""Asks for one thing many times over one TLS connection, and once from elsewhere meanwhile; JSON.

    python3 -c PROGRAM '{"address", "port", "name", "trusted", "request", "times", "other"}'

`other` is an address of the other family, so that somebody else asks: {"statuses": [...], "other":
status, "later": status}. `later` is the first status after a pause in which the limit recovers.
"""

import json
import re
import socket
import ssl
import sys
import time

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
SECONDS, PAUSE_SECONDS, MOST_PAUSES = 10, 1, 10


def connected(wanted: dict, address: str) -> ssl.SSLSocket:
    """A connection to one of the addresses."""
    context = ssl.create_default_context(cadata=wanted["trusted"])
    plain = socket.create_connection((address, wanted["port"]), SECONDS)
    return context.wrap_socket(plain, server_hostname=wanted["name"])


def statuses(wanted: dict, address: str, times: int) -> list:
    """The statuses of requests that are all sent before the first answer is read."""
    said = b""
    with connected(wanted, address) as one:
        one.sendall(bytes.fromhex(wanted["request"]) * times)
        while len(STATUS.findall(said)) < times:
            more = one.recv(65536)
            if not more:
                break
            said += more
    return [int(status) for status in STATUS.findall(said)]


def main() -> None:
    """Asks too much, asks as somebody else, and waits until one is forgiven."""
    wanted = json.loads(sys.argv[1])
    many = statuses(wanted, wanted["address"], wanted["times"])
    other = statuses(wanted, wanted["other"], 1)
    for _ in range(MOST_PAUSES):
        time.sleep(PAUSE_SECONDS)
        later = statuses(wanted, wanted["address"], 1)
        if later != [429]:
            break
    json.dump({"statuses": many, "other": other, "later": later}, sys.stdout)


main()
