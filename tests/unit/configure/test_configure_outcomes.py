"""One outcome per site, and the exit code that says it."""

import pytest

from infra.configure import (
    ConfigureOptions,
    HostOutcome,
    SiteOutcome,
    exit_code,
    extra_variables,
    site_outcomes,
)
from infra.configure.command import command_line
from infra.errors import ExitCode

SITES = {"70": ("gw1-70", "svc1-70"), "692": ("edge1-692",)}


def outcome(host: str, word: str = "done", changed: int = 0) -> HostOutcome:
    sentence = "" if word == "done" else f"{host}: {word}"
    return HostOutcome(host, word, changed, sentence, ("firewall",) if changed else ())


def test_a_host_that_many_roles_changed_is_told_with_their_number() -> None:
    many = HostOutcome("edge1-692", "done", 30, "", tuple(f"role_{number}" for number in range(9)))
    (site,) = site_outcomes({"692": ("edge1-692",)}, {"edge1-692": many})
    assert site.changes == ("edge1-692: changed by 9 roles",)


def test_a_site_is_as_good_as_its_worst_host() -> None:
    outcomes = {
        "gw1-70": outcome("gw1-70", changed=3),
        "svc1-70": outcome("svc1-70", "failed", 1),
        "edge1-692": outcome("edge1-692", "deferred"),
    }
    assert site_outcomes(SITES, outcomes) == (
        SiteOutcome(
            "70",
            "failed",
            4,
            ("svc1-70: failed",),
            ("gw1-70: changed by firewall", "svc1-70: changed by firewall"),
        ),
        SiteOutcome("692", "deferred", 0, ("edge1-692: deferred",)),
    )


def test_failed_is_worse_than_deferred_and_both_are_said() -> None:
    outcomes = {
        "gw1-70": outcome("gw1-70", "deferred"),
        "svc1-70": outcome("svc1-70", "failed"),
        "edge1-692": outcome("edge1-692"),
    }
    first, second = site_outcomes(SITES, outcomes)
    assert (first.outcome, first.sentences) == ("failed", ("gw1-70: deferred", "svc1-70: failed"))
    assert second == SiteOutcome("692", "done", 0, ())


def test_a_host_of_which_nothing_came_back_has_failed() -> None:
    first, _ = site_outcomes(
        SITES, {"gw1-70": outcome("gw1-70"), "edge1-692": outcome("edge1-692")}
    )
    assert first == SiteOutcome(
        "70", "failed", 0, ("svc1-70 of site 70: no result came back; read the run's log",)
    )


def test_a_site_without_hosts_has_nothing_left_to_do() -> None:
    assert site_outcomes({"71": ()}, {}) == (SiteOutcome("71", "done", 0, ()),)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("done", "done"), ExitCode.DONE),
        (("done", "deferred"), ExitCode.DEFERRED),
        (("failed", "deferred"), ExitCode.FAILED),
        (("failed", "done"), ExitCode.FAILED),
        ((), ExitCode.DONE),
    ],
)
def test_the_exit_code_tells_the_worst(words: tuple[str, ...], code: ExitCode) -> None:
    assert exit_code(tuple(SiteOutcome("70", word, 0, ()) for word in words)) is code


def test_exit_codes_are_those_that_callers_know() -> None:
    assert {one.name: int(one) for one in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "REFUSED": 2,
        "DEFERRED": 3,
        "LOCKED": 4,
    }


def test_a_run_is_limited_to_its_hosts() -> None:
    assert command_line(ConfigureOptions(("gw1-70", "svc1-70"))) == ["--limit", "gw1-70,svc1-70"]


def test_a_check_shows_differences_and_changes_nothing() -> None:
    words = command_line(ConfigureOptions(("gw1-70",), check=True, tags=("firewall", "gateway")))
    assert words == ["--limit", "gw1-70", "--check", "--diff", "--tags", "firewall,gateway"]


def test_a_run_says_what_may_be_taken_over_and_what_is_applied() -> None:
    options = ConfigureOptions(("gw1-70",), take_over=("/etc/nftables.conf",))
    assert extra_variables(options, "c0ffee", "d1ge57") == {
        "managed_files_take_over": ["/etc/nftables.conf"],
        "base_system_applied_commit": "c0ffee",
        "base_system_applied_plan": "d1ge57",
    }
