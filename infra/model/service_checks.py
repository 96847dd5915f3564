"""Rules about who reaches what: shared services, tenants, flows, probe points, expectations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from infra.model.expand import placed_probe_points, selected_sites
from infra.model.findings import Finding, nearest
from infra.model.province import Blueprint, Consumer, Site
from infra.model.world import World

SHOWN_SITES = 3
"""Sites that a sentence names before it counts the others."""


def _zone_of(world: World, site: Site, zone: str) -> bool:
    """Whether a site has that zone with addresses of its own: a border has its uplinks' only.

    A site of an unknown blueprint counts as having it: one mistake, one finding.
    """
    blueprint = world.declaration.blueprints.get(site.blueprint)
    return blueprint is None or _has_zone(blueprint, zone)


def _has_zone(blueprint: Blueprint, zone: str) -> bool:
    found = blueprint.zones.get(zone)
    return found is not None and not found.absent and found.kind != "border"


def _consumer(world: World, path: str, consumer: Consumer) -> Iterator[Finding]:
    for code in consumer.sites.codes:
        if code not in world.site_codes():
            remedy = nearest(code, world.site_codes())
            yield Finding(f"{path}.sites.codes", code, "is not the code of a site", remedy)
            return
    sites = selected_sites(consumer.sites, world.declaration, world.units)
    if not sites:
        yield Finding(f"{path}.sites", "", "selects no site", "correct the tiers or codes")
    without = [
        f"sites.{site.effective_code}" for site in sites if not _zone_of(world, site, consumer.zone)
    ]
    if without:
        named = ", ".join(without[:SHOWN_SITES])
        others = len(without) - SHOWN_SITES
        rule = f"is not a zone of {named}" + (f" and {others} others" if others > 0 else "")
        yield Finding(f"{path}.zone", consumer.zone, rule, "select sites that have it")


def _hosts(path: str, hosts: tuple[str, ...], blueprint: Blueprint) -> Iterator[Finding]:
    for host, count in Counter(hosts).items():
        if count > 1:
            yield Finding(f"{path}.hosts", host, "is named twice", "name it once")
        if host not in blueprint.hosts:
            remedy = nearest(host, blueprint.hosts)
            yield Finding(f"{path}.hosts", host, "is not a host of the site", remedy)


def _keeper(world: World, path: str, name: str) -> Iterator[Finding]:
    tenant = world.declaration.tenants.get(name)
    if tenant is None:
        remedy = nearest(name, world.declaration.tenants)
        yield Finding(f"{path}.tenant", name, "is not a tenant", remedy)
    elif tenant.database is None:
        rule = "has no database, so the service can store nothing"
        yield Finding(f"{path}.tenant", name, rule, "give the tenant one, or leave this out")


def _services(world: World) -> Iterator[Finding]:
    for name, service in world.declaration.shared_services.items():
        path = f"shared_services.{name}"
        site = world.site(service.site)
        if site is None:
            remedy = nearest(service.site, world.site_codes())
            yield Finding(f"{path}.site", service.site, "is not the code of a site", remedy)
        else:
            blueprint = world.declaration.blueprints.get(site.blueprint)
            if blueprint is not None:
                yield from _hosts(path, service.hosts, blueprint)
        if service.tenant is not None:
            yield from _keeper(world, path, service.tenant)
        for index, consumer in enumerate(service.consumers):
            yield from _consumer(world, f"{path}.consumers.{index}", consumer)


def _tenants(world: World) -> Iterator[Finding]:
    for name, tenant in world.declaration.tenants.items():
        path = f"tenants.{name}"
        if not tenant.owner.strip():
            yield Finding(f"{path}.owner", "", "is empty", "name the body that answers for it")
        for index, consumer in enumerate(tenant.consumers):
            yield from _consumer(world, f"{path}.consumers.{index}", consumer)
        for wanted in tenant.services:
            if wanted not in world.declaration.shared_services:
                remedy = nearest(wanted, world.declaration.shared_services)
                yield Finding(f"{path}.services", wanted, "is not a shared service", remedy)


def _flows(world: World) -> Iterator[Finding]:
    for index, flow in enumerate(world.declaration.flows):
        path = f"flows.{index}"
        if flow.service not in world.declaration.shared_services:
            remedy = nearest(flow.service, world.declaration.shared_services)
            yield Finding(f"{path}.service", flow.service, "is not a shared service", remedy)
        yield from _consumer(world, f"{path}.source", flow.source)


def _probe_points(world: World) -> Iterator[Finding]:
    declaration = world.declaration
    for name, probe in declaration.probe_points.items():
        path = f"probe_points.{name}"
        if (probe.uplink is None) == (probe.site is None):
            remedy = "give either an uplink, or a site and a zone"
            yield Finding(path, "", "stands in no place, or in two", remedy)
        elif probe.uplink is not None and probe.uplink not in declaration.uplinks:
            remedy = nearest(probe.uplink, declaration.uplinks)
            yield Finding(f"{path}.uplink", probe.uplink, "is not declared", remedy)
        elif probe.site is not None:
            site = world.site(probe.site)
            if site is None:
                remedy = nearest(probe.site, world.site_codes())
                yield Finding(f"{path}.site", probe.site, "is not the code of a site", remedy)
            elif probe.zone is None or not _zone_of(world, site, probe.zone):
                rule = f"is not a zone of sites.{probe.site}"
                yield Finding(f"{path}.zone", probe.zone or "", rule, "name one of its zones")


def _probe_points_of_blueprints(world: World) -> Iterator[Finding]:
    declaration = world.declaration
    for blueprint_name, blueprint in declaration.blueprints.items():
        for name, probe in blueprint.probe_points.items():
            if not _has_zone(blueprint, probe.zone):
                path = f"blueprints.{blueprint_name}.probe_points.{name}.zone"
                rule = "is no zone with addresses here"
                yield Finding(path, probe.zone, rule, nearest(probe.zone, blueprint.zones))
    named: dict[str, str] = {}
    for point in placed_probe_points(declaration):
        first = named.setdefault(point.name, point.path)
        if first != point.path:
            rule = f"is the name of {first} at sites.{point.site} already"
            yield Finding(point.path, point.name, rule, "give one of them another name")


def _expectations(world: World) -> Iterator[Finding]:
    declaration = world.declaration
    hosts = {placed.name: placed for placed in world.hosts}
    points = {point.name for point in placed_probe_points(declaration)}
    sources = {*hosts, *points, "controller"}
    for index, expectation in enumerate(declaration.expectations):
        path = f"expectations.{index}"
        if expectation.source not in sources:
            remedy = nearest(expectation.source, sources)
            yield Finding(f"{path}.source", expectation.source, "is no place to look from", remedy)
        if expectation.host not in hosts:
            remedy = nearest(expectation.host, hosts)
            yield Finding(f"{path}.host", expectation.host, "is not a host", remedy)
        elif expectation.zone is not None:
            zones = hosts[expectation.host].host.zones
            declared = hosts[expectation.host].blueprint.zones
            if expectation.zone not in zones and declared.keys() >= set(zones):
                rule = f"is not a zone of {expectation.host}"
                remedy = nearest(expectation.zone, zones)
                yield Finding(f"{path}.zone", expectation.zone, rule, remedy)


def _controller(world: World) -> Iterator[Finding]:
    controller = world.declaration.controller
    hub = world.site(world.declaration.hub)
    if hub is not None and not _zone_of(world, hub, controller.zone):
        rule = "is not a zone of the hub"
        yield Finding("controller.zone", controller.zone, rule, "name its management zone")
    if controller.uplink not in world.declaration.uplinks:
        remedy = nearest(controller.uplink, world.declaration.uplinks)
        yield Finding("controller.uplink", controller.uplink, "is not declared", remedy)


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _services,
    _tenants,
    _flows,
    _probe_points,
    _probe_points_of_blueprints,
    _expectations,
    _controller,
)
