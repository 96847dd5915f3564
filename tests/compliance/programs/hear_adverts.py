"""Listens for VRRP adverts on some legs for a while; JSON of what was heard.

    python3 -c PROGRAM SECONDS INTERFACE ...

{interface: [[family, sender, version, router id, priority], ...]}, each once. What this host itself
sends is left out.
"""

import concurrent.futures
import json
import socket
import sys
import time

EVERYTHING, IPV4, IPV6, VRRP = 0x0003, 0x0800, 0x86DD, 112
OUTGOING = 4


def advert(packet: bytes, kind: int) -> list | None:
    """Reads an advert (RFC 9568 section 5.2), or nothing where a packet is none."""
    if kind == IPV4 and packet[9] == VRRP:
        name, sender, body = "ipv4", packet[12:16], packet[(packet[0] & 0x0F) * 4 :]
    elif kind == IPV6 and packet[6] == VRRP:
        name, sender, body = "ipv6", packet[8:24], packet[40:]
    else:
        return None
    family = socket.AF_INET if name == "ipv4" else socket.AF_INET6
    return [name, socket.inet_ntop(family, sender), body[0] >> 4, body[1], body[2]]


def listen(interface: str, seconds: float) -> list:
    """Hears one leg until the time is over."""
    heard = []
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING)) as one:
        one.bind((interface, EVERYTHING))
        while (left := until - time.monotonic()) > 0:
            one.settimeout(left)
            try:
                packet, (_, kind, way, *_) = one.recvfrom(2048)
            except TimeoutError:
                break
            found = advert(packet, kind) if way != OUTGOING else None
            if found is not None and found not in heard:
                heard.append(found)
    return sorted(heard)


def main() -> None:
    """Hears all legs at once."""
    seconds, interfaces = float(sys.argv[1]), sys.argv[2:]
    with concurrent.futures.ThreadPoolExecutor(len(interfaces)) as pool:
        heard = pool.map(lambda name: listen(name, seconds), interfaces)
    json.dump(dict(zip(interfaces, heard, strict=True)), sys.stdout)


main()
