"""What is asked for, what two servers answer, and what the difference means."""

import json
from pathlib import Path

import pytest

from infra.errors import ProvinceError, RefusedError
from infra.restore import (
    LATEST,
    Digest,
    Hosts,
    Order,
    compare,
    is_proved,
    parse_digests,
    parse_target,
)
from infra.restore.shell import read_line

ONE, TWO, THREE = (Digest(number, str(number), None) for number in (1, 2, 3))
KEY = ("citizens", "public.person")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("latest", LATEST),
        ("2026-11-25T09:30:00+07:00", "2026-11-25T02:30:00+00:00"),
        ("2026-11-25T02:30:00Z", "2026-11-25T02:30:00+00:00"),
    ],
)
def test_a_moment_is_read_with_its_zone(text: str, moment: str) -> None:
    assert parse_target(text) == moment


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("yesterday", "is no moment"), ("2026-11-25T09:30:00", "leaves open in which zone")],
)
def test_a_moment_that_could_mean_two_things_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        parse_target(text)


@pytest.mark.parametrize("name", ["", "../x", "A", "9a", "a-b", "a" * 32])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="is no name for a folder"):
        Order("records", LATEST, name)


@pytest.mark.parametrize(
    ("back", "was", "now", "outcome", "proved"),
    [
        (ONE, ONE, ONE, "equal", True),
        (ONE, ONE, TWO, "equal", True),
        (TWO, ONE, TWO, "equal", True),
        (TWO, ONE, THREE, "moved", True),
        (TWO, ONE, ONE, "differs", False),
        (None, ONE, ONE, "differs", False),
        (ONE, None, None, "differs", False),
        (None, None, ONE, "equal", True),
        (None, ONE, TWO, "moved", True),
    ],
)
def test_only_what_the_cluster_left_alone_must_be_equal(
    back: Digest | None, was: Digest | None, now: Digest | None, outcome: str, proved: bool
) -> None:
    sides = [{KEY: one} if one else {} for one in (back, was, now)]
    compared = compare(*sides)
    assert [one.outcome for one in compared] == [outcome]
    assert is_proved(compared) is proved


def test_nothing_compared_proves_nothing() -> None:
    assert not is_proved(compare({}, {}, {}))


def test_a_sum_of_the_same_rows_with_another_content_differs() -> None:
    other = Digest(1, "2", None)
    assert not is_proved(compare({KEY: other}, {KEY: ONE}, {KEY: ONE}))


def test_digests_are_read_by_database_and_table() -> None:
    line = json.dumps({"table": "public.person", "rows": 1, "checksum": "1", "newest": None})
    assert parse_digests({"citizens": [line, ""]}) == {KEY: ONE}


@pytest.mark.parametrize("line", ["ERROR", "{}", "[]"])
def test_an_answer_that_is_no_digest_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(ProvinceError, match="one table's digest was expected"):
        parse_digests({"citizens": [line]})


def test_lines_of_the_program_are_steps_refusals_failures_and_results() -> None:
    told: list[str] = []
    assert read_line("bak1-70", '{"step": "start", "text": "a server"}', told.append) is None
    assert told == ["start: a server"]
    with pytest.raises(RefusedError, match="bak1-70: is taken; nothing was touched"):
        read_line("bak1-70", '{"refused": "is taken"}', told.append)
    with pytest.raises(ProvinceError, match="what was begun was taken away"):
        read_line("bak1-70", '{"failed": "no room"}', told.append)
    with pytest.raises(ProvinceError, match="said 'Segmentation fault'"):
        read_line("bak1-70", "Segmentation fault\n", told.append)
    result = {
        "folder": "/x",
        "backup": "F",
        "earliest": "a",
        "latest": "b",
        "newest_commit": "",
        "seconds": 1.0,
        "databases": {},
    }
    restored = read_line("bak1-70", json.dumps({"restored": result}), told.append)
    assert restored is not None
    assert restored.digests == {}


def test_hosts_are_entered_by_their_pinned_keys_without_a_prompt() -> None:
    command = Hosts(Path("/config")).command("bak1-70", ["program", "with space"])
    assert command[:5] == ["ssh", "-F", "/config", "-o", "BatchMode=yes"]
    assert command[-1] == "sudo -n program 'with space'"
