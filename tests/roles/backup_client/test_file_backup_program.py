"""What is sent under which name, and what restic's answers mean: beside a restic of ours."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

PROGRAMS = Path(__file__).parents[3] / "roles/backup_client/files/usr/local/lib/province"
SETTINGS = {
    "name": "db1-70",
    "root": "/root.pem",
    "excludes": ["/etc/province/pki"],
    "repositories": [{"host": "bak1-70", "url": "https://bak1-70:8000"}],
    "paths": {"daily": ["/etc", "/not/there"]},
}
SUMMARY = {"message_type": "summary", "snapshot_id": "abc", "total_files_processed": 3}

Answers = dict[tuple[str, str], tuple[int, str]]
"""By repository and order: exit code, and the last words of a failure."""


@pytest.fixture(name="program")
def fixture_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(PROGRAMS))
    module = importlib.import_module("file_backup")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "LAST", tmp_path / "last.json")
    monkeypatch.setattr(module, "REGISTERED", tmp_path / "registered.json")
    (tmp_path / "password").write_text("secret\n")
    yield module
    sys.path.remove(str(PROGRAMS))


def answer(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> list[tuple[str, str]]:
    """Stands in for restic; answers the orders that it got."""
    seen = []

    def restic(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        where = environment["RESTIC_REPOSITORY"].rstrip("/").rsplit("/", 1)[1]
        seen.append((where, words[0]))
        code, said = answers.get((where, words[0]), (0, ""))
        return subprocess.CompletedProcess(words, code, json.dumps(SUMMARY), said)

    monkeypatch.setattr(program, "restic", restic)
    return seen


def opened(program: ModuleType) -> str:
    place = program.open_repository(SETTINGS, "https://bak1-70:8000", "2026-11", "secret")
    return str(place["RESTIC_REPOSITORY"])


def test_secrets_are_in_the_environment_only(program: ModuleType) -> None:
    told = program.environment_of(SETTINGS, "https://bak1-70:8000", "2026-11", "secret")
    assert told["RESTIC_REPOSITORY"] == "rest:https://bak1-70:8000/db1-70/2026-11/"
    assert told["RESTIC_REST_PASSWORD"] == "secret"  # noqa: S105 - the test's own
    assert "secret" not in told["RESTIC_REPOSITORY"]


def test_a_month_is_named_by_the_calendar(program: ModuleType) -> None:
    assert program.month_of(datetime(2026, 2, 1, tzinfo=UTC)) == "2026-02"


def test_a_missing_repository_is_made(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = answer(program, monkeypatch, {("2026-11", "cat"): (10, "no repository")})
    assert opened(program).endswith("/db1-70/2026-11/")
    assert seen == [("2026-11", "cat"), ("2026-11", "init")]


@pytest.mark.parametrize("failure", [(12, "wrong password"), (1, "config or key x is damaged")])
def test_one_that_does_not_open_is_left_alone_and_the_next_begins(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, failure: tuple[int, str]
) -> None:
    seen = answer(
        program, monkeypatch, {("2026-11", "cat"): failure, ("2026-11-2", "cat"): (10, "")}
    )
    assert opened(program).endswith("/2026-11-2/")
    assert ("2026-11", "init") not in seen


def test_when_none_opens_it_says_so(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["2026-11", *(f"2026-11-{number}" for number in range(2, 10))]
    answer(program, monkeypatch, {(name, "cat"): (12, "wrong password") for name in names})
    with pytest.raises(program.FailedError, match="none of 9 repositories"):
        opened(program)


def test_a_refused_password_is_registered_anew(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"bak1-70": program.proof("secret")}
    program.REGISTERED.write_text(json.dumps(known))
    assert program.unregistered(SETTINGS, known, "secret") == []
    answer(program, monkeypatch, {("2026-11", "cat"): (1, "unexpected HTTP response (401)")})
    with pytest.raises(program.FailedError, match="does not know this host"):
        opened(program)
    assert not program.REGISTERED.exists()
    assert program.unregistered(SETTINGS, {}, "secret") == ["bak1-70"]
    assert program.unregistered(SETTINGS, known, "another") == ["bak1-70"]


def test_what_was_sent_is_noted_with_what_is_missing(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(program, monkeypatch, {})
    program.send_all(SETTINGS, "daily")
    noted = json.loads(program.LAST.read_text())["daily"]
    assert noted["missing"] == ["/not/there"]
    assert noted["copies"][0]["paths"] == ["/etc"]
    assert noted["copies"][0]["snapshot"] == "abc"


@pytest.mark.parametrize(("code", "word"), [(3, "not everything could be read"), (1, "nothing")])
def test_an_incomplete_copy_is_a_failure_and_not_noted(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, code: int, word: str
) -> None:
    month = program.month_of(datetime.now(UTC))
    answer(program, monkeypatch, {(month, "backup"): (code, "denied")})
    with pytest.raises(program.FailedError, match=word):
        program.send_all(SETTINGS, "daily")
    assert not program.LAST.exists()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{"message_type":"exit_error","code":1,"message":"Fatal: no"}\n', "Fatal: no"),
        ("first\nlast words\n", "last words"),
        ("", "it said nothing"),
    ],
)
def test_complaints_are_read_in_both_forms(program: ModuleType, said: str, meant: str) -> None:
    assert program.complaint(said) == meant
