"""Security levels: given with a reason, lived up to in zones, never below what is hosted."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.providers import tokens
from policies.pulumi.rule import Rule

SEVEN_ZONES = ("border", "dmz", "internal", "servers", "database", "management", "wireless")
SEVEN_ZONES_FROM_LEVEL = 3


def level_is_unfounded(site: Mapping[str, Any]) -> Iterator[str]:
    """Yields a site whose level nobody explained or approved."""
    missing = [name for name in ("level_reason", "approval") if not site[name].strip()]
    if missing:
        yield (
            f"site {site['code']!r}: level {int(site['level'])} has no {' and no '.join(missing)}; "
            "a level is given with a reason and by a document"
        )


def zones_are_missing(site: Mapping[str, Any]) -> Iterator[str]:
    """Yields a site of level 3 or above that lacks zones and does not say why."""
    if site["level"] < SEVEN_ZONES_FROM_LEVEL:
        return
    explained = {kind for kind, reason in site["absent_zones"].items() if reason.strip()}
    missing = [kind for kind in SEVEN_ZONES if kind not in {*site["zones"], *explained}]
    if missing:
        yield (
            f"site {site['code']!r}: is of level {int(site['level'])} and has no zone "
            f"{', '.join(missing)}; from level {SEVEN_ZONES_FROM_LEVEL} on all seven stand, or are "
            "declared absent with a reason"
        )


def level_is_too_low(register: Mapping[str, Any]) -> Iterator[str]:
    """Yields every service that stands at a site of a lower level."""
    for name, service in sorted(register["services"].items()):
        code = service["site"]
        level = int(register["sites"][code]["level"])
        if level < service["level"]:
            yield (
                f"service {name!r}: is of level {int(service['level'])} and stands at site "
                f"{code!r} of level {level}; a site is at least of the level of what it hosts"
            )


RULES = (
    Rule(
        name="levels_are_founded",
        description="Every site's level has a reason and an approving document.",
        control="MOD-02",
        types=frozenset({tokens.SITE}),
        remedy="Declare level_reason and approval.",
        judge=level_is_unfounded,
    ),
    Rule(
        name="level_three_has_seven_zones",
        description="A site of level 3 or above has its seven zones, or says why not.",
        control="NET-02",
        types=frozenset({tokens.SITE}),
        remedy="Declare the zone, or declare it absent with the reason.",
        judge=zones_are_missing,
    ),
    Rule(
        name="levels_cover_what_is_hosted",
        description="A site's level is at least that of every service that stands there.",
        control="MOD-02",
        types=frozenset({tokens.REGISTER}),
        remedy="Raise the site's level with a new approval, or move the service.",
        judge=level_is_too_low,
    ),
)
