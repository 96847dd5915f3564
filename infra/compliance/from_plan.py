"""What the judge must know of a plan: which checks there must be."""

from __future__ import annotations

from datetime import date

from infra.compliance.controls import Catalogue
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
