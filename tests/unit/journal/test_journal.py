"""The journal tells what ran, also after a kill."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import JournalError
from infra.journal import Journal

NOW = datetime(2026, 11, 25, 3, 40, 12, tzinfo=UTC)


def journal(state: Path, run: str = "20261125T034012Z-ab12") -> Journal:
    return Journal(state, run, "provision", lambda: NOW)


def test_entries_come_back_in_the_order_of_what_happened(tmp_path: Path) -> None:
    journal(tmp_path / "lab").note("machines", "70", "done", "4 changes")
    journal(tmp_path / "lab", "another").note("site", "692", "deferred")
    first, second = journal(tmp_path / "lab").entries()
    assert (first.at, first.verb, first.stage, first.subject, first.outcome, first.detail) == (
        "2026-11-25T03:40:12+00:00",
        "provision",
        "machines",
        "70",
        "done",
        "4 changes",
    )
    assert first.author
    assert (second.run, second.subject, second.detail) == ("another", "692", "")


def test_before_the_first_run_there_is_nothing(tmp_path: Path) -> None:
    assert journal(tmp_path).entries() == ()


def test_a_sentence_with_a_line_break_stays_one_entry(tmp_path: Path) -> None:
    journal(tmp_path).note("site", "692", "failed", "one\ntwo\u2028three")
    (entry,) = journal(tmp_path).entries()
    assert entry.detail == "one\ntwo\u2028three"


def test_a_last_line_that_a_kill_cut_short_is_passed_over(tmp_path: Path) -> None:
    journal(tmp_path).note("site", "70", "done")
    journal(tmp_path).note("site", "692", "done")
    path = tmp_path / "journal.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    assert [entry.subject for entry in journal(tmp_path).entries()] == ["70"]


def test_a_line_that_was_cut_inside_a_letter_is_passed_over(tmp_path: Path) -> None:
    journal(tmp_path).note("site", "70", "done")
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write('{"detail": "Lộ'.encode()[:-1])
    assert [entry.subject for entry in journal(tmp_path).entries()] == ["70"]


def test_the_run_after_a_kill_writes_its_own_lines(tmp_path: Path) -> None:
    journal(tmp_path).note("site", "70", "done")
    path = tmp_path / "journal.jsonl"
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"at": "2026-11-')
    journal(tmp_path).note("site", "692", "done")
    assert [entry.subject for entry in journal(tmp_path).entries()] == ["70", "692"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"at": "x"}'])
def test_a_damaged_earlier_line_is_named(tmp_path: Path, damage: str) -> None:
    journal(tmp_path).note("site", "70", "done")
    path = tmp_path / "journal.jsonl"
    good = path.read_text(encoding="utf-8")
    path.write_text(f"{good}{damage}\n{good}", encoding="utf-8")
    with pytest.raises(JournalError) as refused:
        journal(tmp_path).entries()
    assert refused.value.sentence == (
        f"{path}:2: is no journal entry; keep the damaged file aside and go on"
    )


def test_every_line_is_json_that_others_can_read(tmp_path: Path) -> None:
    journal(tmp_path).note("site", "692", "failed", "Lộc Ninh")
    (line,) = (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["detail"] == "Lộc Ninh"
    assert "Lộc Ninh" in line
