# ruff: noqa: INP001 - Ansible finds this file by its folder, which is no package
"""Folds permissions that differ in one list of prefixes only into one rule, and names long lists.

A plan has one permission per flow and family: a gateway of a province with 122 edges has 4000. As
rules of the packet filter these would be tried one after the other for each new connection; folded
they are a few dozen, and whether a prefix is in a set is one look-up. What is admitted stays
exactly the same: two permissions are folded only where everything else about them is equal.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Rule = Mapping[str, Any]
CHAINS = ("inputs", "outputs", "forwards")
LONG = 4
"""A list of this many prefixes gets a name of its own where more than one rule uses it."""


def fold(rules: Iterable[Rule], varying: str) -> list[Rule]:
    """Fold rules that are equal but for one list; each takes the place of the first of them."""
    folded: dict[tuple[object, ...], dict[str, Any]] = {}
    for rule in rules:
        same = tuple(
            tuple(value) if isinstance(value, list) else value
            for key, value in sorted(rule.items())
            if key != varying
        )
        # No prefix at all means any: such a rule is wider than a list and stays apart.
        kept = folded.setdefault((*same, bool(rule[varying])), {**rule, varying: []})
        kept[varying] = [
            *kept[varying],
            *(one for one in rule[varying] if one not in kept[varying]),
        ]
    return list(folded.values())


def firewall_merged(rules: Mapping[str, list[Rule]]) -> dict[str, Any]:
    """Answer the chains folded, with `sets` of the lists that got a name.

    A rule's list that has one is replaced by it, as in `sources: "@prefixes_1"`.
    """
    chains = {chain: fold(fold(rules[chain], "sources"), "destinations") for chain in CHAINS}
    uses = Counter(
        (rule["family"], tuple(rule[end]))
        for chain in CHAINS
        for rule in chains[chain]
        for end in ("sources", "destinations")
    )
    named = {
        used: f"prefixes_{number}"
        for number, used in enumerate(
            (used for used, times in uses.items() if times > 1 and len(used[1]) >= LONG), start=1
        )
    }

    def spelled(rule: Rule) -> dict[str, Any]:
        names = {
            end: named.get((rule["family"], tuple(rule[end])))
            for end in ("sources", "destinations")
        }
        return {**rule, **{end: f"@{name}" for end, name in names.items() if name}}

    return {
        "sets": [
            {"name": name, "family": family, "members": list(members)}
            for (family, members), name in named.items()
        ],
        **{chain: [spelled(rule) for rule in chains[chain]] for chain in CHAINS},
    }


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Answer the filters by their names."""
        return {"firewall_merged": firewall_merged}
