"""What the archive of a database cluster can give back, and what it refuses.

The part of restore_database.py that decides; nothing is written here.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/backup_repository.json")
SCRATCH = Path("/var/lib/province/restore")
ARCHIVE = Path("/var/lib/pgbackrest/archive")
ACCOUNT = "postgres"
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
SEGMENT = re.compile(r"(?P<timeline>[0-9A-F]{8})(?P<log>[0-9A-F]{8})(?P<segment>[0-9A-F]{8})")
SEGMENT_BYTES = 1 << 24
SPARE_BYTES = 1 << 30
"""Room for the write-ahead log that is replayed, beside the database itself."""

Order = Mapping[str, Any]


class RefusedError(Exception):
    """What was asked cannot be; nothing has happened."""


class FailedError(Exception):
    """Something went wrong on the way; what was begun has been taken away."""


def tell(message: Mapping[str, Any]) -> None:
    """Writes one line for the controller."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def step(name: str, text: str) -> None:
    """Says what begins now."""
    tell({"step": name, "text": text})


def run(command: list[str], *, stdin: str | None = None) -> str:
    """Runs a program as the database's account and answers what it printed."""
    done = subprocess.run(
        command,
        user=ACCOUNT,
        group=ACCOUNT,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        input=stdin or "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines()]
        errors = [line for line in said if "ERROR" in line or "FATAL" in line]
        what = "; ".join(errors or [line for line in said if line][-2:])
        raise FailedError(f"{Path(command[0]).name} ended with {done.returncode}: {what}")
    return done.stdout


def refuse_order(order: Order, cluster: str, taken: bool) -> None:
    """Refuses an order that could not be meant.

    Raises:
        RefusedError: another cluster, a name that cannot be a folder's, or one that is taken.
    """
    if order["cluster"] != cluster:
        raise RefusedError(
            f"cluster {order['cluster']!r}: is not kept here; this repository keeps {cluster!r}"
        )
    if NAME.fullmatch(order["into"]) is None:
        raise RefusedError(
            f"--into {order['into']!r}: is no name for a folder; use lower-case letters, digits "
            "and underscores, 31 at most"
        )
    if taken:
        raise RefusedError(
            f"--into {order['into']}: {SCRATCH / order['into']} is there already and nothing is "
            "ever restored over something; choose another name, or remove that folder on this host"
        )


def usable(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The copies from which a restore can begin, oldest first."""
    return [one for one in info.get("backup", []) if not one.get("error")]


def refuse_moment(target: datetime | None, earliest: datetime, latest: datetime) -> None:
    """Refuses a moment that the archive does not hold.

    Raises:
        RefusedError: with the earliest and the latest moment that are possible.
    """
    if target is not None and not earliest <= target <= latest:
        raise RefusedError(
            f"--to {target.isoformat()}: the archive does not hold that moment; the earliest "
            f"possible is {earliest.isoformat()}, the latest {latest.isoformat()}"
        )


def refuse_space(needed: int, free: int, folder: Path) -> None:
    """Refuses where the copy would not fit.

    Raises:
        RefusedError: with both figures in MiB.
    """
    if needed > free:
        raise RefusedError(
            f"{folder}: {free >> 20} MiB are free and {needed >> 20} MiB are needed (the database "
            "and its log); make room on this host"
        )


def chosen(backups: list[Mapping[str, Any]], target: datetime | None) -> Mapping[str, Any]:
    """The newest copy that was complete before the moment."""
    until = target.timestamp() if target else float("inf")
    return [one for one in backups if one["timestamp"]["stop"] <= until][-1]


def stanza_info(cluster: str) -> dict[str, Any]:
    """What the repository holds of the cluster."""
    text = run(["/usr/bin/pgbackrest", f"--stanza={cluster}", "--output=json", "info"])
    found: list[dict[str, Any]] = json.loads(text)
    return found[0] if found else {}


def segments(cluster: str) -> Iterator[tuple[str, float]]:
    """Every segment of the archive with the moment at which it arrived."""
    for path in (ARCHIVE / cluster).glob("*/*/*"):
        found = SEGMENT.match(path.name)
        if found and not path.name.endswith(".tmp"):
            yield found[0], path.stat().st_mtime


def close_segment(cluster: str) -> datetime | None:
    """Has the primary close its current segment; answers until when everything is archived.

    The log is archived in order, so when that segment has arrived, all before it has. Nothing where
    the cluster does not answer: then what has arrived must do.
    """
    step("archive", "closing the current segment of the write-ahead log")
    begin = datetime.now(UTC)
    try:
        run(["/usr/bin/pgbackrest", f"--stanza={cluster}", "check"])
    except FailedError as failure:
        step("archive", f"the cluster itself did not answer, what is archived is used: {failure}")
        return None
    return begin


def parse_moment(text: str) -> datetime | None:
    """A moment, or nothing for `latest`."""
    return None if text == "latest" else datetime.fromisoformat(text).astimezone(UTC)


def latest_of(known: list[tuple[str, float]]) -> datetime:
    """When the last segment arrived."""
    return datetime.fromtimestamp(max((arrived for _, arrived in known), default=0), UTC)


def plan_restore(order: Order) -> dict[str, Any]:
    """Everything that is decided before anything happens.

    Raises:
        RefusedError: it cannot be done; nothing has happened.
    """
    cluster = json.loads(SETTINGS.read_text())["cluster"]
    folder = SCRATCH / str(order["into"])
    refuse_order(order, cluster, folder.exists())
    backups = usable(stanza_info(cluster))
    if not backups:
        raise RefusedError(f"cluster {cluster}: no copy has been made yet; see database.json")
    earliest = datetime.fromtimestamp(backups[0]["timestamp"]["stop"], UTC)
    target = parse_moment(order["to"])
    if target is not None and target < earliest:
        refuse_moment(target, earliest, latest_of(sorted(segments(cluster))))
    closed = close_segment(cluster)
    known = sorted(segments(cluster))
    if not known:
        raise RefusedError(f"cluster {cluster}: the archive holds no write-ahead log yet")
    latest = closed or latest_of(known)
    refuse_moment(target, earliest, latest)
    backup = chosen(backups, target)
    needed = backup["info"]["size"] + SPARE_BYTES
    SCRATCH.mkdir(parents=True, exist_ok=True)
    refuse_space(needed, shutil.disk_usage(SCRATCH).free, folder)
    return {
        "cluster": cluster,
        "folder": folder,
        "target": target,
        "backup": backup["label"],
        "earliest": earliest.isoformat(timespec="seconds"),
        "latest": latest.isoformat(timespec="seconds"),
        "end": end_of(known[-1][0]),
    }


def end_of(segment: str) -> int:
    """The position in the log right behind a segment of 16 MiB."""
    return (int(segment[8:16], 16) << 32) + ((int(segment[16:24], 16) + 1) << 24)


def position(text: str) -> int:
    """A position in the log, `0/3000060`, as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
