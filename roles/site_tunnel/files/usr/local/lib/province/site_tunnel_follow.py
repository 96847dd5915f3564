#!/usr/bin/python3
"""Makes the tunnels follow the gateway that carries the shared addresses.

    site_tunnel_follow.py master     ends what is left of an earlier time, and calls every peer
    site_tunnel_follow.py backup     ends every tunnel: its own address is at the twin now
    site_tunnel_follow.py present    the same as the last word that the group gateway was told

Both gateways of a pair run the tunnel daemon all the time. One connection to it, speaking its vici
protocol, carries the orders for all peers: 122 calls of swanctl would take three seconds.
An order is accepted at once and carried out behind it; a peer that does not answer now makes the
connection itself when it can.
"""

import json
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SETTINGS = Path("/etc/province/site_tunnel.json")
STATE = Path("/run/province/virtual_address/gateway")
DAEMON = Path("/run/charon.vici")
LIMIT_SECONDS = 10

# vici: a length, then a packet; strongSwan, src/libcharon/plugins/vici/README.md.
REQUEST, RESPONSE = 0, 1
KEY_VALUE = 3
NOW = "-1"
"""A time limit that has the daemon answer as soon as it took the order."""


class RefusedError(Exception):
    """The daemon did not understand; the sentence says what."""


def encoded(command: str, values: Mapping[str, str]) -> bytes:
    """Answers a request as it goes over the socket."""
    packet = struct.pack("!BB", REQUEST, len(command)) + command.encode()
    for key, value in values.items():
        packet += struct.pack("!BB", KEY_VALUE, len(key)) + key.encode()
        packet += struct.pack("!H", len(value)) + value.encode()
    return struct.pack("!I", len(packet)) + packet


def decoded(packet: bytes) -> Mapping[str, str]:
    """Answers the values of a response; those to our orders have no sections and no lists.

    Raises:
        RefusedError: it is no response.
    """
    if packet[:1] != bytes([RESPONSE]):
        raise RefusedError(f"the tunnel daemon answered {packet[:1]!r} and no response")
    values = {}
    rest = packet[1:]
    while rest[:1] == bytes([KEY_VALUE]):
        key_end = 2 + rest[1]
        (length,) = struct.unpack_from("!H", rest, key_end)
        value_end = key_end + 2 + length
        values[rest[2:key_end].decode()] = rest[key_end + 2 : value_end].decode()
        rest = rest[value_end:]
    return values


def exactly(daemon: socket.socket, length: int) -> bytes:
    """Answers the next bytes.

    Raises:
        RefusedError: the daemon hung up.
    """
    received = b""
    while len(received) < length:
        part = daemon.recv(length - len(received))
        if not part:
            raise RefusedError("the tunnel daemon hung up; see journalctl -u strongswan")
        received += part
    return received


def ask(daemon: socket.socket, command: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Sends one order and answers what the daemon said to it."""
    daemon.sendall(encoded(command, values))
    (length,) = struct.unpack("!I", exactly(daemon, 4))
    return decoded(exactly(daemon, length))


def orders(state: str, connections: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Answers what to tell the daemon: what is left of before has no other end any more."""
    for name in connections:
        yield "terminate", {"ike": name, "force": "yes", "timeout": NOW}
    if state == "master":
        for name in connections:
            yield "initiate", {"child": name, "ike": name, "timeout": NOW}


def follow(state: str, connections: Sequence[str]) -> list[str]:
    """Gives the orders; answers a sentence for each that was refused.

    That there was nothing to end is no fault. A daemon that is not there reads the state itself
    when it starts.
    """
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.settimeout(LIMIT_SECONDS)
        try:
            daemon.connect(str(DAEMON))
        except (FileNotFoundError, ConnectionRefusedError):
            return []
        answers = [(order, ask(daemon, *order)) for order in orders(state, connections)]
    return [
        f"{values['ike']}: {answer.get('errmsg', 'no reason given')}; swanctl --list-conns shows "
        "what the tunnel daemon has"
        for (command, values), answer in answers
        if command == "initiate" and answer.get("success") != "yes"
    ]


def told_state() -> str:
    """Answers the last word of the group; before the first one nobody carries anything."""
    try:
        return STATE.read_text().strip()
    except FileNotFoundError:
        return "backup"


def main(arguments: Sequence[str]) -> int:
    """Runs one call."""
    match list(arguments):
        case ["present"]:
            state = told_state()
        case ["master" | "backup" as state]:
            pass
        case _:
            print(f"site_tunnel_follow.py: cannot do {' '.join(arguments)!r}", file=sys.stderr)
            return 1
    try:
        faults = follow(state, json.loads(SETTINGS.read_text()))
    except (RefusedError, OSError) as error:
        faults = [f"tunnels: {error}; give the order again: site_tunnel_follow.py present"]
    for sentence in faults:
        print(sentence, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
