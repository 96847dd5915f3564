"""Facts of addresses, filters, tunnels: what the network roles receive."""

from __future__ import annotations

import json

from infra.errors import InventoryError
from infra.plan.facts.context import Context, Value
from infra.plan.rules import TUNNEL
from infra.plan.types import GATEWAY, Interface, Rule, SharedAddress, TunnelEnd


def interface(leg: Interface) -> Value:
    """A leg of a host."""
    return {
        "name": leg.name,
        "zone": leg.zone,
        "kind": leg.kind,
        "addresses": list(leg.cidrs()),
        "virtual_addresses": [
            cidr for one in leg.shared if not one.twins for cidr in leg.with_length(one.addresses)
        ],
        "default_gateways": list(leg.default_gateways.both()) if leg.default_gateways else [],
        "routes": [{"to": route.to, "via": route.via} for route in leg.routes],
        "answer_table": leg.answer_table,
        "answer_sources": list(leg.addresses.both()) if leg.answer_table else [],
        "answer_gateways": list(leg.answer_gateways.both()) if leg.answer_gateways else [],
        "mtu": None,
    }


def _rule(rule: Rule) -> Value:
    return {
        "family": rule.family,
        "protocol": rule.protocol,
        "ports": list(rule.ports),
        "sources": list(rule.sources),
        "destinations": list(rule.destinations),
        "interface_in": rule.interface_in,
        "interface_out": rule.interface_out,
        "service": rule.service,
        "why": rule.why,
    }


def firewall(context: Context) -> Value:
    """What this host lets in, out and through."""

    def chain(name: str) -> list[Value]:
        return [_rule(rule) for rule in context.rules if rule.chain == name]

    return {"inputs": chain("input"), "outputs": chain("output"), "forwards": chain("forward")}


def spoof_guard(context: Context) -> Value:
    """The only sources that may arrive on each side of a router."""
    if not context.host.is_router:
        return []
    blocks = context.plan.blocks
    networks = {network.name: network for network in context.site.networks}
    guard: list[Value] = [
        {
            "interface": leg.name,
            "ipv4": [networks[leg.network].prefix.ipv4],
            "ipv6": [networks[leg.network].prefix.ipv6],
        }
        for leg in context.host.inner
    ]
    guard += [
        {"interface": leg.name, "refused_ipv4": [blocks.ipv4], "refused_ipv6": [blocks.ipv6]}
        for leg in context.host.interfaces
        if leg.kind == "uplink"
    ]
    ends = _peers(context)
    if ends:
        guard.append(
            {
                "interface": TUNNEL,
                "ipv4": [end.prefixes.ipv4 for end in ends],
                "ipv6": [end.prefixes.ipv6 for end in ends],
            }
        )
    return guard


def _peers(context: Context) -> list[TunnelEnd]:
    name = context.host.name
    at_hub = [tunnel.spoke for tunnel in context.plan.tunnels if name in tunnel.hub.hosts]
    at_spoke = [tunnel.hub for tunnel in context.plan.tunnels if name in tunnel.spoke.hosts]
    return at_hub + at_spoke


def esp(context: Context) -> Value:
    """Who carries ESP: `user_space` or `kernel`."""
    return json.loads(dict(context.site.parameters).get("esp", '"user_space"'))


def tunnels(context: Context) -> Value:
    """This host's end of its tunnels, and its peers.

    Raises:
        InventoryError: no tunnel ends on this host.
    """
    name = context.host.name
    own = next(
        (
            end
            for tunnel in context.plan.tunnels
            for end in (tunnel.hub, tunnel.spoke)
            if name in end.hosts
        ),
        None,
    )
    if own is None:
        raise InventoryError(
            f"{name}: has no tunnel, but a function asks for one; place the function on a site's "
            "border host, or take it away"
        )
    spoke = any(name in tunnel.spoke.hosts for tunnel in context.plan.tunnels)
    return {
        "esp": esp(context),
        "local_addresses": list(own.addresses.both()),
        "identity": own.identity,
        "certificate": "tunnel",
        "prefixes": list(own.prefixes.both()),
        "peers": [
            {
                "name": end.site,
                "identity": end.identity,
                "addresses": list(end.addresses.both()),
                "prefixes": list(end.prefixes.both()),
                "initiates": spoke,
            }
            for end in _peers(context)
        ],
    }


def _moving(context: Context, group: str) -> list[tuple[Interface, SharedAddress]]:
    return [
        (leg, share)
        for leg in context.host.interfaces
        if (share := leg.shared_in(group)) is not None and share.twins
    ]


def _twin(context: Context, name: str, legs: list[str]) -> Value:
    twin = context.hosts[name]
    return {
        "host": name,
        "addresses": [
            {"interface": leg.name, "ipv4": leg.addresses.ipv4, "ipv6": leg.addresses.ipv6}
            for leg in twin.interfaces
            if leg.name in legs
        ],
    }


def shared_addresses(context: Context) -> Value:
    """The groups of addresses that this host carries in turn with its twins."""
    groups = dict.fromkeys(share.group for leg in context.host.interfaces for share in leg.shared)
    found: list[Value] = []
    for group in groups:
        moving = _moving(context, group)
        if not moving:
            continue
        management = [leg.name for leg, _ in moving if leg.kind == "management"]
        twins = dict.fromkeys(twin for _, share in moving for twin in share.twins)
        found.append(
            {
                "name": group,
                "priority": moving[0][1].priority,
                "addresses": [
                    {
                        "interface": leg.name,
                        "router_id": share.router_id,
                        "ipv4": leg.with_length(share.addresses)[0],
                        "ipv6": leg.with_length(share.addresses)[1],
                    }
                    for leg, share in moving
                ],
                "twins": [_twin(context, twin, [leg.name for leg, _ in moving]) for twin in twins],
                "state_interface": management[0] if group == GATEWAY and management else None,
            }
        )
    return found


def publications(context: Context) -> Value:
    """Public addresses of this site that lead to what it publishes; gateways only."""
    if not context.host.is_router:
        return []
    internet = {one.name for one in context.plan.backbone.networks if one.kind == "internet"}
    return [
        {
            "interface": leg.name,
            "ipv4": leg.site_addresses.ipv4,
            "ipv6": leg.site_addresses.ipv6,
            "port": port,
            "target_ipv4": target.primary.addresses.ipv4,
            "target_ipv6": target.primary.addresses.ipv6,
        }
        for leg in context.host.interfaces
        if leg.name in internet
        for host, port in _published_ports(context)
        if (target := context.hosts[host]).site == context.host.site
    ]


def _published_ports(context: Context) -> dict[tuple[str, int], None]:
    outside = [one.published for one in context.plan.services if one.published]
    return dict.fromkeys((one.host, one.port) for one in outside)
