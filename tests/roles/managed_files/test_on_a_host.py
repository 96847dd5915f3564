"""On a real host, over real ssh: checkers, packages' files, and the guard against lock-out."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from host_world import World, a_host
from runs import Answer, command, environment, play

SECONDS = 8
RULES = "/etc/nftables.conf"
CHECKS = [{"command": ["nft", "--check", "--file", RULES]}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_host(tmp_path_factory.mktemp("host")) as there:
        yield there


def run(world: World, inputs: dict[str, Any], *options: str) -> Answer:
    return play(
        "host_play.yml", str(world.inventory), {"sample_role": "sample", **inputs}, *options
    )


def rules(port: int) -> str:
    """Rules that let ssh in on one port only, and known connections on."""
    return (
        "flush ruleset\ntable inet filter {\n chain input {\n"
        "  type filter hook input priority 0; policy drop;\n"
        "  ct state established,related accept\n"
        f"  tcp dport {port} accept\n }}\n}}\n"
    )


def firewall(port: int, **guard: object) -> dict[str, Any]:
    return {
        "sample_role": "firewall",
        "sample_files": {RULES: {"content": rules(port)}},
        "sample_checks": CHECKS,
        "sample_guard": {
            "apply": [["nft", "--file", RULES]],
            "seconds": SECONDS,
            "settle_seconds": 1,
            **guard,
        },
    }


def content(world: World, path: str) -> str:
    return str(world.machine.check_output("cat %s", path))


def live_rules(world: World) -> str:
    return str(world.machine.check_output("nft list ruleset"))


def record(world: World) -> dict[str, Any]:
    """The host's own record of the last guarded change."""
    return dict(json.loads(content(world, "/var/lib/province/guard/outcome.json")))


def assert_no_guard_is_left(world: World) -> None:
    assert world.machine.check_output("ls /var/lib/province/guard").split() == [
        "lock",
        "outcome.json",
    ]
    units = world.machine.check_output("systemctl list-units --all --plain 'province_guard_*'")
    assert "0 loaded units" in units


# Files, checkers, packages ------------------------------------------------------------------------


def test_no_change_is_one_round_trip(world: World) -> None:
    inputs = {"sample_role": "trips", "sample_files": {"/etc/trips.conf": {"content": "x\n"}}}
    run(world, inputs)
    again = run(world, inputs, "-vvv")
    assert again.result["changed"] is False
    assert again.output.count("SSH: EXEC") == 1


def test_owner_group_and_mode_are_set_and_kept(world: World) -> None:
    entry = {"content": "x\n", "owner": "ansible", "group": "ansible", "mode": "0640"}
    inputs = {"sample_role": "owners", "sample_files": {"/etc/owned.conf": entry}}
    run(world, inputs)
    asked = "stat --format '%U:%G %a' /etc/owned.conf"
    assert world.machine.check_output(asked) == "ansible:ansible 640"
    world.machine.check_output("chown root:root /etc/owned.conf")
    assert run(world, inputs).actions == {"/etc/owned.conf": "attributes"}
    assert world.machine.check_output(asked) == "ansible:ansible 640"


def test_a_checker_sees_the_new_tree_at_its_real_paths(world: World) -> None:
    path = "/etc/ssh/sshd_config.d/10-sample.conf"
    inputs: dict[str, Any] = {
        "sample_role": "checked",
        "sample_files": {path: {"content": "MaxAuthTries many\n"}},
        "sample_checks": [{"command": ["/usr/sbin/sshd", "-t"]}],
    }
    for options in (("--check",), ()):
        refused = run(world, inputs, *options)
        assert refused.result["msg"] == (
            "managed_files checked: the new files were refused, nothing was changed; correct the "
            f'role\'s inputs: "/usr/sbin/sshd -t" exited 255: {path} line 1: '
            "MaxAuthTries integer value invalid."
        )
        assert not world.machine.file(path).exists
    inputs["sample_files"] = {path: {"content": "MaxAuthTries 3\n"}}
    assert run(world, inputs).result["changed"]
    # Removed files are hidden from the checker too: without this one, 20-sample is refused.
    inputs["sample_files"] = {
        path.replace("10", "20"): {"content": "Include /etc/ssh/sshd_config.d/10-sample.conf\n"}
    }
    inputs["sample_checks"] = [{"command": ["test", "!", "-e", path]}]
    assert run(world, inputs).result["changed"]


def test_a_fresh_host_is_checked_without_what_does_not_exist_yet(world: World) -> None:
    inputs = {
        "sample_role": "fresh",
        "sample_files": {"/etc/chrony/chrony.keys": {"content": "k\n", "group": "_chrony"}},
        "sample_checks": [{"command": ["chronyd", "-p"]}],
    }
    foretold = run(world, inputs, "--check")
    assert foretold.actions == {"/etc/chrony": "create", "/etc/chrony/chrony.keys": "create"}
    assert foretold.result["not_checked"] == [
        "group '_chrony' does not exist on this host yet",
        '"chronyd -p" is not installed on this host yet',
    ]
    assert run(world, inputs).result["msg"] == (
        "managed_files fresh: group '_chrony' does not exist on this host; owners and groups must "
        "exist; install the package that makes them first"
    )
    assert not world.machine.file("/etc/chrony").exists


def test_what_is_refused_after_the_swap_is_taken_back(world: World) -> None:
    path = "/etc/late.conf"
    inputs: dict[str, Any] = {
        "sample_role": "late",
        "sample_files": {path: {"content": "good\n"}},
        "sample_checks": [{"command": ["grep", "good", path], "after_swap": True}],
    }
    run(world, inputs)
    inputs["sample_files"] = {path: {"content": "bad\n"}}
    refused = run(world, inputs)
    assert refused.result["msg"] == (
        "managed_files late: the new files were refused after the swap and the old ones are back; "
        'correct the role\'s inputs: "grep good /etc/late.conf" exited 1: '
    )
    assert content(world, path) == "good"
    inputs["sample_files"] = {path: {"content": "good\n"}}
    assert run(world, inputs).result["changed"] is False


def test_a_packages_file_is_replaced_and_given_back(world: World) -> None:
    path = "/etc/issue"
    before = content(world, path)
    inputs: dict[str, Any] = {
        "sample_role": "issue",
        "sample_files": {path: {"content": "province\n"}},
    }
    assert run(world, inputs).actions == {path: "replace"}
    entry = json.loads(content(world, "/var/lib/province/manifest/issue.json"))["files"][path]
    assert (entry["origin"]["kind"], entry["origin"]["package"]) == ("package", "base-files")
    gone = run(world, {**inputs, "sample_state": "removed"})
    assert gone.actions == {path: "give_back"}
    assert content(world, path) == before
    assert world.machine.run("dpkg --verify base-files").stdout == ""


# The guard ----------------------------------------------------------------------------------------


def test_the_first_firewall_is_confirmed_over_a_fresh_connection(world: World) -> None:
    answer = run(world, firewall(22))
    assert answer.result["guard"]["outcome"] == "confirmed", answer.output
    assert "dport 22" in live_rules(world)
    assert record(world)["reason"] == "over a fresh ssh connection"
    assert_no_guard_is_left(world)
    assert run(world, firewall(22)).result["changed"] is False


def test_a_rule_that_locks_us_out_heals_itself(world: World) -> None:
    before = content(world, RULES)
    manifest = content(world, "/var/lib/province/manifest/firewall.json")
    start = time.monotonic()
    answer = run(world, firewall(2222))
    assert answer.result["msg"] == (
        "managed_files firewall: the host took the change back: no fresh connection confirmed it "
        f"within {SECONDS} seconds; as before are again: {RULES}"
    )
    assert time.monotonic() - start < 60
    assert content(world, RULES) == before
    assert "dport 22 " in live_rules(world)
    assert content(world, "/var/lib/province/manifest/firewall.json") == manifest
    assert_no_guard_is_left(world)


def test_commands_that_fail_are_taken_back_at_once(world: World) -> None:
    before = content(world, RULES)
    apply = [["nft", "--file", RULES], ["sh", "-c", "echo no such thing; exit 7"]]
    answer = run(world, firewall(23, apply=apply, restore=[["nft", "--file", RULES]]))
    assert answer.result["msg"] == (
        "managed_files firewall: the host took the change back: "
        '"sh -c echo no such thing; exit 7" exited 7: no such thing; '
        f"as before are again: {RULES}"
    )
    assert content(world, RULES) == before
    assert "dport 22 " in live_rules(world)
    assert_no_guard_is_left(world)


def test_nothing_unconfirmed_survives_a_reboot(world: World, tmp_path: Path) -> None:
    before = content(world, RULES)
    world.machine.check_output("systemctl enable nftables")
    with in_background(world, firewall(2222, seconds=90), tmp_path) as controller:
        wait_until_applied(world)
        assert "2222" in live_rules(world)
        world.machine.crash()
        world.machine.start()
        assert content(world, RULES) == before
        assert "dport 22 " in live_rules(world)
        assert record(world)["reason"] == "the host was restarted before the change was confirmed"
        said, _ = controller.communicate(timeout=60)
    assert controller.returncode != 0
    assert "the host was restarted before the change was confirmed" in said
    assert_no_guard_is_left(world)


def test_one_change_at_a_time_waits_for_its_confirmation(world: World, tmp_path: Path) -> None:
    slow = firewall(22, seconds=60, settle_seconds=12)
    slow["sample_files"] = {RULES: {"content": f"# slow\n{rules(22)}"}}
    with in_background(world, slow, tmp_path) as controller:
        wait_until_applied(world)
        other = {**firewall(22), "sample_role": "other"}
        other["sample_files"] = {"/etc/other.conf": {"content": "x\n"}}
        refused = run(world, other)
        assert refused.result["msg"] == (
            "managed_files other: a change of role 'firewall' waits on this host for its "
            "confirmation; one at a time; run again in 60 seconds, when it has been confirmed or "
            "taken back"
        )
        said, _ = controller.communicate(timeout=60)
    assert controller.returncode == 0, said
    assert not world.machine.file("/etc/other.conf").exists
    assert content(world, RULES).startswith("# slow")


def test_a_change_whose_timer_was_lost_is_taken_back_by_the_next_run(
    world: World, tmp_path: Path
) -> None:
    before = content(world, RULES)
    lost = firewall(22, seconds=90, settle_seconds=20)
    lost["sample_files"] = {RULES: {"content": f"# lost\n{rules(22)}"}}
    with in_background(world, lost, tmp_path) as controller:
        wait_until_applied(world)
        controller.kill()
    world.machine.check_output("systemctl stop province_guard_restore.timer")
    following = firewall(22)
    following["sample_files"] = {RULES: {"content": f"# following\n{rules(22)}"}}
    answer = run(world, following, "--diff")
    assert f"-{before.splitlines()[0]}\n+# following\n" in answer.differences, answer.output
    assert answer.result["guard"]["outcome"] == "confirmed"
    assert_no_guard_is_left(world)


def in_background(world: World, inputs: dict[str, Any], folder: Path) -> "subprocess.Popen[str]":
    given = folder / "inputs.yml"
    given.write_text(yaml.safe_dump(inputs))
    return subprocess.Popen(
        [*command("host_play.yml", str(world.inventory)), f"--extra-vars=@{given}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until_applied(world: World) -> None:
    world.machine.wait_until_succeeds(
        'grep --quiet \'"state": "applied"\' /var/lib/province/guard/pending/change.json'
    )
