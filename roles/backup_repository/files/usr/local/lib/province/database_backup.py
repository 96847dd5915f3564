#!/usr/bin/python3
"""Copies the database cluster into the repository and says what is there.

    database_backup.py prepare    creates the stanza and the first copy, as soon as that is possible
    database_backup.py full       a complete copy
    database_backup.py diff       what changed since the last complete copy

What is there afterwards stands in /var/lib/province/backup/database.json. Exit 75: the cluster does
not answer yet and there is no copy that could be late; the timer asks again.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/backup_repository.json")
RESULT = Path("/var/lib/province/backup/database.json")
TRY_AGAIN = 75
ACCOUNT = "postgres"

Copies = list[dict[str, Any]]


class FailedError(Exception):
    """pgBackRest could not do what was asked; says what it complained about."""


def pgbackrest(stanza: str, *arguments: str) -> str:
    """Runs pgBackRest as its own account and answers what it printed."""
    done = subprocess.run(
        ["/usr/bin/pgbackrest", f"--stanza={stanza}", *arguments],
        user=ACCOUNT,
        group=ACCOUNT,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        raise FailedError(
            f"pgbackrest {arguments[-1]}: ended with {done.returncode}: {complaint(said)}"
        )
    return done.stdout


def complaint(said: list[str]) -> str:
    """What matters in pgBackRest's output: its errors, else its last words."""
    errors = [line.strip() for line in said if "ERROR" in line]
    return "; ".join(errors or [line.strip() for line in said if line.strip()][-2:])


def stanza_info(text: str) -> dict[str, Any]:
    """The one stanza of `pgbackrest info --output=json`; empty when there is none yet."""
    found: list[dict[str, Any]] = json.loads(text)
    return found[0] if found else {}


def copies(info: dict[str, Any]) -> Copies:
    """Every copy, oldest first: what, when, and how large it is there and here (bytes)."""
    return [
        {
            "label": one["label"],
            "type": one["type"],
            "begun": moment(one["timestamp"]["start"]),
            "ended": moment(one["timestamp"]["stop"]),
            "database_bytes": one["info"]["size"],
            "repository_bytes": one["info"]["repository"].get("delta", 0),
            "has_errors": bool(one.get("error")),
        }
        for one in info.get("backup", [])
    ]


def archive(info: dict[str, Any]) -> dict[str, str | None]:
    """First and last segment of the write-ahead log in the archive of the current database."""
    found = info.get("archive", [])
    newest = found[-1] if found else {}
    return {"first": newest.get("min"), "last": newest.get("max")}


def moment(seconds: float) -> str:
    """A moment in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def look(stanza: str) -> dict[str, Any]:
    """What the repository holds."""
    return stanza_info(pgbackrest(stanza, "--output=json", "info"))


def is_created(info: dict[str, Any]) -> bool:
    """Whether the stanza exists: without one the database is not known by its identity."""
    return bool(info.get("db"))


def write_result(stanza: str, info: dict[str, Any], outcome: str, reason: str) -> None:
    """Leaves what is there for people and for the compliance tests."""
    result = {
        "cluster": stanza,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "outcome": outcome,
        "reason": reason,
        "copies": copies(info),
        "archive": archive(info),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    beside = RESULT.with_suffix(".new")
    beside.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    beside.replace(RESULT)


def prepare(stanza: str) -> dict[str, Any]:
    """Creates what is missing, up to the first complete copy; answers what is there."""
    info = look(stanza)
    if not is_created(info):
        pgbackrest(stanza, "stanza-create")
        info = look(stanza)
    if not info.get("backup"):
        pgbackrest(stanza, "check")
        pgbackrest(stanza, "--type=full", "backup")
        info = look(stanza)
    return info


def copy(stanza: str, kind: str) -> dict[str, Any]:
    """Makes one more copy; the first is always complete."""
    had = len(look(stanza).get("backup", []))
    info = prepare(stanza)
    if had:
        pgbackrest(stanza, f"--type={kind}", "backup")
        info = look(stanza)
    return info


def main() -> int:
    """Does what the unit asks and writes what became of it."""
    stanza = json.loads(SETTINGS.read_text())["cluster"]
    order = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 - the one order
    if order not in {"prepare", "full", "diff"}:
        sys.exit(f"database_backup.py: was called with {sys.argv[1:]}; say prepare, full or diff")
    try:
        info = prepare(stanza) if order == "prepare" else copy(stanza, order)
    except FailedError as failure:
        info = look(stanza)
        waits = not info.get("backup")
        write_result(stanza, info, "waiting" if waits else "failed", str(failure))
        sys.stderr.write(f"<4>cluster {stanza}: {failure}\n")
        return TRY_AGAIN if waits else 1
    write_result(stanza, info, "done", "")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
