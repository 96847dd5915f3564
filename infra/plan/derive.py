"""From a province to its plan: one way, in the order in which things follow from another."""

from __future__ import annotations

from infra.model import Province
from infra.plan.flows import derive_flows, index
from infra.plan.names import derive_zones
from infra.plan.rules import derive_rules
from infra.plan.services import derive_clusters, derive_expectations, derive_services, derive_shares
from infra.plan.sites import CONTROLLER, plan_backbone, plan_sites
from infra.plan.tunnels import derive_tunnels
from infra.plan.types import SCHEMA_VERSION, Administrator, Dual, Plan, Site


def _packages(
    province: Province, sites: tuple[Site, ...], *, first_contact: bool
) -> tuple[str, ...]:
    placed = {name for site in sites for host in site.hosts for name in host.functions}
    return tuple(
        sorted(
            {
                package
                for name in placed
                for package in province.functions[name].packages
                if province.functions[name].first_contact or not first_contact
            }
        )
    )


def derive_plan(province: Province) -> Plan:
    """Everything that follows from a checked province.

    Pure: the same declaration, units and records give the same plan, byte for byte.
    """
    declaration = province.declaration
    sites = plan_sites(province)
    backbone = plan_backbone(declaration)
    topology = index(province, backbone, sites)
    flows = derive_flows(topology)
    services = derive_services(province, sites)
    blocks = Dual(declaration.addressing.ipv4.block, declaration.addressing.ipv6.block)
    return Plan(
        schema_version=SCHEMA_VERSION,
        environment=declaration.name,
        title=declaration.title.vi,
        province=declaration.province,
        as_of=declaration.as_of.isoformat(),
        domain=declaration.domain,
        blocks=blocks,
        backbone=backbone,
        sites=sites,
        controller=CONTROLLER,
        flows=flows,
        rules=derive_rules(flows, topology.sites, declaration.hub),
        tunnels=derive_tunnels(topology),
        zones_of_names=derive_zones(sites, declaration.hub, declaration.domain, blocks, services),
        services=services,
        clusters=derive_clusters(province, sites),
        shares=derive_shares(province),
        expectations=derive_expectations(province, sites),
        administrators=tuple(
            Administrator(name, person.full_name, person.groups)
            for name, person in sorted(declaration.administrators.items())
        ),
        packages=_packages(province, sites, first_contact=False),
        first_contact_packages=_packages(province, sites, first_contact=True),
    )
