"""Rules for single inputs, and the check that applies a table of them. Pure.

A rule takes a value and answers None, or what is wrong with it and what is required; the check puts
the resource and the property in front.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from infra.providers.changes import CheckFailure, Properties, join

Rule = Callable[[Any], str | None]

_Parsed = TypeVar("_Parsed")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")
_PUBLIC_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}(?: .*)?")


def check(subject: str, inputs: Properties, rules: Mapping[str, Rule]) -> tuple[CheckFailure, ...]:
    """Answers everything that is wrong with a resource's inputs, in the order of the table."""
    failures = []
    for name, rule in rules.items():
        seen = "is missing; give it" if name not in inputs else rule(inputs[name])
        if seen:
            failures.append(CheckFailure(name, f"{subject}: {name} {seen}"))
    for name in sorted(inputs.keys() - rules.keys()):
        sentence = f"{subject}: {name} is no property; known are {', '.join(rules)}"
        failures.append(CheckFailure(name, sentence))
    return tuple(failures)


def text(value: object) -> str | None:
    """Any text that says something."""
    return None if isinstance(value, str) and value.strip() else f"is {value!r}; give a text"


def optional_text(value: object) -> str | None:
    """Any text, also none."""
    return None if isinstance(value, str) else f"is {value!r}; give a text, or an empty one"


def name(value: object) -> str | None:
    """A name as machines, networks and sites have."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return None
    return (
        f"is {value!r}; give at most 64 lower case letters, digits, '-', '_' and '.', "
        "with a letter or digit at both ends"
    )


def boolean(value: object) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else f"is {value!r}; give true or false"


def whole_number(value: object) -> str | None:
    """A number without a fraction, zero or above."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return None
    return f"is {value!r}; give a whole number, zero or above"


def iso_date(value: object) -> str | None:
    """A date, 2031-06-30."""
    if isinstance(value, str):
        try:
            date.fromisoformat(value)
        except ValueError:
            return f"is {value!r}; give a date as 2031-06-30"
        return None
    return f"is {value!r}; give a date as 2031-06-30"


def prefix(family: int) -> Rule:
    """Answers the rule for a prefix of one family, host bits zero."""
    example = {4: "10.70.3.0/24", 6: "fd00:70::/64"}[family]

    def rule(value: object) -> str | None:
        network = _parsed(ipaddress.ip_network, value)
        if network is not None and network.version == family:
            return None
        return f"is {value!r}; give an IPv{family} prefix such as {example}"

    return rule


def interface_address(value: object) -> str | None:
    """An address with its prefix length."""
    if _parsed(ipaddress.ip_interface, value) is not None and "/" in str(value):
        return None
    return f"is {value!r}; give an address with prefix length such as 10.70.3.2/24"


def address(value: object) -> str | None:
    """An address without a prefix length."""
    if _parsed(ipaddress.ip_address, value) is not None:
        return None
    return f"is {value!r}; give an address such as 10.70.3.2"


def public_key(value: object) -> str | None:
    """A public SSH key in one line."""
    if isinstance(value, str) and _PUBLIC_KEY.fullmatch(value.strip()):
        return None
    # A private key given by mistake must not be repeated in a message.
    return "is no public SSH key; give the one line of a .pub file"


def many(rule: Rule, at_least: int = 0) -> Rule:
    """Answers the rule for a list whose entries all keep `rule`."""

    def inner(value: object) -> str | None:
        if not isinstance(value, list):
            return f"is {value!r}; give a list"
        if len(value) < at_least:
            return f"has {len(value)} entries; give at least {at_least}"
        for place, entry in enumerate(value):
            if seen := rule(entry):
                return f"[{place}] {seen}"
        return None

    return inner


def mapping(rules: Mapping[str, Rule]) -> Rule:
    """Answers the rule for a mapping from names to records with exactly these properties."""

    def inner(value: object) -> str | None:
        if not isinstance(value, Mapping):
            return f"is {value!r}; give a mapping"
        for key, entry in value.items():
            if not isinstance(entry, Mapping) or entry.keys() != rules.keys():
                return f"{join('', key)} has not exactly the properties {', '.join(rules)}"
            for inside, rule in rules.items():
                if seen := rule(entry[inside]):
                    return f"{join(join('', key), inside)} {seen}"
        return None

    return inner


def _parsed(parse: Callable[[str], _Parsed], value: object) -> _Parsed | None:
    if not isinstance(value, str):
        return None
    try:
        return parse(value)
    except ValueError:
        return None
