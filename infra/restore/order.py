"""What is asked for: which cluster, which moment, under which name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.errors import RefusedError

LATEST = "latest"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


@dataclass(frozen=True, slots=True)
class Order:
    """One restore."""

    cluster: str
    to: str
    """`latest`, or a moment in ISO 8601, UTC."""
    into: str
    """Name of the scratch folder on the repository's host."""

    def __post_init__(self) -> None:
        """Refuse a name that could not be a folder's.

        Raises:
            RefusedError: it has other letters, or more than 31.
        """
        if _NAME.fullmatch(self.into) is None:
            raise RefusedError(
                f"--into {self.into!r}: is no name for a folder; use lower-case letters, digits "
                "and underscores, 31 at most; nothing was touched"
            )


def parse_target(text: str) -> str:
    """`latest`, or a moment that everybody reads alike: ISO 8601 with its zone, given in UTC.

    Raises:
        RefusedError: it is neither, or it leaves the zone open.
    """
    if text == LATEST:
        return LATEST
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(
            f"--to {text!r}: is no moment; write latest, or for example "
            "2026-11-25T09:30:00+07:00; nothing was touched"
        ) from None
    if moment.tzinfo is None:
        raise RefusedError(
            f"--to {text}: leaves open in which zone; add it, for example {text}+07:00; "
            "nothing was touched"
        )
    return moment.astimezone(UTC).isoformat()
