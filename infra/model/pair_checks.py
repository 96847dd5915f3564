"""Rules about hosts that stand in for one another: shared addresses, gateways in pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.model.expand import PlacedHost
from infra.model.findings import Finding, nearest
from infra.model.province import Blueprint, SharedAddress
from infra.model.world import World

PAIR = 2

LARGEST_ROUTER_ID = 255
"""VRRP has one byte for the group that shares an address (RFC 9568)."""


def _shared_addresses_are_possible(world: World) -> Iterator[Finding]:
    for name, blueprint in world.declaration.blueprints.items():
        for shared_name, shared in blueprint.shared_addresses.items():
            path = f"blueprints.{name}.shared_addresses.{shared_name}"
            if shared.function not in world.functions:
                remedy = nearest(shared.function, world.functions)
                yield Finding(f"{path}.function", shared.function, "is not a function", remedy)
            else:
                yield from _carriers(world, path, name, shared)
            yield from _shared_zone(path, blueprint, shared)


def _carriers(world: World, path: str, blueprint: str, shared: SharedAddress) -> Iterator[Finding]:
    """The first site whose hosts cannot share the address: one mistake, one finding."""
    for site in world.declaration.sites:
        if site.blueprint != blueprint:
            continue
        carriers = [
            placed
            for placed in world.hosts
            if placed.site is site and shared.function in placed.functions
        ]
        if len(carriers) < PAIR:
            count = "no host" if not carriers else "one host"
            rule = (
                f"stands on {count} of sites.{site.effective_code}: nobody takes the address over"
            )
            remedy = "place it on a second host, or take the shared address away"
            yield Finding(f"{path}.function", shared.function, rule, remedy)
            return
        zone = carriers[0].blueprint.zones.get(shared.zone)
        if zone is not None and zone.slot is not None:  # others are told of by the zone's own rule
            outside = [one.name for one in carriers if shared.zone not in one.host.zones]
            if outside:
                rule = f"is no zone of {', '.join(outside)}, which must carry the address too"
                yield Finding(f"{path}.zone", shared.zone, rule, "give each of them a leg in it")
                return


def _shared_zone(path: str, blueprint: Blueprint, shared: SharedAddress) -> Iterator[Finding]:
    zone = blueprint.zones.get(shared.zone)
    if zone is None:
        remedy = nearest(shared.zone, blueprint.zones)
        yield Finding(f"{path}.zone", shared.zone, "is not a zone here", remedy)
    elif zone.absent or zone.kind == "border":
        rule = "has no addresses of its own, being absent or the border"
        yield Finding(f"{path}.zone", shared.zone, rule, "name a zone with a slot")


def _shared_offers_have_an_address(world: World) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for placed in world.hosts:
        declared = {shared.function for shared in placed.blueprint.shared_addresses.values()}
        for function in placed.functions:
            record = world.functions.get(function)
            offers = [offer for offer in record.offers if offer.shared] if record else []
            place = (placed.site.blueprint, function)
            if offers and function not in declared and place not in told:
                told.add(place)
                path = f"blueprints.{placed.site.blueprint}.shared_addresses"
                rule = f"offers {offers[0].service} on a shared address, and none is declared"
                remedy = "declare the function's zone and slot there"
                yield Finding(path, function, rule, remedy)


def _border_hosts(blueprint: Blueprint, uplink: str) -> tuple[str, ...]:
    """Names, as declared, of the hosts with a leg in that uplink network."""
    uplinks = {name: zone.uplinks for name, zone in blueprint.zones.items()}
    return tuple(
        name
        for name, host in blueprint.hosts.items()
        if any(uplink in uplinks.get(zone, ()) for zone in host.zones)
    )


def _border_hosts_have_slots(world: World) -> Iterator[Finding]:
    for site in world.declaration.sites:
        blueprint = world.declaration.blueprints.get(site.blueprint)
        if blueprint is None:
            continue
        for uplink, leg in site.uplinks.items():
            path = f"sites.{site.effective_code}.uplinks.{uplink}.slots"
            hosts = _border_hosts(blueprint, uplink)
            if hosts:
                yield from _slots(path, hosts, leg.slots)
            if len(hosts) >= PAIR and site.number > LARGEST_ROUTER_ID:
                number_path = f"sites.{site.effective_code}.number"
                rule = f"is above {LARGEST_ROUTER_ID}, and names the group of its border hosts"
                remedy = "give a site with a pair a smaller number (RFC 9568, virtual router id)"
                yield Finding(number_path, str(site.number), rule, remedy)


def _slots(path: str, hosts: tuple[str, ...], slots: dict[str, int]) -> Iterator[Finding]:
    for name in slots:
        if name not in hosts:
            yield Finding(path, name, "is not a border host of the site", nearest(name, hosts))
    if len(hosts) < PAIR:
        if hosts[0] in slots:
            rule = "is the only border host, so the site's address is its own"
            yield Finding(path, hosts[0], rule, "take the slot away")
        return
    without = [name for name in hosts if name not in slots]
    if without:
        rule = f"has no slot for {', '.join(without)}, of {len(hosts)} border hosts"
        remedy = "give each an address of its own beside the one that they share"
        yield Finding(path, "", rule, remedy)


def _border_pairs_serve_nobody_else(world: World) -> Iterator[Finding]:
    """A site's tunnels end at one of the pair: from the other no answer finds the way back."""
    routers: dict[str, list[PlacedHost]] = {}
    for placed in world.hosts:
        if placed.is_router:
            routers.setdefault(placed.site.effective_code, []).append(placed)
    told: set[tuple[str, str]] = set()
    for pair in routers.values():
        for placed in pair if len(pair) >= PAIR else ():
            for function, service in _offers_elsewhere(world, placed):
                if (placed.path, function) in told:
                    continue
                told.add((placed.path, function))
                rule = (
                    f"offers {service} to other sites, which reach one of {len(pair)} border "
                    "hosts only while it carries the tunnels"
                )
                remedy = "place it on a host behind the border"
                yield Finding(f"{placed.path}.functions", function, rule, remedy)


def _offers_elsewhere(world: World, placed: PlacedHost) -> Iterator[tuple[str, str]]:
    """(function, its first service) of a host that others use on its own address."""
    for function in placed.functions:
        record = world.functions.get(function)
        for offer in record.offers if record else ():
            if offer.clients == "needers" and not offer.shared:
                yield function, offer.service
                break


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _shared_addresses_are_possible,
    _shared_offers_have_an_address,
    _border_hosts_have_slots,
    _border_pairs_serve_nobody_else,
)
