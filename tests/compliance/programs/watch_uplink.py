"""Watches what passes an interface for a while: in the tunnel, and beside it in clear. JSON counts.

    python3 -c PROGRAM INTERFACE SECONDS PREFIX ...

The prefixes are those of the sites that the tunnel joins; a packet with an address of both ends
must never be seen outside of the tunnel.
"""

import ipaddress
import json
import socket
import struct
import sys
import time

EVERYTHING, IPV4, IPV6 = 0x0003, 0x0800, 0x86DD
ESP, UDP = 50, 17
TUNNEL_PORTS = {500, 4500}


def parts(packet: bytes, kind: int) -> tuple:
    """Source, destination, protocol and what it carries."""
    if kind == IPV4:
        start = (packet[0] & 0x0F) * 4
        return packet[12:16], packet[16:20], packet[9], packet[start:]
    return packet[8:24], packet[24:40], packet[6], packet[40:]


def is_sealed(protocol: int, carried: bytes) -> bool:
    """Whether this is the tunnel itself: ESP, alone or inside UDP, or its key exchange."""
    if protocol == UDP and len(carried) >= 4:
        return bool(set(struct.unpack("!HH", carried[:4])) & TUNNEL_PORTS)
    return protocol == ESP


def main() -> None:
    """Counts until the time is over."""
    interface, seconds = sys.argv[1], float(sys.argv[2])
    inner = [ipaddress.ip_network(prefix) for prefix in sys.argv[3:]]
    counts = {"sealed": 0, "in_clear": 0, "other": 0}
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING)) as one:
        one.bind((interface, EVERYTHING))
        while (left := until - time.monotonic()) > 0:
            one.settimeout(left)
            try:
                packet, (_, kind, *_) = one.recvfrom(65535)
            except TimeoutError:
                break
            if kind not in (IPV4, IPV6):
                continue
            source, target, protocol, carried = parts(packet, kind)
            ends = [ipaddress.ip_address(end) for end in (source, target)]
            clear = all(any(end in prefix for prefix in inner) for end in ends)
            sealed = is_sealed(protocol, carried)
            counts["in_clear" if clear else "sealed" if sealed else "other"] += 1
    json.dump(counts, sys.stdout)


main()
