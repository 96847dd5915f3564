"""Rules about the whole province: one table, every finding at once.

Rule 1: a rule is a function from `World` to findings; it changes nothing and reads nothing else.
Rule 2: a new rule is a new function and a line in `RULES`, with a bad declaration beside the text
it produces in `tests/unit/cases/declarations`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from infra.model.expand import PlacedHost, placed_hosts, selected_sites
from infra.model.findings import Finding, nearest
from infra.model.functions import FunctionRecord
from infra.model.province import Consumer, Declaration, Site
from infra.model.units import Unit

RETENTION_FLOOR_DAYS = {1: 0, 2: 30, 3: 90, 4: 180, 5: 365}
"""Days that logs are kept at least, by level (TCVN 14423:2026 x.8.2.1)."""


@dataclass(frozen=True, slots=True)
class World:
    """What the rules look at."""

    declaration: Declaration
    units: Mapping[str, Unit]
    functions: Mapping[str, FunctionRecord]
    environment: str
    hosts: tuple[PlacedHost, ...]

    def site(self, code: str) -> Site | None:
        """The site of that code."""
        found = (site for site in self.declaration.sites if site.effective_code == code)
        return next(found, None)

    def site_codes(self) -> list[str]:
        """Codes of all sites."""
        return [site.effective_code for site in self.declaration.sites]


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
    for code, count in Counter(world.site_codes()).items():
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


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _address_blocks(world: World) -> Iterator[Finding]:
    addressing = world.declaration.addressing
    named = [
        ("addressing.ipv4.block", addressing.ipv4.block, 4),
        ("addressing.ipv6.block", addressing.ipv6.block, 6),
    ]
    for name, uplink in world.declaration.uplinks.items():
        named += [
            (f"uplinks.{name}.ipv4", uplink.ipv4, 4),
            (f"uplinks.{name}.ipv6", uplink.ipv6, 6),
        ]
    networks: list[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]] = []
    for path, text, version in named:
        network = _parse_network(text)
        if network is None or network.version != version:
            rule = f"is not an IPv{version} prefix"
            yield Finding(path, text, rule, "write it as address/length with host bits zero")
            continue
        for other_path, other in networks:
            if other.version == network.version and other.overlaps(network):
                yield Finding(path, text, f"overlaps {other_path} ({other})", "separate the two")
        networks.append((path, network))
    yield from _numbers_fit(world, dict(networks))


def _numbers_fit(
    world: World, networks: Mapping[str, ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> Iterator[Finding]:
    for family, block in (
        ("ipv4", world.declaration.addressing.ipv4),
        ("ipv6", world.declaration.addressing.ipv6),
    ):
        network = networks.get(f"addressing.{family}.block")
        if network is None:
            continue
        zone_prefix = 24 if family == "ipv4" else 64
        if not network.prefixlen < block.site_prefix <= zone_prefix - 3:
            rule = (
                f"leaves no room between the block /{network.prefixlen} and a zone /{zone_prefix}"
            )
            path = f"addressing.{family}.site_prefix"
            yield Finding(path, str(block.site_prefix), rule, "choose a length between them")
            continue
        most = 2 ** (block.site_prefix - network.prefixlen) - 1
        for site in world.declaration.sites:
            if site.number > most:
                path = f"sites.{site.effective_code}.number"
                rule = f"does not fit the {family} block, which has numbers up to {most}"
                yield Finding(path, str(site.number), rule, "take a smaller one or widen the block")


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
            for zone_name in host.zones:
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
        if limits.maximum is not None and len(hosts) > limits.maximum:
            rule = f"stands on {len(hosts)} hosts, at most {limits.maximum} may carry it"
            yield Finding(path, "", rule, "take it from the others")
        if limits.odd and hosts and len(hosts) % 2 == 0:
            rule = f"stands on {len(hosts)} hosts, a quorum needs an odd number"
            yield Finding(path, "", rule, "add or remove one member")
        if limits.separate_failure_domains:
            yield from _separate(path, hosts)


def _separate(path: str, hosts: list[PlacedHost]) -> Iterator[Finding]:
    domains: dict[tuple[str, str], str] = {}
    for placed in hosts:
        domain = placed.override.failure_domain or placed.host.failure_domain
        key = (placed.site.effective_code, domain)
        holder = domains.setdefault(key, placed.name)
        if holder != placed.name:
            rule = f"{placed.name} shares the failure domain {domain!r} with {holder}"
            yield Finding(path, "", rule, "give quorum members failure domains of their own")


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
        for key in ("approval", "level_reason", "owner", "operator"):
            own = getattr(site, key)
            if not (own if own is not None else getattr(blueprint, key)).strip():
                remedy = "name the document or body; a level without approval binds nobody"
                yield Finding(f"{path}.{key}", "", "is empty", remedy)
        for name, service in world.declaration.shared_services.items():
            if service.site == site.effective_code and service.level > level:
                rule = f"is below the level {service.level} of the service {name} that it hosts"
                remedy = "the highest level hosted decides (331/2026/NĐ-CP, Article 8.2)"
                yield Finding(f"{path}.level", str(level), rule, remedy)
        floor = RETENTION_FLOOR_DAYS[level]
        value = {**world.declaration.parameters, **blueprint.parameters, **site.parameters}.get(
            "log_retention_days"
        )
        if isinstance(value, int) and value < floor:
            rule = f"is below the {floor} days that level {level} requires"
            remedy = "raise it (TCVN 14423:2026 x.8.2.1)"
            yield Finding(f"{path}.parameters.log_retention_days", str(value), rule, remedy)


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


def _zone_of(world: World, site: Site, zone: str) -> bool:
    blueprint = world.declaration.blueprints.get(site.blueprint)
    found = blueprint.zones.get(zone) if blueprint else None
    return found is not None and not found.absent


def _consumer(world: World, path: str, consumer: Consumer) -> Iterator[Finding]:
    for code in consumer.sites.codes:
        if code not in world.site_codes():
            remedy = nearest(code, world.site_codes())
            yield Finding(f"{path}.sites.codes", code, "is not the code of a site", remedy)
            return
    sites = selected_sites(consumer.sites, world.declaration, world.units)
    if not sites:
        yield Finding(f"{path}.sites", "", "selects no site", "correct the tiers or codes")
    for site in sites:
        if not _zone_of(world, site, consumer.zone):
            rule = f"is not a zone of sites.{site.effective_code}"
            yield Finding(f"{path}.zone", consumer.zone, rule, "select sites that have it")


def _services(world: World) -> Iterator[Finding]:
    for name, service in world.declaration.shared_services.items():
        path = f"shared_services.{name}"
        site = world.site(service.site)
        if site is None:
            remedy = nearest(service.site, world.site_codes())
            yield Finding(f"{path}.site", service.site, "is not the code of a site", remedy)
        else:
            blueprint = world.declaration.blueprints.get(site.blueprint)
            if blueprint and service.host not in blueprint.hosts:
                remedy = nearest(service.host, blueprint.hosts)
                yield Finding(f"{path}.host", service.host, "is not a host of the site", remedy)
        for index, consumer in enumerate(service.consumers):
            yield from _consumer(world, f"{path}.consumers.{index}", consumer)


def _tenants(world: World) -> Iterator[Finding]:
    for name, tenant in world.declaration.tenants.items():
        path = f"tenants.{name}"
        if not tenant.owner.strip():
            yield Finding(f"{path}.owner", "", "is empty", "name the body that answers for it")
        for index, consumer in enumerate(tenant.consumers):
            yield from _consumer(world, f"{path}.consumers.{index}", consumer)
        for wanted in tenant.services:
            if wanted not in world.declaration.shared_services:
                remedy = nearest(wanted, world.declaration.shared_services)
                yield Finding(f"{path}.services", wanted, "is not a shared service", remedy)


def _flows(world: World) -> Iterator[Finding]:
    for index, flow in enumerate(world.declaration.flows):
        path = f"flows.{index}"
        if flow.service not in world.declaration.shared_services:
            remedy = nearest(flow.service, world.declaration.shared_services)
            yield Finding(f"{path}.service", flow.service, "is not a shared service", remedy)
        yield from _consumer(world, f"{path}.source", flow.source)


def _probe_points_and_expectations(world: World) -> Iterator[Finding]:
    declaration = world.declaration
    for name, probe in declaration.probe_points.items():
        path = f"probe_points.{name}"
        if (probe.uplink is None) == (probe.site is None):
            remedy = "give either an uplink, or a site and a zone"
            yield Finding(path, "", "stands in no place, or in two", remedy)
        elif probe.uplink is not None and probe.uplink not in declaration.uplinks:
            remedy = nearest(probe.uplink, declaration.uplinks)
            yield Finding(f"{path}.uplink", probe.uplink, "is not declared", remedy)
        elif probe.site is not None:
            site = world.site(probe.site)
            if site is None:
                remedy = nearest(probe.site, world.site_codes())
                yield Finding(f"{path}.site", probe.site, "is not the code of a site", remedy)
            elif probe.zone is None or not _zone_of(world, site, probe.zone):
                rule = f"is not a zone of sites.{probe.site}"
                yield Finding(f"{path}.zone", probe.zone or "", rule, "name one of its zones")
    hosts = {placed.name for placed in world.hosts}
    sources = hosts | set(declaration.probe_points) | {"controller"}
    for index, expectation in enumerate(declaration.expectations):
        path = f"expectations.{index}"
        if expectation.source not in sources:
            remedy = nearest(expectation.source, sources)
            yield Finding(f"{path}.source", expectation.source, "is no place to look from", remedy)
        if expectation.host not in hosts:
            remedy = nearest(expectation.host, hosts)
            yield Finding(f"{path}.host", expectation.host, "is not a host", remedy)


def _controller(world: World) -> Iterator[Finding]:
    controller = world.declaration.controller
    hub = world.site(world.declaration.hub)
    if hub is not None and not _zone_of(world, hub, controller.zone):
        rule = "is not a zone of the hub"
        yield Finding("controller.zone", controller.zone, rule, "name its management zone")
    if controller.uplink not in world.declaration.uplinks:
        remedy = nearest(controller.uplink, world.declaration.uplinks)
        yield Finding("controller.uplink", controller.uplink, "is not declared", remedy)


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _names_and_codes,
    _sites_stand_on_units,
    _sites_are_unique,
    _address_blocks,
    _blueprint_zones,
    _hosts_stand_in_zones,
    _functions_are_known,
    _functions_fit_hosts,
    _functions_are_enough,
    _needs_are_met,
    _levels_hold,
    _uplinks_of_sites,
    _services,
    _tenants,
    _flows,
    _probe_points_and_expectations,
    _controller,
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
