"""Facts of names, certificates and people."""

from __future__ import annotations

from infra.errors import InventoryError
from infra.plan.facts.context import Context, Value
from infra.plan.facts.services import providers_of
from infra.plan.names import host_names, leg_name


def authority(context: Context) -> Value:
    """The issuing authority and where it is met."""
    providers = providers_of(context, "ca")
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


def essential_hosts(context: Context) -> Value:
    """What must be found before names are served: oneself, and the hub's management services."""
    domain = context.plan.domain
    found: dict[str, list[str]] = {}
    for name, where in host_names(context.host, domain):
        for address in where.both():
            found.setdefault(address, []).append(name)
    hub = next(site for site in context.plan.sites if not site.hub)
    for host in hub.hosts:
        for offering in host.offerings:
            leg = host.interface(offering.interfaces[0]) if offering.interfaces else None
            if not offering.alias or leg is None or leg.kind != "management":
                continue
            for address in leg.addresses.both():
                names = found.setdefault(address, [])
                for name in (leg_name(host, leg.name, domain), f"{offering.alias}.{domain}"):
                    if name not in names:
                        names.append(name)
    return [{"address": address, "names": names} for address, names in found.items()]


def administration(context: Context) -> Value:
    """Where administrators reach this host, and from where."""
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


def certificates(context: Context) -> Value:
    """The certificates that this host holds."""
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


def administrators(context: Context) -> Value:
    """The people who may administer."""
    return [
        {"name": person.name, "full_name": person.full_name, "groups": list(person.groups)}
        for person in context.plan.administrators
    ]
