"""Addresses from numbers: site number, zone slot and host slot give every one of them.

Adding, removing or reordering sites renumbers nobody, and two sites cannot overlap, because each
prefix depends on one explicit number only. IPv6 repeats the decimal digits of number and slot, so
that `10.15.3.11` and `...:15:3::11` are read as the same host.
"""

from __future__ import annotations

import ipaddress

from infra.model.numbering import (
    ZONE_PREFIX_IPV4,
    ZONE_PREFIX_IPV6,
    digits,
    nth_ipv4,
    nth_ipv6,
)
from infra.model.province import Addressing
from infra.plan.types import Dual

GATEWAY_SLOT = 1


def site_prefix(addressing: Addressing, number: int) -> Dual:
    """The site's prefixes: the number-th of the block's, in both families."""
    ipv4 = ipaddress.IPv4Network(addressing.ipv4.block)
    ipv6 = ipaddress.IPv6Network(addressing.ipv6.block)
    length4, length6 = addressing.ipv4.site_prefix, addressing.ipv6.site_prefix
    base4 = int(ipv4.network_address) + (number << (32 - length4))
    base6 = int(ipv6.network_address) + (digits(number) << (128 - length6))
    return Dual(
        f"{ipaddress.IPv4Address(base4)}/{length4}", f"{ipaddress.IPv6Address(base6)}/{length6}"
    )


def zone_prefix(site: Dual, slot: int) -> Dual:
    """The zone's prefixes inside the site's: /24 and /64."""
    base4 = int(ipaddress.IPv4Network(site.ipv4).network_address)
    base6 = int(ipaddress.IPv6Network(site.ipv6).network_address)
    zone4 = ipaddress.IPv4Address(base4 + (slot << (32 - ZONE_PREFIX_IPV4)))
    zone6 = ipaddress.IPv6Address(base6 + (digits(slot) << (128 - ZONE_PREFIX_IPV6)))
    return Dual(f"{zone4}/{ZONE_PREFIX_IPV4}", f"{zone6}/{ZONE_PREFIX_IPV6}")


def address(prefix: Dual, slot: int) -> Dual:
    """A host's addresses inside a zone or an uplink network."""
    return Dual(nth_ipv4(prefix.ipv4, slot), nth_ipv6(prefix.ipv6, slot))


def lengths(prefix: Dual) -> tuple[int, int]:
    """Prefix lengths, IPv4 first."""
    return (
        ipaddress.IPv4Network(prefix.ipv4).prefixlen,
        ipaddress.IPv6Network(prefix.ipv6).prefixlen,
    )


def host_cidrs(addresses: Dual) -> tuple[str, str]:
    """One host as prefixes of full length."""
    return (f"{addresses.ipv4}/32", f"{addresses.ipv6}/128")


def reverse_zone(prefix: str) -> str:
    """The reverse zone of a prefix that ends at a byte (IPv4) or at a digit (IPv6)."""
    network = ipaddress.ip_network(prefix)
    if network.version == 4:  # noqa: PLR2004 - the protocol's own name
        bytes_shown = -(-network.prefixlen // 8)
        labels = str(network.network_address).split(".")[:bytes_shown]
        return ".".join(reversed(labels)) + ".in-addr.arpa"
    digits = network.network_address.exploded.replace(":", "")[: -(-network.prefixlen // 4)]
    return ".".join(reversed(digits)) + ".ip6.arpa"


def reverse_name(host_address: str, zone: str) -> str:
    """The name of an address relative to its reverse zone."""
    pointer = ipaddress.ip_address(host_address).reverse_pointer
    return pointer.removesuffix(f".{zone}")
