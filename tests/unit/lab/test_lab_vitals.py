"""A host's age and weight, from the texts of /proc."""

import os
from datetime import timedelta

from infra.lab import vitals


def test_an_age_is_counted_from_the_start_of_the_process() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    fields = ["S", *["0"] * 18, str(100 * ticks), "0"]
    stat = f"4711 (a name) with) brackets) {' '.join(fields)}"
    assert vitals.age(stat, "160.50 300.00\n") == timedelta(seconds=60.5)


def test_a_process_that_ended_has_neither_age_nor_weight() -> None:
    assert vitals.age("", "160.50 300.00\n") is None
    assert vitals.proportional_bytes("") == 0


def test_shared_pages_are_counted_in_parts() -> None:
    rollup = "00400000-7ff ---p 00000000 00:00 0 [rollup]\nRss:     900 kB\nPss:     120 kB\n"
    assert vitals.proportional_bytes(rollup) == 120 * 1024
