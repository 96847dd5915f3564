"""What follows from a declaration: names, addresses, flows, rules, tunnels, certificates."""

from infra.plan.codec import digest, from_json, to_json
from infra.plan.derive import derive_plan
from infra.plan.types import Flow, Host, Plan, ProbePoint, Rule, Site

__all__ = [
    "Flow",
    "Host",
    "Plan",
    "ProbePoint",
    "Rule",
    "Site",
    "derive_plan",
    "digest",
    "from_json",
    "to_json",
]
