"""Zones of names, forward and both reverse ones, from the hosts and the services' aliases."""

from __future__ import annotations

from collections.abc import Iterator

from infra.plan.addresses import reverse_name, reverse_zone
from infra.plan.service_types import SharedService
from infra.plan.sites import alias_name
from infra.plan.types import Dual, Host, NameRecord, NameZone, Site


def host_names(host: Host, domain: str) -> Iterator[tuple[str, Dual]]:
    """Every full name of a host with its addresses: its own, then one per further inner leg."""
    yield host.fqdn, host.primary.addresses
    for leg in host.inner[1:]:
        yield f"{host.name}.{leg.zone}.{domain}", leg.addresses


def leg_name(host: Host, interface: str, domain: str) -> str:
    """The full name of one leg of a host."""
    return host.fqdn if interface == host.primary.name else f"{host.name}.{interface}.{domain}"


def _aliases(host: Host, hub: str, domain: str) -> Iterator[tuple[str, Dual]]:
    seen: set[str] = set()
    for offering in host.offerings:
        if not offering.alias or offering.alias in seen:
            continue
        seen.add(offering.alias)
        leg = host.interface(offering.interfaces[0]) if offering.interfaces else None
        share = leg.shared_for(offering.function) if leg and offering.shared else None
        if leg is not None:
            where = share.addresses if share else leg.addresses
            yield alias_name(offering.alias, host.site, hub, domain), where


def _published(
    services: tuple[SharedService, ...], sites: tuple[Site, ...]
) -> Iterator[tuple[str, Dual]]:
    hosts = {host.name: host for site in sites for host in site.hosts}
    for service in services:
        if service.published:
            yield service.published.name, hosts[service.published.host].primary.addresses


def derive_zones(
    sites: tuple[Site, ...],
    hub: str,
    domain: str,
    blocks: Dual,
    services: tuple[SharedService, ...] = (),
) -> tuple[NameZone, ...]:
    """The province's zones: one forward, one reverse for each family."""
    reverse4, reverse6 = reverse_zone(blocks.ipv4), reverse_zone(blocks.ipv6)
    forward: list[NameRecord] = []
    backward4: list[NameRecord] = []
    backward6: list[NameRecord] = []
    for host in (host for site in sites for host in site.hosts):
        for name, where in host_names(host, domain):
            relative = name.removesuffix(f".{domain}")
            forward.append(NameRecord(relative, "A", where.ipv4))
            forward.append(NameRecord(relative, "AAAA", where.ipv6))
            backward4.append(NameRecord(reverse_name(where.ipv4, reverse4), "PTR", f"{name}."))
            backward6.append(NameRecord(reverse_name(where.ipv6, reverse6), "PTR", f"{name}."))
        for name, where in _aliases(host, hub, domain):
            relative = name.removesuffix(f".{domain}")
            forward.append(NameRecord(relative, "A", where.ipv4))
            forward.append(NameRecord(relative, "AAAA", where.ipv6))
    for name, where in _published(services, sites):
        relative = name.removesuffix(f".{domain}")
        forward.append(NameRecord(relative, "A", where.ipv4))
        forward.append(NameRecord(relative, "AAAA", where.ipv6))
    return (
        NameZone(domain, tuple(dict.fromkeys(forward))),
        NameZone(reverse4, tuple(backward4)),
        NameZone(reverse6, tuple(backward6)),
    )
