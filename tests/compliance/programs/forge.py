"""Puts packets on the tunnel's interface, behind this host's own filter, with any source.

    python3 -c PROGRAM INTERFACE '[[source, destination, port], ...]'

UDP to a port where nobody listens, a few times each, as a host would send that somebody else rules.
JSON: how many packets were put there.
"""

import ipaddress
import json
import socket
import struct
import sys
import time

ETHERTYPES = {4: 0x0800, 6: 0x86DD}
UDP, HOPS, TIMES = 17, 64, 5
CONTENT = b"province check"


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source: str, destination: str, port: int) -> tuple:
    """One datagram, whole, and its kind."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    length = 8 + len(CONTENT)
    if one.version == 4:
        pseudo = one.packed + other.packed + struct.pack("!BBH", 0, UDP, length)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, HOPS, UDP, 0)
        head += one.packed + other.packed
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        pseudo = one.packed + other.packed + struct.pack("!IxxxB", length, UDP)
        head = struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + one.packed + other.packed
    datagram = struct.pack("!HHHH", port, port, length, 0) + CONTENT
    sum_ = checksum(pseudo + datagram) or 0xFFFF
    return one.version, head + datagram[:6] + struct.pack("!H", sum_) + datagram[8:]


def main() -> None:
    """Sends all, a few times, with pauses."""
    interface, wanted = sys.argv[1], json.loads(sys.argv[2])
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as one:
        for _ in range(TIMES):
            for each in wanted:
                version, whole = packet(*each)
                one.sendto(whole, (interface, ETHERTYPES[version]))
                sent += 1
            time.sleep(0.1)
    json.dump(sent, sys.stdout)


main()
