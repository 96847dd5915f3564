"""Addresses and names: nobody shares, nobody strays, and a name tells where its machine stands."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from infra.providers import tokens
from policies.pulumi.rule import Rule

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST_NAME = re.compile(r"(?P<stem>[a-z]+)(?P<ordinal>[1-9][0-9]*)-(?P<site>.+)")


def prefixes_overlap(register: Mapping[str, Any]) -> Iterator[str]:
    """Yields every pair of neighbours that share addresses."""
    for family in ("prefix_ipv4", "prefix_ipv6"):
        sites = register["sites"].items()
        # Sorted by start, whatever overlaps at all overlaps with the one before.
        ordered = sorted((_network(site[family]), code) for code, site in sites)
        for (one, first), (other, second) in pairwise(ordered):
            if one.overlaps(other):
                yield (
                    f"sites {first!r} and {second!r}: share addresses of {one} and {other}; every "
                    "site needs a prefix of its own"
                )


def numbers_repeat(register: Mapping[str, Any]) -> Iterator[str]:
    """Yields every number that two sites have."""
    seen: dict[int, str] = {}
    for code, site in sorted(register["sites"].items()):
        number = int(site["number"])
        if number in seen:
            yield (
                f"sites {seen[number]!r} and {code!r}: both have the number {number}; addresses "
                "follow from it, so it is given once"
            )
        seen.setdefault(number, code)


def addresses_stray(site: Mapping[str, Any]) -> Iterator[str]:
    """Yields every network and address of a site that lies outside its prefixes."""
    own = [_network(site["prefix_ipv4"]), _network(site["prefix_ipv6"])]
    for name, network in sorted(site["networks"].items()):
        for prefix in (network["prefix_ipv4"], network["prefix_ipv6"]):
            if not any(_within(_network(prefix), one) for one in own):
                yield f"network {name!r}: {prefix} lies outside its site's {_both(own)}"
    for name, machine in sorted(site["machines"].items()):
        for address in machine["addresses"]:
            found = ipaddress.ip_interface(address)
            if not any(found in one for one in own if one.version == found.version):
                yield f"host {name!r}: {address} lies outside its site's {_both(own)}"


def name_tells_no_place(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields a host whose name does not end with its site's code, or whose fqdn is another."""
    name, site = host["name"], host["site"].lower()
    found = _HOST_NAME.fullmatch(name)
    if found is None or found["site"] != site:
        yield (
            f"host {name!r}: is not named <word><ordinal>-{site}; titles of units repeat and "
            "change, codes do not"
        )
    if host["fqdn"].partition(".")[0] != name:
        yield f"host {name!r}: is called {host['fqdn']!r} in full, which begins otherwise"


def _network(text: str) -> Network:
    return ipaddress.ip_network(text)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _both(networks: list[Network]) -> str:
    return " and ".join(map(str, networks))


RULES = (
    Rule(
        name="sites_share_no_prefix",
        description="No two sites share an address, in either family.",
        control="NET-03",
        types=frozenset({tokens.REGISTER}),
        remedy="Give one of the sites another number in province.yml.",
        judge=prefixes_overlap,
    ),
    Rule(
        name="site_numbers_are_unique",
        description="No two sites have the same number.",
        control="NET-03",
        types=frozenset({tokens.REGISTER}),
        remedy="Give the newer of the sites a number that was never used.",
        judge=numbers_repeat,
    ),
    Rule(
        name="addresses_lie_in_their_site",
        description="Networks and inner addresses of a site lie in its prefixes.",
        control="NET-03",
        types=frozenset({tokens.SITE}),
        remedy="Let the plan derive the addresses; declare none by hand inside a site.",
        judge=addresses_stray,
    ),
    Rule(
        name="names_derive_from_codes",
        description="A host is named after its place's code, never after a title.",
        control="MOD-04",
        types=tokens.HOSTS,
        remedy="Name the host <word><ordinal> in the blueprint; the plan adds the code.",
        judge=name_tells_no_place,
    ),
)
