#!/usr/bin/python3 -IS
"""Makes the tunnels follow the gateway that carries the shared addresses.

    site_tunnel_follow.py master     ends what is left of an earlier time, and calls every peer
    site_tunnel_follow.py backup     ends every tunnel: its own address is at the twin now
    site_tunnel_follow.py present    the same as the last word that the group gateway was told

Both gateways of a pair run the tunnel daemon all the time. One connection to it, in its vici
protocol, carries the orders for all peers: 122 calls of swanctl would take three seconds.
An order is accepted at once and carried out behind it; a peer that does not answer now makes the
connection itself when it can.

It imports as little as it can: this stands between a dead gateway and a live one, and every module
takes longer than the orders.
"""

import socket
import sys

CONNECTIONS = "/etc/province/site_tunnel.connections"
STATE = "/run/province/virtual_address/gateway"
DAEMON = "/run/charon.vici"
LIMIT_SECONDS = 10

# A length, then a packet; strongSwan, src/libcharon/plugins/vici/README.md.
REQUEST, RESPONSE = b"\0", b"\1"
KEY_VALUE = b"\3"
NOW = "-1"
"""A time limit that has the daemon answer as soon as it took the order."""

Order = tuple[str, dict[str, str]]


class RefusedError(Exception):
    """The daemon did not understand, or refused; the sentence says what."""


def counted(value: str, length_bytes: int) -> bytes:
    """Answers a text behind its length."""
    return len(value).to_bytes(length_bytes, "big") + value.encode()


def encoded(order: Order) -> bytes:
    """Answers a request as it goes over the socket."""
    command, values = order
    packet = REQUEST + counted(command, 1)
    for key, value in values.items():
        packet += KEY_VALUE + counted(key, 1) + counted(value, 2)
    return len(packet).to_bytes(4, "big") + packet


def decoded(packet: bytes) -> dict[str, str]:
    """Answers the values of a response; those to our orders have no sections and no lists.

    Raises:
        RefusedError: it is no response.
    """
    if packet[:1] != RESPONSE:
        raise RefusedError(f"the tunnel daemon answered {packet[:1]!r} and no response")
    values = {}
    rest = packet[1:]
    while rest[:1] == KEY_VALUE:
        key_end = 2 + rest[1]
        value_start = key_end + 2
        value_end = value_start + int.from_bytes(rest[key_end:value_start], "big")
        values[rest[2:key_end].decode()] = rest[value_start:value_end].decode()
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


def ask(daemon: socket.socket, order: Order) -> dict[str, str]:
    """Gives one order and answers what the daemon said to it."""
    daemon.sendall(encoded(order))
    length = int.from_bytes(exactly(daemon, 4), "big")
    return decoded(exactly(daemon, length))


def orders(state: str, connections: list[str]) -> list[Order]:
    """Answers what to tell the daemon: what is left of before has no other end any more."""
    ends: list[Order] = [
        ("terminate", {"ike": name, "force": "yes", "timeout": NOW}) for name in connections
    ]
    calls: list[Order] = [
        ("initiate", {"child": name, "ike": name, "timeout": NOW}) for name in connections
    ]
    return ends + calls if state == "master" else ends


def follow(state: str, connections: list[str]) -> list[str]:
    """Gives the orders; answers a sentence for each call that was refused.

    That there was nothing to end is no fault. A daemon that is not there is told when it starts.
    """
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.settimeout(LIMIT_SECONDS)
        try:
            daemon.connect(DAEMON)
        except (FileNotFoundError, ConnectionRefusedError):
            return []
        answers = [(order, ask(daemon, order)) for order in orders(state, connections)]
    return [
        f"{values['ike']}: {answer.get('errmsg', 'no reason given')}; swanctl --list-conns shows "
        "what the tunnel daemon has"
        for (command, values), answer in answers
        if command == "initiate" and answer.get("success") != "yes"
    ]


def lines(path: str) -> list[str]:
    """Answers the lines of a file; of one that is not there yet, none."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer than the rest
            return file.read().split()
    except FileNotFoundError:
        return []


def main(arguments: list[str]) -> int:
    """Runs one call."""
    word = arguments[0] if len(arguments) == 1 else ""
    if word == "present":
        # Before the first word nobody carries anything.
        word = (lines(STATE) or ["backup"])[0]
    if word not in ("master", "backup"):
        print(f"site_tunnel_follow.py: cannot do {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    try:
        faults = follow(word, lines(CONNECTIONS))
    except (RefusedError, OSError) as error:
        faults = [f"tunnels: {error}; give the order again: site_tunnel_follow.py present"]
    for sentence in faults:
        print(sentence, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
