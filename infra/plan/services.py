"""Shared services and databases: who is connected, as declared, and what was promised in words."""

from __future__ import annotations

from collections.abc import Iterator

from infra.model import Province
from infra.model.expand import selected_sites
from infra.model.province import Declaration
from infra.model.province import Expectation as DeclaredExpectation
from infra.plan.service_types import (
    DatabaseCluster,
    Endpoint,
    Expectation,
    Published,
    Share,
    SharedService,
    Tenant,
)
from infra.plan.sites import alias_name
from infra.plan.types import Host, Site


def _host_of(site: Site, declared_as: str) -> Host:
    return next(host for host in site.hosts if host.declared_as == declared_as)


def derive_services(province: Province, sites: tuple[Site, ...]) -> tuple[SharedService, ...]:
    """The shared services with the hosts that carry them."""
    by_code = {site.code: site for site in sites}
    domain = province.declaration.domain
    services = []
    for name, declared in province.declaration.shared_services.items():
        site, outside = by_code[declared.site], declared.published
        services.append(
            SharedService(
                name=name,
                title=declared.title.vi,
                level=declared.level,
                hosts=tuple(_host_of(site, host).name for host in declared.hosts),
                protocol=declared.protocol,
                ports=declared.ports,
                active_from=declared.active_from.isoformat(),
                tenant=declared.tenant or "",
                published=Published(
                    _host_of(site, outside.host).name, f"{outside.name}.{domain}", outside.port
                )
                if outside
                else None,
            )
        )
    return tuple(services)


def derive_clusters(province: Province, sites: tuple[Site, ...]) -> tuple[DatabaseCluster, ...]:
    """The database clusters with their members, endpoints and tenants."""
    by_code = {site.code: site for site in sites}
    return tuple(
        DatabaseCluster(
            name=name,
            title=declared.title.vi,
            site=declared.site,
            function=declared.function,
            members=tuple(
                host.name
                for host in by_code[declared.site].hosts
                if declared.function in host.functions
            ),
            endpoint=_endpoint(declared.endpoint, by_code[declared.site], province.declaration),
            tenants=tuple(_tenants(province, name)),
        )
        for name, declared in province.declaration.database_clusters.items()
    )


def _endpoint(group: str, site: Site, declaration: Declaration) -> Endpoint | None:
    for host in site.hosts:
        for leg in host.interfaces:
            share = leg.shared_in(group)
            met = [one for one in host.offerings if share and one.function == share.function]
            shared = next((one for one in met if one.shared), None)
            if share and shared:
                alias = alias_name(shared.alias, site.code, declaration.hub, declaration.domain)
                return Endpoint(alias, share.addresses, shared.ports[0], (host.name, *share.twins))
    return None


def _tenants(province: Province, cluster: str) -> Iterator[Tenant]:
    for name, declared in province.declaration.tenants.items():
        database = declared.database
        if database is not None and database.cluster == cluster:
            yield Tenant(
                name=name,
                kind=declared.kind,
                title=declared.title.vi,
                owner=declared.owner,
                database=database.name,
                connections=database.connections,
                statement_timeout_seconds=database.statement_timeout_seconds,
            )


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
