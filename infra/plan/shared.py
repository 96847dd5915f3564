"""Addresses that hosts carry in turn: a site's gateways, and what its blueprint declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.model.expand import PlacedHost
from infra.model.province import Declaration, Site
from infra.plan import addresses
from infra.plan.dual import Dual
from infra.plan.types import GATEWAY, Network, SharedAddress

FIRST_PRIORITY = 150
PRIORITY_STEP = 10

Shared = Mapping[tuple[str, str], tuple[SharedAddress, ...]]
"""By host and by leg: zone or uplink."""


def uplinks_of(placed: PlacedHost) -> tuple[str, ...]:
    """The uplinks of a host, in declared order."""
    zones = placed.blueprint.zones
    return tuple(uplink for name in placed.host.zones for uplink in zones[name].uplinks)


def uplink_addresses(declaration: Declaration, site: Site, uplink: str) -> Dual:
    """A site's addresses in an uplink: its number's, unless others are declared."""
    declared = declaration.uplinks[uplink]
    own = site.uplinks[uplink]
    derived = addresses.address(Dual(declared.ipv4, declared.ipv6), site.number)
    return Dual(own.ipv4 or derived.ipv4, own.ipv6 or derived.ipv6)


def _in_turn(
    group: str, function: str, where: Dual, router_id: int, holders: Sequence[PlacedHost]
) -> dict[str, SharedAddress]:
    names = [placed.name for placed in holders]
    return {
        name: SharedAddress(
            group=group,
            function=function,
            addresses=where,
            router_id=router_id,
            priority=FIRST_PRIORITY - PRIORITY_STEP * index,
            twins=tuple(other for other in names if other != name),
        )
        for index, name in enumerate(names)
    }


def shared_addresses(
    declaration: Declaration, placed: Sequence[PlacedHost], networks: Mapping[str, Network]
) -> Shared:
    """What the hosts of one site carry together, by host and leg.

    A single gateway carries its zones' addresses alone, and its site's uplink addresses as its
    own; a pair shares both.
    """
    found: dict[tuple[str, str], list[SharedAddress]] = {}

    def add(leg: str, shares: Mapping[str, SharedAddress]) -> None:
        for host, share in shares.items():
            found.setdefault((host, leg), []).append(share)

    routers = [one for one in placed if one.is_router]
    for zone, network in networks.items():
        holders = [one for one in routers if zone in one.host.zones]
        where = addresses.address(network.prefix, addresses.GATEWAY_SLOT)
        add(zone, _in_turn(GATEWAY, "", where, addresses.GATEWAY_SLOT, holders))
    for uplink in uplinks_of(routers[0]) if len(routers) > 1 else ():
        where = uplink_addresses(declaration, routers[0].site, uplink)
        add(uplink, _in_turn(GATEWAY, "", where, routers[0].site.number, routers))
    for name, declared in placed[0].blueprint.shared_addresses.items() if placed else ():
        holders = [one for one in placed if declared.function in one.functions]
        where = addresses.address(networks[declared.zone].prefix, declared.slot)
        shares = _in_turn(name, declared.function, where, declared.slot, holders)
        add(declared.zone, shares)
    return {key: tuple(shares) for key, shares in found.items()}
