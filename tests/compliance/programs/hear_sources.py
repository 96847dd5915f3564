"""Listens on an interface for datagrams to one port; JSON: how many came from which source.

python3 -c PROGRAM INTERFACE SECONDS PORT
"""

import collections
import json
import socket
import struct
import sys
import time

EVERYTHING, IPV4, IPV6, UDP = 0x0003, 0x0800, 0x86DD, 17


def sender(packet: bytes, kind: int, port: int) -> str | None:
    """Who sent a datagram to the port, or nothing where a packet is no such datagram."""
    if kind == IPV4 and packet[9] == UDP:
        start, family, source = (packet[0] & 0x0F) * 4, socket.AF_INET, packet[12:16]
    elif kind == IPV6 and packet[6] == UDP:
        start, family, source = 40, socket.AF_INET6, packet[8:24]
    else:
        return None
    (target,) = struct.unpack("!H", packet[start + 2 : start + 4])
    return socket.inet_ntop(family, source) if target == port else None


def main() -> None:
    """Counts until the time is over."""
    interface, seconds, port = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    counts = collections.Counter()
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING)) as one:
        one.bind((interface, EVERYTHING))
        while (left := until - time.monotonic()) > 0:
            one.settimeout(left)
            try:
                packet, (_, kind, *_) = one.recvfrom(65535)
            except TimeoutError:
                break
            source = sender(packet, kind, port)
            counts.update([source] if source else [])
    json.dump(counts, sys.stdout)


main()
