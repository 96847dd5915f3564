"""Rules about what citizens reach: in the DMZ, by a flow, past a filter, with a certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.model.expand import PlacedHost
from infra.model.findings import Finding, nearest
from infra.model.functions import FunctionRecord
from infra.model.province import Published
from infra.model.world import World


def _published_services(world: World) -> Iterator[Finding]:
    names: dict[tuple[str, str, str, int], str] = {}
    for name, service in world.declaration.shared_services.items():
        published = service.published
        site = world.site(service.site)
        blueprint = world.declaration.blueprints.get(site.blueprint) if site else None
        if published is None or blueprint is None:
            continue
        path = f"shared_services.{name}.published"
        if published.host not in blueprint.hosts:
            remedy = nearest(published.host, blueprint.hosts)
            rule = "is not a host of the site"
            yield Finding(f"{path}.host", published.host, rule, remedy)
            continue
        key = (service.site, published.host, published.name, published.port)
        holder = names.setdefault(key, name)
        if holder != name:
            rule = f"is where shared_services.{holder} is published already"
            remedy = "give it a name or a port of its own"
            yield Finding(f"{path}.name", published.name, rule, remedy)
        placed = next(
            host for host in world.hosts if host.site is site and host.declared_as == published.host
        )
        yield from _way_in(world, path, published, placed)


def _way_in(world: World, path: str, published: Published, placed: PlacedHost) -> Iterator[Finding]:
    """What stands between a citizen and the service."""
    zones = [placed.blueprint.zones.get(zone) for zone in placed.host.zones]
    if not any(zone is not None and zone.kind == "dmz" for zone in zones):
        rule = "publishes a service, but has no leg in a zone of kind dmz"
        yield Finding(f"{path}.host", published.host, rule, "publish it through a host in the DMZ")
        return
    records = {name: world.functions[name] for name in placed.functions if name in world.functions}
    yield from _flow(world, path, published, placed, records)
    filters = {name: record for name, record in records.items() if record.filters_requests}
    if not filters:
        rule = "publishes a service, but no function there filters requests (WAF)"
        remedy = "place a function on it whose record says filters_requests"
        yield Finding(f"{path}.host", published.host, rule, remedy)
    elif not any(record.certificates for record in filters.values()):
        rule = f"publishes a service, but {', '.join(filters)} has no certificate there"
        remedy = "name one under certificates in the function's record"
        yield Finding(f"{path}.host", published.host, rule, remedy)


def _flow(
    world: World,
    path: str,
    published: Published,
    placed: PlacedHost,
    records: dict[str, FunctionRecord],
) -> Iterator[Finding]:
    ports = {
        port
        for record in records.values()
        for offer in record.offers
        if offer.clients == "internet" and offer.protocol == "tcp"
        for port in offer.ports
    }
    uplinks = world.declaration.uplinks
    kinds = {uplinks[name].kind for name in placed.site.uplinks if name in uplinks}
    if not ports:
        rule = "publishes a service, but offers nothing to the Internet: no flow leads there"
        remedy = "place a function on it that offers to clients: internet"
        yield Finding(f"{path}.host", published.host, rule, remedy)
    elif published.port not in ports:
        shown = ", ".join(str(port) for port in sorted(ports))
        rule = f"is no port that {published.host} offers to the Internet: no flow leads there"
        yield Finding(f"{path}.port", str(published.port), rule, f"take one of {shown}")
    elif "internet" not in kinds:
        rule = f"publishes a service, but sites.{placed.site.effective_code} has no Internet uplink"
        yield Finding(
            f"{path}.host", published.host, rule, "give the site one, or publish elsewhere"
        )


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (_published_services,)
