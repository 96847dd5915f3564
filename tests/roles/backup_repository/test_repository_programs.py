"""What the repository forgets, whom it lets in, and what it says of its copies."""

import importlib
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAMS = Path(__file__).parents[3] / "roles/backup_repository/files/usr/local/lib/province"
TODAY = date(2026, 11, 25)


@pytest.fixture(name="programs", autouse=True)
def fixture_programs() -> Iterator[None]:
    sys.path.insert(0, str(PROGRAMS))
    yield
    sys.path.remove(str(PROGRAMS))


def program(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize(
    ("months", "days", "gone"),
    [
        (["2026-11", "2026-10", "2026-09"], 30, ["2026-09"]),
        (["2026-11", "2026-10"], 24, ["2026-10"]),
        (["2026-11", "2026-10"], 25, []),
        (["2026-01"], 30, []),
        (["2025-12", "2026-01"], 30, ["2025-12"]),
        (["2026-09", "2026-09-2", "2026-11"], 30, ["2026-09", "2026-09-2"]),
        (["2026-11", "2024-02", "notes", "2024-13", ".lock"], 30, ["2024-02"]),
        ([], 1, []),
    ],
)
def test_a_month_goes_as_a_whole_and_the_newest_stays(
    months: list[str], days: int, gone: list[str]
) -> None:
    assert program("expire_file_backups").expired(months, TODAY, days) == gone


def test_the_last_day_knows_leap_years_and_december() -> None:
    last_day = program("expire_file_backups").last_day
    assert last_day("2024-02") == date(2024, 2, 29)
    assert last_day("2026-12") == date(2026, 12, 31)
    assert last_day("2026-12-x") is None


def test_who_is_no_client_any_more_loses_his_entry() -> None:
    users = "db1-70:$2y$10$a\ngone-70:$2y$10$b\n"
    assert program("register_backup_client").without(users, ["db1-70"]) == "db1-70:$2y$10$a\n"


def info() -> dict[str, Any]:
    return {
        "db": [{"id": 1}],
        "archive": [{"min": "000000010000000000000001", "max": "000000010000000000000003"}],
        "backup": [
            {
                "label": "20261125-035845F",
                "type": "full",
                "timestamp": {"start": 1795579125, "stop": 1795579139},
                "info": {"size": 1000, "repository": {"delta": 100}},
                "error": False,
            }
        ],
    }


def test_copies_and_archive_are_said_as_they_are() -> None:
    told = program("database_backup")
    (copy,) = told.copies(info())
    assert copy["label"] == "20261125-035845F"
    assert copy["database_bytes"] == 1000
    assert not copy["has_errors"]
    assert told.archive(info())["last"] == "000000010000000000000003"


def test_a_repository_without_anything_is_said_as_empty() -> None:
    told = program("database_backup")
    assert told.copies({}) == []
    assert told.archive({}) == {"first": None, "last": None}
    assert not told.is_created({})
    assert told.stanza_info("[]") == {}


def test_errors_come_before_last_words() -> None:
    told = program("database_backup")
    assert told.complaint(["P00  ERROR: [056]: no primary", "P00   INFO: end"]).startswith("P00  E")
    assert told.complaint(["one", "", "two", "three"]) == "two; three"


def test_both_ends_install_keys_alike() -> None:
    name = "files/usr/local/lib/province/install_backup_keys"
    roles = PROGRAMS.parents[5]
    assert (roles / "backup_client" / name).read_text() == (PROGRAMS / Path(name).name).read_text()
