"""Evidence: what a check saw, and how it is kept, one JSON object a line.

Lines are appended while checks run, so a killed run leaves what it saw and at most one half line.
A line that cannot be read is never dropped: where it still names its control and place it counts
as evidence that could not be checked, and else it is kept as damage that the verdict must show.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from infra.compliance.controls import TEST_ID
from infra.compliance.outcomes import Outcome, Scope
from infra.compliance.planned import Place
from infra.errors import ComplianceError


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one check saw on one place.

    ``seen`` are observations in the words of the system; ``reason`` is required for every outcome
    but ``proved``. Times are aware; ``plan_digest`` names the plan that was verified.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    control: str
    target: Scope
    site: str | None
    host: str | None
    test: Annotated[str, Field(pattern=TEST_ID)]
    outcome: Outcome
    seen: tuple[str, ...]
    reason: str
    started_at: AwareDatetime
    ended_at: AwareDatetime
    plan_digest: str

    def __post_init__(self) -> None:
        """Refuse evidence that nobody could judge."""
        Place(self.target, self.site, self.host)
        if not re.fullmatch(TEST_ID, self.test):
            raise self._error(f"its test is {self.test!r}", "name it file.py::test_function")
        if self.outcome is Outcome.PROVED and not self.seen:
            raise self._error("it is proved and nothing was seen", "record what was seen")
        if self.outcome is not Outcome.PROVED and not self.reason:
            raise self._error(f"it is {self.outcome} without a reason", "say why")
        if self.started_at.tzinfo is None or self.ended_at.tzinfo is None:
            raise self._error("its times have no time zone", "use aware times")
        if self.ended_at < self.started_at:
            raise self._error("it ended before it started", "use one clock")

    @property
    def place(self) -> Place:
        """Where the check looked."""
        return Place(self.target, self.site, self.host)

    def _error(self, seen: str, remedy: str) -> ComplianceError:
        return ComplianceError(f"evidence of {self.control} by {self.test}: {seen}; {remedy}")


@dataclass(frozen=True, slots=True)
class Damage:
    """A line that cannot be read, with the control and place that it still names, if it does."""

    file: str
    line: int
    problem: str
    control: str | None = None
    place: Place | None = None

    def __str__(self) -> str:
        """Name file, line and problem."""
        return f"{self.file}:{self.line}: {self.problem}"


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """Everything that was read: whole evidence, and what is damaged."""

    evidence: tuple[Evidence, ...]
    damage: tuple[Damage, ...] = ()


_EVIDENCE = TypeAdapter(Evidence)


def evidence_line(evidence: Evidence) -> str:
    """Write evidence as one line of JSON, control and place first: half a line still tells them."""
    fields = asdict(evidence)
    for name in ("started_at", "ended_at"):
        moment: datetime = fields[name]
        fields[name] = moment.isoformat()
    return json.dumps(fields, ensure_ascii=False) + "\n"


def append_evidence(path: Path, evidence: Iterable[Evidence]) -> None:
    """Append lines and bring them to the disk before returning.

    Every call is one write of whole lines to a file opened for appending, so several processes
    may write one file.

    Raises:
        ComplianceError: the file could not be written.
    """
    lines = "".join(evidence_line(one) for one in evidence).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as stream:
            stream.write(lines)
            os.fsync(stream.fileno())
    except OSError as error:
        raise ComplianceError(
            f"evidence {path}: {error.strerror}; evidence must be kept; free the disk or the path"
        ) from error


def read_evidence(paths: Iterable[Path]) -> EvidenceRecord:
    """Read evidence files; whatever cannot be read is returned as damage, never left out.

    A missing or unreadable file is damage too, because it was promised.
    """
    evidence: list[Evidence] = []
    damage: list[Damage] = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            damage.append(Damage(path.name, 0, f"the file cannot be read: {error.strerror}"))
            continue
        # No splitlines(): it also breaks at characters that JSON allows inside a string.
        for number, raw in enumerate(content.split(b"\n"), start=1):
            if raw.strip():
                _read_line(path.name, number, raw, evidence, damage)
    return EvidenceRecord(tuple(evidence), tuple(damage))


def _read_line(
    file: str, number: int, raw: bytes, evidence: list[Evidence], damage: list[Damage]
) -> None:
    # Strict about types, except that JSON has no tuples, enumerations and dates of its own.
    try:
        evidence.append(_EVIDENCE.validate_json(raw, strict=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        problem = f"{where}: {first['msg']}" if where else first["msg"]
    except ComplianceError as error:
        problem = error.sentence
    else:
        return
    text = raw.decode(errors="replace")
    damage.append(Damage(file, number, problem, _named(text, "control"), _named_place(text)))


def _named(text: str, key: str) -> str | None:
    found = re.search(rf'"{key}":\s*"([^"\\]+)"', text)
    return found.group(1) if found else None


def _named_place(text: str) -> Place | None:
    """Find the place in a broken line, if it is whole: half a place could name another one."""
    target, site, host = (_named(text, key) for key in ("target", "site", "host"))
    if target not in set(Scope):
        return None
    if '"host":' not in text:
        return None
    try:
        return Place(Scope(target), site, host)
    except ComplianceError:
        return None
