"""Sites, networks, hosts and probe points from the declaration: where everything stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from infra.model import FunctionRecord, Province, Unit
from infra.model.expand import (
    PlacedHost,
    PlacedProbePoint,
    placed_hosts,
    placed_probe_points,
)
from infra.model.functions import CertificateRecord, Offer
from infra.model.province import Blueprint, Declaration, Published
from infra.model.province import Site as DeclaredSite
from infra.plan import addresses
from infra.plan.shared import (
    Shared,
    shared_addresses,
    uplink_addresses,
    uplinks_of,
)
from infra.plan.types import (
    Backbone,
    Certificate,
    Data,
    Dual,
    Host,
    Interface,
    Machine,
    Network,
    Offering,
    ProbeLink,
    ProbePoint,
    Site,
)

CONTROLLER = "controller"
ANSWER_TABLE_BASE = 100
SUBSTRATE_PARAMETERS: Mapping[str, Mapping[str, bool]] = {
    "lab": {"own_clock": False, "kernel_parameters": False},
    "static": {"own_clock": True, "kernel_parameters": True},
}
"""What a substrate can do, as parameters that functions may ask for."""


def network_name(zone: str, site: str) -> str:
    """The name of a zone's network: unique in the province."""
    return f"{zone}-{site.lower()}"


def uplink_networks(declaration: Declaration) -> tuple[Network, ...]:
    """The networks of the backbone."""
    return tuple(
        Network(name, "", name, uplink.kind, Dual(uplink.ipv4, uplink.ipv6), isolated=False)
        for name, uplink in declaration.uplinks.items()
    )


def site_networks(
    declaration: Declaration, site: DeclaredSite, blueprint: Blueprint
) -> tuple[Network, ...]:
    """The networks of a site: one for each zone that is present and is no border."""
    prefix = addresses.site_prefix(declaration.addressing, site.number)
    return tuple(
        Network(
            name=network_name(name, site.effective_code),
            site=site.effective_code,
            zone=name,
            kind=zone.kind,
            prefix=addresses.zone_prefix(prefix, zone.slot),
            isolated=zone.kind == "management",
        )
        for name, zone in blueprint.zones.items()
        if not zone.absent and zone.slot is not None
    )


def _uplink_interface(
    declaration: Declaration, placed: PlacedHost, uplink: str, shared: Shared
) -> Interface:
    declared = declaration.uplinks[uplink]
    prefix = Dual(declared.ipv4, declared.ipv6)
    slot = placed.site.uplinks[uplink].slots.get(placed.declared_as)
    site_wide = uplink_addresses(declaration, placed.site, uplink)
    return Interface(
        name=uplink,
        network=uplink,
        zone="border",
        kind="uplink",
        addresses=addresses.address(prefix, slot) if slot else site_wide,
        prefix_lengths=addresses.lengths(prefix),
        shared=shared.get((placed.name, uplink), ()),
        default_gateways=None,
        routes=(),
        answer_table=None,
        answer_gateways=None,
        isolated=False,
    )


def _zone_interface(
    network: Network, placed: PlacedHost, shared: Shared, *, primary: bool
) -> Interface:
    gateways = addresses.address(network.prefix, addresses.GATEWAY_SLOT)
    router = placed.is_router
    several_legs = len(placed.host.zones) > 1
    answers = primary and several_legs and not router
    is_management = network.kind == "management"
    return Interface(
        name=network.zone,
        network=network.name,
        zone=network.zone,
        kind="management" if is_management else "service",
        addresses=addresses.address(network.prefix, placed.host.slot),
        prefix_lengths=addresses.lengths(network.prefix),
        shared=shared.get((placed.name, network.zone), ()),
        default_gateways=gateways if primary and not router else None,
        routes=(),
        answer_table=ANSWER_TABLE_BASE + placed.host.slot if answers else None,
        answer_gateways=gateways if answers else None,
        isolated=is_management and not primary and not router,
    )


def host_interfaces(
    declaration: Declaration, placed: PlacedHost, networks: Mapping[str, Network], shared: Shared
) -> tuple[Interface, ...]:
    """A host's legs, the primary one first, uplinks last."""
    zones = placed.blueprint.zones
    inner = tuple(
        _zone_interface(networks[name], placed, shared, primary=index == 0)
        for index, name in enumerate(placed.host.zones)
        if zones[name].kind != "border"
    )
    uplinks = tuple(
        _uplink_interface(declaration, placed, uplink, shared) for uplink in uplinks_of(placed)
    )
    return inner + uplinks


def offered_interfaces(offer: Offer, legs: tuple[Interface, ...]) -> tuple[str, ...]:
    """On which of a host's legs a service is offered (the meaning of a record's `zone`)."""
    inner = tuple(leg for leg in legs if leg.kind != "uplink")
    management = tuple(leg.name for leg in inner if leg.kind == "management")
    if offer.zone == "primary":
        return (legs[0].name,)
    if offer.zone == "management":
        return management or (legs[0].name,)
    if offer.zone == "administration":
        uplinks = tuple(leg.name for leg in legs if leg.kind == "uplink")
        return management or (legs[0].name, *uplinks[:1])
    if offer.zone == "every":
        return tuple(leg.name for leg in legs)
    if offer.zone == "local":
        return tuple(leg.name for leg in inner)
    return tuple(leg.name for leg in legs if leg.name == offer.zone)


def _offerings(
    functions: tuple[str, ...], records: Mapping[str, FunctionRecord], legs: tuple[Interface, ...]
) -> tuple[Offering, ...]:
    return tuple(
        Offering(
            function=function,
            service=offer.service,
            protocol=offer.protocol,
            ports=offer.ports,
            interfaces=offered_interfaces(offer, legs),
            clients=offer.clients,
            alias=offer.name or "",
            shared=offer.shared,
        )
        for function in functions
        for offer in records[function].offers
    )


def alias_name(alias: str, site: str, hub: str, domain: str) -> str:
    """A service's alias: bare at the hub, with the site's code elsewhere."""
    return f"{alias}.{domain}" if site == hub else f"{alias}-{site.lower()}.{domain}"


def _certificate(
    record: CertificateRecord,
    function: FunctionRecord,
    placed: PlacedHost,
    legs: tuple[Interface, ...],
    declaration: Declaration,
) -> Certificate:
    """What a certificate says: the host's own names and addresses, and those it answers for."""
    domain, site = declaration.domain, placed.site.effective_code
    fqdn = f"{placed.name}.{domain}"
    inner = [leg for leg in legs if leg.kind != "uplink"]
    names = [fqdn, *(f"{placed.name}.{leg.zone}.{domain}" for leg in inner[1:])]
    if record.shared_identity:
        names.append(f"{record.shared_identity}-{site.lower()}.{domain}")
    names += [alias_name(alias, site, declaration.hub, domain) for alias in record.aliases]
    if any(offer.clients == "internet" for offer in function.offers):
        names += [f"{one.name}.{domain}" for one in published_through(placed, declaration)]
    own = [address for leg in inner for address in leg.addresses.both()]
    return Certificate(
        name=record.name,
        common_name=fqdn,
        dns_names=tuple(dict.fromkeys(names)),
        addresses=(*own, *_shared_by(function, placed, inner)),
        owner=record.owner,
        group=record.group,
        reload=record.reload,
    )


def _shared_by(
    function: FunctionRecord, placed: PlacedHost, legs: list[Interface]
) -> tuple[str, ...]:
    """The shared addresses at which a function of this host is met."""
    if not any(offer.shared for offer in function.offers):
        return ()
    return tuple(
        address
        for leg in legs
        for share in leg.shared
        if share.function and share.function in placed.functions
        for address in share.addresses.both()
    )


def published_through(placed: PlacedHost, declaration: Declaration) -> tuple[Published, ...]:
    """What the declaration publishes through this host."""
    return tuple(
        service.published
        for service in declaration.shared_services.values()
        if service.published
        and service.site == placed.site.effective_code
        and service.published.host == placed.declared_as
    )


def _machine(placed: PlacedHost, unit: Unit) -> Machine:
    site, blueprint = placed.site, placed.blueprint
    asset = placed.override.asset or placed.host.asset
    title = f"{unit.kind} {unit.name}"
    return Machine(
        owner=(site.owner or blueprint.owner).format(unit=title),
        operator=(site.operator or blueprint.operator).format(unit=title),
        place=blueprint.place.format(unit=title),
        purpose=placed.host.purpose,
        vendor=asset.vendor,
        serial=asset.serial,
        support_end=asset.support_end.isoformat(),
    )


def _address_ways(legs: tuple[Interface, ...], declared: str) -> tuple[str, ...]:
    management = [leg.addresses.ipv4 for leg in legs if leg.kind == "management"]
    uplinks = [leg.addresses.ipv4 for leg in legs if leg.kind == "uplink"]
    ways = management or [legs[0].addresses.ipv4, *uplinks[:1]]
    return tuple(dict.fromkeys([*ways, *([declared] if declared else [])]))


def plan_host(
    declaration: Declaration,
    placed: PlacedHost,
    legs: tuple[Interface, ...],
    records: Mapping[str, FunctionRecord],
    unit: Unit,
) -> Host:
    """One host with everything that follows from its place and its functions."""
    certificates = tuple(
        _certificate(record, records[function], placed, legs, declaration)
        for function in placed.functions
        for record in records[function].certificates
    )
    quorum = tuple(
        name for name in placed.functions if records[name].instances.separate_failure_domains
    )
    return Host(
        name=placed.name,
        fqdn=f"{placed.name}.{declaration.domain}",
        site=placed.site.effective_code,
        declared_as=placed.declared_as,
        functions=placed.functions,
        interfaces=legs,
        failure_domain=placed.override.failure_domain or placed.host.failure_domain,
        quorum=quorum,
        substrate=placed.site.substrate or declaration.substrate,
        machine=_machine(placed, unit),
        certificates=certificates,
        offerings=_offerings(placed.functions, records, legs),
        address_ways=_address_ways(legs, placed.override.address),
        data=tuple(
            Data(function, item.path, item.what, item.backup)
            for function in placed.functions
            for item in records[function].data
            if item.backup != "none"
        ),
        declared_host_key=placed.override.host_key,
    )


def _probe_in_zone(placed: PlacedProbePoint, network: Network) -> ProbePoint:
    link = ProbeLink(
        interface=network.zone,
        network=network.name,
        addresses=addresses.address(network.prefix, placed.slot),
        prefix_lengths=addresses.lengths(network.prefix),
        gateways=addresses.address(network.prefix, addresses.GATEWAY_SLOT),
    )
    return ProbePoint(placed.name, network.site, (link,))


def _controller_point(
    declaration: Declaration, hub_networks: Mapping[str, Network], uplinks: Mapping[str, Network]
) -> ProbePoint:
    """The controller: on-link in the management zone, the province behind its gateway."""
    declared = declaration.controller
    zone, uplink = hub_networks[declared.zone], uplinks[declared.uplink]
    inside = ProbeLink(
        interface=zone.zone,
        network=zone.name,
        addresses=addresses.address(zone.prefix, declared.slot),
        prefix_lengths=addresses.lengths(zone.prefix),
        gateways=addresses.address(zone.prefix, addresses.GATEWAY_SLOT),
    )
    outside = ProbeLink(
        interface=uplink.zone,
        network=uplink.name,
        addresses=addresses.address(uplink.prefix, declared.uplink_slot),
        prefix_lengths=addresses.lengths(uplink.prefix),
        gateways=None,
    )
    return ProbePoint(CONTROLLER, zone.site, (inside, outside))


def _parameters(
    declaration: Declaration, blueprint: Blueprint, site: DeclaredSite
) -> tuple[tuple[str, str], ...]:
    substrate = SUBSTRATE_PARAMETERS[site.substrate or declaration.substrate]
    merged = {**substrate, **declaration.parameters, **blueprint.parameters, **site.parameters}
    return tuple((name, json.dumps(merged[name], ensure_ascii=False)) for name in sorted(merged))


def _plan_site(
    province: Province,
    site: DeclaredSite,
    hosts: tuple[Host, ...],
    points: Iterable[PlacedProbePoint],
    uplinks: Mapping[str, Network],
) -> Site:
    declaration = province.declaration
    blueprint, unit = declaration.blueprints[site.blueprint], province.units[site.unit]
    title = f"{unit.kind} {unit.name}"
    networks = site_networks(declaration, site, blueprint)
    by_zone = {network.zone: network for network in networks}
    code = site.effective_code
    probes = tuple(
        _probe_in_zone(point, by_zone[point.zone]) for point in points if point.zone is not None
    )
    if code == declaration.hub:
        probes += (_controller_point(declaration, by_zone, uplinks),)
    level = site.level if site.level is not None else blueprint.level
    return Site(
        code=code,
        unit=site.unit,
        title=title,
        tier=unit.tier,
        kind=blueprint.kind,
        blueprint=site.blueprint,
        number=site.number,
        level=level,
        level_reason=(site.level_reason or blueprint.level_reason).format(unit=title),
        approval=(site.approval or blueprint.approval).format(unit=title),
        owner=(site.owner or blueprint.owner).format(unit=title),
        operator=(site.operator or blueprint.operator).format(unit=title),
        substrate=site.substrate or declaration.substrate,
        hub="" if code == declaration.hub else declaration.hub,
        target_date=site.target_date.isoformat() if site.target_date else "",
        circuits=tuple((name, leg.circuit) for name, leg in site.uplinks.items()),
        prefix=addresses.site_prefix(declaration.addressing, site.number),
        networks=networks,
        absent_zones=tuple(
            (zone.kind, zone.absent) for zone in blueprint.zones.values() if zone.absent
        ),
        hosts=hosts,
        probe_points=probes,
        parameters=_parameters(declaration, blueprint, site),
    )


def plan_sites(province: Province) -> tuple[Site, ...]:
    """Every site with its networks, hosts and probe points, in declared order."""
    declaration = province.declaration
    uplinks = {network.name: network for network in uplink_networks(declaration)}
    placed: dict[str, list[PlacedHost]] = {}
    for one in placed_hosts(declaration, province.functions):
        placed.setdefault(one.site.effective_code, []).append(one)
    points: dict[str, list[PlacedProbePoint]] = {}
    for point in placed_probe_points(declaration):
        points.setdefault(point.site or "", []).append(point)
    return tuple(
        _plan_site(
            province,
            site,
            _site_hosts(province, placed.get(site.effective_code, [])),
            points.get(site.effective_code, []),
            uplinks,
        )
        for site in declaration.sites
    )


def _site_hosts(province: Province, placed: list[PlacedHost]) -> tuple[Host, ...]:
    if not placed:
        return ()
    declaration, first = province.declaration, placed[0]
    found = site_networks(declaration, first.site, first.blueprint)
    networks = {network.zone: network for network in found}
    shared = shared_addresses(declaration, placed, networks)
    unit = province.units[first.site.unit]
    return tuple(
        plan_host(
            declaration,
            one,
            host_interfaces(declaration, one, networks, shared),
            province.functions,
            unit,
        )
        for one in placed
    )


def plan_backbone(declaration: Declaration) -> Backbone:
    """The uplink networks and the probe points that stand in them."""
    networks = uplink_networks(declaration)
    by_name = {network.name: network for network in networks}
    probes = []
    for point in placed_probe_points(declaration):
        if point.uplink is None:
            continue
        network = by_name[point.uplink]
        link = ProbeLink(
            interface=network.zone,
            network=network.name,
            addresses=addresses.address(network.prefix, point.slot),
            prefix_lengths=addresses.lengths(network.prefix),
            gateways=_way_in(declaration, point.uplink),
        )
        probes.append(ProbePoint(point.name, "", (link,)))
    return Backbone(networks, tuple(probes))


def _way_in(declaration: Declaration, uplink: str) -> Dual | None:
    """A citizen's next hop: the hub on that uplink; what it forwards is its rules' affair."""
    hub = next(site for site in declaration.sites if site.effective_code == declaration.hub)
    return uplink_addresses(declaration, hub, uplink) if uplink in hub.uplinks else None
