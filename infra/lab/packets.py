"""Writes packets of one interface into a pcap file, for machines without tcpdump.

Run inside a network namespace: ``python -m infra.lab.packets INTERFACE FILE [FILTER]``; it ends on
SIGINT. The format is the classic one of libpcap: https://datatracker.ietf.org/doc/html/draft-gharris-opsawg-pcap.
"""

import errno
import fcntl
import ipaddress
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.errors import RefusedError

EVERY_PROTOCOL = 0x0003
HARDWARE_ADDRESS = 0x8927  # SIOCGIFHWADDR
ETHERNET, RAW_IP = 1, 101
"""Link types of pcap: frames, and bare packets as a tunnel's interface has them."""

PAUSE_SECONDS = 0.2
"""How long the end of a capture may go unnoticed."""

FILE_HEADER = struct.Struct("=IHHiIII")
PACKET_HEADER = struct.Struct("=IIII")
MAGIC, SNAPSHOT = 0xA1B2C3D4, 262144
IPV4, IPV6, ARP, VLAN = 0x0800, 0x86DD, 0x0806, 0x8100
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "esp": 50, "icmp6": 58, "vrrp": 112}
WITH_PORTS = {6, 17}
EXTENSIONS = {0, 43, 60}
"""Headers of IPv6 between it and the protocol: hop by hop, routing, destination (RFC 8200)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What a filter may ask of a packet."""

    kind: int
    protocol: int = -1
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


Condition = Callable[[Packet], bool]


def read_packet(data: bytes, link_type: int) -> Packet:
    """Reads as much of a packet as there is."""
    kind, rest = 0, data
    if link_type == ETHERNET:
        kind, rest = int.from_bytes(data[12:14], "big"), data[14:]
        if kind == VLAN:
            kind, rest = int.from_bytes(rest[2:4], "big"), rest[4:]
    elif data:
        kind = IPV4 if data[0] >> 4 == 4 else IPV6  # noqa: PLR2004 - the protocol's own name
    if kind == IPV4 and len(rest) >= 20:  # noqa: PLR2004 - an IPv4 header
        protocol, payload = rest[9], rest[(rest[0] & 15) * 4 :]
        ends = (rest[12:16], rest[16:20])
    elif kind == IPV6 and len(rest) >= 40:  # noqa: PLR2004 - an IPv6 header
        protocol, payload = rest[6], rest[40:]
        while protocol in EXTENSIONS and len(payload) >= 2:  # noqa: PLR2004 - kind and length
            protocol, payload = payload[0], payload[(payload[1] + 1) * 8 :]
        ends = (rest[8:24], rest[24:40])
    else:
        return Packet(kind)
    family = socket.AF_INET if kind == IPV4 else socket.AF_INET6
    addresses = tuple(socket.inet_ntop(family, end) for end in ends)
    with_ports = protocol in WITH_PORTS and len(payload) >= 4  # noqa: PLR2004 - two ports
    ports = struct.unpack("!HH", payload[:4]) if with_ports else ()
    return Packet(kind, protocol, addresses, ports)


def parse_filter(text: str) -> tuple[Condition, ...]:
    """Conditions that must all hold: `tcp and port 443 and host 10.1.3.11`, as tcpdump reads them.

    Raises:
        RefusedError: with the words that are known.
    """
    return tuple(map(_condition, text.split(" and "))) if text.strip() else ()


def _condition(text: str) -> Condition:
    words = text.split()
    if len(words) == 1 and words[0] in PROTOCOLS:
        wanted = PROTOCOLS[words[0]]
        return lambda packet: packet.protocol == wanted
    if len(words) == 1 and words[0] in {"arp", "ip", "ip6"}:
        kind = {"arp": ARP, "ip": IPV4, "ip6": IPV6}[words[0]]
        return lambda packet: packet.kind == kind
    if len(words) == 2 and words[0] == "port" and words[1].isdigit():  # noqa: PLR2004 - a pair
        port = int(words[1])
        return lambda packet: port in packet.ports
    if len(words) == 2 and words[0] == "host":  # noqa: PLR2004 - a pair
        try:
            address = str(ipaddress.ip_address(words[1]))
        except ValueError:
            pass
        else:
            return lambda packet: address in packet.addresses
    raise RefusedError(
        f"filter {text.strip()!r}: is not understood without tcpdump; join with 'and': "
        f"{', '.join(sorted([*PROTOCOLS, 'arp', 'ip', 'ip6']))}, port NUMBER, host ADDRESS; "
        "or install tcpdump on this machine"
    )


def count_packets(path: Path) -> int:
    """Answers how many packets a pcap file of this machine's byte order holds."""
    data = path.read_bytes()
    place, count = FILE_HEADER.size, 0
    while place + PACKET_HEADER.size <= len(data):
        place += PACKET_HEADER.size + PACKET_HEADER.unpack_from(data, place)[2]
        count += 1
    return count


def write_header(file: BinaryIO, link_type: int) -> None:
    """Begins a file."""
    file.write(FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPSHOT, link_type))


def write_packet(file: BinaryIO, data: bytes, moment: float) -> None:
    """Appends one packet."""
    seconds, micro = int(moment), int(moment % 1 * 1_000_000)
    file.write(PACKET_HEADER.pack(seconds, micro, min(len(data), SNAPSHOT), len(data)))
    file.write(data[:SNAPSHOT])


def link_type_of(listener: socket.socket, interface: str) -> int:
    """Answers whether an interface has frames or bare packets, as pcap numbers them."""
    request = struct.pack("16sH14x", interface.encode(), 0)
    answer = fcntl.ioctl(listener.fileno(), HARDWARE_ADDRESS, request)
    hardware = struct.unpack("16sH14x", answer)[1]
    return ETHERNET if hardware in {1, 772} else RAW_IP  # Ethernet, loopback: linux/if_arp.h


def capture(
    interface: str, path: Path, conditions: Sequence[Condition], ended: Callable[[], bool]
) -> None:
    """Writes what an interface sends and receives, until it has ended."""
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL)) as listener,
        path.open("wb") as file,
    ):
        listener.bind((interface, EVERY_PROTOCOL))
        listener.settimeout(PAUSE_SECONDS)
        link_type = link_type_of(listener, interface)
        write_header(file, link_type)
        file.flush()
        while not ended():
            try:
                data = listener.recv(SNAPSHOT)
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno != errno.ENETDOWN:  # its link was cut, and may be healed
                    raise
                continue
            if all(holds(read_packet(data, link_type)) for holds in conditions):
                write_packet(file, data, time.time())


def main(words: Sequence[str]) -> None:
    """Captures until SIGINT, which a program started in the background would ignore otherwise."""
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda _number, _frame: interrupted.set())
    interface, path, *expression = words
    capture(interface, Path(path), parse_filter(" ".join(expression)), interrupted.is_set)


if __name__ == "__main__":
    main(sys.argv[1:])
