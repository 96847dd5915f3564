"""Evidence survives its file: whole lines come back equal, broken ones are doubt, never silence."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from compliance_world import World

from infra.compliance.evidence import Evidence, append_evidence, evidence_line, read_evidence
from infra.compliance.outcomes import Outcome, Scope
from infra.compliance.planned import Place
from infra.errors import ComplianceError


def test_evidence_comes_back_as_it_was_kept(tmp_path: Path, world: type[World]) -> None:
    path = tmp_path / "new" / "evidence.jsonl"
    kept = [
        world.host_evidence(Outcome.PROVED, seen=("dòng một\nhai\u2028ba", 'quote " back \\')),
        world.host_evidence(Outcome.FAILED, host="svc1-70"),
        world.host_evidence(Outcome.NOT_SHOWN, target=Scope.SITE, host=None, seen=()),
        world.host_evidence(Outcome.PROVED, target=Scope.PROVINCE, site=None, host=None),
    ]

    for evidence in kept:
        append_evidence(path, [evidence])
    record = read_evidence([path])

    assert list(record.evidence) == kept
    assert record.damage == ()


@pytest.mark.parametrize("length", range(1, 80, 7))
def test_a_line_cut_anywhere_is_damage(tmp_path: Path, world: type[World], length: int) -> None:
    path = tmp_path / "evidence.jsonl"
    whole = evidence_line(world.host_evidence(Outcome.PROVED))
    cut = evidence_line(world.host_evidence(Outcome.FAILED))[:-length]
    path.write_text(whole + cut)

    record = read_evidence([path])

    # Without its line break the last line is whole, and so is its evidence.
    assert len(record.evidence) == (2 if length == 1 else 1)
    assert len(record.damage) == (0 if length == 1 else 1)


@pytest.mark.parametrize(
    ("line", "control", "place"),
    [
        (
            '{"control": "NET-01", "target": "host", "site": "70", "host": "gw1-70", "te',
            "NET-01",
            Place(Scope.HOST, "70", "gw1-70"),
        ),
        (
            '{"control": "NET-01", "target": "site", "site": "70", "host": null, "te',
            "NET-01",
            Place(Scope.SITE, "70"),
        ),
        ('{"control": "NET-01", "target": "site", "site": "70", "ho', "NET-01", None),
        ('{"control": "NET-01", "target": "host", "site": "70", "host": "gw', "NET-01", None),
        ('{"control": "NE', None, None),
        ("\x00\x00\x00\x00", None, None),
        ("[]", None, None),
    ],
)
def test_damage_names_its_place_only_where_that_is_whole(
    tmp_path: Path, line: str, control: str | None, place: Place | None
) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_text(line)

    [damage] = read_evidence([path]).damage

    assert (damage.control, damage.place) == (control, place)
    assert str(damage).startswith("evidence.jsonl:1: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"outcome": "proved"', '"outcome": "passed"'),
        ('"seen": ["chain input policy drop"]', '"seen": "chain input policy drop"'),
        ('"seen": ["chain input policy drop"]', '"seen": []'),
        ("+00:00", ""),
        ('"plan_digest": "9f2c"', '"plan_digest": 9'),
        ('"plan_digest": "9f2c"', '"plan_digest": "9f2c", "note": "x"'),
        ('"host": "gw1-70"', '"host": null'),
        ('"test": "test_network.py::test_default_policy_is_drop"', '"test": "by hand"'),
    ],
)
def test_a_line_that_breaks_the_form_is_damage(
    tmp_path: Path, world: type[World], old: str, new: str
) -> None:
    path = tmp_path / "evidence.jsonl"
    line = evidence_line(world.host_evidence(Outcome.PROVED))
    assert old in line
    path.write_text(line.replace(old, new))

    record = read_evidence([path])

    assert record.evidence == ()
    assert len(record.damage) == 1


def test_a_file_that_is_missing_is_damage(tmp_path: Path) -> None:
    [damage] = read_evidence([tmp_path / "evidence.jsonl"]).damage

    assert str(damage) == ("evidence.jsonl:0: the file cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seen": ()}, "it is proved and nothing was seen; record what was seen"),
        ({"outcome": Outcome.FAILED, "reason": ""}, "it is failed without a reason; say why"),
        ({"test": "by hand"}, "its test is 'by hand'; name it file.py::test_function"),
        (
            {"started_at": datetime(2026, 11, 25)},  # noqa: DTZ001  that is the mistake
            "its times have no time zone; use aware times",
        ),
    ],
)
def test_evidence_that_nobody_could_judge_is_refused(
    world: type[World], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ComplianceError) as raised:
        world.host_evidence(**{"outcome": Outcome.PROVED} | changes)

    assert raised.value.sentence.endswith(sentence)


def test_evidence_that_ends_before_it_starts_is_refused(world: type[World]) -> None:
    evidence: Evidence = world.host_evidence(Outcome.PROVED)

    with pytest.raises(ComplianceError, match="ended before it started"):
        replace(evidence, ended_at=evidence.started_at - timedelta(seconds=1))
