"""The catalogue of controls: what it is made of and which rules its records keep.

Rule 1: a record never claims more than it has. ``automated`` and ``partly_automated`` name the
tests that prove them; ``not_yet`` and ``manual`` name none and say why.
Rule 2: a control speaks of functions, site kinds and levels, never of a tier of government.
Rule 3: every source says how its clause is known; the texts of the standards are not copied.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.compliance.outcomes import Edition, Knowledge, Scope, Status

TEST_ID = r"^test_[a-z0-9_]+\.py::test_[a-z0-9_]+$"
"""A test as evidence and catalogue name it: file and function, without parameters."""

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
FamilyCode = Annotated[str, Field(pattern=r"^[A-Z]{2,3}$")]
ControlId = Annotated[str, Field(pattern=r"^[A-Z]{2,3}-\d{2}$")]
Sentence = Annotated[str, Field(min_length=3)]
Level = Annotated[int, Field(ge=1, le=5)]


class _Record(BaseModel):
    """Input from people: unknown keys refused, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Text(_Record):
    """One sentence or title in both languages of the catalogue."""

    vi: Sentence
    en: Sentence


class Document(_Record):
    """A document that controls refer to; ``read_from`` says what of it was really seen."""

    id: Identifier
    short: Sentence
    title: Text
    edition: Annotated[Edition, Field(strict=False)]
    in_force_from: date | None = None
    in_force_until: date | None = None
    read_from: Sentence


class Capability(_Record):
    """Something that the toolkit lacks and that a control waits for, with the date it is due."""

    id: Identifier
    title: Text
    due: date | None = None


class Source(_Record):
    """One reference: which document, which clause, and how the clause is known."""

    document: Identifier
    clause: str = ""
    knowledge: Annotated[Knowledge, Field(strict=False)]


class AppliesTo(_Record):
    """Which targets a control concerns; an empty list of kinds or functions means any."""

    scope: Annotated[Scope, Field(strict=False)]
    site_kinds: Annotated[tuple[Identifier, ...], Field(strict=False)] = ()
    functions: Annotated[tuple[Identifier, ...], Field(strict=False)] = ()
    minimum_level: Level


class Control(_Record):
    """One requirement of the technology layer.

    ``level_from`` is the first security level that asks for it, or ``standard`` where a technical
    standard or our own design asks whatever the level. ``how`` says what is asked of what.
    """

    id: ControlId
    title: Text
    statement: Text
    rationale: Sentence
    how: Sentence
    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    level_from: Level | Literal["standard"]
    applies_to: AppliesTo
    status: Annotated[Status, Field(strict=False)]
    reason: Text | None = None
    needs: Annotated[tuple[Identifier, ...], Field(strict=False)] = ()
    proved_by: Annotated[
        tuple[Annotated[str, Field(pattern=TEST_ID)], ...],
        Field(strict=False),
    ] = ()

    @property
    def family(self) -> str:
        """The letters before the number."""
        return self.id.split("-")[0]


RecordT = TypeVar("RecordT", bound=_Record)


class _DocumentsFile(_Record):
    edition: date
    families: Annotated[tuple[FamilyCode, ...], Field(strict=False, min_length=1)]
    documents: Annotated[tuple[Document, ...], Field(strict=False, min_length=1)]


class _CapabilitiesFile(_Record):
    capabilities: Annotated[tuple[Capability, ...], Field(strict=False, min_length=1)]


class Family(_Record):
    """One file of the catalogue: the controls that share a subject."""

    family: FamilyCode
    title: Text
    controls: Annotated[tuple[Control, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True, slots=True)
class CatalogueFinding:
    """One thing wrong with the catalogue, where it is, and what to do."""

    path: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        """Read as a sentence: place, what was seen, what to do."""
        return f"{self.path}: {self.seen}; {self.remedy}"


@dataclass(frozen=True)
class Catalogue:
    """All controls of one edition, with the tables that they refer to."""

    edition: date
    documents: Mapping[str, Document]
    capabilities: Mapping[str, Capability]
    families: tuple[Family, ...]

    @cached_property
    def controls(self) -> Mapping[str, Control]:
        """Every control by its id, in the order of the families and of their files."""
        return {control.id: control for family in self.families for control in family.controls}

    def due(self, control: Control) -> date | None:
        """Answer from when a control is due: when the last capability that it needs is."""
        dates = (self.capabilities[name].due for name in control.needs)
        return max((due for due in dates if due is not None), default=None)


def build_catalogue(
    contents: Mapping[str, object],
) -> tuple[Catalogue | None, tuple[CatalogueFinding, ...]]:
    """Turn the parsed files of a catalogue folder into a catalogue, or into all its findings.

    ``contents`` maps file names to what YAML gave. ``documents.yml`` and ``capabilities.yml`` are
    the tables; every other file is a family. ``documents.yml`` lists the families in their order,
    so that a lost file is noticed. The catalogue is None when there are findings.
    """
    findings: list[CatalogueFinding] = []
    documents = _validated(_DocumentsFile, "documents.yml", contents, findings)
    capabilities = _validated(_CapabilitiesFile, "capabilities.yml", contents, findings)
    families = {
        name: family
        for name in sorted(set(contents) - {"documents.yml", "capabilities.yml"})
        if (family := _validated(Family, name, contents, findings)) is not None
    }
    # A record that broke its form is absent from the tables, so going on would report it twice.
    if documents is None or capabilities is None or findings:
        return None, tuple(findings)
    catalogue = Catalogue(
        edition=documents.edition,
        documents={document.id: document for document in documents.documents},
        capabilities={capability.id: capability for capability in capabilities.capabilities},
        families=tuple(
            family
            for listed in documents.families
            for family in families.values()
            if family.family == listed
        ),
    )
    findings += _repeated("documents.yml", "document", (d.id for d in documents.documents))
    findings += _repeated(
        "capabilities.yml", "capability", (c.id for c in capabilities.capabilities)
    )
    findings += _family_findings(documents.families, families.values())
    findings += _repeated("*.yml", "control", (c.id for f in families.values() for c in f.controls))
    for name, family in families.items():
        for control in family.controls:
            findings += _control_findings(f"{name}: {control.id}", family, control, catalogue)
    return (None if findings else catalogue), tuple(findings)


def _validated(
    record: type[RecordT],
    name: str,
    contents: Mapping[str, object],
    findings: list[CatalogueFinding],
) -> RecordT | None:
    if name not in contents:
        findings.append(CatalogueFinding(name, "the file is missing", "write it"))
        return None
    try:
        return record.model_validate(contents[name])
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # A list whose records are broken is also called too short: one mistake, one finding.
        inner = {p["loc"][:depth] for p in problems for depth in range(len(p["loc"]))}
        findings.extend(
            CatalogueFinding(
                f"{name}: {_readable_path(problem['loc'], contents[name])}",
                f"{problem['msg'][:1].lower()}{problem['msg'][1:]}",
                "write what policies/README.md describes",
            )
            for problem in problems
            if not (problem["type"] == "too_short" and problem["loc"] in inner)
        )
        return None


def _readable_path(location: tuple[int | str, ...], content: object) -> str:
    """Name a control by its id where pydantic counts, because people do not count records."""
    parts: list[str] = []
    here = content
    for step in location:
        inner: object = None
        if isinstance(here, Mapping):
            inner = here.get(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            inner = here[step]
        name = inner.get("id") if isinstance(step, int) and isinstance(inner, Mapping) else None
        parts.append(str(step if name is None else name))
        here = inner
    return ".".join(parts)


def _repeated(path: str, kind: str, names: Iterable[str]) -> list[CatalogueFinding]:
    return [
        CatalogueFinding(path, f"{kind} {name!r} stands {count} times", "keep one of them")
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]


def _family_findings(
    listed: Sequence[str], families: Iterable[Family]
) -> Iterator[CatalogueFinding]:
    path = "documents.yml: families"
    present = [family.family for family in families]
    yield from _repeated("*.yml", "family", present)
    yield from _repeated(path, "family", listed)
    for missing in sorted(set(listed) - set(present)):
        yield CatalogueFinding(path, f"no file has the family {missing!r}", "bring the file back")
    for unlisted in sorted(set(present) - set(listed)):
        yield CatalogueFinding(path, f"family {unlisted!r} is not listed", "list it")


def _control_findings(
    path: str, family: Family, control: Control, catalogue: Catalogue
) -> Iterator[CatalogueFinding]:
    if control.family != family.family:
        yield CatalogueFinding(
            path, f"the file's family is {family.family!r}", "move the control or rename it"
        )
    for source in control.sources:
        if source.document not in catalogue.documents:
            yield CatalogueFinding(
                f"{path}.sources",
                f"no document has the id {source.document!r}",
                "add it to documents.yml or name one that is there",
            )
    for name in control.needs:
        if name not in catalogue.capabilities:
            yield CatalogueFinding(
                f"{path}.needs",
                f"no capability has the id {name!r}",
                "add it to capabilities.yml or name one that is there",
            )
    yield from _status_findings(path, control)


def _status_findings(path: str, control: Control) -> Iterator[CatalogueFinding]:
    is_tested = control.status in (Status.AUTOMATED, Status.PARTLY_AUTOMATED)
    if is_tested and not control.proved_by:
        yield CatalogueFinding(
            f"{path}.status",
            f"{control.status} without a test in proved_by",
            "name the test, or set the status to not_yet with what it needs",
        )
    if not is_tested and control.proved_by:
        yield CatalogueFinding(
            f"{path}.status",
            f"{control.status}, yet proved_by names {len(control.proved_by)} tests",
            "set it to automated, or to partly_automated with the reason",
        )
    if control.status is Status.AUTOMATED and control.needs:
        yield CatalogueFinding(
            f"{path}.needs",
            f"an automated control still needs {', '.join(control.needs)}",
            "remove it from needs, or set the status to partly_automated",
        )
    says_why = control.reason is not None or (
        control.status is Status.NOT_YET and bool(control.needs)
    )
    if control.status is not Status.AUTOMATED and not says_why:
        yield CatalogueFinding(
            f"{path}.reason", f"{control.status} without a reason", "say why, in both languages"
        )
