"""The topology as a Mermaid flowchart, for pages that render it."""

from __future__ import annotations

from collections.abc import Iterator

from infra.plan.shapes import LOOKS, Live
from infra.plan.types import GATEWAY, Plan, Site


def _identifier(words: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in words)


def _shared(site: Site) -> dict[tuple[str, str], list[str]]:
    """Hosts by (group, address) that they share; what one host carries alone is its own."""
    found: dict[tuple[str, str], list[str]] = {}
    for host in site.hosts:
        for leg in host.interfaces:
            for share in leg.shared:
                # A gateway pair shares an address in every zone: the primary one stands for all.
                if share.twins and (share.group != GATEWAY or leg == host.primary):
                    key = (share.group, share.addresses.ipv4)
                    found.setdefault(key, []).append(host.name)
    return found


def _site(site: Site, live: Live | None) -> Iterator[str]:
    yield f'  subgraph site_{_identifier(site.code)}["{site.title} ({site.code})"]'
    for host in site.hosts:
        state = f":::{live.host(host.name)}" if live else ""
        label = f"{host.name}<br/>{host.primary.addresses.ipv4}"
        yield f'    {_identifier(host.name)}["{label}"]{state}'
    for (group, address), hosts in _shared(site).items():
        node = _identifier(f"shared_{site.code}_{group}")
        yield f'    {node}{{{{"{group}<br/>{address}"}}}}'
        yield from (f"    {_identifier(host)} --- {node}" for host in hosts)
    yield "  end"


def _clusters(plan: Plan) -> Iterator[str]:
    for cluster in plan.clusters:
        node = _identifier(f"cluster_{cluster.name}")
        tenants = ", ".join(tenant.database for tenant in cluster.tenants)
        yield f'  {node}[("{cluster.name}<br/>{tenants}")]'
        yield from (f"  {node} --- {_identifier(member)}" for member in cluster.members)
        if cluster.endpoint is not None:
            yield from (f"  {_identifier(host)} --> {node}" for host in cluster.endpoint.hosts)


def _published(plan: Plan) -> Iterator[str]:
    for service in plan.services:
        if service.published is not None:
            node = _identifier(f"published_{service.name}")
            yield f'  {node}(["{service.published.name}:{service.published.port}"])'
            yield f"  {node} --> {_identifier(service.published.host)}"
            for host in service.hosts:
                yield f"  {_identifier(service.published.host)} --> {_identifier(host)}"


def mermaid(plan: Plan, live: Live | None = None) -> str:
    """The topology as a Mermaid flowchart; with `live`, hosts and tunnels say what was seen."""
    lines = ["flowchart TB"]
    lines += [f'  {_identifier(one.name)}(("{one.name}"))' for one in plan.backbone.networks]
    for site in plan.sites:
        lines += _site(site, live)
    for host in plan.hosts():
        lines += [
            f"  {_identifier(host.name)} --- {_identifier(leg.network)}"
            for leg in host.interfaces
            if leg.kind == "uplink"
        ]
    for tunnel in plan.tunnels:
        state = f" {LOOKS[live.tunnel(tunnel.spoke.site)].mark}" if live else ""
        lines += [
            f'  {_identifier(spoke)} -. "IPsec{state}" .-> {_identifier(hub)}'
            for spoke in tunnel.spoke.hosts
            for hub in tunnel.hub.hosts
        ]
    lines += _clusters(plan)
    lines += _published(plan)
    if live is not None:
        lines += [
            f"  classDef {state} fill:{look.fill},stroke:{look.ink},color:{look.ink}"
            + (",stroke-dasharray:4 3" if look.dash else "")
            for state, look in LOOKS.items()
        ]
    return "\n".join(lines) + "\n"
