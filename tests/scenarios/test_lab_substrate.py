"""The lab's promises, on real containers: what a host of it can be relied upon to do, and to leave.

Needs root. About a minute on two idle cores, once the base image is in the cache.
"""

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import lab_world
import pytest

from infra.errors import LabError
from infra.lab import networks, registry
from infra.lab.driver import Machine
from infra.lab.first_contact import public_key
from infra.lab.image import base_image
from infra.lab.lab import Lab
from infra.lab.specs import LabEntry

SECOND = timedelta(seconds=1)
ANSWERING = timedelta(seconds=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"))
    base = base_image()
    made.create_probe_point(lab_world.CONTROLLER)
    try:
        # All at once, as the engine does it: they share networks.
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(
                lambda name: made.create_host(lab_world.host(name), base.path), lab_world.NUMBERS
            ):
                pass
        yield made
    finally:
        made.destroy()


def reaches(machine: Machine, address: str) -> bool:
    """Tries to open the SSH port at an address, with nothing but what the bare base has."""
    line = f"timeout 2 bash -c {shlex.quote(f'</dev/tcp/{address}/22')}"
    return machine.run(line).succeeded


def test_every_host_runs_and_is_what_was_asked(lab: Lab) -> None:
    for name in lab_world.NUMBERS:
        asked, seen = lab_world.host(name), lab.read_host(name)
        assert (seen.power, seen.os) == ("running", "Debian GNU/Linux 13 (trixie)")
        assert seen.host_public_key == public_key(asked)
        assert seen.authorized_keys == asked.authorized_keys
        assert [(one.interface, one.network, one.isolated) for one in seen.links] == [
            (one.interface, one.network, one.isolated) for one in asked.links
        ]
        assert set(seen.links[0].addresses) == set(asked.links[0].addresses)
        assert seen.links[1].addresses == ()


def test_nothing_of_the_lab_is_in_the_controllers_own_network(lab: Lab) -> None:
    own = subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
    assert "10.70.7." not in own
    assert "management" not in own
    assert lab.read_network("management").ports == (
        "controller:management",
        "gw1-70:management",
        "mgt1-70:management",
        "svc1-70:management",
    )


@pytest.mark.parametrize("address", ["10.70.7.12", "fd70:0:70:7::12"])
def test_plain_ssh_reaches_a_host_by_its_pinned_key(lab: Lab, tmp_path: Path, address: str) -> None:
    lab.wait_for_ssh("svc1-70", "controller")
    done = ssh(lab, tmp_path, address, public_key(lab_world.host("svc1-70")))
    assert (done.returncode, done.stdout) == (0, "svc1-70\n"), done.stderr


def test_plain_ssh_refuses_another_host_key(lab: Lab, tmp_path: Path) -> None:
    done = ssh(lab, tmp_path, "10.70.7.12", public_key(lab_world.host("mgt1-70")))
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def ssh(lab: Lab, folder: Path, address: str, pinned: str) -> subprocess.CompletedProcess[str]:
    identity = folder / "id"
    identity.touch(mode=0o600)
    identity.write_text(lab_world.openssh_key(lab_world.ADMINISTRATOR_KEY), encoding="utf-8")
    (folder / "known_hosts").write_text(f"svc1-70 {pinned}\n", encoding="utf-8")
    (folder / "config").write_text(
        f"Host svc1-70\n  HostName {address}\n  HostKeyAlias svc1-70\n  User root\n"
        f"  IdentityFile {identity}\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n"
        f"  ProxyCommand {shlex.join(lab.ssh_proxy_command('controller'))}\n",
        encoding="utf-8",
    )
    command = ["ssh", "-F", str(folder / "config"), "svc1-70", "hostname"]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_isolated_ports_hear_the_gateway_and_not_each_other(lab: Lab) -> None:
    svc = Machine(lab, "svc1-70")
    assert reaches(svc, "10.70.7.11")
    assert not reaches(svc, "10.70.7.13")
    assert reaches(Machine(lab, "gw1-70"), "10.70.7.13")


def test_a_stop_is_orderly_and_a_start_forgets_what_was_not_saved(lab: Lab) -> None:
    svc = Machine(lab, "svc1-70")
    svc.check_output("systemd-run --unit=tidy --property=ExecStop='touch /root/tidy' sleep 600")
    svc.check_output("ip address add 10.70.7.200/24 dev management")
    svc.wait_for_unit("tidy.service")
    svc.stop()
    assert lab.read_host("svc1-70").power == "stopped"
    assert not reaches(Machine(lab, "controller"), "10.70.7.200")
    svc.start()
    assert svc.file("/root/tidy").exists
    assert "10.70.7.200/24" not in lab.read_host("svc1-70").links[0].addresses


def test_a_power_cut_leaves_nothing_that_answers(lab: Lab) -> None:
    svc, controller = Machine(lab, "svc1-70"), Machine(lab, "controller")
    lab.wait_for_ssh("svc1-70", "controller")
    svc.crash()
    assert lab.read_host("svc1-70").power == "stopped"
    assert not reaches(controller, "10.70.7.12")
    with pytest.raises(LabError, match="no running host of this lab"):
        svc.run("true")
    svc.start()
    lab.wait_for_ssh("svc1-70", "controller")


def test_a_cut_link_stays_cut_over_a_restart_until_it_is_healed(lab: Lab) -> None:
    svc, controller = Machine(lab, "svc1-70"), Machine(lab, "controller")
    svc.cut("management")
    assert not reaches(controller, "10.70.7.12")
    svc.crash()
    svc.start()
    assert lab.read_host("svc1-70").links[0].cut
    assert not reaches(controller, "10.70.7.12")
    svc.heal("management")
    lab.wait_for_ssh("svc1-70", "controller")


def test_a_stopped_host_shows_power_as_its_only_difference(lab: Lab) -> None:
    before = lab.read_host("mgt1-70")
    lab.stop_host("mgt1-70")
    after = lab.read_host("mgt1-70")
    lab.create_host(lab_world.host("mgt1-70"), base_image().path)
    assert lab.read_host("mgt1-70").power == "stopped"
    lab.start_host("mgt1-70")
    differing = [name for name in before.__slots__ if getattr(before, name) != getattr(after, name)]
    assert differing == ["power"]


def test_a_complete_host_is_not_rebuilt_as_something_else(lab: Lab) -> None:
    asked, other = lab_world.host("gw1-70"), lab_world.host("svc1-70")
    changed = type(asked)(asked.name, asked.links[:1], other.host_key, asked.authorized_keys)
    with pytest.raises(LabError) as refused:
        lab.create_host(changed, base_image().path)
    assert refused.value.sentence == (
        "host 'gw1-70': exists, and its links, host_public_key differ from what is asked; a host "
        "is not rebuilt in place: delete it first"
    )


def test_waiting_for_a_failed_unit_ends_at_once_with_its_journal(lab: Lab) -> None:
    svc = Machine(lab, "svc1-70")
    svc.run("systemd-run --unit=broken sh -c 'echo no licence >&2; exit 7'")
    svc.wait_until_fails("systemctl is-active broken.service")
    with pytest.raises(LabError, match=r"broken.service is failed.*no licence"):
        svc.wait_for_unit("broken.service", ANSWERING)
    svc.check_output("systemctl reset-failed broken.service")


def test_a_command_that_hangs_is_ended_inside_the_host_too(lab: Lab) -> None:
    with pytest.raises(LabError, match="'sleep' did not end within 1 s; it was killed"):
        lab.execute("svc1-70", ["sleep", "4711"], SECOND)
    Machine(lab, "svc1-70").wait_until_fails("grep -l 471[1] /proc/[0-9]*/cmdline")


def test_bytes_and_vietnamese_pass_unharmed(lab: Lab) -> None:
    assert lab.execute("svc1-70", ["cat"], input="Lộc Ninh").stdout == "Lộc Ninh"
    assert Machine(lab, "svc1-70").run("printf '\\377'").stdout_bytes == b"\xff"


def test_the_list_of_labs_names_this_one(lab: Lab) -> None:
    mine = [one for one in registry.list_labs() if one.identifier == lab.identifier]
    assert mine == [
        LabEntry(
            lab.identifier, str(lab.state_directory), ("gw1-70", "mgt1-70", "svc1-70"), namespaces=5
        )
    ]


def test_a_network_in_use_is_not_deleted(lab: Lab) -> None:
    with pytest.raises(LabError, match="still attached; delete these machines first"):
        lab.delete_network("management")


@pytest.mark.parametrize("step", [0, 5, 12, 20, 28, 36, 44, 52, 58])
def test_a_creation_killed_anywhere_is_completed_and_removed(tmp_path: Path, step: int) -> None:
    program = [sys.executable, lab_world.__file__, str(tmp_path), str(step)]
    killed = subprocess.run(program, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed
    lab_world.make(tmp_path)
    lab = Lab(tmp_path)
    assert lab.read_host("svc1-70").power == "running"
    assert lab.wait_for_ssh("svc1-70", "controller") == public_key(lab_world.host("svc1-70"))
    lab.destroy()
    assert lab_world.leftovers(lab) == ()


@pytest.mark.parametrize("step", [3, 18, 40, 57])
def test_what_a_killed_creation_left_is_removed(tmp_path: Path, step: int) -> None:
    program = [sys.executable, lab_world.__file__, str(tmp_path), str(step)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    lab = Lab(tmp_path)
    lab.destroy()
    lab.destroy()
    assert lab_world.leftovers(lab) == ()
    assert not (tmp_path / "lab").exists()


def test_a_killed_keeper_does_not_hide_its_container(tmp_path: Path) -> None:
    lab_world.make(tmp_path)
    lab = Lab(tmp_path)
    keeper = lab._container("svc1-70", None).cgroup / "supervisor/cgroup.procs"
    for pid in keeper.read_text(encoding="ascii").split():
        subprocess.run(["kill", "-KILL", pid], check=True)
    assert lab.read_host("svc1-70").power == "running"
    lab.destroy()
    assert lab_world.leftovers(lab) == ()


def test_after_a_reboot_a_host_starts_again_from_its_record(tmp_path: Path) -> None:
    lab_world.make(tmp_path)
    lab = Lab(tmp_path)
    saved = tmp_path / "saved"
    lab.crash_host("svc1-70")
    # A reboot takes all that the kernel had, and spares the files.
    (tmp_path / "lab").rename(saved)
    lab.destroy()
    saved.rename(tmp_path / "lab")
    assert lab.read_host("svc1-70").power == "stopped"
    assert not lab.read_probe_point("controller").present
    lab.start_host("svc1-70")
    lab.create_probe_point(lab_world.CONTROLLER)
    lab.wait_for_ssh("svc1-70", "controller")
    lab.destroy()
    assert lab_world.leftovers(lab) == ()


def test_the_last_lab_gives_the_machine_its_settings_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n", encoding="ascii")
    monkeypatch.setattr(registry, "INSTANCES", limit)
    monkeypatch.setattr(registry, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(registry, "_LABS", tmp_path / "run/labs")
    monkeypatch.setattr(registry, "_INSTANCES_BEFORE", tmp_path / "run/before")
    monkeypatch.setattr(registry, "_NAMESPACES_ARE_OURS", tmp_path / "run/namespaces")
    monkeypatch.setattr(networks, "namespaces", lambda _identifier=None: ())
    first, second = Lab(tmp_path / "first"), Lab(tmp_path / "second")
    first.create_probe_point(lab_world.CONTROLLER)
    second.create_probe_point(lab_world.CONTROLLER)
    assert limit.read_text(encoding="ascii") == "8192\n"
    first.delete_probe_point("controller")
    networks.delete_namespace(first._parent)
    registry.unregister(first.identifier)
    assert limit.read_text(encoding="ascii") == "8192\n"
    second.delete_probe_point("controller")
    networks.delete_namespace(second._parent)
    registry.unregister(second.identifier)
    assert limit.read_text(encoding="ascii") == "128\n"
    assert not (tmp_path / "run").exists()
