"""The pcap writer that stands in for tcpdump: what it reads, keeps and refuses."""

import io
import ipaddress
import struct
from pathlib import Path

import pytest

from infra.errors import RefusedError
from infra.lab import packets

GATEWAY, SERVICE = "10.1.3.1", "10.1.3.11"
GATEWAY6, SERVICE6 = "fdb7:70c0:1:3::1", "fdb7:70c0:1:3::11"
PORTS = struct.pack("!HH", 51000, 443)


def frame(kind: int, body: bytes) -> bytes:
    return bytes(12) + kind.to_bytes(2, "big") + body


def ipv4(protocol: int, payload: bytes, options: bytes = b"") -> bytes:
    ends = ipaddress.ip_address(GATEWAY).packed + ipaddress.ip_address(SERVICE).packed
    first = 0x40 | (20 + len(options)) // 4
    return bytes([first, *bytes(8), protocol, 0, 0]) + ends + options + payload


def ipv6(next_header: int, payload: bytes) -> bytes:
    ends = ipaddress.ip_address(GATEWAY6).packed + ipaddress.ip_address(SERVICE6).packed
    return bytes([0x60, *bytes(5), next_header, 64]) + ends + payload


TCP4 = frame(packets.IPV4, ipv4(6, PORTS))
UDP6 = frame(packets.IPV6, ipv6(17, PORTS))


@pytest.mark.parametrize(
    ("data", "link_type", "seen"),
    [
        (TCP4, packets.ETHERNET, (6, (GATEWAY, SERVICE), (51000, 443))),
        (UDP6, packets.ETHERNET, (17, (GATEWAY6, SERVICE6), (51000, 443))),
        (ipv4(6, PORTS, bytes(4)), packets.RAW_IP, (6, (GATEWAY, SERVICE), (51000, 443))),
        (ipv6(112, b""), packets.RAW_IP, (112, (GATEWAY6, SERVICE6), ())),
        (frame(packets.IPV4, ipv4(6, b"")), packets.ETHERNET, (6, (GATEWAY, SERVICE), ())),
        (frame(packets.ARP, bytes(28)), packets.ETHERNET, (-1, (), ())),
        (b"", packets.RAW_IP, (-1, (), ())),
        (b"short", packets.ETHERNET, (-1, (), ())),
    ],
)
def test_a_packet_is_read_as_far_as_it_goes(
    data: bytes, link_type: int, seen: tuple[int, tuple[str, ...], tuple[int, ...]]
) -> None:
    packet = packets.read_packet(data, link_type)
    assert (packet.protocol, packet.addresses, packet.ports) == seen


def test_tags_and_extension_headers_are_passed_over() -> None:
    tagged = frame(packets.VLAN, b"\x00\x05" + packets.IPV4.to_bytes(2, "big") + ipv4(6, PORTS))
    assert packets.read_packet(tagged, packets.ETHERNET).ports == (51000, 443)
    hop_by_hop = ipv6(0, bytes([58, 0, *bytes(6)]) + b"\x8f\x00")
    assert packets.read_packet(hop_by_hop, packets.RAW_IP).protocol == packets.PROTOCOLS["icmp6"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", [TCP4, UDP6]),
        ("tcp", [TCP4]),
        ("ip6 and udp and port 443", [UDP6]),
        ("port 53", []),
        (f"host {SERVICE6}", [UDP6]),
        ("host FDB7:70C0:1:3:0:0:0:11", [UDP6]),
        ("esp", []),
    ],
)
def test_a_filter_keeps_what_meets_all_of_its_words(text: str, kept: list[bytes]) -> None:
    conditions = packets.parse_filter(text)
    read = {data: packets.read_packet(data, packets.ETHERNET) for data in (TCP4, UDP6)}
    assert [data for data in read if all(holds(read[data]) for holds in conditions)] == kept


@pytest.mark.parametrize("text", ["port https", "host gw1", "tcp or udp", "not arp", "tcp and"])
def test_what_only_tcpdump_understands_is_refused_with_what_is_known(text: str) -> None:
    with pytest.raises(RefusedError, match=r"is not understood without tcpdump.*port NUMBER"):
        packets.parse_filter(text)


def test_a_file_says_what_it_holds_and_when(tmp_path: Path) -> None:
    written = io.BytesIO()
    packets.write_header(written, packets.ETHERNET)
    packets.write_packet(written, TCP4, 1606275932.25)
    packets.write_packet(written, UDP6, 1606275933.0)
    path = tmp_path / "two.pcap"
    path.write_bytes(written.getvalue())
    assert packets.count_packets(path) == 2
    magic, major, minor, *_, link_type = packets.FILE_HEADER.unpack(path.read_bytes()[:24])
    assert (magic, major, minor, link_type) == (0xA1B2C3D4, 2, 4, 1)
    head = packets.PACKET_HEADER.unpack_from(path.read_bytes(), 24)
    assert head == (1606275932, 250000, len(TCP4), len(TCP4))


def test_a_file_cut_short_counts_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "none.pcap"
    path.write_bytes(b"")
    assert packets.count_packets(path) == 0
