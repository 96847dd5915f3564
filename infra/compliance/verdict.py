"""Judge: planned checks and evidence in, one verdict out. Pure.

Rule 1: the counts per outcome add up to the number of planned checks.
Rule 2: what is planned and left no evidence could not be checked; what is damaged is shown.
Rule 3: evidence that nobody planned is an error, for then plan and tests disagree.
Rule 4: ``not_shown`` is an answer of a lab; on any other substrate it is ``could_not_check``.
Rule 5: proved controls are counted beside those that nothing proves, and are never called
compliance.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from infra.compliance.connections import LIVE_TUNNEL, MeasuredShare, Share, measure
from infra.compliance.controls import Catalogue, Control
from infra.compliance.evidence import Damage, Evidence, EvidenceRecord
from infra.compliance.outcomes import Outcome, Scope, Status, Words, worst
from infra.compliance.planned import PlannedCheck
from infra.errors import ComplianceError, ExitCode

LAB = "lab"
"""The substrate that may leave a requirement unshown."""


@dataclass(frozen=True, slots=True)
class SiteContext:
    """A site as the report names it."""

    code: str
    name: str
    kind: str
    level: int
    substrate: str


@dataclass(frozen=True, slots=True)
class VerdictContext:
    """What a verdict is about: who, when, which plan, which commit, which sites.

    ``verified_from`` and ``verified_until`` bound the run. ``shares`` are declared figures.
    """

    environment: str
    province: str
    as_of: date
    plan_digest: str
    commit: str
    verified_from: datetime
    verified_until: datetime
    sites: tuple[SiteContext, ...]
    shares: tuple[Share, ...] = ()
    notes: tuple[Words, ...] = ()

    @property
    def substrates(self) -> tuple[str, ...]:
        """Where the machines of the judged sites come from."""
        return tuple(sorted({site.substrate for site in self.sites}))


@dataclass(frozen=True, slots=True)
class Check:
    """One planned check with its outcome and everything that was seen for it."""

    planned: PlannedCheck
    outcome: Outcome
    reason: str
    seen: tuple[str, ...]
    started_at: datetime | None
    ended_at: datetime | None
    observations: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts per outcome and the one that stands for all."""

    counts: Mapping[Outcome, int]
    outcome: Outcome

    @property
    def total(self) -> int:
        """How many checks were counted."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Unproven:
    """A control of the catalogue of which no check is proved, and why."""

    control: Control
    outcome: Outcome | None
    why: Words
    due: date | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found, counted so that nothing can go missing."""

    context: VerdictContext
    edition: date
    tally: Tally
    checks: tuple[Check, ...]
    by_site: Mapping[str, Tally]
    by_control: Mapping[str, Tally]
    unproven: tuple[Unproven, ...]
    damage: tuple[Damage, ...]
    catalogue_size: int
    partly_tested: frozenset[str]
    shares: tuple[MeasuredShare, ...]

    @property
    def proved_controls(self) -> tuple[str, ...]:
        """Controls of which every check that applies is proved."""
        return tuple(
            control for control, tally in self.by_control.items() if tally.outcome is Outcome.PROVED
        )

    @property
    def holds(self) -> bool:
        """Answer whether everything that was planned holds: nothing failed, missing or damaged."""
        counts = self.tally.counts
        return (
            counts[Outcome.PROVED] > 0
            and counts[Outcome.FAILED] == 0
            and counts[Outcome.COULD_NOT_CHECK] == 0
            and not self.damage
        )

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        return ExitCode.DONE if self.holds else ExitCode.FAILED

    @property
    def statement(self) -> Words:
        """Say what the number of proved controls means and what it does not."""
        proved, total, unproven = self.proved_controls, self.catalogue_size, len(self.unproven)
        in_part = len(self.partly_tested.intersection(proved))
        mixed = total - len(proved) - unproven
        return Words(
            f"{len(proved)} trên {total} yêu cầu của danh mục được chứng minh trên mọi đối tượng "
            f"đã kiểm tra (trong đó {in_part} yêu cầu chỉ được chứng minh một phần nội dung), "
            f"{mixed} yêu cầu chỉ được chứng minh trên một số đối tượng, {unproven} yêu cầu chưa "
            "có gì chứng minh. Các con số này không phải là kết luận rằng hệ thống tuân thủ quy "
            "định về bảo đảm an toàn hệ thống thông tin theo cấp độ.",
            f"{len(proved)} of the catalogue's {total} controls are proved on every target that "
            f"was checked ({in_part} of them only in part of what they ask), {mixed} on some "
            f"targets only, and nothing proves {unproven} of them yet. These figures are not a "
            "finding of compliance with the rules on the security of information systems by level.",
        )


def judge(
    catalogue: Catalogue,
    planned: Iterable[PlannedCheck],
    record: EvidenceRecord,
    context: VerdictContext,
) -> Verdict:
    """Count every planned check once, by the worst that was seen for it.

    Raises:
        ComplianceError: nothing is planned, a check is planned twice or names an unknown control
            or site, evidence has no planned check, or the counts do not add up.
    """
    wanted = tuple(planned)
    _refuse_unusable(catalogue, wanted, context)
    collected, damage = _assign(wanted, record)
    substrates = {site.code: site.substrate for site in context.sites}
    checks = tuple(
        _judged(check, collected[check], context.plan_digest, _is_lab(check, substrates))
        for check in sorted(wanted, key=_order)
    )
    tally = _tally(checks)
    if tally.total != len(wanted):
        raise ComplianceError(
            f"verdict: {tally.total} outcomes were counted for {len(wanted)} planned checks; "
            "they must be equal; report this as a defect"
        )
    by_control = _grouped(checks, "control")
    return Verdict(
        context=context,
        edition=catalogue.edition,
        tally=tally,
        checks=checks,
        by_site=_grouped(checks, "site"),
        by_control={name: by_control[name] for name in catalogue.controls if name in by_control},
        unproven=_unproven(catalogue, by_control),
        damage=damage,
        catalogue_size=len(catalogue.controls),
        partly_tested=frozenset(
            name
            for name, control in catalogue.controls.items()
            if control.status is Status.PARTLY_AUTOMATED
        ),
        shares=measure(context.shares, _tunnels(checks)),
    )


def _order(check: PlannedCheck) -> tuple[str, str, str, str]:
    return (check.control, check.site or "", check.host or "", check.test or "")


def _refuse_unusable(
    catalogue: Catalogue, wanted: Sequence[PlannedCheck], context: VerdictContext
) -> None:
    if not wanted:
        raise ComplianceError(
            "verdict: no check is planned; a verdict on nothing would read as a pass; "
            "look at the declaration and at proved_by in policies/controls"
        )
    sites = {site.code for site in context.sites}
    repeated = Counter((check.control, check.place, check.test) for check in wanted)
    for (control, place, test), count in repeated.items():
        if control not in catalogue.controls:
            raise ComplianceError(
                f"planned check of {control!r} on {place}: the catalogue has no such control; "
                "name one of policies/controls"
            )
        if place.site is not None and place.site not in sites:
            raise ComplianceError(
                f"planned check of {control} on {place}: site {place.site!r} is not among the "
                f"{len(sites)} judged; pass every site in the context"
            )
        if count > 1:
            raise ComplianceError(
                f"planned check of {control} on {place} by {test or 'any test'}: it is planned "
                f"{count} times; plan it once"
            )


def _assign(
    wanted: Sequence[PlannedCheck], record: EvidenceRecord
) -> tuple[dict[PlannedCheck, list[Evidence | Damage]], tuple[Damage, ...]]:
    """Give each piece of evidence to its planned check; return the damage that names none."""
    exact = {(check.control, check.place, check.test): check for check in wanted}
    collected: dict[PlannedCheck, list[Evidence | Damage]] = {check: [] for check in wanted}
    strangers: list[Evidence] = []
    for evidence in record.evidence:
        key = (evidence.control, evidence.place)
        check = exact.get((*key, evidence.test)) or exact.get((*key, None))
        if check is None:
            strangers.append(evidence)
        else:
            collected[check].append(evidence)
    if strangers:
        first = strangers[0]
        raise ComplianceError(
            f"evidence of {first.control} on {first.place} by {first.test}: no check of it is "
            f"planned ({len(strangers)} such in all); every observation must have been planned; "
            "name the test in the control's proved_by and let applies_to cover the place"
        )
    # A damaged line may have been the failure among several observations of its check, or of any
    # of the checks of its control there: all of them are in doubt.
    nameless: list[Damage] = []
    for damaged in record.damage:
        doubtful = [
            check
            for check in wanted
            if damaged.place is not None
            and (check.control, check.place) == (damaged.control, damaged.place)
        ]
        for check in doubtful:
            collected[check].append(damaged)
        if not doubtful:
            nameless.append(damaged)
    return collected, tuple(nameless)


def _is_lab(check: PlannedCheck, substrates: Mapping[str, str]) -> bool:
    """A province is as real as its most real site."""
    if check.site is not None:
        return substrates[check.site] == LAB
    return all(substrate == LAB for substrate in substrates.values())


def _judged(
    planned: PlannedCheck, found: Sequence[Evidence | Damage], plan_digest: str, is_lab: bool
) -> Check:
    evidence = [one for one in found if isinstance(one, Evidence)]
    rulings = [
        _ruling_of_evidence(one, plan_digest, is_lab)
        if isinstance(one, Evidence)
        else (Outcome.COULD_NOT_CHECK, f"evidence is damaged at {one}")
        for one in found
    ] or [(Outcome.COULD_NOT_CHECK, "no evidence: the check did not run or left none")]
    outcome = worst(ruling for ruling, _ in rulings)
    reasons = dict.fromkeys(reason for ruling, reason in rulings if ruling is outcome and reason)
    reason = "; ".join(reasons)
    if planned.exempt:
        meanwhile = f"; seen meanwhile: {outcome}" if evidence else ""
        outcome, reason = Outcome.NOT_APPLICABLE, f"{planned.exempt}{meanwhile}"
    return Check(
        planned=planned,
        outcome=outcome,
        reason=reason,
        seen=tuple(dict.fromkeys(line for one in evidence for line in one.seen)),
        started_at=min((one.started_at for one in evidence), default=None),
        ended_at=max((one.ended_at for one in evidence), default=None),
        observations=len(found),
    )


def _ruling_of_evidence(evidence: Evidence, plan_digest: str, is_lab: bool) -> tuple[Outcome, str]:
    if evidence.plan_digest != plan_digest:
        return (
            Outcome.COULD_NOT_CHECK,
            f"evidence belongs to plan {evidence.plan_digest}, judged is plan {plan_digest}",
        )
    if evidence.outcome is Outcome.NOT_SHOWN and not is_lab:
        return (
            Outcome.COULD_NOT_CHECK,
            f"only a lab may leave this unshown: {evidence.reason}",
        )
    return evidence.outcome, evidence.reason


def _tunnels(checks: Iterable[Check]) -> dict[str, Outcome]:
    return {
        check.planned.host: check.outcome
        for check in checks
        if check.planned.host is not None and check.planned.test == LIVE_TUNNEL
    }


def _tally(checks: Iterable[Check]) -> Tally:
    counted = Counter(check.outcome for check in checks)
    return Tally({outcome: counted[outcome] for outcome in Outcome}, worst(counted))


def _grouped(checks: Iterable[Check], by: str) -> dict[str, Tally]:
    groups: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        name = check.planned.control if by == "control" else check.planned.site
        groups[name or Scope.PROVINCE].append(check)
    return {name: _tally(members) for name, members in sorted(groups.items())}


def _unproven(catalogue: Catalogue, by_control: Mapping[str, Tally]) -> tuple[Unproven, ...]:
    return tuple(
        _why_unproven(catalogue, control, by_control.get(control.id))
        for control in catalogue.controls.values()
        if control.id not in by_control or by_control[control.id].counts[Outcome.PROVED] == 0
    )


def _why_unproven(catalogue: Catalogue, control: Control, tally: Tally | None) -> Unproven:
    due = catalogue.due(control)
    if tally is not None:
        return Unproven(control, tally.outcome, _TESTED_BUT[tally.outcome], due)
    if control.proved_by:
        return Unproven(control, None, _NOTHING_HERE, due)
    if control.reason is not None:
        return Unproven(control, None, Words(control.reason.vi, control.reason.en), due)
    titles = [catalogue.capabilities[name].title for name in control.needs]
    return Unproven(
        control,
        None,
        Words(
            "Chờ: " + "; ".join(title.vi for title in titles),
            "Waits for: " + "; ".join(title.en for title in titles),
        ),
        due,
    )


_NOTHING_HERE = Words(
    "Không có đối tượng nào trong phạm vi kiểm tra này", "No target of it in what was verified"
)

_TESTED_BUT: dict[Outcome, Words] = {
    Outcome.FAILED: Words("Đã kiểm tra, không đạt", "Checked, and failed"),
    Outcome.COULD_NOT_CHECK: Words("Không kiểm tra được", "Could not be checked"),
    Outcome.NOT_SHOWN: Words(
        "Môi trường này không thể hiện được", "This environment cannot show it"
    ),
    Outcome.NOT_APPLICABLE: Words(
        "Không áp dụng hoặc chưa đến hạn ở đây", "Not applicable or not due here"
    ),
}
