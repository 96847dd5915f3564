"""Preflight names everything that is missing at once, each with the command that mends it."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import ExitCode, PreflightError
from infra.tools.preflight import (
    LAB,
    MIRROR,
    REMOTE,
    Ability,
    Needs,
    Observed,
    lacks,
    needed_executables,
    observe,
    require,
)

STATE = Path("/srv/main/.province")
GOOD = Observed(
    user_id=0,
    memory_mib=16000,
    free_mib={STATE: 50000},
    executables=frozenset(needed_executables(LAB.purposes)),
    abilities=frozenset(Ability),
)


def without(*executables: str) -> Observed:
    return replace(GOOD, executables=GOOD.executables - {*executables})


def unable(*abilities: Ability) -> Observed:
    return replace(GOOD, abilities=GOOD.abilities - {*abilities})


def test_a_machine_that_has_everything_lacks_nothing() -> None:
    assert lacks(LAB, GOOD) == ()


@pytest.mark.parametrize(
    ("needs", "observed", "sentences"),
    [
        pytest.param(
            LAB,
            replace(GOOD, user_id=1000),
            ["user: runs with user id 1000; the lab needs root"],
            id="not_root",
        ),
        pytest.param(REMOTE, replace(GOOD, user_id=1000), [], id="machines_elsewhere_need_no_root"),
        pytest.param(
            LAB,
            replace(GOOD, memory_mib=7900),
            ["memory: 7900 MiB in all; the lab needs 12288 MiB; use a larger machine"],
            id="too_little_memory",
        ),
        pytest.param(
            MIRROR,
            replace(GOOD, free_mib={STATE: 1000, Path("/var/cache"): 3000}),
            [f"{STATE}: 1000 MiB free; the package mirror needs 2048 MiB there"],
            id="one_full_disk_of_two",
        ),
        pytest.param(
            LAB,
            without("systemd-nspawn"),
            [
                (
                    "systemd-nspawn: not found on PATH; the lab calls it; "
                    "apt-get install systemd-container, or make install"
                )
            ],
            id="a_missing_program",
        ),
        pytest.param(
            LAB,
            without("gpg", "gpgconf"),
            ["gpg, gpgconf: not found on PATH"],
            id="two_programs_of_one_package_are_one_finding",
        ),
        pytest.param(REMOTE, without("mmdebstrap"), [], id="a_program_that_nobody_calls"),
        pytest.param(
            LAB, unable(Ability.TUN), ["tun: /dev/net/tun cannot be opened"], id="no_tun_device"
        ),
        pytest.param(
            LAB,
            replace(without("ip"), abilities=GOOD.abilities - {Ability.LINKS}),
            ["ip: not found on PATH"],
            id="one_missing_program_is_not_blamed_on_the_kernel_too",
        ),
        pytest.param(
            LAB,
            replace(GOOD, user_id=1000, abilities=frozenset()),
            ["user: runs with user id 1000"],
            id="what_only_root_may_ask_is_not_counted_as_missing",
        ),
        pytest.param(
            LAB,
            replace(without("socat"), memory_mib=1, abilities=GOOD.abilities - {Ability.OVERLAY}),
            ["socat: ", "memory: ", "overlayfs: "],
            id="all_findings_at_once",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    needs: Needs, observed: Observed, sentences: list[str]
) -> None:
    found = [str(lack) for lack in lacks(needs, observed)]
    assert len(found) == len(sentences)
    for seen, begin in zip(found, sentences, strict=True):
        assert seen.startswith(begin)


@pytest.mark.parametrize("ability", list(Ability))
def test_every_ability_has_a_sentence_of_four_parts(ability: Ability) -> None:
    (lack,) = lacks(LAB, unable(ability))
    assert str(lack).count("; ") >= 2
    assert str(lack).startswith(f"{ability}: ")


def test_the_table_names_a_package_for_every_program() -> None:
    table = needed_executables({"lab", "mirror"})
    assert table["ssh"] == "openssh-client"
    assert table["systemd-nspawn"] == "systemd-container"
    assert "mmdebstrap" not in needed_executables(())


def test_looking_at_this_machine_leaves_nothing_behind(tmp_path: Path) -> None:
    seen = observe(LAB, [tmp_path / "not" / "there" / "yet"])
    assert list(tmp_path.iterdir()) == []
    assert seen.free_mib.keys() == {tmp_path}
    assert seen.memory_mib > 0


def test_a_refusal_carries_every_finding_and_exits_2(tmp_path: Path) -> None:
    impossible = Needs("a test", frozenset(), memory_mib=1 << 40, disk_mib=1 << 40)
    with pytest.raises(PreflightError, match="a test: this machine lacks") as caught:
        require(impossible, [tmp_path])
    assert caught.value.exit_code is ExitCode.REFUSED
    assert {str(finding).split(":")[0] for finding in caught.value.findings} >= {
        "memory",
        str(tmp_path),
    }
