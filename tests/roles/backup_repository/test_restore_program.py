"""What a restore refuses before anything happens, and when its replay has ended."""

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

PROGRAMS = Path(__file__).parents[3] / "roles/backup_repository/files/usr/local/lib/province"
EARLY, LATE = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 25, 9, tzinfo=UTC)


def program(name: str) -> Iterator[ModuleType]:
    sys.path.insert(0, str(PROGRAMS))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(PROGRAMS))


@pytest.fixture(name="archive")
def fixture_archive() -> Iterator[ModuleType]:
    yield from program("database_archive")


@pytest.fixture(name="restoring")
def fixture_restoring() -> Iterator[ModuleType]:
    yield from program("restore_database")


def backup(label: str, stop: datetime, *, error: bool = False) -> dict[str, object]:
    return {"label": label, "timestamp": {"stop": stop.timestamp()}, "error": error}


def order(**changed: str) -> dict[str, str]:
    return {"cluster": "records", "into": "rehearsal", "to": "latest", **changed}


@pytest.mark.parametrize(
    ("wanted", "taken", "sentence"),
    [
        (order(cluster="record"), False, "cluster 'record': is not kept here"),
        (order(into="../etc"), False, "is no name for a folder"),
        (order(into="Name"), False, "is no name for a folder"),
        (order(into="a" * 32), False, "is no name for a folder"),
        (order(), True, "nothing is ever restored over something"),
    ],
)
def test_an_order_that_could_not_be_meant_is_refused(
    archive: ModuleType, wanted: dict[str, str], taken: bool, sentence: str
) -> None:
    with pytest.raises(archive.RefusedError, match=sentence):
        archive.refuse_order(wanted, "records", taken)


def test_an_order_that_can_be_meant_is_not_refused(archive: ModuleType) -> None:
    archive.refuse_order(order(), "records", taken=False)


@pytest.mark.parametrize("moment", ["2026-11-19T23:59:59+00:00", "2026-11-25T16:00:01+07:00"])
def test_a_moment_outside_the_archive_is_refused_with_both_ends(
    archive: ModuleType, moment: str
) -> None:
    with pytest.raises(archive.RefusedError) as refusal:
        archive.refuse_moment(archive.parse_moment(moment), EARLY, LATE)
    assert EARLY.isoformat() in str(refusal.value)
    assert LATE.isoformat() in str(refusal.value)


@pytest.mark.parametrize("moment", ["latest", "2026-11-20T00:00:00Z", "2026-11-25T16:00:00+07:00"])
def test_a_moment_inside_the_archive_is_taken(archive: ModuleType, moment: str) -> None:
    archive.refuse_moment(archive.parse_moment(moment), EARLY, LATE)


def test_too_little_room_is_refused_with_both_figures(archive: ModuleType) -> None:
    with pytest.raises(archive.RefusedError, match="100 MiB are free and 200 MiB are needed"):
        archive.refuse_space(200 << 20, 100 << 20, Path("/there"))
    archive.refuse_space(100 << 20, 100 << 20, Path("/there"))


def test_a_copy_with_errors_is_no_beginning(archive: ModuleType) -> None:
    info = {"backup": [backup("good", EARLY), backup("bad", LATE, error=True)]}
    assert [one["label"] for one in archive.usable(info)] == ["good"]
    assert archive.usable({}) == []


def test_a_restore_begins_with_the_newest_copy_before_its_moment(archive: ModuleType) -> None:
    copies = [backup("first", EARLY), backup("second", LATE)]
    assert archive.chosen(copies, None)["label"] == "second"
    assert archive.chosen(copies, LATE)["label"] == "second"
    assert archive.chosen(copies, datetime(2026, 11, 24, tzinfo=UTC))["label"] == "first"


def test_positions_in_the_log_are_those_of_postgresql(archive: ModuleType) -> None:
    assert archive.position("0/6000000") == archive.end_of("000000010000000000000005")
    assert archive.position("2/0") == archive.end_of("0000000A00000001000000FF")


@pytest.mark.parametrize(
    ("now", "quiet", "ended"),
    [
        ("0/6000000", 0.0, True),
        ("0/5FFFF00", 1.0, False),
        ("0/5FFFF00", 5.0, True),
        ("0/4FFFF00", 60.0, False),
    ],
)
def test_the_replay_ends_with_the_last_segment(
    archive: ModuleType, restoring: ModuleType, now: str, quiet: float, ended: bool
) -> None:
    end = archive.end_of("000000010000000000000005")
    assert restoring.is_behind(archive.position(now), end, quiet) is ended


def test_the_scratch_server_allows_as_much_as_its_source(restoring: ModuleType) -> None:
    said = (
        "max_connections setting:              150\n"
        "max_worker_processes setting:         8\n"
        "max_wal_senders setting:              10\n"
        "max_prepared_xacts setting:           0\n"
        "max_locks_per_xact setting:           64\n"
        "Database cluster state:               in production\n"
    )
    limits = restoring.limits_of(said)
    assert limits["max_connections"] == "150"
    assert limits["max_locks_per_transaction"] == "64"


def test_the_scratch_server_reaches_nobody_and_archives_nothing(restoring: ModuleType) -> None:
    plan = {"cluster": "records", "folder": Path("/scratch/x"), "target": LATE}
    lines = restoring.configuration(plan, {"max_connections": "150"}).splitlines()
    assert "listen_addresses = ''" in lines
    assert "archive_mode = off" in lines
    assert "recovery_target_action = 'pause'" in lines
    assert f"recovery_target_time = '{LATE.isoformat()}'" in lines
    assert "max_connections = 150" in lines
    latest = restoring.configuration({**plan, "target": None}, {})
    assert "recovery_target_time =" not in latest


def test_last_words_leave_out_who_asked_too_early(restoring: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert restoring.last_words(log) == "none"
    log.write_text("FATAL: broken\nFATAL:  the database system is starting up\n")
    assert restoring.last_words(log) == "FATAL: broken"
