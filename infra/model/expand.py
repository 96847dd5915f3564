"""A declaration with its abbreviations written out: blueprints applied, baselines added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.model.functions import FunctionRecord
from infra.model.province import (
    Blueprint,
    BlueprintHost,
    Declaration,
    HostOverride,
    Site,
    SiteSelector,
)
from infra.model.units import Unit


@dataclass(frozen=True, slots=True)
class PlacedHost:
    """A host as a site has it, before anything is derived from it."""

    site: Site
    blueprint: Blueprint
    declared_as: str
    host: BlueprintHost
    override: HostOverride
    functions: tuple[str, ...]

    @property
    def name(self) -> str:
        """`<name><ordinal>-<site code>`: from codes, never from names of places."""
        return f"{self.declared_as}-{self.site.effective_code.lower()}"

    @property
    def path(self) -> str:
        """Where the declaration says it."""
        return f"blueprints.{self.site.blueprint}.hosts.{self.declared_as}"

    @property
    def is_router(self) -> bool:
        """Whether traffic between zones and sites passes this host: it stands at the border."""
        zones = (self.blueprint.zones.get(name) for name in self.host.zones)
        return any(zone is not None and zone.kind == "border" for zone in zones)


@dataclass(frozen=True, slots=True)
class PlacedProbePoint:
    """A place to look from: in a zone of a site, or in an uplink network."""

    name: str
    path: str
    """Where the declaration says it."""
    site: str | None
    zone: str | None
    uplink: str | None
    slot: int


def effective_functions(
    placed: tuple[str, ...], every_host: tuple[str, ...], records: Mapping[str, FunctionRecord]
) -> tuple[str, ...]:
    """Functions of a host: the baseline, then its own, without what another one replaces."""
    wanted = dict.fromkeys((*every_host, *placed))
    replaced = {other for name in wanted if name in records for other in records[name].replaces}
    return tuple(name for name in wanted if name not in replaced)


def placed_hosts(
    declaration: Declaration, records: Mapping[str, FunctionRecord]
) -> Iterator[PlacedHost]:
    """Every host of every site, in declared order; sites of unknown blueprints are passed over."""
    for site in declaration.sites:
        blueprint = declaration.blueprints.get(site.blueprint)
        if blueprint is None:
            continue
        for name, host in blueprint.hosts.items():
            override = site.hosts.get(name, HostOverride())
            own = (*host.functions, *override.add_functions)
            functions = effective_functions(own, declaration.every_host, records)
            yield PlacedHost(site, blueprint, name, host, override, functions)


def placed_probe_points(declaration: Declaration) -> Iterator[PlacedProbePoint]:
    """Every place to look from: those declared one by one, then every site's by its blueprint."""
    for name, declared in declaration.probe_points.items():
        place = declared.site, declared.zone, declared.uplink, declared.slot
        yield PlacedProbePoint(name, f"probe_points.{name}", *place)
    for site in declaration.sites:
        blueprint = declaration.blueprints.get(site.blueprint)
        for name, point in blueprint.probe_points.items() if blueprint else ():
            code = site.effective_code
            path = f"blueprints.{site.blueprint}.probe_points.{name}"
            own = f"{name}_{code.lower()}"
            yield PlacedProbePoint(own, path, code, point.zone, None, point.slot)


def selected_sites(
    selector: SiteSelector, declaration: Declaration, units: Mapping[str, Unit]
) -> tuple[Site, ...]:
    """Sites that match every key that the selector gives."""

    def matches(site: Site) -> bool:
        unit = units.get(site.unit)
        return (
            (not selector.tiers or (unit is not None and unit.tier in selector.tiers))
            and (not selector.codes or site.effective_code in selector.codes)
            and (not selector.blueprints or site.blueprint in selector.blueprints)
        )

    return tuple(site for site in declaration.sites if matches(site))
