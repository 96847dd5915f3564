"""A finding: one thing that a declaration says wrong, and how a list of them reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake in the declaration, addressed to the person who wrote it.

    Attributes:
        path: where it stands, as a YAML path such as `sites.692.number`.
        value: what was seen there, as a person would write it; empty when nothing stands there.
        rule: what is required.
        remedy: what to do.
    """

    path: str
    value: str
    rule: str
    remedy: str

    def sentence(self) -> str:
        """The finding as one line: subject, what was seen, what is required, what to do."""
        seen = f"{self.value!r}: " if self.value else ""
        return f"{self.path}: {seen}{self.rule}; {self.remedy}"

    def __str__(self) -> str:
        """Findings read as their sentence wherever they are shown."""
        return self.sentence()


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all when there are few."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "none is declared yet"
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")  # noqa: PLR2004 - a line's worth
    return f"known are: {shown}"


def render(findings: Iterable[Finding]) -> str:
    """All findings, sorted by path, each remedy once: a hint that repeats itself hides the rest."""
    lines: list[str] = []
    said: set[str] = set()
    for finding in sorted(set(findings)):
        seen = f"{finding.value!r}: " if finding.value else ""
        line = f"{finding.path}: {seen}{finding.rule}"
        if finding.remedy not in said:
            line += f"; {finding.remedy}"
            said.add(finding.remedy)
        lines.append(line)
    return "\n".join(lines)
