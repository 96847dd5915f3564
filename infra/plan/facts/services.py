"""Facts of services: who offers what to whom, under which names."""

from __future__ import annotations

from infra.errors import InventoryError
from infra.plan.dual import Dual
from infra.plan.facts.context import Context, Value
from infra.plan.names import leg_name
from infra.plan.types import Host, Interface, Offering


def _met_at(host: Host, interface: str, service: str, domain: str) -> tuple[str, Dual]:
    """Under which name and address a service of a host is met."""
    leg = host.interface(interface) or host.primary
    offering = next((one for one in host.offerings if one.service == service), None)
    share = leg.shared_for(offering.function) if offering and offering.shared else None
    if offering is not None and share is not None:
        return f"{offering.alias}.{domain}", share.addresses
    return leg_name(host, interface, domain), leg.addresses


def endpoints(context: Context, service: str) -> Value:
    """Whose service this host uses; twins that share an address are one endpoint."""
    found: dict[str, Value] = {}
    for flow in context.outgoing:
        if flow.service != service:
            continue
        target = context.hosts[flow.target]
        name, where = _met_at(target, flow.target_zone, service, context.plan.domain)
        found.setdefault(
            where.ipv4,
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


def _shared_where_met(context: Context, offering: Offering) -> list[str]:
    """Addresses beside a leg's own at which a service is met: a gateway's, or its function's."""
    legs = [context.host.interface(name) for name in offering.interfaces]
    function = offering.function if offering.shared else ""
    return [
        address
        for leg in legs
        for share in (leg.shared if leg else ())
        if share.function == function
        for address in share.addresses.both()
    ]


def own_endpoint(context: Context, service: str) -> Value:
    """Where this host offers a service."""
    for offering in context.host.offerings:
        if offering.service == service:
            legs = [context.host.interface(name) for name in offering.interfaces]
            name, _ = _met_at(context.host, offering.interfaces[0], service, context.plan.domain)
            return {
                "name": name,
                "listen": [address for leg in legs if leg for address in leg.addresses.both()],
                "virtual": _shared_where_met(context, offering),
                "port": offering.ports[0],
            }
    raise InventoryError(
        f"{context.host.name}: offers no service {service!r}; a record asks for its own endpoint, "
        "so it must offer it"
    )


def members(context: Context, function: str) -> Value:
    """Every instance of a function at the host's site, or at the hub where it has none there."""
    hub = next(site for site in context.plan.sites if not site.hub)
    for site in (context.site, hub):
        found = [host for host in site.hosts if function in host.functions]
        if found:
            return [member(host) for host in found]
    return []


def member(host: Host) -> Value:
    """One host as others name it: by its primary leg."""
    where = host.primary.addresses
    return {"host": host.name, "name": host.fqdn, "ipv4": where.ipv4, "ipv6": where.ipv6}


def clients(context: Context, service: str) -> Value:
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


def client_prefixes(context: Context, service: str) -> Value:
    """From where a service of this host is used."""
    found = {
        source for flow in context.incoming if flow.service == service for source in flow.sources
    }
    return sorted(found, key=lambda cidr: (":" in cidr, cidr))


def zones_of_names(context: Context) -> Value:
    """The zones of names with their records."""
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


def providers_of(context: Context, alias: str) -> list[tuple[Host, Interface]]:
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


def name_servers(context: Context) -> Value:
    """The servers that answer for the province's names."""
    hub = next(site for site in context.plan.sites if not site.hub)
    servers = []
    for host in hub.hosts:
        if any(offering.service == "dns" for offering in host.offerings):
            where = host.primary.addresses
            servers.append({"name": host.fqdn, "ipv4": where.ipv4, "ipv6": where.ipv6})
    return {"authoritative": servers}
