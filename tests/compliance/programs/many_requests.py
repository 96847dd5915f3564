"""Asks for one thing many times over, until it is refused, and once from elsewhere meanwhile; JSON.

    python3 -c PROGRAM '{"address", "port", "name", "trusted", "request", "times", "other"}'

`times` requests go out at once over each of several connections; when all are answered and none is
refused they go out again, for the machine may be busy. `other` is an address of the other family,
so that somebody else asks: {"statuses": [...], "seconds": duration, "other": [status], "later":
[status]}. `later` is the first status after a pause in which the limit recovers.
"""

import json
import re
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
REFUSED = 429
SECONDS, PAUSE_SECONDS, MOST_PAUSES = 10, 1, 10
CONNECTIONS, MOST_ROUNDS = 3, 4


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


def too_many(wanted: dict) -> list:
    """The statuses of as many requests as it takes to be refused, or of all that are sent."""
    said: list = []
    ask = (wanted, wanted["address"], wanted["times"])
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in range(MOST_ROUNDS):
            asked = [pool.submit(statuses, *ask) for _ in range(CONNECTIONS)]
            said += [status for one in asked for status in one.result()]
            if REFUSED in said or not said:
                break
    return said


def main() -> None:
    """Asks too much, asks as somebody else, and waits until one is forgiven."""
    wanted = json.loads(sys.argv[1])
    begin = time.monotonic()
    many = too_many(wanted)
    seconds = time.monotonic() - begin
    other = statuses(wanted, wanted["other"], 1)
    for _ in range(MOST_PAUSES):
        time.sleep(PAUSE_SECONDS)
        later = statuses(wanted, wanted["address"], 1)
        if later != [REFUSED]:
            break
    json.dump({"statuses": many, "seconds": seconds, "other": other, "later": later}, sys.stdout)


main()
