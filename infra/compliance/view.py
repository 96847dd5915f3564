"""Arrange a verdict for reading: what the report's template shows, in the order it shows it.

The template only lays out; every choice of what stands where is made here, where it is tested.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from infra.compliance.controls import Catalogue, Control, Document, Family
from infra.compliance.outcomes import WORST_FIRST, Outcome, Scope
from infra.compliance.verdict import Check, SiteContext, Tally, Unproven, Verdict

VIETNAM_TIME = timezone(timedelta(hours=7))
"""The country has one zone and no summer time."""

WIDE = 8
"""More places than this are counted in their column and listed across the row."""

OPEN = "open"
"""The state of a control that was not checked at all; it is no outcome."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A control on the map of the catalogue; ``state`` is an outcome or :data:`OPEN`."""

    control: Control
    state: str
    in_part: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen alike on one or several places by one test."""

    places: tuple[str, ...]
    sites: tuple[str, ...]
    test: str
    outcome: Outcome
    reason: str
    seen: tuple[str, ...]
    first: datetime | None
    last: datetime | None

    @property
    def is_wide(self) -> bool:
        """Answer whether its places are too many for a narrow column."""
        return len(self.places) > WIDE


@dataclass(frozen=True, slots=True)
class ControlView:
    """A control that was checked, with all that was seen."""

    control: Control
    tally: Tally
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class FamilyView:
    """A family of the catalogue: its map, what was checked and what nothing proves."""

    family: Family
    chips: tuple[Chip, ...]
    checked: tuple[ControlView, ...]
    unproven: tuple[Unproven, ...]


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site, or the province as a whole where ``site`` is None, with its counts."""

    site: SiteContext | None
    tally: Tally | None


@dataclass(frozen=True, slots=True)
class ReportView:
    """The report, ready to be laid out."""

    verdict: Verdict
    sites: tuple[SiteView, ...]
    families: tuple[FamilyView, ...]
    attention: tuple[Observation, ...]
    attention_controls: tuple[Control, ...]
    documents: tuple[Document, ...]
    verdict_digest: str


def build_view(verdict: Verdict, catalogue: Catalogue, verdict_digest: str) -> ReportView:
    """Arrange sites, families and what needs attention; nothing of the verdict is left out."""
    sites = {site.code: site for site in verdict.context.sites}
    by_control: dict[str, list[Check]] = {}
    for check in verdict.checks:
        by_control.setdefault(check.planned.control, []).append(check)
    attention = [
        (catalogue.controls[name], observation)
        for name, checks in by_control.items()
        for observation in _merged(checks, sites)
        if observation.outcome in (Outcome.FAILED, Outcome.COULD_NOT_CHECK)
    ]
    attention.sort(key=lambda pair: WORST_FIRST.index(pair[1].outcome))
    cited = {source.document for c in catalogue.controls.values() for source in c.sources}
    return ReportView(
        verdict=verdict,
        sites=_sites(verdict),
        families=tuple(_family(family, verdict, by_control) for family in catalogue.families),
        attention=tuple(observation for _, observation in attention),
        attention_controls=tuple(control for control, _ in attention),
        documents=tuple(d for d in catalogue.documents.values() if d.id in cited),
        verdict_digest=verdict_digest,
    )


def readable_time(moment: datetime) -> str:
    """Write a moment as people in Vietnam do."""
    return moment.astimezone(VIETNAM_TIME).strftime("%d/%m/%Y %H:%M:%S")


def readable_end(end: datetime, start: datetime) -> str:
    """Write the end of a span, without the day where the start has told it."""
    written, begun = readable_time(end), readable_time(start)
    return written.partition(" ")[2] if written[:10] == begun[:10] else written


def readable_date(day: date) -> str:
    """Write a day as people in Vietnam do."""
    return day.strftime("%d/%m/%Y")


def readable_test(test: str) -> str:
    """Turn ``test_network.py::test_default_policy_is_drop`` into the claim that it checks."""
    return test.partition("::")[2].removeprefix("test_").replace("_", " ")


def _sites(verdict: Verdict) -> tuple[SiteView, ...]:
    sites = [SiteView(site, verdict.by_site.get(site.code)) for site in verdict.context.sites]
    province = verdict.by_site.get(Scope.PROVINCE)
    return tuple(sites if province is None else [SiteView(None, province), *sites])


def _family(family: Family, verdict: Verdict, by_control: Mapping[str, list[Check]]) -> FamilyView:
    sites = {site.code: site for site in verdict.context.sites}
    names = {control.id for control in family.controls}
    return FamilyView(
        family=family,
        chips=tuple(_chip(control, verdict) for control in family.controls),
        checked=tuple(
            ControlView(
                control, verdict.by_control[control.id], _merged(by_control[control.id], sites)
            )
            for control in family.controls
            if control.id in by_control
        ),
        unproven=tuple(one for one in verdict.unproven if one.control.id in names),
    )


def _chip(control: Control, verdict: Verdict) -> Chip:
    tally = verdict.by_control.get(control.id)
    return Chip(
        control,
        OPEN if tally is None else tally.outcome,
        control.id in verdict.partly_tested,
    )


def _place_name(check: Check, sites: Mapping[str, SiteContext]) -> str:
    """Name a host by its name, and a site by its code and name: codes alone say little."""
    planned = check.planned
    if planned.host is None and planned.site is not None:
        return f"{planned.site} {sites[planned.site].name}"
    return str(planned.place)


def _merged(checks: Iterable[Check], sites: Mapping[str, SiteContext]) -> tuple[Observation, ...]:
    """Show once what was seen alike, the worst first: a hundred equal hosts are one line."""
    groups: dict[tuple[str, Outcome, str, tuple[str, ...]], list[Check]] = {}
    for check in checks:
        key = (check.planned.test or "", check.outcome, check.reason, check.seen)
        groups.setdefault(key, []).append(check)
    observations = [
        Observation(
            places=tuple(_place_name(check, sites) for check in alike),
            sites=tuple(dict.fromkeys(check.planned.site or Scope.PROVINCE for check in alike)),
            test=test,
            outcome=outcome,
            reason=reason,
            seen=seen,
            first=min((c.started_at for c in alike if c.started_at), default=None),
            last=max((c.ended_at for c in alike if c.ended_at), default=None),
        )
        for (test, outcome, reason, seen), alike in groups.items()
    ]
    return tuple(sorted(observations, key=lambda one: WORST_FIRST.index(one.outcome)))
