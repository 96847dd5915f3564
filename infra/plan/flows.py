"""The flow matrix: who may reach what, and why. Nothing else opens a port.

Flows come from what functions need of each other, from a record's standing clients (the
controller, tunnel peers, a site's own zones, the Internet), and from what the declaration adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from infra.model import FunctionRecord, Province
from infra.model.expand import selected_sites
from infra.model.province import Consumer, Published
from infra.plan import addresses
from infra.plan.sites import CONTROLLER
from infra.plan.types import (
    Backbone,
    Flow,
    Host,
    Interface,
    Network,
    Offering,
    ProbeLink,
    Site,
)

OFFICE_KINDS = frozenset({"internal", "party"})
"""Kinds of zone where people work; they may use what their site offers to local zones."""


VRRP = "vrrp"
VRRP_GROUPS = ("224.0.0.18/32", "ff02::12/128")
"""Where VRRP's advertisements go (RFC 9568 sections 5.1.1.2 and 5.1.2.2)."""
LINK_LOCAL = "fe80::/10"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a flow comes from: its name, its place, its addresses."""

    name: str
    site: str
    zone: str
    network: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """What the derivation looks at, indexed once."""

    province: Province
    backbone: Backbone
    sites: Mapping[str, Site]
    providers: Mapping[str, tuple[tuple[Host, Offering], ...]]
    """Every (host, offering) pair by service."""

    @property
    def hub(self) -> Site:
        """The site that the others connect to."""
        return self.sites[self.province.declaration.hub]

    def routers(self, site: str) -> tuple[Host, ...]:
        """The hosts of a site through which traffic passes."""
        return tuple(host for host in self.sites[site].hosts if host.is_router)


def index(province: Province, backbone: Backbone, sites: tuple[Site, ...]) -> Topology:
    """The topology of a province."""
    providers: dict[str, list[tuple[Host, Offering]]] = {}
    for site in sites:
        for host in site.hosts:
            for offering in host.offerings:
                providers.setdefault(offering.service, []).append((host, offering))
    frozen = {service: tuple(pairs) for service, pairs in providers.items()}
    return Topology(province, backbone, {site.code: site for site in sites}, frozen)


def _from_leg(host: Host, leg: Interface) -> Source:
    return Source(host.name, host.site, leg.name, leg.network, addresses.host_cidrs(leg.addresses))


def _from_site(host: Host, leg: Interface) -> Source:
    """A site's tunnel end speaks from the address that its gateways share."""
    own = addresses.host_cidrs(leg.site_addresses)
    return Source(host.name, host.site, leg.name, leg.network, own)


def _from_twin(host: Host, leg: Interface, protocol: str) -> Source:
    """A twin speaks from its own address; VRRP over IPv6 from its link-local one."""
    ipv4, ipv6 = addresses.host_cidrs(leg.addresses)
    own = (ipv4, LINK_LOCAL if protocol == VRRP else ipv6)
    return Source(host.name, host.site, leg.name, leg.network, own)


def _from_router(host: Host) -> Source:
    """A router's own traffic into a tunnel may carry any of its inner addresses."""
    own = tuple(cidr for leg in host.inner for cidr in addresses.host_cidrs(leg.addresses))
    return Source(host.name, host.site, host.primary.name, host.primary.network, own)


def _from_network(network: Network) -> Source:
    name = f"zone:{network.site}/{network.zone}"
    return Source(name, network.site, network.zone, network.name, network.prefix.both())


def _from_probe_link(name: str, site: str, link: ProbeLink) -> Source:
    cidrs = addresses.host_cidrs(link.addresses)
    return Source(name, site, link.interface, link.network, cidrs)


def _flow(
    source: Source, target: Host, leg: Interface, offering: Offering, *, why: str, origin: str
) -> Flow:
    return Flow(
        source=source.name,
        source_site=source.site,
        source_zone=source.zone,
        sources=source.sources,
        target=target.name,
        target_site=target.site,
        target_zone=leg.name,
        destinations=_met_at(leg, offering),
        direct=source.network == leg.network,
        service=offering.service,
        protocol=offering.protocol,
        ports=offering.ports,
        why=why,
        origin=origin,
    )


def _met_at(leg: Interface, offering: Offering) -> tuple[str, str]:
    """Where a service is met: on the leg's own addresses, on shared ones, or by all twins."""
    if offering.protocol == VRRP:
        return VRRP_GROUPS
    share = leg.shared_for(offering.function) if offering.shared else None
    if share is not None:
        return addresses.host_cidrs(share.addresses)
    if offering.clients == "tunnel_peers":
        return addresses.host_cidrs(leg.site_addresses)
    return addresses.host_cidrs(leg.addresses)


def _offered_legs(host: Host, offering: Offering) -> tuple[Interface, ...]:
    return tuple(leg for leg in host.interfaces if leg.name in offering.interfaces)


def meeting(client: Host, target: Host, offering: Offering) -> tuple[Source, Interface]:
    """By which legs a client meets a service: a common network where there is one."""
    legs = _offered_legs(target, offering)
    for leg in legs:
        for own in client.interfaces:
            if own.network == leg.network:
                return _from_leg(client, own), leg
    leg = next((leg for leg in legs if leg.kind != "uplink"), legs[0])
    if client.is_router:
        return _from_router(client), leg
    return _from_leg(client, client.primary), leg


def chosen_providers(
    client: Host, service: str, source: str, topology: Topology
) -> tuple[tuple[Host, Offering], ...]:
    """Whose service a client uses: the nearest site's, the hub's, or every one of the hub's.

    `every` means every instance at the hub: a province's time sources, not each edge's.
    """
    hub = topology.hub.code
    offered = tuple(
        pair
        for pair in topology.providers.get(service, ())
        if pair[0].name != client.name and pair[1].clients == "needers"
    )
    local = tuple(
        pair
        for pair in topology.providers.get(service, ())
        if pair[0].name != client.name and pair[0].site == client.site
    )
    if source == "nearest" and local:
        return _once(local)
    return _once(tuple(pair for pair in offered if pair[0].site == hub))


def _once(pairs: tuple[tuple[Host, Offering], ...]) -> tuple[tuple[Host, Offering], ...]:
    """Each host and protocol once: a record may offer a service to several kinds of clients."""
    seen: dict[tuple[str, str], tuple[Host, Offering]] = {}
    for host, offering in pairs:
        seen.setdefault((host.name, offering.protocol), (host, offering))
    return tuple(seen.values())


def _needed(topology: Topology) -> Iterator[Flow]:
    records = topology.province.functions
    for site in topology.sites.values():
        for client in site.hosts:
            for function in client.functions:
                yield from _needs_of(client, function, records[function], topology)


def _needs_of(
    client: Host, function: str, record: FunctionRecord, topology: Topology
) -> Iterator[Flow]:
    for need in record.needs:
        for target, offering in chosen_providers(client, need.service, need.source, topology):
            source, leg = meeting(client, target, offering)
            origin = f"roles/{function}/meta/function.yml"
            yield _flow(source, target, leg, offering, why=function, origin=origin)


def _standing(topology: Topology) -> Iterator[Flow]:
    for pairs in topology.providers.values():
        for target, offering in pairs:
            origin = f"roles/{offering.function}/meta/function.yml"
            for source, leg in _standing_clients(target, offering, topology):
                yield _flow(source, target, leg, offering, why=offering.function, origin=origin)


Meeting = tuple[Source, Interface]


def _standing_clients(target: Host, offering: Offering, topology: Topology) -> Iterator[Meeting]:
    meet = _CLIENTS.get(offering.clients)
    if meet is not None:
        yield from meet(target, _offered_legs(target, offering), offering, topology)


def _peers_meet(
    target: Host, legs: tuple[Interface, ...], _offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    for peer in _tunnel_peers(target, topology):
        for leg in legs:
            own = peer.interface(leg.name)
            if own is not None:
                yield _from_site(peer, own), leg


def _members_meet(
    target: Host, _legs: tuple[Interface, ...], offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    for other in topology.sites[target.site].hosts:
        if other.name != target.name and offering.function in other.functions:
            yield meeting(other, target, offering)


def _internet_meets(
    _target: Host, legs: tuple[Interface, ...], _offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    for network in topology.backbone.networks:
        if network.kind == "internet":
            yield Source(f"uplink:{network.name}", "", network.name, network.name, ()), legs[0]


def _controller_meets(
    _target: Host, legs: tuple[Interface, ...], _offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    hub = topology.hub
    point = next(probe for probe in hub.probe_points if probe.name == CONTROLLER)
    inside = point.links[0]
    for leg in legs:
        direct = next((link for link in point.links if link.network == leg.network), None)
        if leg.kind == "uplink" and direct is None:
            continue
        link = direct or inside
        yield _from_probe_link(CONTROLLER, hub.code, link), leg


def _twins_meet(
    target: Host, legs: tuple[Interface, ...], offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    """The hosts that carry an address in turn with this one, in each network where they do."""
    others = {host.name: host for host in topology.sites[target.site].hosts}
    for leg in legs:
        for name in dict.fromkeys(twin for share in leg.shared for twin in share.twins):
            own = others[name].interface(leg.name)
            if own is not None:
                yield _from_twin(others[name], own, offering.protocol), leg


def _tunnel_peers(host: Host, topology: Topology) -> tuple[Host, ...]:
    hub = topology.hub
    if host.site == hub.code:
        return tuple(
            router
            for code, site in topology.sites.items()
            if code != hub.code and site.hub == hub.code
            for router in topology.routers(code)
        )
    return topology.routers(hub.code)


def _local_zones_meet(
    target: Host, legs: tuple[Interface, ...], _offering: Offering, topology: Topology
) -> Iterator[Meeting]:
    site = topology.sites[target.site]
    everywhere = len(legs) > 1
    for network in site.networks:
        leg = next((leg for leg in legs if leg.network == network.name), None)
        if everywhere and leg is not None and leg.kind == "service":
            yield _from_network(network), leg
        elif not everywhere and network.kind in OFFICE_KINDS:
            yield _from_network(network), legs[0]


_CLIENTS: Mapping[
    str, Callable[[Host, tuple[Interface, ...], Offering, Topology], Iterator[Meeting]]
] = {
    "controller": _controller_meets,
    "internet": _internet_meets,
    "local_zones": _local_zones_meet,
    "members": _members_meet,
    "tunnel_peers": _peers_meet,
    "twins": _twins_meet,
}
"""Who comes to a service besides those whose functions need it."""


def _declared(topology: Topology) -> Iterator[Flow]:
    yield from _of_services(topology)
    yield from _of_tenants(topology)
    declaration = topology.province.declaration
    for index_, flow in enumerate(declaration.flows):
        if declaration.shared_services[flow.service].active_from <= declaration.as_of:
            origin = f"flows.{index_}"
            yield from _consumed(flow.service, flow.source, flow.why, origin, topology)


def _of_services(topology: Topology) -> Iterator[Flow]:
    declaration = topology.province.declaration
    for name, service in declaration.shared_services.items():
        if service.active_from > declaration.as_of:
            continue
        for consumer in service.consumers:
            yield from _consumed(name, consumer, name, f"shared_services.{name}", topology)
        if service.published:
            yield from _published(name, service.published, topology)


def _of_tenants(topology: Topology) -> Iterator[Flow]:
    declaration = topology.province.declaration
    for name, tenant in declaration.tenants.items():
        for wanted in tenant.services:
            if declaration.shared_services[wanted].active_from > declaration.as_of:
                continue
            for consumer in tenant.consumers:
                yield from _consumed(wanted, consumer, name, f"tenants.{name}", topology)


def _carriers(service: str, topology: Topology) -> Iterator[tuple[Host, Offering]]:
    """The hosts of a shared service, with what it offers on their primary legs."""
    declared = topology.province.declaration.shared_services[service]
    for host in topology.sites[declared.site].hosts:
        if host.declared_as in declared.hosts:
            where = (host.primary.name,)
            yield (
                host,
                Offering(service, service, declared.protocol, declared.ports, where, "needers", ""),
            )


def _published(service: str, outside: Published, topology: Topology) -> Iterator[Flow]:
    """From the host that publishes to those that carry: who may come to it is its record's."""
    declared = topology.province.declaration.shared_services[service]
    site = topology.sites[declared.site]
    proxy = next(host for host in site.hosts if host.declared_as == outside.host)
    for target, offering in _carriers(service, topology):
        if target.name == proxy.name:
            continue
        source, leg = meeting(proxy, target, offering)
        origin = f"shared_services.{service}.published"
        yield _flow(source, target, leg, offering, why=f"{service} published", origin=origin)


def _consumed(
    service: str, consumer: Consumer, why: str, origin: str, topology: Topology
) -> Iterator[Flow]:
    province = topology.province
    for target, offering in _carriers(service, topology):
        for chosen in selected_sites(consumer.sites, province.declaration, province.units):
            networks = topology.sites[chosen.effective_code].networks
            network = next(network for network in networks if network.zone == consumer.zone)
            source = _from_network(network)
            yield _flow(source, target, target.primary, offering, why=why, origin=origin)


def derive_flows(topology: Topology) -> tuple[Flow, ...]:
    """Every permitted flow, each once, in a stable order."""
    flows = dict.fromkeys((*_needed(topology), *_standing(topology), *_declared(topology)))
    return tuple(flows)
