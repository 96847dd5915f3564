"""What the tunnel daemon says of itself, read from `swanctl --raw`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness import Machine

TOKEN = re.compile(
    r"(?P<open>[^\s{}=\[\]]+) ?\{|(?P<close>\})"
    r"|(?P<key>[^\s{}=]+)=(?:\[(?P<list>[^\]]*)\]|(?P<value>[^\s{}]*))"
)

CARRYING, INSTALLED = frozenset({"ESTABLISHED", "REKEYING"}), frozenset({"INSTALLED", "REKEYING"})
"""States of an association, and of what it carries: while keys are exchanged, the old ones hold."""


def associations(machine: Machine) -> dict[str, Any]:
    """Associations of a gateway by connection name."""
    return messages(machine.ask("swanctl", "--list-sas", "--raw"), "list-sa")


def messages(text: str, kind: str) -> dict[str, Any]:
    """The sections of every message of a kind, merged: connection name to what it says."""
    merged: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith(f"{kind} event "):
            merged.update(_section(TOKEN.finditer(line.partition(" event {")[2])))
    return merged


def _section(tokens: Iterator[re.Match[str]]) -> dict[str, Any]:
    """What stands between two braces; a value of several words keeps its first."""
    found: dict[str, Any] = {}
    for token in tokens:
        if token["close"]:
            break
        if token["open"]:
            found[token["open"]] = _section(tokens)
        else:
            found[token["key"]] = (
                token["list"].split() if token["value"] is None else token["value"]
            )
    return found
