"""The real engine, the real policy pack and the real state, over a lab that is made of files."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import environments
import pytest
from environments import stacks_on
from fake_lab import FakeLab
from sample_plans import HUB, small_province, static

from infra.errors import StackError
from infra.lab.specs import ObservedHost
from infra.plan.types import Host, Plan
from infra.stacks.automation import Stacks
from infra.stacks.backend import Backend
from infra.stacks.events import Change
from infra.stacks.results import StackPreview, StackUpdate
from infra.tools.engine import ensure_engine

PLAN = small_province()

# The SDK leaves the event loop of a program behind whose engine gave up; it is collected here and
# not in somebody else's test.
pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collect_loops() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    return FakeLab(tmp_path / "lab")


@pytest.fixture
def stacks(lab: FakeLab, tmp_path: Path) -> Stacks:
    return stacks_on(lab, tmp_path)


def failures(done: tuple[StackUpdate, ...] | tuple[StackPreview, ...]) -> dict[str, str]:
    return {one.site: one.failure for one in done if one.failure is not None}


def operations(changes: tuple[Change, ...]) -> dict[str, str]:
    return {change.name: change.operation for change in changes}


def with_host(plan: Plan, site: str, change: Callable[[Host], Host]) -> Plan:
    return replace(
        plan,
        sites=tuple(
            replace(one, hosts=tuple(map(change, one.hosts))) if one.code == site else one
            for one in plan.sites
        ),
    )


def without_owner(host: Host) -> Host:
    return replace(host, machine=replace(host.machine, owner=""))


def test_provisioning_makes_everything_once(stacks: Stacks, lab: FakeLab) -> None:
    previews = stacks.preview(PLAN)
    assert lab.calls == []
    assert [one.site for one in previews] == ["backbone", "70", "692"]
    assert operations(previews[2].changes) == {
        "internal-692": "create",
        "servers-692": "create",
        "dmz-692": "create",
        "edge1-692": "create",
    }

    first = stacks.update(PLAN)
    assert failures(first) == {}
    assert lab.names("hosts") == ["db1-70", "edge1-692", "gw1-70", "svc1-70"]
    assert lab.names("probe_points") == ["citizen", "controller"]
    edge = first[2].outputs
    assert edge is not None
    assert edge.host("edge1-692").power == "running"
    assert stacks.outputs(["692"]) == (edge,)

    lab.calls.clear()
    second = stacks.update(PLAN)
    assert failures(second) == {}
    assert [one.changes for one in second] == [(), (), ()]
    assert [one.outputs for one in second] == [one.outputs for one in first]
    assert lab.calls == []


def test_a_look_sees_what_stopped_and_what_changed_property_by_property(
    stacks: Stacks, lab: FakeLab
) -> None:
    assert failures(stacks.update(PLAN)) == {}
    lab.change("hosts", "svc1-70", power="stopped", host_public_key="ssh-ed25519 another")
    lab.change("probe_points", "citizen", links=[])
    lab.delete_network("dmz-692")
    lab.calls.clear()

    seen = {one.site: one.drift for one in stacks.drift()}
    (service,) = seen[HUB]
    found = {one.path: (one.old, one.new) for one in service.properties}
    assert service.name == "svc1-70"
    assert found["power"] == ("running", "stopped")
    assert found["host_public_key"][1] == "ssh-ed25519 another"
    assert operations(seen["692"]) == {"dmz-692": "delete"}
    assert operations(seen["backbone"]) == {"citizen": "refresh"}
    assert [one.path for one in seen["backbone"][0].properties] == ["links.internet"]

    done = {one.site: one for one in stacks.update(PLAN)}
    assert operations(done["692"].changes) == {"dmz-692": "create"}
    assert operations(done["backbone"].changes) == {"citizen": "update"}
    # A stopped machine is reported and stays stopped.
    assert done[HUB].changes == ()
    assert done[HUB].outputs is not None
    assert done[HUB].outputs.host("svc1-70").power == "stopped"
    assert {name for _, name in lab.calls} == {"citizen", "dmz-692"}
    assert [one.drift for one in stacks.drift()] == [(), (), ()]


def test_a_broken_policy_stops_its_site_and_no_other(stacks: Stacks, lab: FakeLab) -> None:
    done = {one.site: one for one in stacks.update(with_host(PLAN, "692", without_owner))}
    assert failures(tuple(done.values())) == {
        "692": (
            "machines_are_answered_for: host 'edge1-692': its asset record lacks owner; somebody "
            "must answer for every machine and know where it stands (control MOD-05)"
        )
    }
    assert [one.level for one in done["692"].preview.violations] == ["mandatory"]
    assert lab.names("hosts") == ["db1-70", "gw1-70", "svc1-70"]
    assert "dmz-692" not in lab.names("networks")


def test_what_the_backbone_refuses_is_done_nowhere(stacks: Stacks, lab: FakeLab) -> None:
    first, second = PLAN.sites
    plan = replace(PLAN, sites=(first, replace(second, number=first.number, prefix=first.prefix)))
    done = stacks.update(plan)
    assert list(failures(done)) == ["backbone", "70", "692"]
    rules = {one.policy for one in done[0].preview.violations}
    assert rules == {"sites_share_no_prefix", "site_numbers_are_unique"}
    assert lab.calls == []


class Forgetful(FakeLab):
    """A lab in which a machine vanishes between the preview and the update."""

    looks = 0

    def read_host(self, name: str) -> ObservedHost:
        self.looks += 1
        return ObservedHost(name, power="absent") if self.looks > 1 else super().read_host(name)


def test_an_update_that_would_do_something_else_than_previewed_stops(
    stacks: Stacks, tmp_path: Path
) -> None:
    assert failures(stacks.update(PLAN, ["692"])) == {}

    def renamed(host: Host) -> Host:
        return replace(host, machine=replace(host.machine, purpose="another"))

    forgetful = Forgetful(tmp_path / "lab")
    done = stacks_on(forgetful, tmp_path).update(with_host(PLAN, "692", renamed), ["692"])
    assert operations(done[1].preview.changes) == {"edge1-692": "update"}
    assert list(failures(done)) == ["692"]
    assert "violates plan" in failures(done)["692"]
    assert forgetful.calls == []


def test_destroying_removes_everything_and_can_be_repeated(stacks: Stacks, lab: FakeLab) -> None:
    stacks.update(PLAN)
    lab.delete_host("svc1-70")
    assert failures(stacks.destroy()) == {}
    assert [lab.names(kind) for kind in ("hosts", "networks", "probe_points")] == [[], [], []]
    assert stacks.existing() == ()
    assert stacks.destroy() == ()


def test_destroying_nothing_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    assert stacks_on(FakeLab(tmp_path / "lab"), empty).destroy() == ()
    assert not empty.exists()


def test_a_stack_that_does_not_exist_is_named(stacks: Stacks) -> None:
    with pytest.raises(StackError, match="stacks of 999: do not exist; there are none: name one"):
        stacks.drift(["999"])
    with pytest.raises(StackError, match="sites 999: are not in the plan; it has 70, 692: name"):
        stacks.preview(PLAN, ["999"])


def test_stacks_made_by_us_are_what_the_engine_makes(stacks: Stacks, tmp_path: Path) -> None:
    stacks.preview(PLAN, ["692"])
    backend = Backend(tmp_path)
    subprocess.run(
        [ensure_engine() / "pulumi", "stack", "init", "example", "--non-interactive"],
        cwd=backend.work,
        env={**os.environ, **backend.environment()},
        check=True,
        capture_output=True,
    )
    found = {path.stem: json.loads(path.read_text()) for path in state_files(backend)}
    example, ours = found["example"], found["site-692"]
    assert ours["version"] == example["version"]
    assert ours["checkpoint"].keys() == example["checkpoint"].keys()
    assert ours["checkpoint"]["latest"].keys() == example["checkpoint"]["latest"].keys()
    assert ours["checkpoint"]["stack"] == "organization/province/site-692"


def state_files(backend: Backend) -> list[Path]:
    return list((backend.folder / ".pulumi" / "stacks" / "province").glob("*.json"))


def test_the_plain_engine_works_on_the_same_state(
    stacks: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the README says: list from the checkout; refresh and destroy with our executable."""
    assert failures(stacks.update(static(PLAN), [])) == {}
    backend = Backend(tmp_path)
    for name, value in backend.environment().items():
        monkeypatch.setenv(name, value)
    folders = (str(ensure_engine()), str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(folders))

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", "--non-interactive", "-C", str(backend.work), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "backbone" in pulumi("stack", "ls")
    assert "unchanged" in pulumi("refresh", "--yes", "--stack", "backbone")
    assert "deleted" in pulumi("destroy", "--yes", "--stack", "backbone")


def start(tmp_path: Path) -> subprocess.Popen[str]:
    """Starts an update of the edge in a process of its own, and waits until a machine is made."""
    (tmp_path / "lab").mkdir(exist_ok=True)
    (tmp_path / "lab" / "slow").touch()
    process = subprocess.Popen(
        [sys.executable, environments.__file__, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while not (tmp_path / "lab" / "creating").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    return process


def descendants(process: int) -> set[int]:
    """Every process that a process has started, and they again."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in brackets may hold blanks; after it come the state and the parent.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {process}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def wait_for_end_of(processes: set[int]) -> None:
    limit = time.monotonic() + 20
    while left := {one for one in processes if Path(f"/proc/{one}").exists()}:
        assert time.monotonic() < limit, left
        time.sleep(0.1)


@pytest.mark.parametrize("with_engine", [True, False])
def test_a_killed_run_is_recovered_without_asking(tmp_path: Path, *, with_engine: bool) -> None:
    process = start(tmp_path)
    started = descendants(process.pid)
    assert len(started) >= 3  # the engine, the policy server, the engine's stand-in for it
    for one in started if with_engine else ():
        if Path(f"/proc/{one}/comm").read_text() == "pulumi\n":
            os.kill(one, signal.SIGKILL)
    process.kill()
    process.communicate()
    wait_for_end_of(started)
    backend = Backend(tmp_path)
    if with_engine:
        assert backend.locks("site-692")
        assert backend.has_pending_operations("site-692")

    (tmp_path / "lab" / "slow").unlink()
    lab = FakeLab(tmp_path / "lab")
    done = stacks_on(lab, tmp_path).update(PLAN, ["692"])
    assert failures(done) == {}
    assert lab.names("hosts") == ["edge1-692"]
    assert not backend.locks("site-692")
    assert not backend.has_pending_operations("site-692")


def test_what_a_killed_run_made_is_adopted(stacks: Stacks, lab: FakeLab, tmp_path: Path) -> None:
    assert failures(stacks.update(PLAN, ["692"])) == {}
    # As if the engine had been killed before it could write any of it down.
    for path in state_files(Backend(tmp_path)):
        if path.stem == "site-692":
            path.unlink()
    lab.calls.clear()
    assert failures(stacks.update(PLAN, ["692"])) == {}
    assert ("adopt_host", "edge1-692") in lab.calls
    assert ("create_host", "edge1-692") not in lab.calls
    assert failures(stacks.update(PLAN, ["692"])) == {}


def test_ctrl_c_lets_the_running_step_end_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    started = descendants(process.pid)
    (tmp_path / "lab" / "slow").unlink()
    process.send_signal(signal.SIGINT)
    # The step is held until the interrupt has been taken; on a busy machine it would end before.
    time.sleep(2)
    (tmp_path / "lab" / "go_on").touch()
    _output, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    wait_for_end_of(started)
    backend = Backend(tmp_path)
    assert not backend.locks("site-692")
    assert not backend.has_pending_operations("site-692")
    assert FakeLab(tmp_path / "lab").names("hosts") == ["edge1-692"]
