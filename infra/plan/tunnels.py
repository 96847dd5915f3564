"""Tunnels: one from the hub to every site that has an end for it."""

from __future__ import annotations

from infra.model import Province
from infra.plan.flows import Topology
from infra.plan.types import Host, Site, Tunnel, TunnelEnd


def _tunnel_identity(host: Host, province: Province) -> str | None:
    """The name that all ends of a site share: of the function that meets tunnel peers."""
    for function in host.functions:
        record = province.functions[function]
        if any(offer.clients == "tunnel_peers" for offer in record.offers):
            shared = next(
                (c.shared_identity for c in record.certificates if c.shared_identity), None
            )
            if shared:
                return f"{shared}-{host.site.lower()}.{province.declaration.domain}"
    return None


def _tunnel_end(site: Site, topology: Topology) -> TunnelEnd | None:
    ends = [
        (host, identity)
        for host in site.hosts
        if host.is_router and (identity := _tunnel_identity(host, topology.province)) is not None
    ]
    if not ends:
        return None
    uplink = next(leg for leg in ends[0][0].interfaces if leg.kind == "uplink")
    return TunnelEnd(
        site=site.code,
        hosts=tuple(host.name for host, _ in ends),
        identity=ends[0][1],
        addresses=uplink.site_addresses,
        prefixes=site.prefix,
    )


def derive_tunnels(topology: Topology) -> tuple[Tunnel, ...]:
    """A tunnel from the hub to every site that has a tunnel end."""
    hub_end = _tunnel_end(topology.hub, topology)
    if hub_end is None:
        return ()
    tunnels = []
    for site in topology.sites.values():
        end = _tunnel_end(site, topology) if site.hub == topology.hub.code else None
        if end is not None:
            tunnels.append(Tunnel(hub=hub_end, spoke=end))
    return tuple(tunnels)
