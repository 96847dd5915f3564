"""What strangers can reach: only what a flow declares, and never an inner zone."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.providers import tokens
from policies.pulumi.rule import Rule

INNER_ZONES = frozenset({"internal", "servers", "database", "management", "party"})


def open_without_flow(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields every way in from an uplink that no flow declares."""
    for opening in _openings(host):
        if not opening["flow"]:
            yield (
                f"host {host['name']!r}: {_what(opening)} is open to anybody and no flow declares "
                "it; what is published is declared with who needs it"
            )


def leads_inside(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields every way in from an uplink that ends in an inner zone."""
    for opening in _openings(host):
        if opening["leads_to"] in INNER_ZONES:
            yield (
                f"host {host['name']!r}: {_what(opening)} leads anybody into the zone "
                f"{opening['leads_to']!r}; strangers end in the DMZ"
            )


def _openings(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [opening for _, opening in sorted(host["openings"].items())]


def _what(opening: Mapping[str, Any]) -> str:
    ports = ", ".join(str(int(port)) for port in opening["ports"])
    return f"{opening['protocol']} {ports} on {opening['interface']!r}"


RULES = (
    Rule(
        name="nothing_is_open_without_a_flow",
        description="Nothing is published that no flow declares.",
        control="NET-10",
        types=tokens.HOSTS,
        remedy="Declare the flow in province.yml or in the function's record, or close the port.",
        judge=open_without_flow,
    ),
    Rule(
        name="strangers_end_in_the_dmz",
        description="No way in from an uplink ends in an inner zone.",
        control="NET-05",
        types=tokens.HOSTS,
        remedy="Publish through a host of the DMZ, which alone reaches what is behind it.",
        judge=leads_inside,
    ),
)
