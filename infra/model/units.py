"""Administrative units: the official list, read from CSV. Codes identify, names do not."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass

from infra.model.findings import Finding

COLUMNS = ("tier", "code", "parent", "kind", "name", "valid_from", "valid_to", "successor")


@dataclass(frozen=True, slots=True)
class Unit:
    """An administrative unit with its official code (mã số của Tổng cục Thống kê).

    `tier` is a value in the data, never a branch in the code: the district tier ended on
    2025-07-01 and the same program must plan the province before and after it.
    """

    tier: str
    code: str
    parent: str
    kind: str
    name: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    """Last day on which the unit existed."""
    successor: str

    def exists_on(self, day: dt.date) -> bool:
        """Whether the unit existed on that day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )


def _date(text: str, path: str, findings: list[Finding]) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        findings.append(Finding(path, text, "is not a date", "write it as YYYY-MM-DD"))
        return None


def parse_units(text: str, source: str) -> tuple[dict[str, Unit], list[Finding]]:
    """Units by code, and every finding: columns, duplicate codes, unknown parents and successors.

    Args:
        text: the CSV file's content with the header of `COLUMNS`.
        source: the file's name, for the findings' paths.
    """
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        seen = ",".join(reader.fieldnames or ())
        remedy = f"start the file with {','.join(COLUMNS)}"
        return {}, [Finding(source, seen, "has other columns than a unit list", remedy)]
    units: dict[str, Unit] = {}
    mentioned: set[str] = set()
    findings: list[Finding] = []
    for row in reader:
        path = f"{source}:{reader.line_num}"
        code = row["code"]
        mentioned.add(code)
        missing = [name for name in ("tier", "code", "kind", "name") if not row[name]]
        if missing or None in row or None in row.values():
            rule = f"lacks {', '.join(missing)}" if missing else "has another number of fields"
            findings.append(Finding(path, code, rule, f"fill in {','.join(COLUMNS)}"))
            continue
        if code in units:
            rule = f"is the code of {units[code].name!r} already"
            findings.append(Finding(path, code, rule, "give every unit its own official code"))
            continue
        units[code] = Unit(
            tier=row["tier"],
            code=code,
            parent=row["parent"],
            kind=row["kind"],
            name=row["name"],
            valid_from=_date(row["valid_from"], f"{path}.valid_from", findings),
            valid_to=_date(row["valid_to"], f"{path}.valid_to", findings),
            successor=row["successor"],
        )
    for unit in units.values():
        if unit.parent and unit.parent not in mentioned:
            rule = f"names the parent {unit.parent!r}, which is not in the list"
            findings.append(Finding(f"{source}.{unit.code}", "", rule, "add the parent's line"))
    return units, findings
