"""A restart of several hosts: all down, then all up, and no host waits for another's mistake."""

from datetime import timedelta
from typing import cast

import pytest

from infra.errors import LabError
from infra.lab.lab import START_LIMIT, Lab
from infra.lab.restarts import PER_HOST, restart


class Steps:
    """Notes what is asked of a lab, and fails where a test says so."""

    def __init__(self, failing: str = "") -> None:
        self.taken: list[str] = []
        self.limits: set[timedelta] = set()
        self.failing = failing

    def _step(self, step: str) -> None:
        if step == self.failing:
            raise LabError(f"{step}: did not work")
        self.taken.append(step)

    def stop_host(self, host: str) -> None:
        self._step(f"stop {host}")

    def crash_host(self, host: str) -> None:
        self._step(f"crash {host}")

    def start_host(self, host: str, limit: timedelta) -> None:
        self.limits.add(limit)
        self._step(f"start {host}")


@pytest.mark.parametrize(("hard", "verb"), [(False, "stop"), (True, "crash")])
def test_all_go_down_before_one_comes_up(hard: bool, verb: str) -> None:
    steps = Steps()
    outcome = restart(cast("Lab", steps), ["a", "b"], hard=hard)
    assert outcome == {"a": None, "b": None}
    assert set(steps.taken[:2]) == {f"{verb} a", f"{verb} b"}
    assert set(steps.taken[2:]) == {"start a", "start b"}
    assert steps.limits == {START_LIMIT + PER_HOST}


def test_a_host_that_does_not_go_down_is_not_started_and_holds_nobody_up() -> None:
    steps = Steps(failing="stop a")
    outcome = restart(cast("Lab", steps), ["a", "b"])
    assert str(outcome["a"]) == "stop a: did not work"
    assert outcome["b"] is None
    assert "start a" not in steps.taken
    assert "start b" in steps.taken


def test_a_host_that_does_not_come_up_is_named() -> None:
    outcome = restart(cast("Lab", Steps(failing="start b")), ["a", "b"])
    assert outcome["a"] is None
    assert str(outcome["b"]) == "start b: did not work"


def test_nobody_is_nothing() -> None:
    assert restart(cast("Lab", Steps()), []) == {}
