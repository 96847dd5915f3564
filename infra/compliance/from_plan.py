"""What the judge must know of a plan: which checks there must be, and who is to be connected."""

from __future__ import annotations

from datetime import date

from infra.compliance.connections import Share
from infra.compliance.controls import Catalogue
from infra.compliance.outcomes import Words
from infra.compliance.planned import HostFacts, PlannedCheck, SiteFacts, plan_checks
from infra.plan import Plan


def planned_checks(
    plan: Plan, catalogue: Catalogue, sites: tuple[str, ...] = ()
) -> tuple[PlannedCheck, ...]:
    """Every check that must leave evidence, on all sites or on the chosen ones."""
    chosen = [site for site in plan.sites if not sites or site.code in sites]
    facts = [
        SiteFacts(
            code=site.code,
            kind=site.kind,
            level=site.level,
            functions=frozenset(name for host in site.hosts for name in host.functions),
            due=date.fromisoformat(site.target_date) if site.target_date else None,
        )
        for site in chosen
    ]
    hosts = [
        HostFacts(host.name, host.site, frozenset(host.functions))
        for site in chosen
        for host in site.hosts
    ]
    return plan_checks(catalogue, facts, hosts, date.fromisoformat(plan.as_of))


def declared_shares(plan: Plan) -> tuple[Share, ...]:
    """The shares of units that are to reach a service, with the gateways whose tunnels tell."""
    titles = {service.name: service.title for service in plan.services}
    consuming = {(flow.service, flow.source_site) for flow in plan.flows}
    ends = {tunnel.spoke.site: tunnel.spoke.hosts for tunnel in plan.tunnels}
    shares = []
    for share in plan.shares:
        gateways: dict[str, tuple[str, ...]] = {}
        for site in plan.sites:
            if site.tier == share.tier and (share.service, site.code) in consuming:
                gateways[site.unit] = gateways.get(site.unit, ()) + ends.get(site.code, ())
        shares.append(
            Share(
                Words(
                    f"{titles[share.service]}: {share.tier_vi} được kết nối",
                    f"{share.service}: {share.tier_en} connected",
                ),
                share.connected,
                share.total,
                share.required_percent / 100,
                tuple(gateways.values()),
            )
        )
    return tuple(shares)
