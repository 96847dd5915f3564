#!/usr/bin/python3
"""Removes copies of files that are older than their retention, without any key.

A host begins a new repository every month: /var/lib/file_backup/<host>/<year>-<month>, and with
-2 behind it where the first does not open any more. What is encrypted need not be opened to be
forgotten: a month goes as a whole when its last day is further back than the retention. A host's
newest month always stays, so that what no longer sends keeps its last copies.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

SETTINGS = Path("/etc/province/backup_repository.json")
STORE = Path("/var/lib/file_backup")
MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])(-[2-9])?")


def last_day(month: str) -> date | None:
    """The last day of `2026-11` or `2026-11-2`, or nothing where a name is no month."""
    found = MONTH.fullmatch(month)
    if found is None:
        return None
    first = date(int(found["year"]), int(found["month"]), 1)
    return (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def expired(months: Iterable[str], today: date, retention_days: int) -> list[str]:
    """The months of one host that may go, oldest first."""
    ends = {month: end for month in months if (end := last_day(month)) is not None}
    kept = max(ends, default=None)
    oldest = today - timedelta(days=retention_days)
    return sorted(month for month, end in ends.items() if end < oldest and month != kept)


def main() -> None:
    """Removes what has expired and says what."""
    days = json.loads(SETTINGS.read_text())["retention_days"]
    today = datetime.now(UTC).date()
    for host in sorted(path for path in STORE.iterdir() if path.is_dir()):
        for month in expired([path.name for path in host.iterdir()], today, days):
            shutil.rmtree(host / month)
            sys.stdout.write(f"{host.name}: {month} is older than {days} days and was removed\n")


if __name__ == "__main__":
    main()
