"""Facts: the finished values that roles receive, each a pure function of the plan and one host.

Rule 1: a record asks for facts by name; no code here knows a role.
Rule 2: shapes are the contract in `infra/README.md`; tests hold both together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import InventoryError
from infra.plan.names import host_names, leg_name
from infra.plan.rules import TUNNEL
from infra.plan.types import Flow, Host, Interface, Plan, Rule, Site, TunnelEnd

Value = Any
"""JSON-like: what YAML can carry to a role."""


@dataclass(frozen=True, slots=True)
class Context:
    """The plan and one host, with what is asked again and again indexed once."""

    plan: Plan
    host: Host
    site: Site
    hosts: Mapping[str, Host]
    incoming: tuple[Flow, ...]
    outgoing: tuple[Flow, ...]
    rules: tuple[Rule, ...]


def contexts(plan: Plan) -> dict[str, Context]:
    """The context of every host."""
    hosts = {host.name: host for host in plan.hosts()}
    sites = {site.code: site for site in plan.sites}
    incoming: dict[str, list[Flow]] = {name: [] for name in hosts}
    outgoing: dict[str, list[Flow]] = {name: [] for name in hosts}
    rules: dict[str, list[Rule]] = {name: [] for name in hosts}
    for flow in plan.flows:
        incoming[flow.target].append(flow)
        if flow.source in outgoing:
            outgoing[flow.source].append(flow)
    for rule in plan.rules:
        rules[rule.host].append(rule)
    return {
        name: Context(
            plan,
            host,
            sites[host.site],
            hosts,
            tuple(incoming[name]),
            tuple(outgoing[name]),
            tuple(rules[name]),
        )
        for name, host in hosts.items()
    }


def _interface(leg: Interface) -> Value:
    lengths = leg.prefix_lengths
    virtual = leg.virtual
    return {
        "name": leg.name,
        "zone": leg.zone,
        "kind": leg.kind,
        "addresses": list(leg.cidrs()),
        "virtual_addresses": (
            [f"{virtual.ipv4}/{lengths[0]}", f"{virtual.ipv6}/{lengths[1]}"] if virtual else []
        ),
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


def _firewall(context: Context) -> Value:
    def chain(name: str) -> list[Value]:
        return [_rule(rule) for rule in context.rules if rule.chain == name]

    return {"inputs": chain("input"), "outputs": chain("output"), "forwards": chain("forward")}


def _spoof_guard(context: Context) -> Value:
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


def _esp(context: Context) -> Value:
    """Who carries ESP: `user_space` or `kernel`."""
    return json.loads(dict(context.site.parameters).get("esp", '"user_space"'))


def _tunnels(context: Context) -> Value:
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
        "esp": _esp(context),
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


def _endpoints(context: Context, service: str) -> Value:
    found: dict[str, Value] = {}
    for flow in context.outgoing:
        if flow.service != service:
            continue
        target = context.hosts[flow.target]
        leg = target.interface(flow.target_zone)
        where = (leg or target.primary).addresses
        name = leg_name(target, flow.target_zone, context.plan.domain)
        found.setdefault(
            target.name,
            {
                "host": target.name,
                "name": name,
                "ipv4": where.ipv4,
                "ipv6": where.ipv6,
                "port": flow.ports[0],
                "protocol": flow.protocol,
            },
        )
    return list(found.values())


def _own_endpoint(context: Context, service: str) -> Value:
    for offering in context.host.offerings:
        if offering.service == service:
            legs = [context.host.interface(name) for name in offering.interfaces]
            listen = [address for leg in legs if leg for address in leg.addresses.both()]
            virtual = [
                address for leg in legs if leg and leg.virtual for address in leg.virtual.both()
            ]
            return {
                "name": leg_name(context.host, offering.interfaces[0], context.plan.domain),
                "listen": listen,
                "virtual": virtual,
                "port": offering.ports[0],
            }
    raise InventoryError(
        f"{context.host.name}: offers no service {service!r}; a record asks for its own endpoint, "
        "so it must offer it"
    )


def _clients(context: Context, service: str) -> Value:
    """Who comes to a service of this host, with every address that it may come from."""
    found: dict[str, list[str]] = {}
    for flow in context.incoming:
        if flow.service == service and flow.source in context.hosts:
            known = found.setdefault(flow.source, [])
            for cidr in flow.sources:
                address = cidr.split("/", 1)[0]
                if address not in known:
                    known.append(address)
    return [{"host": host, "addresses": known} for host, known in found.items()]


def _client_prefixes(context: Context, service: str) -> Value:
    found = {
        source for flow in context.incoming if flow.service == service for source in flow.sources
    }
    return sorted(found, key=lambda cidr: (":" in cidr, cidr))


def _zones_of_names(context: Context) -> Value:
    return [
        {
            "name": zone.name,
            "records": [
                {"name": record.name, "type": record.type, "value": record.value}
                for record in zone.records
            ],
        }
        for zone in context.plan.zones_of_names
    ]


def _providers_of(context: Context, alias: str) -> list[tuple[Host, Interface]]:
    """Hosts that carry an alias at the hub, with the leg that it names."""
    hub = next(site for site in context.plan.sites if not site.hub)
    found = []
    for host in hub.hosts:
        for offering in host.offerings:
            leg = host.interface(offering.interfaces[0]) if offering.interfaces else None
            if offering.alias == alias and leg is not None:
                found.append((host, leg))
                break
    return found


def _name_servers(context: Context) -> Value:
    hub = next(site for site in context.plan.sites if not site.hub)
    servers = []
    for host in hub.hosts:
        if any(offering.service == "dns" for offering in host.offerings):
            where = host.primary.addresses
            servers.append({"name": host.fqdn, "ipv4": where.ipv4, "ipv6": where.ipv6})
    return {"authoritative": servers}


def _authority(context: Context) -> Value:
    providers = _providers_of(context, "ca")
    if not providers:
        raise InventoryError(
            f"{context.host.name}: asks for the certificate authority, and no host of the hub "
            "offers the alias 'ca'; place the function that does"
        )
    name = f"ca.{context.plan.domain}"
    blocks = context.plan.blocks
    return {
        "host": providers[0][0].name,
        "name": name,
        "url": f"https://{name}",
        "crl_url": f"http://{name}/1.0/crl",
        "permitted_domains": [context.plan.domain],
        "permitted_prefixes": list(blocks.both()),
    }


def _essential_hosts(context: Context) -> Value:
    """What must be found before names are served: oneself, and the hub's management services."""
    domain = context.plan.domain
    found: dict[str, list[str]] = {}
    for name, where in host_names(context.host, domain):
        for address in where.both():
            found.setdefault(address, []).append(name)
    hub = next(site for site in context.plan.sites if not site.hub)
    for host in hub.hosts:
        for offering in host.offerings:
            if not offering.alias or offering.alias in {"time", "dns"}:
                continue
            leg = host.interface(offering.interfaces[0]) if offering.interfaces else None
            if leg is None:
                continue
            for address in leg.addresses.both():
                names = found.setdefault(address, [])
                for name in (leg_name(host, leg.name, domain), f"{offering.alias}.{domain}"):
                    if name not in names:
                        names.append(name)
    return [{"address": address, "names": names} for address, names in found.items()]


def _administration(context: Context) -> Value:
    listen: list[str] = []
    for offering in context.host.offerings:
        if offering.clients == "controller":
            for name in offering.interfaces:
                leg = context.host.interface(name)
                if leg is not None:
                    listen += [addr for addr in leg.addresses.both() if addr not in listen]
    sources = {
        source
        for flow in context.incoming
        if flow.source == context.plan.controller
        for source in flow.sources
    }
    return {"listen": listen, "sources": sorted(sources, key=lambda cidr: (":" in cidr, cidr))}


def _certificates(context: Context) -> Value:
    return [
        {
            "name": certificate.name,
            "common_name": certificate.common_name,
            "dns_names": list(certificate.dns_names),
            "addresses": list(certificate.addresses),
            "owner": certificate.owner,
            "group": certificate.group,
            "reload": list(certificate.reload),
        }
        for certificate in context.host.certificates
    ]


def _administrators(context: Context) -> Value:
    return [
        {"name": person.name, "full_name": person.full_name, "groups": list(person.groups)}
        for person in context.plan.administrators
    ]


def _parameter(context: Context, name: str) -> Value:
    parameters = dict(context.site.parameters)
    if name not in parameters:
        raise InventoryError(
            f"{context.host.name}: a function asks for the parameter {name!r}, which is not "
            f"declared; add it under parameters (known: {', '.join(sorted(parameters))})"
        )
    return json.loads(parameters[name])


def _prefixes(context: Context) -> Value:
    return [cidr for network in context.site.networks for cidr in network.prefix.both()]


FACTS: Mapping[str, Callable[..., Value]] = {
    "administration": _administration,
    "administrators": _administrators,
    "authority": _authority,
    "certificates": _certificates,
    "client_prefixes": _client_prefixes,
    "clients": _clients,
    "domain": lambda context: context.plan.domain,
    "endpoints": _endpoints,
    "esp": _esp,
    "essential_hosts": _essential_hosts,
    "firewall": _firewall,
    "forwarding": lambda context: context.host.is_router,
    "fqdn": lambda context: context.host.fqdn,
    "functions": lambda context: list(context.host.functions),
    "interfaces": lambda context: [_interface(leg) for leg in context.host.interfaces],
    "level": lambda context: context.site.level,
    "name": lambda context: context.host.name,
    "name_servers": _name_servers,
    "own_endpoint": _own_endpoint,
    "parameter": _parameter,
    "province_prefixes": lambda context: list(context.plan.blocks.both()),
    "search_domain": lambda context: context.plan.domain,
    "site": lambda context: context.host.site,
    "site_prefixes": _prefixes,
    "spoof_guard": _spoof_guard,
    "tunnels": _tunnels,
    "zone_names": lambda context: [zone.name for zone in context.plan.zones_of_names],
    "zones_of_names": _zones_of_names,
}
"""Every fact of the plan, by the name under which a record asks for it."""


def fact(context: Context, name: str, arguments: Mapping[str, object]) -> Value:
    """One fact of one host.

    Raises:
        InventoryError: the fact is unknown, or its arguments are not those that it takes.
    """
    if name not in FACTS:
        raise InventoryError(
            f"{context.host.name}: a record asks for the fact {name!r}; known are "
            f"{', '.join(sorted(FACTS))}"
        )
    try:
        return FACTS[name](context, **arguments)
    except TypeError as error:
        raise InventoryError(
            f"{context.host.name}: the fact {name!r} does not take {dict(arguments)!r}; "
            "see infra/README.md"
        ) from error
