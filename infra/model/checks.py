"""Rules about the whole province: one table, every finding at once.

Rule 1: a rule is a function from `World` to findings; it changes nothing and reads nothing else.
Rule 2: a new rule is a new function and a line in `RULES`, with a bad declaration beside the text
it produces in `tests/unit/cases/declarations`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from infra.model import (
    address_checks,
    cluster_checks,
    pair_checks,
    publishing_checks,
    service_checks,
)
from infra.model.expand import PlacedHost, placed_hosts
from infra.model.findings import Finding, nearest
from infra.model.functions import FunctionRecord
from infra.model.province import Declaration, Site
from infra.model.units import Unit
from infra.model.world import World

UNIT_TEXTS = ("level_reason", "approval", "owner", "operator")
"""Texts in which `{unit}` stands for the site's unit."""

RETENTION_FLOOR_DAYS = {1: 0, 2: 30, 3: 90, 4: 180, 5: 365}
"""Days that logs are kept at least, by level (TCVN 14423:2026 x.8.2.1)."""


def _names_and_codes(world: World) -> Iterator[Finding]:
    declaration = world.declaration
    if declaration.name != world.environment:
        rule = f"differs from its folder {world.environment!r}"
        yield Finding("name", declaration.name, rule, "give both the same name")
    if declaration.province not in world.units:
        remedy = nearest(declaration.province, world.units)
        yield Finding("province", declaration.province, "is not in the unit list", remedy)
    if world.site(declaration.hub) is None:
        remedy = nearest(declaration.hub, world.site_codes())
        yield Finding("hub", declaration.hub, "is not the code of a site", remedy)


def _sites_stand_on_units(world: World) -> Iterator[Finding]:
    for site in world.declaration.sites:
        path = f"sites.{site.effective_code}"
        unit = world.units.get(site.unit)
        if unit is None:
            remedy = nearest(site.unit, world.units)
            yield Finding(f"{path}.unit", site.unit, "is not in the unit list", remedy)
        elif not unit.exists_on(world.declaration.as_of):
            rule = f"did not exist on {world.declaration.as_of} ({unit.kind} {unit.name})"
            remedy = f"name its successor {unit.successor}" if unit.successor else "name another"
            yield Finding(f"{path}.unit", site.unit, rule, remedy)
        if site.blueprint not in world.declaration.blueprints:
            remedy = nearest(site.blueprint, world.declaration.blueprints)
            yield Finding(f"{path}.blueprint", site.blueprint, "is not declared", remedy)


def _sites_are_unique(world: World) -> Iterator[Finding]:
    sites = world.declaration.sites
    # Host names are lower case: two codes that differ in case only would name one host.
    for code, count in Counter(code.lower() for code in world.site_codes()).items():
        if count > 1:
            remedy = "give the second site of a unit a code of its own"
            yield Finding(f"sites.{code}", "", f"is declared {count} times", remedy)
    holders: dict[int, str] = {}
    for site in sites:
        holder = holders.setdefault(site.number, site.effective_code)
        if holder != site.effective_code:
            rule = f"is the number of sites.{holder} already"
            remedy = "numbers address sites and are never reused; take a free one"
            path = f"sites.{site.effective_code}.number"
            yield Finding(path, str(site.number), rule, remedy)
    circuits: dict[str, str] = {}
    for site in sites:
        for uplink, leg in site.uplinks.items():
            path = f"sites.{site.effective_code}.uplinks.{uplink}"
            holder = circuits.setdefault(leg.circuit, path)
            if holder != path:
                rule = f"is the circuit of {holder} already"
                yield Finding(f"{path}.circuit", leg.circuit, rule, "name its own circuit")


def _blueprint_zones(world: World) -> Iterator[Finding]:
    for name, blueprint in world.declaration.blueprints.items():
        slots: dict[int, str] = {}
        for zone_name, zone in blueprint.zones.items():
            path = f"blueprints.{name}.zones.{zone_name}"
            if zone.absent:
                continue
            if zone.kind == "border":
                for uplink in zone.uplinks:
                    if uplink not in world.declaration.uplinks:
                        remedy = nearest(uplink, world.declaration.uplinks)
                        yield Finding(f"{path}.uplinks", uplink, "is not declared", remedy)
                if not zone.uplinks:
                    yield Finding(path, "", "is a border zone without uplinks", "name its uplinks")
            elif zone.slot is None:
                remedy = "give it a slot that no other zone of the blueprint has"
                yield Finding(path, "", "has no slot, so no addresses", remedy)
            elif zone.slot in slots:
                rule = f"is the slot of {slots[zone.slot]} already"
                yield Finding(f"{path}.slot", str(zone.slot), rule, "take a free one")
            else:
                slots[zone.slot] = zone_name


def _hosts_stand_in_zones(world: World) -> Iterator[Finding]:
    for name, blueprint in world.declaration.blueprints.items():
        slots: dict[int, str] = {}
        for host_name, host in blueprint.hosts.items():
            path = f"blueprints.{name}.hosts.{host_name}"
            holder = slots.setdefault(host.slot, host_name)
            if holder != host_name:
                rule = f"is the slot of {holder} already"
                yield Finding(f"{path}.slot", str(host.slot), rule, "take a free one")
            for zone_name, count in Counter(host.zones).items():
                if count > 1:
                    yield Finding(f"{path}.zones", zone_name, "is named twice", "name it once")
                zone = blueprint.zones.get(zone_name)
                if zone is None:
                    remedy = nearest(zone_name, blueprint.zones)
                    yield Finding(f"{path}.zones", zone_name, "is not a zone here", remedy)
                elif zone.absent:
                    rule = f"is declared absent ({zone.absent})"
                    yield Finding(f"{path}.zones", zone_name, rule, "take the host out of it")
            if host.zones and blueprint.zones.get(host.zones[0], None) is not None:
                first = blueprint.zones[host.zones[0]]
                if first.kind == "border":
                    remedy = "name an inner zone first: the host's name resolves to its address"
                    yield Finding(f"{path}.zones", host.zones[0], "is a border zone", remedy)


def _functions_are_known(world: World) -> Iterator[Finding]:
    def unknown(path: str, names: tuple[str, ...]) -> Iterator[Finding]:
        for name in names:
            if name not in world.functions:
                remedy = nearest(name, world.functions)
                yield Finding(path, name, "is not a function", remedy)

    yield from unknown("every_host", world.declaration.every_host)
    for name, blueprint in world.declaration.blueprints.items():
        for host_name, host in blueprint.hosts.items():
            yield from unknown(f"blueprints.{name}.hosts.{host_name}.functions", host.functions)
    for site in world.declaration.sites:
        blueprint_hosts = getattr(world.declaration.blueprints.get(site.blueprint), "hosts", None)
        for host_name, override in site.hosts.items():
            path = f"sites.{site.effective_code}.hosts.{host_name}"
            if blueprint_hosts is not None and host_name not in blueprint_hosts:
                remedy = nearest(host_name, blueprint_hosts)
                yield Finding(path, "", "is not a host of the blueprint", remedy)
            yield from unknown(f"{path}.add_functions", override.add_functions)


def _functions_fit_hosts(world: World) -> Iterator[Finding]:
    for placed in world.hosts:
        here = set(placed.functions)
        zone_kinds = {
            placed.blueprint.zones[zone].kind
            for zone in placed.host.zones
            if zone in placed.blueprint.zones
        }
        for function in placed.functions:
            record = world.functions.get(function)
            if record is None:
                continue
            path = f"{placed.path}.functions"
            for needed in record.requires:
                if needed not in here:
                    rule = f"requires {needed} on the same host"
                    yield Finding(path, function, rule, f"add {needed}")
            for enemy in record.not_beside:
                if enemy in here:
                    rule = f"must not stand beside {enemy}"
                    yield Finding(path, function, rule, "place one of them on another host")
            for kind in record.forbidden_zones:
                if kind in zone_kinds:
                    rule = f"must not stand on a host with a leg in a zone of kind {kind}"
                    yield Finding(path, function, rule, "place it elsewhere")


def _functions_are_enough(world: World) -> Iterator[Finding]:
    placements: dict[str, list[PlacedHost]] = {}
    for placed in world.hosts:
        for function in placed.functions:
            placements.setdefault(function, []).append(placed)
    for function, record in world.functions.items():
        hosts = placements.get(function, [])
        limits = record.instances
        path = f"functions.{function}"
        if hosts and len(hosts) < limits.minimum:
            rule = f"stands on {len(hosts)} hosts, at least {limits.minimum} are required"
            yield Finding(path, "", rule, "place it on more hosts")
        elif limits.odd:
            yield from _odd(path, hosts)
        if limits.maximum is not None and len(hosts) > limits.maximum:
            rule = f"stands on {len(hosts)} hosts, at most {limits.maximum} may carry it"
            yield Finding(path, "", rule, "take it from the others")
        if limits.separate_failure_domains:
            yield from _separate(path, hosts)


def _odd(path: str, hosts: list[PlacedHost]) -> Iterator[Finding]:
    for site, count in Counter(placed.site.effective_code for placed in hosts).items():
        if count % 2 == 0:
            rule = f"stands on {count} hosts of sites.{site}, a quorum needs an odd number"
            yield Finding(path, "", rule, "add or remove one member")


def _separate(path: str, hosts: list[PlacedHost]) -> Iterator[Finding]:
    domains: dict[tuple[str, str], str] = {}
    for placed in hosts:
        domain = placed.override.failure_domain or placed.host.failure_domain
        key = (placed.site.effective_code, domain)
        holder = domains.setdefault(key, placed.name)
        if holder != placed.name:
            rule = f"{placed.name} shares the failure domain {domain!r} with {holder}"
            yield Finding(path, "", rule, "place each in a failure domain of its own")


def _needs_are_met(world: World) -> Iterator[Finding]:
    offered = {
        offer.service
        for placed in world.hosts
        for name in placed.functions
        if name in world.functions
        for offer in world.functions[name].offers
    }
    for function in sorted({name for placed in world.hosts for name in placed.functions}):
        record = world.functions.get(function)
        for need in record.needs if record else ():
            if need.service not in offered:
                rule = f"needs the service {need.service!r}, which no placed function offers"
                yield Finding(f"functions.{function}", "", rule, nearest(need.service, offered))


def _levels_hold(world: World) -> Iterator[Finding]:
    for site in world.declaration.sites:
        blueprint = world.declaration.blueprints.get(site.blueprint)
        if blueprint is None:
            continue
        path = f"sites.{site.effective_code}"
        level = site.level or blueprint.level
        if site.level is not None and not site.level_reason:
            remedy = "say why in level_reason"
            yield Finding(f"{path}.level", str(site.level), "differs without a reason", remedy)
        for name, service in world.declaration.shared_services.items():
            if service.site == site.effective_code and service.level > level:
                rule = f"is below the level {service.level} of the service {name} that it hosts"
                remedy = "the highest level hosted decides (331/2026/NĐ-CP, Article 8.2)"
                yield Finding(f"{path}.level", str(level), rule, remedy)
        floor = RETENTION_FLOOR_DAYS[level]
        path, value = _log_retention(world.declaration, site)
        if isinstance(value, int) and value < floor:
            rule = f"is below the {floor} days that level {level} requires"
            remedy = "raise it (TCVN 14423:2026 x.8.2.1)"
            yield Finding(path, str(value), rule, remedy)


def _log_retention(declaration: Declaration, site: Site) -> tuple[str, object]:
    """Where it stands how long a site keeps logs, and what stands there."""
    key = "log_retention_days"
    if key in site.parameters:
        return f"sites.{site.effective_code}.parameters.{key}", site.parameters[key]
    blueprint = declaration.blueprints[site.blueprint]
    if key in blueprint.parameters:
        return f"blueprints.{site.blueprint}.parameters.{key}", blueprint.parameters[key]
    return f"parameters.{key}", declaration.parameters.get(key)


def _levels_are_approved(world: World) -> Iterator[Finding]:
    texts = [
        (f"blueprints.{name}.{key}", getattr(blueprint, key))
        for name, blueprint in world.declaration.blueprints.items()
        for key in UNIT_TEXTS
    ]
    texts += [
        (f"sites.{site.effective_code}.{key}", getattr(site, key))
        for site in world.declaration.sites
        for key in UNIT_TEXTS
        if getattr(site, key) is not None
    ]
    for path, text in texts:
        if not text.strip():
            remedy = "name the document or body; a level without approval binds nobody"
            yield Finding(path, "", "is empty", remedy)


def _texts_name_known_places(world: World) -> Iterator[Finding]:
    blueprints, sites = world.declaration.blueprints, world.declaration.sites
    texts = [
        (f"blueprints.{name}.{key}", getattr(blueprint, key))
        for name, blueprint in blueprints.items()
        for key in (*UNIT_TEXTS, "place")
    ]
    texts += [
        (f"sites.{site.effective_code}.{key}", getattr(site, key) or "")
        for site in sites
        for key in UNIT_TEXTS
    ]
    for path, text in texts:
        try:
            text.format(unit="")
        except (KeyError, IndexError, ValueError):
            rule = "has braces around something else than unit"
            yield Finding(path, text, rule, "write {unit} for the site's unit, and no other brace")


def _uplinks_of_sites(world: World) -> Iterator[Finding]:
    for site in world.declaration.sites:
        blueprint = world.declaration.blueprints.get(site.blueprint)
        if blueprint is None:
            continue
        wanted = {
            uplink
            for zone in blueprint.zones.values()
            if not zone.absent
            for uplink in zone.uplinks
        }
        path = f"sites.{site.effective_code}.uplinks"
        for uplink in sorted(wanted - set(site.uplinks)):
            remedy = "name the circuit that arrives there"
            yield Finding(path, "", f"has no circuit for the uplink {uplink}", remedy)
        for uplink in sorted(set(site.uplinks) - wanted):
            yield Finding(
                path, uplink, "is not an uplink of the blueprint", nearest(uplink, wanted)
            )
        if (site.substrate or world.declaration.substrate) == "static":
            for host_name in blueprint.hosts:
                override = site.hosts.get(host_name)
                if override is None or not override.host_key or not override.address:
                    rule = "exists already, but its address or host key is not declared"
                    remedy = "declare both: no host key is ever trusted blindly"
                    host_path = f"sites.{site.effective_code}.hosts.{host_name}"
                    yield Finding(host_path, "", rule, remedy)


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _names_and_codes,
    _sites_stand_on_units,
    _sites_are_unique,
    *address_checks.RULES,
    _blueprint_zones,
    _hosts_stand_in_zones,
    _functions_are_known,
    _functions_fit_hosts,
    _functions_are_enough,
    _needs_are_met,
    _levels_hold,
    _levels_are_approved,
    _texts_name_known_places,
    _uplinks_of_sites,
    *service_checks.RULES,
    *publishing_checks.RULES,
    *pair_checks.RULES,
    *cluster_checks.RULES,
)


def check_province(
    declaration: Declaration,
    units: Mapping[str, Unit],
    functions: Mapping[str, FunctionRecord],
    environment: str,
) -> list[Finding]:
    """Every finding of every rule, sorted by path."""
    hosts = tuple(placed_hosts(declaration, functions))
    world = World(declaration, units, functions, environment, hosts)
    return sorted({finding for rule in RULES for finding in rule(world)})
