"""Whether what came back is what was there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.restore.digests import Digest, Digests

EQUAL, DIFFERS, MOVED = "equal", "differs", "moved"


@dataclass(frozen=True, slots=True)
class TableComparison:
    """One table in the copy and in the running cluster; None where it does not exist."""

    database: str
    table: str
    outcome: str
    """`equal`; `moved`: the cluster itself changed it meanwhile; `differs`."""
    restored: Digest | None
    running: Digest | None


def compare(restored: Digests, before: Digests, after: Digests) -> tuple[TableComparison, ...]:
    """Compare a copy with the cluster as it was before and after the copy was brought back.

    A table that the cluster did not change in between must be equal in a copy of the latest moment;
    one that it changed need not, and says so.
    """
    compared = []
    for key in sorted({*restored, *before, *after}):
        back, was, now = restored.get(key), before.get(key), after.get(key)
        compared.append(TableComparison(*key, _outcome(back, was, now), back, now))
    return tuple(compared)


def _outcome(back: Digest | None, was: Digest | None, now: Digest | None) -> str:
    if back in (was, now):
        return EQUAL
    return DIFFERS if was == now else MOVED


def is_proved(compared: Sequence[TableComparison]) -> bool:
    """Whether a copy of the latest moment holds what the cluster holds.

    False as well where there was nothing to compare: that proves nothing.
    """
    return bool(compared) and all(one.outcome != DIFFERS for one in compared)
