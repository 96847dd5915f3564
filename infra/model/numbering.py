"""How numbers become addresses: the one rule that the checks and the plan both follow.

IPv4 adds a number to the network; IPv6 repeats its decimal digits, so that `10.15.3.11` and
`...:15:3::11` are read as the same host.
"""

from __future__ import annotations

import ipaddress

ZONE_PREFIX_IPV4 = 24
ZONE_PREFIX_IPV6 = 64


def digits(number: int) -> int:
    """The number whose hexadecimal digits read like the decimal ones: 15 becomes 0x15."""
    return int(str(number), 16)


def largest_number(bits: int, version: int) -> int:
    """The largest number that the bits hold; in IPv6 its decimal digits must fit."""
    largest = (1 << bits) - 1
    if version == 4:  # noqa: PLR2004 - the protocol's own name
        return largest
    readable = f"{largest:x}"
    for position, digit in enumerate(readable):
        if digit > "9":
            return int(readable[:position] + "9" * (len(readable) - position))
    return int(readable)


def nth_ipv4(network: str, number: int) -> str:
    """The IPv4 address of that number in a network; it may lie behind the network's end."""
    return str(ipaddress.IPv4Network(network).network_address + number)


def nth_ipv6(network: str, number: int) -> str:
    """The IPv6 address whose last digits read like the number."""
    return str(ipaddress.IPv6Network(network).network_address + digits(number))
