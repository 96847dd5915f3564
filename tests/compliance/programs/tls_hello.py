"""Says hello to TLS services in several ways and tells how each answered, as JSON.

    python3 -c PROGRAM '[[address, port, name or ""], ...]'

The greetings are made by hand (RFC 5246, RFC 8446), because a library that refuses old versions
cannot show that a service refuses them. Answers: "accepted", "refused", "silent" or "no tls".
"""

import concurrent.futures
import json
import os
import socket
import struct
import sys

MODERN = (0x1301, 0x1302, 0xC02C, 0xC02B, 0xC030, 0xC02F, 0xCCA9, 0xCCA8)
OLD = (0xC00A, 0xC009, 0xC014, 0xC013, 0x0035, 0x002F)
WEAK = (0xC008, 0xC012, 0x000A, 0xC007, 0xC011, 0x0005, 0x0004, 0x0003, 0x0006, 0x0008)
MODERN_GREETING = "tls1.2"
GREETINGS = {
    MODERN_GREETING: (0x0303, MODERN),
    "tls1.1": (0x0302, OLD),
    "tls1.0": (0x0301, OLD),
    "weak ciphers": (0x0303, WEAK),
}
SERVER_HELLO, ALERT, HANDSHAKE = 2, 21, 22
SECONDS = 1.5


def extension(number: int, body: bytes) -> bytes:
    """One extension."""
    return struct.pack("!HH", number, len(body)) + body


def sized(body: bytes) -> bytes:
    """A list with its length before it."""
    return struct.pack("!H", len(body)) + body


def hello(version: int, ciphers: tuple, name: str) -> bytes:
    """A client's first message, offering one version at most and these ciphers only."""
    groups = struct.pack("!4H", 0x001D, 0x0017, 0x0018, 0x0019)
    signatures = struct.pack("!8H", 0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0203, 0x0201)
    extensions = extension(10, sized(groups)) + extension(11, b"\x01\x00")
    extensions += extension(13, sized(signatures)) + extension(0xFF01, b"\x00")
    if name:
        extensions += extension(0, sized(b"\0" + sized(name.encode())))
    body = struct.pack("!H", version) + os.urandom(32) + b"\x00"
    body += sized(b"".join(struct.pack("!H", one) for one in ciphers)) + b"\x01\x00"
    body += sized(extensions)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + sized(message)


def greet(service: list, version: int, ciphers: tuple) -> str:
    """How the service answers one greeting."""
    address, port, name = service
    try:
        with socket.create_connection((address, port), SECONDS) as one:
            one.sendall(hello(version, ciphers, name))
            said = one.recv(64)
    except TimeoutError:
        return "silent"
    except ConnectionError:
        return "refused"
    if not said or said[0] == ALERT:
        return "refused"
    is_hello = len(said) > 5 and said[0] == HANDSHAKE and said[5] == SERVER_HELLO
    return "accepted" if is_hello else "no tls"


def greet_in_every_way(service: list) -> dict:
    """All answers of one service; who does not speak modern TLS is not asked for the old."""
    answers = {MODERN_GREETING: greet(service, *GREETINGS[MODERN_GREETING])}
    if answers[MODERN_GREETING] == "accepted":
        answers |= {name: greet(service, *how) for name, how in GREETINGS.items()}
    return {"address": service[0], "port": service[1], "answers": answers}


def main() -> None:
    """Greets all services at once, because some wait in silence for more."""
    services = json.loads(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(max(1, len(services))) as pool:
        json.dump(list(pool.map(greet_in_every_way, services)), sys.stdout)


main()
