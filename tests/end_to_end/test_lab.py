"""The lab from nothing to nothing: the tests run in the order in which they stand.

Needs root and about half an hour. What breaks is mended in the same test, so that a
failure names one thing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from citizen import ANSWER_SECONDS, Citizen, asking
from machine import Machine, look
from mutations import FIRST_OF_FAMILY, MUTATIONS, Mutation

from infra.errors import ExitCode
from infra.lab.driver import Machine as LabMachine
from infra.lab.lab import Lab

CHECKOUT = Path(__file__).parents[2]
STATE = CHECKOUT / ".province" / "lab"
EDGE, COMMUNE_EDGE = "edge1-692", "edge1-25280"
CLUSTER = "records"
LIMIT_SECONDS = 2400
SETTLED_SECONDS = 180
PROGRAMS = Path(sys.executable).parent


def run_freely(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program in the checkout, however it ends."""
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLUMNS": "200"}
    return subprocess.run(
        [str(word) for word in command],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def run(*command: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program in the checkout; its output is shown when it ends otherwise than expected."""
    done = run_freely(*command)
    assert done.returncode == expect, (
        f"{' '.join(map(str, command))}: exit {done.returncode}, expected {expect}\n"
        f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    )
    return done


def province(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run("province", *words, expect=expect)


def site_outcomes() -> dict[str, str]:
    sites = json.loads(province("status", "lab", "--json").stdout)["last_run"]["sites"]
    return {code: site["outcome"] for code, site in sites.items()}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(STATE)


@pytest.fixture(scope="module", autouse=True)
def before(lab: Lab) -> Iterator[Machine]:
    """The machine as it was; whatever happens, nothing of the lab stays."""
    assert os.geteuid() == 0, "the end-to-end test makes machines: run it as root"
    province("destroy", "lab", "--yes")
    machine = look(lab.identifier)
    yield machine
    province("destroy", "lab", "--yes")


def test_a_province_is_built_from_nothing_although_the_first_run_was_killed() -> None:
    with subprocess.Popen(
        [PROGRAMS / "province", "provision", "lab"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stderr is not None
        reached = any("bootstrap: " in line for line in first.stderr)
        first.kill()
    assert reached, "the first run ended before it came to the hosts"

    province("provision", "lab")

    assert site_outcomes() == {"70": "done", "692": "done", "25280": "done"}


def assert_every_control_is_met() -> None:
    verdict = json.loads(province("verify", "lab", "--json").stdout)

    counts = verdict["counts"]
    assert counts["failed"] == 0
    assert counts["could_not_check"] == 0
    assert sum(counts.values()) == len(verdict["checks"])
    proved = {check["control"] for check in verdict["checks"] if check["outcome"] == "proved"}
    assert len(proved) >= 50
    report = (STATE / "report" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in report
    assert (STATE / "report" / "junit.xml").exists()


@pytest.mark.thorough
def test_what_was_built_meets_every_control_that_is_asked() -> None:
    assert_every_control_is_met()


def test_a_second_run_changes_nothing_and_says_so() -> None:
    done = province("provision", "lab")

    assert "nothing had to be changed on any host" in done.stdout


def test_the_ecosystems_own_commands_work_on_the_same_files() -> None:
    run("ansible-playbook", "-i", "inventories/lab", "playbooks/check_inventory.yml")
    assert run("ssh", "-F", STATE / "ssh_config", EDGE, "hostname").stdout.strip() == EDGE
    run(
        "pytest",
        "-q",
        "-k",
        "ssh_config_or_nothing or NET",
        "tests/compliance",
        "--collect-only",
        f"--hosts=ssh://{EDGE}",
        f"--ssh-config={STATE / 'ssh_config'}",
    )


HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from infra.journal import hold_lock
with hold_lock(Path(sys.argv[1]), "rehearsal", datetime.now(UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_at_the_same_time_is_told_who_works() -> None:
    with subprocess.Popen(
        [PROGRAMS / "python", "-c", HOLDER, str(STATE)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline().strip() == "held"

            refused = province("provision", "lab", expect=ExitCode.LOCKED)
        finally:
            holder.kill()

    assert "'rehearsal'" in refused.stderr
    assert f"process {holder.pid}" in refused.stderr


def test_an_edge_that_is_off_defers_its_site_and_comes_back() -> None:
    province("lab", "stop", "lab", EDGE)

    both = ("--site", "692", "--site", "25280")
    deferred = province("provision", "lab", *both, expect=ExitCode.DEFERRED)

    assert site_outcomes() == {"692": "deferred", "25280": "done"}
    assert "queued for the next run" in deferred.stdout

    province("lab", "start", "lab", EDGE)
    province("provision", "lab", "--site", "692")

    assert site_outcomes() == {"692": "done"}


def test_a_rule_that_locks_us_out_heals_itself(tmp_path: Path) -> None:
    facts = yaml.safe_load((CHECKOUT / f"inventories/lab/host_vars/{EDGE}/facts.yml").read_text())
    rules = facts["firewall_rules"]
    shut = {
        "firewall_rules": {
            **rules,
            "inputs": [rule for rule in rules["inputs"] if rule["service"] != "ssh"],
        },
        "firewall_confirm_seconds": 20,
    }
    variables = tmp_path / "locked_out.yml"
    variables.write_text(yaml.safe_dump(shut), encoding="utf-8")

    locked = run(
        "ansible-playbook",
        "-i",
        "inventories/lab",
        "playbooks/configure_gateways.yml",
        "--limit",
        EDGE,
        "--tags",
        "firewall",
        "-e",
        f"@{variables}",
        expect=2,
    )

    assert "took the change back" in locked.stdout + locked.stderr
    assert run("ssh", "-F", STATE / "ssh_config", EDGE, "hostname").stdout.strip() == EDGE


def test_a_wrong_host_key_is_refused_and_named() -> None:
    known = STATE / "known_hosts"
    pinned = known.read_text(encoding="utf-8")
    other = next(line for line in pinned.splitlines() if line.startswith("svc1-70")).split(" ", 1)[
        1
    ]
    lines = [
        f"{EDGE}.binhphuoc.internal {other}" if line.startswith(EDGE) else line
        for line in pinned.splitlines()
        if not line.startswith("@cert-authority")
    ]
    try:
        known.write_text("\n".join(lines) + "\n", encoding="utf-8")
        run("ssh", "-F", STATE / "ssh_config", "-o", "ControlPath=none", EDGE, "true", expect=255)
    finally:
        known.write_text(pinned, encoding="utf-8")


def test_a_file_that_another_hand_changed_stops_its_host_until_it_is_named(lab: Lab) -> None:
    path = "/etc/systemd/journald.conf.d/province.conf"
    lab.execute(COMMUNE_EDGE, ["sh", "-c", f"echo '# by hand' >> {path}"])

    stopped = province("configure", "lab", "--site", "25280", expect=ExitCode.FAILED)

    assert path in stopped.stdout
    province("configure", "lab", "--site", "25280", "--take-over", path)
    kept = lab.execute(COMMUNE_EDGE, ["sh", "-c", f"cat /var/lib/province/backup{path}@*"])
    assert "# by hand" in kept.stdout


def cluster_status() -> dict[str, Any]:
    (seen,) = json.loads(province("database", "status", "lab", CLUSTER, "--json").stdout)
    return dict(seen)


def wait_until_whole() -> None:
    """Wait until every member of the cluster is back in step."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        done = run_freely("province", "database", "status", "lab", CLUSTER, "--json")
        faults = json.loads(done.stdout)[0]["faults"] if done.stdout else [done.stderr]
        if not faults:
            return
        assert time.monotonic() < deadline, faults
        time.sleep(2)


def citizen_of(
    lab: Lab, folder: Path, run_name: str, patience: int = ANSWER_SECONDS
) -> AbstractContextManager[Citizen]:
    root = folder / "root.pem"
    root.write_text(lab.execute("pub1-70", ["cat", "/etc/province/pki/root.pem"]).stdout)
    settings = {
        "name": "online.binhphuoc.internal",
        "root": str(root),
        "run": run_name,
        "patience": str(patience),
        "ipv4": "203.0.113.1",
        "ipv6": "2001:db8:200::1",
    }
    return asking(lab.words_at("citizen"), settings, folder)


@pytest.mark.parametrize("member", ["gw1-70", "svc1-70", "leader"])
def test_people_are_served_while_one_of_several_is_off(
    member: str, lab: Lab, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Without a warning: links down and every process dead in one moment."""
    host = cluster_status()["leaders"][0] if member == "leader" else member
    name = f"without_{member.replace('-', '_')}"
    with citizen_of(lab, tmp_path, name) as citizen:
        citizen.wait_for_more(3)
        LabMachine(lab, host).crash()
        citizen.wait_for_more(5)
        province("lab", "start", "lab", host)
        citizen.wait_for_more(5)
        wait_until_whole()
        citizen.wait_for_more(3)

    for family in ("ipv4", "ipv6"):
        record_property(f"longest pause, {family}, s", round(citizen.longest_pause(family), 1))
    assert citizen.lost(name) == []


def wait_until_carried(lab: Lab, group: str, host: str) -> None:
    """Wait until a host has been told that it carries a group of shared addresses."""
    deadline = time.monotonic() + SETTLED_SECONDS
    path = f"/run/province/virtual_address/{group}"
    while (word := lab.execute(host, ["cat", path]).stdout.strip()) != "master":
        assert time.monotonic() < deadline, f"{host}: {group} is {word!r}"
        time.sleep(0.5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("group", "pair", "unit"),
    [
        ("database", ("svc1-70", "svc2-70"), "pgbouncer.service"),
        ("database", ("svc1-70", "svc2-70"), "haproxy.service"),
        ("gateway", ("gw1-70", "gw2-70"), "strongswan.service"),
    ],
    ids=["pooler", "router", "tunnel"],
)
def test_people_are_served_while_a_host_lives_and_cannot_serve(
    group: str, pair: tuple[str, str], unit: str, lab: Lab, tmp_path: Path
) -> None:
    host, twin = pair
    name = f"without_{unit.removesuffix('.service')}"
    with citizen_of(lab, tmp_path, name) as citizen:
        citizen.wait_for_more(3)
        lab.execute(host, ["systemctl", "stop", unit])
        try:
            wait_until_carried(lab, group, twin)
            citizen.wait_for_more(5)
        finally:
            lab.execute(host, ["systemctl", "start", unit])
        wait_until_carried(lab, group, host)
        citizen.wait_for_more(3)

    assert citizen.lost(name) == []


def test_a_cluster_is_handed_over_without_a_client_noticing(lab: Lab, tmp_path: Path) -> None:
    before = cluster_status()["leaders"]
    with citizen_of(lab, tmp_path, "handed_over", patience=15) as citizen:
        citizen.wait_for_more(3)
        province("database", "switchover", "lab", CLUSTER, "--yes")
        citizen.wait_for_more(3)

    assert cluster_status()["leaders"] != before
    assert [one for one in citizen.answers() if not one.acknowledged] == []
    assert citizen.lost("handed_over") == []


def test_what_is_restored_is_what_was_there() -> None:
    words = ("restore", "database", "lab", CLUSTER, "--to", "latest", "--into", "rehearsal")
    compared = json.loads(province(*words, "--yes", "--json").stdout)

    assert compared["tables"]
    assert {table["outcome"] for table in compared["tables"]} == {"equal"}
    assert sum(table["restored"]["rows"] for table in compared["tables"]) > 0


@pytest.mark.parametrize(
    ("cluster", "to", "into", "sentence"),
    [
        ("elsewhere", "latest", "another", "is none of lab"),
        (CLUSTER, "2001-01-01T00:00:00Z", "another", "archive"),
        (CLUSTER, "latest", "rehearsal", "rehearsal"),
    ],
    ids=["unknown_cluster", "before_the_archive", "name_taken"],
)
def test_a_restore_that_cannot_be_is_refused_before_anything_happens(
    cluster: str, to: str, into: str, sentence: str
) -> None:
    words = ("restore", "database", "lab", cluster, "--to", to, "--into", into, "--yes")
    refused = province(*words, expect=ExitCode.REFUSED)

    assert sentence in refused.stderr


@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(
            one, id=one.name, marks=() if one in FIRST_OF_FAMILY.values() else pytest.mark.thorough
        )
        for one in MUTATIONS
    ],
)
def test_a_setting_broken_by_hand_fails_its_control(
    mutation: Mutation, lab: Lab, tmp_path: Path
) -> None:
    evidence = tmp_path / "evidence.jsonl"
    broken = lab.execute(mutation.host, ["sh", "-c", mutation.break_command])
    assert broken.returncode == 0, broken.stderr
    try:
        file, test = mutation.test.split("::")
        run(
            "pytest",
            "-q",
            f"tests/compliance/{file}",
            "-k",
            test,
            "--environment",
            "lab",
            "--evidence",
            evidence,
            "-p",
            "no:cacheprovider",
            expect=1,
        )
    finally:
        mended = lab.execute(mutation.host, ["sh", "-c", mutation.mend_command])
    assert mended.returncode == 0, mended.stderr
    seen = [json.loads(line) for line in evidence.read_text(encoding="utf-8").splitlines()]
    failed = {(one["control"], one["host"]) for one in seen if one["outcome"] == "failed"}
    assert mutation.control in {control for control, _ in failed}


@pytest.mark.thorough
def test_hosts_are_rebooted_one_after_the_other(lab: Lab) -> None:
    for host in lab.hosts():
        province("lab", "restart", "lab", host)
        wait_until_whole()

    assert_every_control_is_met()


def test_everything_comes_back_by_itself_after_a_power_cut_and_meets_every_control() -> None:
    province("lab", "restart", "lab", "--all", "--hard")
    wait_until_whole()

    assert_every_control_is_met()


def test_nothing_is_left_when_it_is_destroyed(before: Machine, lab: Lab) -> None:
    province("destroy", "lab", "--yes")

    deadline = time.monotonic() + 20
    while (left := before.added(look(lab.identifier))) and time.monotonic() < deadline:
        time.sleep(1)
    assert left == {}
    assert not (STATE / "lab").exists() or not any((STATE / "lab").iterdir())
    province("destroy", "lab", "--yes")


def test_it_is_destroyed_without_its_declaration() -> None:
    aside = STATE.parent / "declaration_aside"
    declaration = CHECKOUT / "inventories" / "lab" / "province.yml"
    shutil.copy2(declaration, aside)
    try:
        declaration.unlink()
        province("destroy", "lab", "--yes")
    finally:
        shutil.copy2(aside, declaration)
        aside.unlink()
