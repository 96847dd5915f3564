"""An oracle for rules: walks a packet hop by hop, as the network would, and asks each firewall.

It knows networks, addresses and tunnels of a plan, and nothing of how rules are derived.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from infra.plan import Flow, Host, Plan, Rule, Site

TUNNEL = "tunnel"
OUTSIDE = {"ipv4": "192.0.2.77", "ipv6": "2001:db8:ffff::77"}
"""Somebody on the Internet."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A first packet of a connection."""

    family: str
    protocol: str
    port: int
    source: str
    destination: str
    link: str = ""
    """The interface, for what never leaves its network (VRRP)."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A firewall that the packet meets: on which host, in which chain, through which sides."""

    host: str
    chain: str
    interface_in: str | None
    interface_out: str | None


_network = cache(ipaddress.ip_network)
_address = cache(ipaddress.ip_address)


@cache
def _within(address: str, cidrs: tuple[str, ...]) -> bool:
    return any(_address(address) in _network(cidr) for cidr in cidrs)


@dataclass(frozen=True, slots=True)
class Walker:
    """Walks packets through a plan."""

    plan: Plan
    hosts: Mapping[str, Host] = field(init=False)
    rules: Mapping[Hop, list[Rule]] = field(init=False)
    prefixes: Mapping[str, tuple[str, ...]] = field(init=False)
    owners: Mapping[str, tuple[Host, ...]] = field(init=False)
    """Every host that may carry an address: all twins of a shared one."""

    def __post_init__(self) -> None:
        rules: dict[Hop, list[Rule]] = {}
        for rule in self.plan.rules:
            hop = Hop(rule.host, rule.chain, rule.interface_in, rule.interface_out)
            rules.setdefault(hop, []).append(rule)
        object.__setattr__(self, "rules", rules)
        networks = [one for site in self.plan.sites for one in site.networks]
        networks += self.plan.backbone.networks
        hosts = self.plan.hosts()
        object.__setattr__(self, "hosts", {host.name: host for host in hosts})
        object.__setattr__(self, "prefixes", {one.name: one.prefix.both() for one in networks})
        owners: dict[str, tuple[Host, ...]] = {}
        for host in hosts:
            for leg in host.interfaces:
                for where in (leg.addresses, *(share.addresses for share in leg.shared)):
                    for address in where.both():
                        owners[address] = (*owners.get(address, ()), host)
        object.__setattr__(self, "owners", owners)

    @property
    def hub(self) -> Site:
        return next(site for site in self.plan.sites if not site.hub)

    def _routers(self, site: Site) -> list[Host]:
        """List the routers of a site: any of a pair may be the one that carries the addresses."""
        return [host for host in site.hosts if host.is_router]

    def _site_of(self, address: str) -> Site:
        (site,) = [one for one in self.plan.sites if _within(address, one.prefix.both())]
        return site

    def _on_link(self, address: str, networks: Mapping[str, str]) -> str | None:
        """Find the network, by interface, in which an address is a neighbour."""
        for interface, network in networks.items():
            if _within(address, self.prefixes[network]):
                return interface
        return None

    def path(self, source: str, packet: Packet) -> Iterator[Hop]:
        """Every firewall between a source, named as flows name it, and the destination."""
        if source in self.hosts:
            yield from self._from_host(self.hosts[source], packet)
        elif source.startswith("zone:"):
            code, zone = source.removeprefix("zone:").split("/")
            network = {one.zone: one.name for one in self.plan.site(code).networks}[zone]
            yield from self._from_bystander({zone: network}, zone, code, packet)
        elif source.startswith("uplink:"):
            name = source.removeprefix("uplink:")
            yield from self._from_bystander({name: name}, name, self.hub.code, packet)
        else:
            (point,) = [one for one in self.hub.probe_points if one.name == source]
            legs = {link.interface: link.network for link in point.links}
            yield from self._from_bystander(legs, point.links[0].interface, self.hub.code, packet)

    def _from_bystander(
        self, legs: Mapping[str, str], way_out: str, site: str, packet: Packet
    ) -> Iterator[Hop]:
        near = self._on_link(packet.destination, legs)
        if near is not None:
            yield from self._arrives(near, packet)
        else:
            for router in self._routers(self.plan.site(site)):
                yield from self._through(router, way_out, packet)

    def _arrives(self, interface: str, packet: Packet) -> Iterator[Hop]:
        for owner in self.owners[packet.destination]:
            yield Hop(owner.name, "input", interface, None)

    def _from_host(self, host: Host, packet: Packet) -> Iterator[Hop]:
        if packet.link:
            leg = host.interface(packet.link)
            assert leg is not None
            yield Hop(host.name, "output", None, leg.name)
            for twin in {twin for share in leg.shared for twin in share.twins}:
                yield Hop(twin, "input", leg.name, None)
            return
        near = self._on_link(packet.destination, {leg.name: leg.network for leg in host.interfaces})
        if near is not None:
            yield Hop(host.name, "output", None, near)
            for hop in self._arrives(near, packet):
                if hop.host != host.name:  # a host meets its own address without a firewall
                    yield hop
        elif host.is_router:
            yield Hop(host.name, "output", None, TUNNEL)
            yield from self._out_of_tunnel(host.site, packet)
        else:
            yield Hop(host.name, "output", None, host.primary.name)
            for router in self._routers(self.plan.site(host.site)):
                yield from self._through(router, host.primary.name, packet)

    def _out_of_tunnel(self, left: str, packet: Packet) -> Iterator[Hop]:
        """Arrive at the other end: at the hub, or from the hub at the destination's site."""
        site = self.hub if left != self.hub.code else self._site_of(packet.destination)
        for router in self._routers(site):
            yield from self._through(router, TUNNEL, packet)

    def _through(self, router: Host, arrived_at: str, packet: Packet) -> Iterator[Hop]:
        if router in self.owners[packet.destination]:
            yield Hop(router.name, "input", arrived_at, None)
            return
        near = self._on_link(packet.destination, {leg.name: leg.network for leg in router.inner})
        yield Hop(router.name, "forward", arrived_at, near or TUNNEL)
        if near is not None:
            yield from self._arrives(near, packet)
        else:
            yield from self._out_of_tunnel(router.site, packet)

    def admitting(self, hop: Hop, packet: Packet) -> list[Rule]:
        """Find the rules of a firewall that let the packet pass."""
        return [
            rule
            for rule in self.rules.get(hop, [])
            if rule.family == packet.family
            and rule.protocol == packet.protocol
            and (packet.port in rule.ports or (not rule.ports and bool(packet.link)))
            and (not rule.sources or _within(packet.source, rule.sources))
            and (not rule.destinations or _within(packet.destination, rule.destinations))
        ]

    def refusals(self, source: str, packet: Packet) -> list[Hop]:
        """List the firewalls on the way that would stop the packet."""
        return [hop for hop in self.path(source, packet) if not self.admitting(hop, packet)]


def packets_of(flow: Flow) -> Iterator[Packet]:
    """One packet for each port and family of a flow."""
    for family in ("ipv4", "ipv6"):
        sources = [one for one in flow.sources if (":" in one) == (family == "ipv6")]
        (target,) = [one for one in flow.destinations if (":" in one) == (family == "ipv6")]
        source = str(_network(sources[0])[0]) if sources else OUTSIDE[family]
        link = flow.target_zone if flow.protocol == "vrrp" else ""
        for port in flow.ports or (0,):
            yield Packet(family, flow.protocol, port, source, target.split("/")[0], link)
