import logging
from datetime import timedelta
from pathlib import Path

import pytest

from infra.errors import LabError
from infra.lab import commands


def test_a_failing_tool_is_quoted_with_its_words() -> None:
    with pytest.raises(LabError) as failed:
        commands.run(["sh", "-c", "echo no room >&2; exit 3"])
    assert failed.value.sentence == (
        "sh -c 'echo no room >&2; exit 3': ended with 3 and said 'no room'; it must succeed"
    )


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(LabError, match=r"^no-such-tool: is not installed on this machine"):
        commands.run(["no-such-tool"])


def test_empty_answers_of_iproute2_are_no_objects() -> None:
    assert commands.run_json(["echo", '[{},{"ifname":"lo"}]']) == [{"ifname": "lo"}]
    assert commands.run_json(["true"]) == []


def test_waiting_warns_at_half_and_ends_with_what_was_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "province.lab"), pytest.raises(LabError) as over:
        commands.wait_until("the moon", lambda: False, timedelta(seconds=0.4), lambda: "still day")
    assert over.value.sentence.startswith("the moon: not so after 0.")
    assert over.value.sentence.endswith("the limit is 0 s; still day")
    assert [record.getMessage().split(",")[1] for record in caplog.records] == [
        " half of the limit of 0 s"
    ]


def test_waiting_ends_as_soon_as_it_is_so() -> None:
    answers = iter([False, True])
    commands.wait_until("the sun", lambda: next(answers), timedelta(seconds=5))
    assert next(answers, None) is None


def test_the_end_of_a_log_fits_one_line(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("\n".join(f"line {number}\r" for number in range(20)), encoding="utf-8")
    assert commands.last_lines(log).startswith(f"{log} ends with: line 8 / line 9")
    assert commands.last_lines(tmp_path / "none") == f"{tmp_path / 'none'} does not exist"
