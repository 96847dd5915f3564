"""What the tunnel daemon says of itself, read from `swanctl --raw`. Pure."""

from __future__ import annotations

import re
from typing import Any

TOKEN = re.compile(r"\{|\}|[^\s{}=]+=\[[^\]]*\]|[^\s{}=]+=[^\s{}]*|[^\s{}=]+")


def messages(text: str, kind: str) -> dict[str, Any]:
    """The sections of every message of a kind, merged: connection name to what it says."""
    merged: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith(f"{kind} event "):
            merged.update(_section(TOKEN.findall(line.partition(" event ")[2]))[0])
    return merged


def _section(tokens: list[str]) -> tuple[dict[str, Any], list[str]]:
    """One braced section, and what is left after it."""
    rest = tokens[1:]
    found: dict[str, Any] = {}
    while rest and rest[0] != "}":
        token = rest[0]
        if "=" in token:
            key, _, value = token.partition("=")
            is_list = value.startswith("[")
            found[key] = value[1:-1].split() if is_list else value
            rest = rest[1:]
        else:
            found[token], rest = _section(rest[1:])
    return found, rest[1:]
