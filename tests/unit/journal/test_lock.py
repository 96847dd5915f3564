"""One writer per environment: the second is told who works and since when."""

import fcntl
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import ExitCode, LockHeldError
from infra.journal import held_by, hold_lock, lock_holder

NOW = datetime(2026, 11, 25, 3, 40, 12, tzinfo=UTC)
HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from infra.journal import hold_lock
with hold_lock(Path(sys.argv[1]), "provision", datetime(2026, 11, 25, 3, 40, 12, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def another_run(tmp_path: Path) -> subprocess.Popen[str]:
    """Start a run of another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lab")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_run_is_told_who_holds_the_lock_and_since_when(
    tmp_path: Path, another_run: subprocess.Popen[str]
) -> None:
    with pytest.raises(LockHeldError) as refused, hold_lock(tmp_path / "lab", "configure", NOW):
        pytest.fail("two runs hold one lock")
    assert re.fullmatch(
        rf"environment 'lab': 'provision' of \S+@\S+ \(process {another_run.pid}\) "
        r"since 2026-11-25T03:40:12\+00:00 holds the lock; wait for it to end, then run again",
        refused.value.sentence,
    )
    assert refused.value.exit_code is ExitCode.LOCKED == 4


def test_a_killed_run_leaves_no_lock_behind(
    tmp_path: Path, another_run: subprocess.Popen[str]
) -> None:
    another_run.kill()
    another_run.wait()
    with hold_lock(tmp_path / "lab", "configure", NOW):
        assert "'configure' of " in held_by(tmp_path / "lab")


def test_the_lock_is_free_after_a_run_also_when_it_failed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), hold_lock(tmp_path, "provision", NOW):
        raise ValueError("broken")
    with hold_lock(tmp_path, "provision", NOW):
        pass


def test_two_environments_do_not_wait_for_each_other(tmp_path: Path) -> None:
    lab, whole = tmp_path / "lab", tmp_path / "binh_phuoc"
    with hold_lock(lab, "provision", NOW), hold_lock(whole, "preview", NOW):
        assert "'provision'" in held_by(lab)
        assert "'preview'" in held_by(whole)


def test_looking_at_the_lock_stops_no_run(tmp_path: Path) -> None:
    with hold_lock(tmp_path, "provision", NOW):
        assert lock_holder(tmp_path).startswith("'provision' of ")
    with (tmp_path / "lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        release = threading.Timer(0.07, fcntl.flock, (look, fcntl.LOCK_UN))
        release.start()
        with hold_lock(tmp_path, "configure", NOW):
            release.join()
    assert lock_holder(tmp_path) == ""


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "nowhere") == ""


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_holder_that_has_not_said_its_name_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content, encoding="utf-8")
    assert held_by(tmp_path) == "a run that has not said yet who it is"
