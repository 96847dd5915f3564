"""The judge counts what was planned, takes the worst that was seen, and forgets nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import permutations

import pytest
from compliance_world import World

from infra.compliance.evidence import Damage, Evidence, EvidenceRecord
from infra.compliance.outcomes import WORST_FIRST, Outcome, Scope, worst
from infra.compliance.planned import Place, PlannedCheck
from infra.compliance.verdict import Verdict, judge
from infra.errors import ComplianceError, ExitCode

PROVED, FAILED, COULD_NOT, NOT_SHOWN, NOT_APPLICABLE = (
    Outcome.PROVED,
    Outcome.FAILED,
    Outcome.COULD_NOT_CHECK,
    Outcome.NOT_SHOWN,
    Outcome.NOT_APPLICABLE,
)


Planned = tuple[list[PlannedCheck], tuple[Evidence, ...]]
Situation = Callable[[type[World]], Planned]


def judged_alone(
    world: type[World],
    *outcomes: Outcome,
    substrate: str = "lab",
    exempt: str = "",
    damage: Iterable[Damage] = (),
    **changes: object,
) -> Verdict:
    """Judge one planned check of one control with these observations."""
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    record = EvidenceRecord(
        tuple(world.host_evidence(outcome, **changes) for outcome in outcomes), tuple(damage)
    )
    return judge(catalogue, [world.host_check(exempt=exempt)], record, world.context_on(substrate))


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([PROVED], PROVED),
        ([PROVED, PROVED], PROVED),
        ([PROVED, NOT_APPLICABLE], PROVED),
        ([NOT_APPLICABLE], NOT_APPLICABLE),
        ([PROVED, NOT_SHOWN], NOT_SHOWN),
        ([NOT_SHOWN, COULD_NOT], COULD_NOT),
        ([PROVED, COULD_NOT], COULD_NOT),
        ([COULD_NOT, FAILED], FAILED),
        ([PROVED, NOT_SHOWN, COULD_NOT, FAILED, NOT_APPLICABLE], FAILED),
        ([], COULD_NOT),
    ],
)
def test_the_worst_that_was_seen_stands_for_the_check(
    world: type[World], outcomes: list[Outcome], expected: Outcome
) -> None:
    verdict = judged_alone(world, *outcomes)

    assert [check.outcome for check in verdict.checks] == [expected]
    assert verdict.tally.counts == {o: int(o is expected) for o in Outcome}
    assert verdict.by_site["70"].outcome is expected
    assert verdict.by_control["NET-01"].outcome is expected


def test_the_order_of_observations_does_not_matter() -> None:
    for outcomes in permutations(WORST_FIRST, 3):
        assert worst(outcomes) is min(outcomes, key=WORST_FIRST.index)


def test_every_outcome_has_a_place_in_the_order() -> None:
    assert sorted(WORST_FIRST) == sorted(Outcome)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (PROVED, ExitCode.DONE),
        (FAILED, ExitCode.FAILED),
        (COULD_NOT, ExitCode.FAILED),
        (NOT_SHOWN, ExitCode.DONE),
        (NOT_APPLICABLE, ExitCode.DONE),
    ],
)
def test_one_bad_answer_beside_a_good_one_decides_the_exit(
    world: type[World], outcome: Outcome, code: ExitCode
) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    planned = [world.host_check(), world.host_check(host="svc1-70")]
    record = EvidenceRecord(
        (world.host_evidence(PROVED), world.host_evidence(outcome, host="svc1-70"))
    )

    verdict = judge(catalogue, planned, record, world.context_on("lab"))

    assert verdict.exit_code is code
    assert verdict.holds is (code is ExitCode.DONE)


def test_a_run_that_proves_nothing_does_not_hold(world: type[World]) -> None:
    assert not judged_alone(world, NOT_APPLICABLE).holds


def test_a_check_without_evidence_could_not_be_checked(world: type[World]) -> None:
    [check] = judged_alone(world).checks

    assert check.reason == "no evidence: the check did not run or left none"
    assert check.observations == 0


@pytest.mark.parametrize(
    ("substrate", "expected", "reason"),
    [
        ("lab", NOT_SHOWN, "because it not_shown"),
        ("static", COULD_NOT, "only a lab may leave this unshown: because it not_shown"),
        ("libvirt", COULD_NOT, "only a lab may leave this unshown: because it not_shown"),
    ],
)
def test_only_a_lab_may_leave_something_unshown(
    world: type[World], substrate: str, expected: Outcome, reason: str
) -> None:
    [check] = judged_alone(world, NOT_SHOWN, substrate=substrate).checks

    assert (check.outcome, check.reason) == (expected, reason)


@pytest.mark.parametrize(
    ("substrates", "expected"),
    [(("lab", "lab"), NOT_SHOWN), (("lab", "static"), COULD_NOT)],
)
def test_a_province_is_a_lab_only_if_all_its_sites_are(
    world: type[World], substrates: tuple[str, ...], expected: Outcome
) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    planned = [PlannedCheck("NET-01", Scope.PROVINCE, test=world.test_id)]
    evidence = world.host_evidence(NOT_SHOWN, target=Scope.PROVINCE, site=None, host=None)

    verdict = judge(catalogue, planned, EvidenceRecord((evidence,)), world.context_on(*substrates))

    assert verdict.by_site["province"].outcome is expected


def test_evidence_of_another_plan_does_not_count(world: type[World]) -> None:
    [check] = judged_alone(world, PROVED, plan_digest="0000").checks

    assert check.outcome is COULD_NOT
    assert check.reason == "evidence belongs to plan 0000, judged is plan 9f2c"


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([], "not due before 2027-03-31"),
        ([FAILED], "not due before 2027-03-31; seen meanwhile: failed"),
    ],
)
def test_what_is_not_due_yet_is_not_applicable_and_shows_what_was_seen(
    world: type[World], outcomes: list[Outcome], reason: str
) -> None:
    [check] = judged_alone(world, *outcomes, exempt="not due before 2027-03-31").checks

    assert (check.outcome, check.reason) == (NOT_APPLICABLE, reason)


def test_a_damaged_line_puts_the_check_that_it_names_in_doubt(world: type[World]) -> None:
    damage = Damage("evidence.jsonl", 7, "cut", "NET-01", Place(Scope.HOST, "70", "gw1-70"))

    verdict = judged_alone(world, PROVED, damage=[damage])

    assert verdict.checks[0].outcome is COULD_NOT
    assert verdict.checks[0].reason == "evidence is damaged at evidence.jsonl:7: cut"
    assert verdict.damage == ()


@pytest.mark.parametrize(
    ("control", "place"),
    [(None, None), ("NET-01", None), ("NET-01", Place(Scope.HOST, "70", "svc9-70"))],
)
def test_a_damaged_line_that_names_no_check_keeps_the_run_from_holding(
    world: type[World], control: str | None, place: Place | None
) -> None:
    damage = Damage("evidence.jsonl", 7, "cut", control, place)

    verdict = judged_alone(world, PROVED, damage=[damage])

    assert verdict.checks[0].outcome is PROVED
    assert verdict.damage == (damage,)
    assert verdict.exit_code is ExitCode.FAILED


def test_counts_add_up_over_outcomes_sites_and_controls(world: type[World]) -> None:
    catalogue = world.catalogue_of(
        *(world.control_record(f"NET-{number:02}") for number in range(1, 6))
    )
    cycle = (PROVED, FAILED, None, NOT_SHOWN, NOT_APPLICABLE, PROVED)
    planned, evidence = [], []
    for number in range(1, 6):
        for index, outcome in enumerate(cycle):
            spot = {
                "control": f"NET-{number:02}",
                "host": f"h{index}-{70 + index % 2}",
                "site": str(70 + index % 2),
            }
            planned.append(world.host_check(**spot))
            if outcome is not None:
                evidence.append(world.host_evidence(outcome, **spot))

    verdict = judge(
        catalogue, planned, EvidenceRecord(tuple(evidence)), world.context_on("lab", "lab")
    )

    assert verdict.tally.counts == {
        PROVED: 10, FAILED: 5, COULD_NOT: 5, NOT_SHOWN: 5, NOT_APPLICABLE: 5
    }  # fmt: skip
    for groups in (verdict.by_site, verdict.by_control):
        added = sum((Counter(tally.counts) for tally in groups.values()), Counter())
        assert added == Counter(verdict.tally.counts)
    assert sum(verdict.tally.counts.values()) == len(planned)


def test_a_planned_check_without_a_test_takes_the_evidence_of_any(world: type[World]) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    evidence = (
        world.host_evidence(PROVED),
        world.host_evidence(FAILED, test="test_network.py::test_other"),
    )

    verdict = judge(
        catalogue,
        [world.host_check(test=None)],
        EvidenceRecord(evidence),
        world.context_on("lab"),
    )

    assert verdict.checks[0].outcome is FAILED
    assert verdict.checks[0].observations == 2


def unknown_control(world: type[World]) -> Planned:
    return [world.host_check("NET-09")], ()


def unknown_site(world: type[World]) -> Planned:
    return [world.host_check(site="99", host="gw1-99")], ()


def planned_twice(world: type[World]) -> Planned:
    return [world.host_check(), world.host_check()], ()


def planned_nothing(world: type[World]) -> Planned:
    return [], (world.host_evidence(PROVED),)


def seen_but_not_planned(world: type[World]) -> Planned:
    stray = world.host_evidence(FAILED, host="svc1-70")
    return [world.host_check()], (world.host_evidence(PROVED), stray)


def seen_by_another_test(world: type[World]) -> Planned:
    return [world.host_check()], (world.host_evidence(PROVED, test="test_network.py::test_other"),)


@pytest.mark.parametrize(
    ("situation", "sentence"),
    [
        (
            unknown_control,
            (
                "planned check of 'NET-09' on gw1-70: the catalogue has no such control; "
                "name one of policies/controls"
            ),
        ),
        (
            unknown_site,
            (
                "planned check of NET-01 on gw1-99: site '99' is not among the 1 judged; "
                "pass every site in the context"
            ),
        ),
        (
            planned_twice,
            (
                "planned check of NET-01 on gw1-70 by "
                "test_network.py::test_default_policy_is_drop: "
                "it is planned 2 times; plan it once"
            ),
        ),
        (
            planned_nothing,
            (
                "verdict: no check is planned; a verdict on nothing would read as a pass; "
                "look at the declaration and at proved_by in policies/controls"
            ),
        ),
        (
            seen_but_not_planned,
            (
                "evidence of NET-01 on svc1-70 by test_network.py::test_default_policy_is_drop: "
                "no check of it is planned (1 such in all); "
                "every observation must have been planned; "
                "name the test in the control's proved_by and let applies_to cover the place"
            ),
        ),
        (
            seen_by_another_test,
            (
                "evidence of NET-01 on gw1-70 by test_network.py::test_other: "
                "no check of it is planned (1 such in all); "
                "every observation must have been planned; "
                "name the test in the control's proved_by and let applies_to cover the place"
            ),
        ),
    ],
)
def test_plan_and_evidence_that_disagree_are_refused(
    world: type[World], situation: Situation, sentence: str
) -> None:
    planned, evidence = situation(world)
    catalogue = world.catalogue_of(world.control_record("NET-01"))

    with pytest.raises(ComplianceError) as raised:
        judge(catalogue, planned, EvidenceRecord(evidence), world.context_on("lab"))

    assert raised.value.sentence == sentence


def test_what_nothing_proves_is_listed_with_reason_and_date(world: type[World]) -> None:
    catalogue = world.catalogue_of(
        world.control_record("NET-01"),
        world.control_record("NET-02"),
        world.untested("NET-03", needs=["backup", "mail"]),
        world.untested(
            "NET-04",
            status="manual",
            needs=[],
            reason={"vi": "Hồ sơ giấy.", "en": "A paper."},
        ),
        world.control_record("NET-05"),
    )
    planned = [world.host_check("NET-01"), world.host_check("NET-02")]
    record = EvidenceRecord(
        (world.host_evidence(PROVED), world.host_evidence(FAILED, control="NET-02"))
    )

    verdict = judge(catalogue, planned, record, world.context_on("lab"))

    assert [
        (one.control.id, one.outcome, one.why.vi, one.why.en, one.due and one.due.isoformat())
        for one in verdict.unproven
    ] == [
        ("NET-02", FAILED, "Đã kiểm tra, không đạt", "Checked, and failed", None),
        ("NET-03", None, "Chờ: sao lưu; thư điện tử", "Waits for: backups; mail", "2027-03-31"),
        ("NET-04", None, "Hồ sơ giấy.", "A paper.", None),
        (
            "NET-05",
            None,
            "Không có đối tượng nào trong phạm vi kiểm tra này",
            "No target of it in what was verified",
            None,
        ),
    ]
    assert verdict.proved_controls == ("NET-01",)


def test_the_statement_counts_every_control_and_calls_nothing_compliance(
    world: type[World],
) -> None:
    catalogue = world.catalogue_of(
        world.control_record("NET-01"),
        world.control_record(
            "NET-02",
            status="partly_automated",
            reason={"vi": "Mới một phần.", "en": "Only a part."},
        ),
        world.control_record("NET-03"),
        world.untested("NET-04"),
    )
    spots = [("NET-01", "a-70"), ("NET-02", "a-70"), ("NET-03", "a-70"), ("NET-03", "b-70")]
    outcomes = [PROVED, PROVED, PROVED, FAILED]
    record = EvidenceRecord(
        tuple(
            world.host_evidence(outcome, control=control, host=host)
            for (control, host), outcome in zip(spots, outcomes, strict=True)
        )
    )

    statement = judge(
        catalogue, [world.host_check(*spot) for spot in spots], record, world.context_on("lab")
    ).statement

    assert statement.en == (
        "2 of the catalogue's 4 controls are proved on every target that was checked (1 of them "
        "only in part of what they ask), 1 on some targets only, and nothing proves 1 of them yet. "
        "These figures are not a finding of compliance with the rules on the security of "
        "information systems by level."
    )
    assert statement.vi.startswith("2 trên 4 yêu cầu")
    assert "không phải là kết luận rằng hệ thống tuân thủ" in statement.vi
