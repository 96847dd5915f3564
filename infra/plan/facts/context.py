"""What facts are made from: the plan and one host, indexed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.plan.types import Flow, Host, Plan, Rule, Site

Value = Any
"""JSON-like: what YAML can carry to a role."""


@dataclass(frozen=True, slots=True)
class Context:
    """The plan and one host, with what is asked again and again indexed once."""

    plan: Plan
    host: Host
    site: Site
    hosts: Mapping[str, Host]
    incoming: tuple[Flow, ...]
    outgoing: tuple[Flow, ...]
    rules: tuple[Rule, ...]


def contexts(plan: Plan) -> dict[str, Context]:
    """The context of every host."""
    hosts = {host.name: host for host in plan.hosts()}
    sites = {site.code: site for site in plan.sites}
    incoming: dict[str, list[Flow]] = {name: [] for name in hosts}
    outgoing: dict[str, list[Flow]] = {name: [] for name in hosts}
    rules: dict[str, list[Rule]] = {name: [] for name in hosts}
    for flow in plan.flows:
        incoming[flow.target].append(flow)
        if flow.source in outgoing:
            outgoing[flow.source].append(flow)
    for rule in plan.rules:
        rules[rule.host].append(rule)
    return {
        name: Context(
            plan,
            host,
            sites[host.site],
            hosts,
            tuple(incoming[name]),
            tuple(outgoing[name]),
            tuple(rules[name]),
        )
        for name, host in hosts.items()
    }
