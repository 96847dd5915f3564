"""How results read: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cli.progress import print_plain
from infra.configure import SiteOutcome
from infra.plan import Plan
from infra.stacks.results import StackPreview

OUTCOME_STYLES: Mapping[str, str] = {"done": "green", "deferred": "yellow", "failed": "red"}


def console() -> Console:
    """Standard output as a terminal, or as plain text where it is none."""
    return Console(highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Data for programs: sorted, indented, nothing else on standard output."""
    print_plain(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))


def plan_data(plan: Plan) -> dict[str, Any]:
    """The plan as other programs read it: sites, hosts, flows."""
    return {
        "environment": plan.environment,
        "as_of": plan.as_of,
        "domain": plan.domain,
        "sites": [
            {
                "code": site.code,
                "title": site.title,
                "kind": site.kind,
                "tier": site.tier,
                "level": site.level,
                "number": site.number,
                "prefixes": list(site.prefix.both()),
                "hosts": [host.name for host in site.hosts],
                "target_date": site.target_date or None,
            }
            for site in plan.sites
        ],
        "hosts": [
            {
                "name": host.name,
                "fqdn": host.fqdn,
                "site": host.site,
                "functions": list(host.functions),
                "addresses": {
                    leg.name: {"ipv4": leg.addresses.ipv4, "ipv6": leg.addresses.ipv6}
                    for leg in host.interfaces
                },
            }
            for host in plan.hosts()
        ],
        "flows": [
            {
                "from": flow.source,
                "to": flow.target,
                "service": flow.service,
                "protocol": flow.protocol,
                "port": port,
                "why": flow.why,
                "origin": flow.origin,
            }
            for flow in plan.flows
            for port in flow.ports
        ],
        "shares": [
            {
                "service": share.service,
                "tier": share.tier,
                "connected": share.connected,
                "total": share.total,
                "percent": round(share.percent, 1),
                "required_percent": share.required_percent,
            }
            for share in plan.shares
        ],
    }


def print_plan(plan: Plan) -> None:
    """The plan for people: a line per site, then the shares."""
    table = Table("site", "unit", "kind", "level", "prefixes", "hosts", "functions")
    for site in plan.sites:
        functions = sorted({name for host in site.hosts for name in host.functions})
        table.add_row(
            site.code,
            site.title,
            site.kind,
            str(site.level),
            "\n".join(site.prefix.both()),
            "\n".join(host.name for host in site.hosts),
            str(len(functions)),
        )
    out = console()
    out.print(table)
    out.print(
        f"{len(plan.sites)} sites, {len(plan.hosts())} hosts, {len(plan.flows)} flows, "
        f"{len(plan.rules)} firewall rules, tunnels: {len(plan.tunnels)}"
    )
    for share in plan.shares:
        out.print(
            f"{share.service}: {share.connected} of {share.total} units of tier {share.tier} are "
            f"connected as declared ({share.percent:.0f} %, required {share.required_percent} %)"
        )


def preview_data(previews: Sequence[StackPreview]) -> list[dict[str, Any]]:
    """What the engine would do, as data."""
    return [
        {
            "site": one.site,
            "failure": one.failure,
            "violations": [
                {"policy": each.policy, "level": each.level, "message": each.message}
                for each in one.violations
            ],
            "changes": [
                {
                    "name": change.name,
                    "type": change.type,
                    "operation": change.operation,
                    "properties": [
                        {"path": each.path, "old": each.old, "new": each.new}
                        for each in change.properties
                    ],
                }
                for change in one.changes
            ],
        }
        for one in previews
    ]


def print_preview(previews: Sequence[StackPreview]) -> None:
    """What the engine would do, for people: counts per site, then each change and violation."""
    out = Console(highlight=False, markup=False, soft_wrap=True)
    changing = 0
    for one in previews:
        counts: dict[str, int] = {}
        for change in one.changes:
            counts[change.operation] = counts.get(change.operation, 0) + 1
        if not counts and not one.is_refused:
            continue
        changing += 1
        said = ", ".join(f"{count} to {operation}" for operation, count in sorted(counts.items()))
        out.print(f"{one.site}: {said or 'no change'}")
        for change in one.changes:
            out.print(f"    {change.operation} {change.type} {change.name}")
            if change.operation == "update":
                for each in change.properties:
                    out.print(f"        {each.path}: {each.old!r} => {each.new!r}")
        for violation in one.violations:
            out.print(f"    refused by {violation.policy}: {violation.message}")
        if one.failure:
            out.print(f"    failed: {one.failure}")
    out.print(f"{len(previews)} stacks looked at, {changing} would change or are refused")


def print_sites(sites: Sequence[SiteOutcome], titles: Mapping[str, str]) -> None:
    """The end of a run: a line per site, every sentence below."""
    table = Table("site", "unit", "outcome", "changes")
    for site in sites:
        style = OUTCOME_STYLES[site.outcome]
        table.add_row(
            site.site, titles.get(site.site, ""), f"[{style}]{site.outcome}[/]", str(site.changed)
        )
    out = console()
    out.print(table)
    for site in sites:
        for sentence in (*site.sentences, *site.changes):
            out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if not any(site.changed for site in sites) and all(site.outcome == "done" for site in sites):
        out.print("nothing had to be changed on any host")
