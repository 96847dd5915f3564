"""Shared services: who is connected, as declared, and what was promised in words."""

from __future__ import annotations

from infra.model import Province
from infra.model.expand import selected_sites
from infra.model.province import Expectation as DeclaredExpectation
from infra.plan.types import Expectation, Host, Share, SharedService, Site


def derive_services(province: Province, sites: tuple[Site, ...]) -> tuple[SharedService, ...]:
    """The shared services with the hosts that carry them."""
    by_code = {site.code: site for site in sites}
    services = []
    for name, declared in province.declaration.shared_services.items():
        hosts = by_code[declared.site].hosts
        host = next(host for host in hosts if host.declared_as == declared.host)
        services.append(
            SharedService(
                name=name,
                title=declared.title.vi,
                level=declared.level,
                host=host.name,
                protocol=declared.protocol,
                ports=declared.ports,
                active_from=declared.active_from.isoformat(),
                published=declared.published,
            )
        )
    return tuple(services)


def derive_shares(province: Province) -> tuple[Share, ...]:
    """What share of each tier reaches a service, as declared: units with a consuming site."""
    declaration, units = province.declaration, province.units
    shares = []
    for name, service in declaration.shared_services.items():
        connected = {
            site.unit
            for consumer in service.consumers
            for site in selected_sites(consumer.sites, declaration, units)
        }
        for required in service.required_shares:
            members = {
                unit.code
                for unit in units.values()
                if unit.tier == required.tier and unit.exists_on(declaration.as_of)
            }
            title = declaration.tiers.get(required.tier)
            shares.append(
                Share(
                    service=name,
                    tier=required.tier,
                    tier_vi=title.vi if title else required.tier,
                    tier_en=title.en if title else required.tier,
                    connected=len(members & connected),
                    total=len(members),
                    required_percent=required.percent,
                )
            )
    return tuple(shares)


def _expectation(declared: DeclaredExpectation, host: Host) -> Expectation:
    leg = host.interface(declared.zone) if declared.zone else None
    return Expectation(
        title=declared.title.vi,
        source=declared.source,
        target=declared.host,
        destinations=(leg or host.primary).addresses,
        protocol=declared.protocol,
        port=declared.port,
        expect=declared.expect,
        due=declared.due.isoformat() if declared.due else "",
    )


def derive_expectations(province: Province, sites: tuple[Site, ...]) -> tuple[Expectation, ...]:
    """The declared promises with the addresses that they are about."""
    hosts = {host.name: host for site in sites for host in site.hosts}
    return tuple(_expectation(item, hosts[item.host]) for item in province.declaration.expectations)
