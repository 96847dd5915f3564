"""Firewall rules from flows: what each host must let in, out and through, in both families."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.plan.types import Flow, Host, Rule, Site

TUNNEL = "tunnel"
"""The side of a router towards the other sites, whatever carries the tunnel there."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One host that a flow meets on its way, and through which of its sides."""

    host: str
    chain: str
    interface_in: str | None
    interface_out: str | None


def crossings(
    flow: Flow, hosts: Mapping[str, Host], sites: Mapping[str, Site], hub: str
) -> Iterator[Crossing]:
    """Every host whose firewall a flow passes, from source to target."""
    source, target = hosts.get(flow.source), hosts[flow.target]
    leaves_site = flow.source_site not in {"", flow.target_site} and not flow.direct
    if source is not None:
        into_tunnel = leaves_site and source.is_router
        yield Crossing(source.name, "output", None, TUNNEL if into_tunnel else flow.source_zone)
    if flow.direct:
        yield Crossing(target.name, "input", flow.target_zone, None)
        return
    arrives_at = flow.source_zone
    if leaves_site:
        if source is None or not source.is_router:
            for router in _routers(sites[flow.source_site]):
                yield Crossing(router.name, "forward", flow.source_zone, TUNNEL)
        if hub not in {flow.source_site, flow.target_site}:
            for router in _routers(sites[hub]):
                yield Crossing(router.name, "forward", TUNNEL, TUNNEL)
        arrives_at = TUNNEL
    if target.is_router:
        yield Crossing(target.name, "input", arrives_at, None)
        return
    for router in _routers(sites[flow.target_site]):
        yield Crossing(router.name, "forward", arrives_at, flow.target_zone)
    yield Crossing(target.name, "input", flow.target_zone, None)


def _routers(site: Site) -> tuple[Host, ...]:
    return tuple(host for host in site.hosts if host.is_router)


def _of_family(cidrs: tuple[str, ...], family: str) -> tuple[str, ...]:
    return tuple(cidr for cidr in cidrs if (":" in cidr) == (family == "ipv6"))


def derive_rules(flows: tuple[Flow, ...], sites: Mapping[str, Site], hub: str) -> tuple[Rule, ...]:
    """Every rule of every host, once, in the order of the flows."""
    hosts = {host.name: host for site in sites.values() for host in site.hosts}
    rules: dict[Rule, None] = {}
    for flow in flows:
        for crossing in crossings(flow, hosts, sites, hub):
            for family in ("ipv4", "ipv6"):
                rule = Rule(
                    host=crossing.host,
                    chain=crossing.chain,
                    family=family,
                    protocol=flow.protocol,
                    ports=flow.ports,
                    sources=_of_family(flow.sources, family),
                    destinations=_of_family(flow.destinations, family),
                    interface_in=crossing.interface_in,
                    interface_out=crossing.interface_out,
                    service=flow.service,
                    why=flow.why,
                )
                rules[rule] = None
    return tuple(rules)
