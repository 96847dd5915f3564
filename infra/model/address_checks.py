"""Rules about addresses: blocks apart, numbers and slots that fit, no address twice.

Overlap of sites is impossible by construction as long as every number fits the bits that it has;
that is what these rules see to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from infra.model import numbering
from infra.model.expand import placed_probe_points
from infra.model.findings import Finding
from infra.model.province import Site, Uplink
from infra.model.world import World

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FAMILIES = (("ipv4", 4, numbering.ZONE_PREFIX_IPV4), ("ipv6", 6, numbering.ZONE_PREFIX_IPV6))
"""Name, version and zone prefix length of each family."""

REVERSE_ZONE_STEP = {4: 8, 6: 4}
"""Reverse zones end at a byte in IPv4 and at a hexadecimal digit in IPv6."""


def _network(text: str, version: int) -> Network | None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    return network if network.version == version else None


def _declared_networks(world: World) -> Iterator[tuple[str, str, int]]:
    addressing = world.declaration.addressing
    yield "addressing.ipv4.block", addressing.ipv4.block, 4
    yield "addressing.ipv6.block", addressing.ipv6.block, 6
    for name, uplink in world.declaration.uplinks.items():
        yield f"uplinks.{name}.ipv4", uplink.ipv4, 4
        yield f"uplinks.{name}.ipv6", uplink.ipv6, 6


def _blocks_stand_apart(world: World) -> Iterator[Finding]:
    networks: list[tuple[str, Network]] = []
    for path, text, version in _declared_networks(world):
        network = _network(text, version)
        if network is None:
            rule = f"is not an IPv{version} prefix"
            yield Finding(path, text, rule, "write it as address/length with host bits zero")
            continue
        step = REVERSE_ZONE_STEP[version]
        if path.startswith("addressing.") and network.prefixlen % step:
            rule = f"ends inside a label of its reverse zone (/{network.prefixlen})"
            yield Finding(path, text, rule, f"choose a length that {step} divides")
        for other_path, other in networks:
            if other.version == network.version and other.overlaps(network):
                yield Finding(path, text, f"overlaps {other_path} ({other})", "separate the two")
        networks.append((path, network))


def _numbers_fit(world: World) -> Iterator[Finding]:
    for family, version, zone_prefix in FAMILIES:
        block = getattr(world.declaration.addressing, family)
        network = _network(block.block, version)
        if network is None:
            continue
        if not network.prefixlen < block.site_prefix < zone_prefix:
            rule = (
                f"leaves no room between the block /{network.prefixlen} and a zone /{zone_prefix}"
            )
            path = f"addressing.{family}.site_prefix"
            yield Finding(path, str(block.site_prefix), rule, "choose a length between them")
            continue
        most = numbering.largest_number(block.site_prefix - network.prefixlen, version)
        for site in world.declaration.sites:
            if site.number > most:
                path = f"sites.{site.effective_code}.number"
                rule = f"does not fit the {family} block, which has numbers up to {most}"
                yield Finding(path, str(site.number), rule, "take a smaller one or widen the block")
        most = numbering.largest_number(zone_prefix - block.site_prefix, version)
        yield from _slots_fit(world, family, most)


def _slots_fit(world: World, family: str, most: int) -> Iterator[Finding]:
    for name, blueprint in world.declaration.blueprints.items():
        for zone_name, zone in blueprint.zones.items():
            if zone.slot is not None and zone.slot > most:
                path = f"blueprints.{name}.zones.{zone_name}.slot"
                rule = f"does not fit a site's {family} prefix, which has slots up to {most}"
                yield Finding(path, str(zone.slot), rule, "take a smaller one or widen site_prefix")


def _site_legs(site: Site, name: str, uplink: Uplink) -> Iterator[tuple[str, str, str]]:
    """(path, address, network) of a site's leg in an uplink network, for both families."""
    leg = site.uplinks[name]
    path = f"sites.{site.effective_code}"
    derived = f"{path}.number"
    ipv4 = leg.ipv4 or numbering.nth_ipv4(uplink.ipv4, site.number)
    yield f"{path}.uplinks.{name}.ipv4" if leg.ipv4 else derived, ipv4, uplink.ipv4
    ipv6 = leg.ipv6 or numbering.nth_ipv6(uplink.ipv6, site.number)
    yield f"{path}.uplinks.{name}.ipv6" if leg.ipv6 else derived, ipv6, uplink.ipv6


def _uplink_legs(world: World, name: str, uplink: Uplink) -> Iterator[tuple[str, str, str]]:
    declaration = world.declaration
    slots = [
        (f"{point.path}.slot", point.slot)
        for point in placed_probe_points(declaration)
        if point.uplink == name
    ]
    if declaration.controller.uplink == name:
        slots.append(("controller.uplink_slot", declaration.controller.uplink_slot))
    for path, slot in slots:
        yield path, numbering.nth_ipv4(uplink.ipv4, slot), uplink.ipv4
        yield path, numbering.nth_ipv6(uplink.ipv6, slot), uplink.ipv6
    for site in declaration.sites:
        if name in site.uplinks:
            yield from _site_legs(site, name, uplink)
    for site in declaration.sites:  # after every number: a number is older than a slot
        for host, slot in site.uplinks[name].slots.items() if name in site.uplinks else ():
            path = f"sites.{site.effective_code}.uplinks.{name}.slots.{host}"
            yield path, numbering.nth_ipv4(uplink.ipv4, slot), uplink.ipv4
            yield path, numbering.nth_ipv6(uplink.ipv6, slot), uplink.ipv6


def _is_usable(address: str, network: str) -> bool:
    block = ipaddress.ip_network(network)
    try:
        own = ipaddress.ip_address(address)
    except ValueError:
        return False
    edges = {block.network_address}
    if block.version == 4:  # noqa: PLR2004 - the protocol's own name
        edges.add(block.broadcast_address)
    return own in block and own not in edges


def _uplink_addresses_are_free(world: World) -> Iterator[Finding]:
    for name, uplink in world.declaration.uplinks.items():
        if not (_network(uplink.ipv4, 4) and _network(uplink.ipv6, 6)):
            continue
        holders: dict[str, str] = {}
        told: set[str] = set()  # a number that is wrong in one family is wrong in both
        for path, address, network in _uplink_legs(world, name, uplink):
            if path in told:
                continue
            if not _is_usable(address, network):
                rule = f"is no address of a machine in the uplink {name} ({network})"
                told.add(path)
                yield Finding(path, address, rule, "give it a number or an address that is")
                continue
            holder = holders.setdefault(str(ipaddress.ip_address(address)), path)
            if holder != path:
                told.add(path)
                rule = f"is the address of {holder} in the uplink {name} already"
                yield Finding(path, address, rule, "take a free one")


def _zone_slots_are_free(world: World) -> Iterator[Finding]:
    """What stands beside hosts takes none of their addresses."""
    declaration = world.declaration
    places: list[tuple[str, str | None, str | None, int]] = [
        (
            f"blueprints.{site.blueprint}.shared_addresses.{name}.slot",
            site.effective_code,
            shared.zone,
            shared.slot,
        )
        for site in declaration.sites
        if site.blueprint in declaration.blueprints
        for name, shared in declaration.blueprints[site.blueprint].shared_addresses.items()
    ]
    places += [
        (f"{point.path}.slot", point.site, point.zone, point.slot)
        for point in placed_probe_points(declaration)
    ]
    own = declaration.controller
    places.append(("controller.slot", declaration.hub, own.zone, own.slot))
    holders = {
        (host.site.effective_code, zone, host.host.slot): host.name
        for host in world.hosts
        for zone in host.host.zones
    }
    told: set[str] = set()  # a blueprint's mistake is one mistake, however many sites follow it
    for path, site, zone, slot in places:
        if site is None or zone is None or path in told:
            continue
        holder = holders.setdefault((site, zone, slot), path)
        if holder != path:
            told.add(path)
            rule = f"is the slot of {holder} in the zone {zone} of sites.{site} already"
            yield Finding(path, str(slot), rule, "take a free one")


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _blocks_stand_apart,
    _numbers_fit,
    _uplink_addresses_are_free,
    _zone_slots_are_free,
)
