"""The guard's program: files go in together or not at all, and come back unless confirmed."""

import json
import os
import time
from pathlib import Path

import pytest
from managed_files import guarding, province_guard
from managed_files.province_guard import (
    ABSENT,
    Change,
    Step,
    Thing,
    apply,
    carry_out,
    change_from,
    keep,
    look,
    outcome_of,
    pending,
    restore,
    turned_round,
)

STOPPED_PID = 2**22 + 1  # above the kernel's largest


def file_of(store: Path, content: bytes, mode: int = 0o640) -> Thing:
    name = keep(store, content)
    return Thing("file", sha256=name, mode=mode, uid=os.getuid(), gid=os.getgid())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


def snapshot(tree: Path) -> dict[str, Thing]:
    return {str(path): look(str(path)) for path in sorted(tree.rglob("*"))}


def every_kind_of_step(tree: Path, store: Path) -> list[Step]:
    """Create, replace, link, make a directory, remove: one of each."""
    old = file_of(store, b"old", 0o600)
    for name in ("replaced", "removed"):
        (tree / name).write_bytes(b"old")
        (tree / name).chmod(0o600)
    owner = {"uid": os.getuid(), "gid": os.getgid()}
    return [
        Step(str(tree / "new.d"), ABSENT, Thing("directory", mode=0o750, **owner)),
        Step(str(tree / "new.d/created"), ABSENT, file_of(store, b"created")),
        Step(str(tree / "replaced"), old, file_of(store, b"new")),
        Step(str(tree / "link"), ABSENT, Thing("link", target="replaced", **owner)),
        Step(str(tree / "removed"), old, ABSENT),
    ]


def test_every_path_becomes_what_its_step_wants(tree: Path, store: Path) -> None:
    steps = every_kind_of_step(tree, store)
    carry_out(steps, store)
    assert [look(step.path) for step in steps] == [step.after for step in steps]
    assert (tree / "new.d/created").read_bytes() == b"created"
    assert sorted(path.name for path in tree.rglob(".*")) == []


def test_a_change_turned_round_is_taken_back_to_the_byte(tree: Path, store: Path) -> None:
    steps = every_kind_of_step(tree, store)
    before = snapshot(tree)
    carry_out(steps, store)
    carry_out(turned_round(steps), store)
    assert snapshot(tree) == before


def test_a_path_that_cannot_be_changed_leaves_all_as_they_were(tree: Path, store: Path) -> None:
    steps = every_kind_of_step(tree, store)
    before = snapshot(tree)
    # Sorts last, so that everything else has been done when it fails.
    blocked = Step(str(tree / "zz_missing/file"), ABSENT, file_of(store, b"x"))
    with pytest.raises(FileNotFoundError):
        carry_out([*steps, blocked], store)
    assert snapshot(tree) == before
    # The same when it fails between two renames.
    (tree / "zz_full").mkdir()
    (tree / "zz_full/other_hands").write_bytes(b"")
    in_the_way = Step(str(tree / "zz_full"), ABSENT, file_of(store, b"x"))
    before = snapshot(tree)
    with pytest.raises(IsADirectoryError):
        carry_out([*steps, in_the_way], store)
    assert snapshot(tree) == before


def test_a_directory_with_another_hands_file_stays(tree: Path, store: Path) -> None:
    (tree / "made").mkdir()
    (tree / "made/other_hands").write_bytes(b"")
    carry_out([Step(str(tree / "made"), look(str(tree / "made")), ABSENT)], store)
    assert (tree / "made/other_hands").exists()


def test_contents_are_kept_for_root_only(store: Path) -> None:
    name = keep(store, b"secret")
    assert (store / name).stat().st_mode & 0o777 == 0o600


# The guarded change -----------------------------------------------------------------------------


@pytest.fixture
def guard(tmp_path: Path) -> Path:
    (tmp_path / "guard/pending/content").mkdir(parents=True)
    return tmp_path / "guard"


def armed(guard: Path, tree: Path, *commands: list[str], **changes: object) -> Change:
    """A change that has been handed over: one file is replaced, one is created."""
    (tree / "rules").write_bytes(b"old rules")
    store = guard / "pending/content"
    keep(store, b"old rules")
    change = Change(
        id="one",
        role="firewall",
        steps=(
            Step(str(tree / "rules"), look(str(tree / "rules")), file_of(store, b"new rules")),
            Step(str(tree / "created"), ABSENT, file_of(store, b"created")),
        ),
        apply=tuple(map(tuple, commands)),
        restore=(("touch", str(tree / "reloaded")),),
        seconds=60,
        connection="",
        armed_by=STOPPED_PID,
    )._replace(**changes)
    province_guard.write_pending(change, guard)
    return change


def contents(tree: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tree.iterdir()}


def test_a_pending_change_is_read_back_as_it_was_written(guard: Path, tree: Path) -> None:
    change = armed(guard, tree, ["true"])
    assert pending(guard) == change
    assert change_from(json.loads(json.dumps(change._asdict()))) == change


def test_an_applied_change_waits_for_its_confirmation(guard: Path, tree: Path) -> None:
    armed(guard, tree, ["touch", str(tree / "live")])
    apply("one", guard)
    assert contents(tree) == {"rules": b"new rules", "created": b"created", "live": b""}
    change = pending(guard)
    assert change is not None
    assert change.state == "applied"
    assert outcome_of("one", guard) is None


def test_an_unconfirmed_change_is_taken_back_and_made_live(guard: Path, tree: Path) -> None:
    armed(guard, tree)
    apply("one", guard)
    restore("one", "nobody came", guard)
    assert contents(tree) == {"rules": b"old rules", "reloaded": b""}
    outcome = outcome_of("one", guard)
    assert outcome is not None
    assert (outcome.outcome, outcome.reason) == ("reverted", "nobody came")
    assert sorted(path.name for path in guard.iterdir()) == ["lock", "outcome.json"]


def test_a_reboot_takes_it_back_without_running_anything(guard: Path, tree: Path) -> None:
    armed(guard, tree)
    apply("one", guard)
    restore("one", "restarted", guard, live=False)
    assert contents(tree) == {"rules": b"old rules"}


def test_a_command_that_fails_takes_all_back_at_once(guard: Path, tree: Path) -> None:
    armed(guard, tree, ["sh", "-c", "echo no such table; exit 3"], ["touch", str(tree / "live")])
    apply("one", guard)
    assert contents(tree) == {"rules": b"old rules", "reloaded": b""}
    outcome = outcome_of("one", guard)
    assert outcome is not None
    assert outcome.reason == '"sh -c echo no such table; exit 3" exited 3: no such table'


def test_what_fails_while_restoring_is_recorded_and_the_rest_goes_on(
    guard: Path, tree: Path
) -> None:
    restores = (("no_such_program",), ("touch", str(tree / "reloaded")))
    armed(guard, tree, restore=restores)
    apply("one", guard)
    restore("one", "nobody came", guard)
    outcome = outcome_of("one", guard)
    assert outcome is not None
    assert len(outcome.restore_failures) == 1
    assert outcome.restore_failures[0].startswith('"no_such_program" could not be run')
    assert (tree / "reloaded").exists()


def test_a_timer_that_comes_after_the_confirmation_changes_nothing(guard: Path, tree: Path) -> None:
    change = armed(guard, tree)
    apply("one", guard)
    province_guard.finish(change, "confirmed", "fresh", [], guard)
    restore("one", "nobody came", guard)
    assert contents(tree)["rules"] == b"new rules"


def test_a_cut_between_record_and_removal_stays_confirmed(guard: Path, tree: Path) -> None:
    change = armed(guard, tree)
    apply("one", guard)
    record = province_guard.Outcome("one", "firewall", "confirmed", "fresh", ())
    (guard / "outcome.json").write_text(json.dumps(record._asdict()))
    restore(change.id, "restarted", guard, live=False)
    assert contents(tree)["rules"] == b"new rules"
    assert pending(guard) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"state": "armed"}, "the change is still being made", id="not_yet_applied"),
        pytest.param(
            {"state": "applied", "applied_at": time.monotonic() + 1e6},
            "the change has not settled",
            id="not_settled",
        ),
        pytest.param(
            {"state": "applied", "connection": "77:1234"},
            "this is the connection from before the change",
            id="same_connection",
        ),
        pytest.param({"state": "applied"}, "", id="settled_and_fresh"),
    ],
)
def test_only_a_settled_change_over_another_connection_is_confirmed(
    guard: Path,
    tree: Path,
    changes: dict[str, object],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guarding, "connection", lambda: "77:1234")
    assert guarding._not_yet(armed(guard, tree, **changes), settle_seconds=1) == expected
