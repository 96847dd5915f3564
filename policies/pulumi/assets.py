"""Machines as assets: somebody answers for each, its maker still helps, and it is the right one."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from infra.providers import tokens
from policies.pulumi.rule import Rule

_ANSWERED_FOR = ("owner", "operator", "place", "purpose", "vendor")


def nobody_answers(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields a machine whose asset record has gaps."""
    missing = [name for name in _ANSWERED_FOR if not host[name].strip()]
    if missing:
        yield (
            f"host {host['name']!r}: its asset record lacks {', '.join(missing)}; somebody must "
            "answer for every machine and know where it stands"
        )


def support_is_over(site: Mapping[str, Any]) -> Iterator[str]:
    """Yields every machine whose support ends before the date that the declaration is about."""
    today = date.fromisoformat(site["as_of"])
    for name, machine in sorted(site["machines"].items()):
        try:
            ends = date.fromisoformat(machine["support_end"])
        except ValueError:
            yield f"host {name!r}: has no date on which its support ends; every machine needs one"
            continue
        if ends <= today:
            yield f"host {name!r}: its support ended on {ends}, the declaration is of {today}"


def key_is_not_pinned(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields a machine that exists already and whose host key nobody declared."""
    if len(host["host_key"].split()) < len(("type", "key")):
        yield (
            f"host {host['name']!r}: exists already and has no declared host key; a first contact "
            "that trusts any key trusts anybody"
        )


RULES = (
    Rule(
        name="machines_are_answered_for",
        description="Every machine has owner, operator, place, purpose and vendor.",
        control="MOD-05",
        types=tokens.HOSTS,
        remedy="Complete the asset record in the blueprint or at the site.",
        judge=nobody_answers,
    ),
    Rule(
        name="support_outlasts_the_declaration",
        description="Every machine's support ends after the declaration's date.",
        control="MOD-05",
        types=frozenset({tokens.SITE}),
        remedy="Replace the machine, or correct its support_end if it was prolonged.",
        judge=support_is_over,
    ),
    Rule(
        name="existing_machines_are_pinned",
        description="A machine that exists already has a declared host key.",
        control="IAM-01",
        types=frozenset({tokens.STATIC_HOST}),
        remedy="Read the key at the machine's console and declare it as host_key.",
        judge=key_is_not_pinned,
    ),
)
