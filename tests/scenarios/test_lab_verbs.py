"""`province lab` on real containers: each verb as a person calls it, and what is then so.

Needs root. Half a minute on two idle cores, once the base image is in the cache.
"""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import lab_world
import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.errors import ProvinceError
from infra.journal import hold_lock
from infra.lab import packets
from infra.lab.driver import Machine
from infra.lab.image import base_image
from infra.lab.lab import Lab


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of the command ended with."""

    code: int
    said: str


Call = Callable[..., Answer]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkout")
    (made / "inventories" / "small").mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def lab(root: Path) -> Iterator[Lab]:
    made = Lab(root / ".province" / "small")
    base = base_image()
    made.create_probe_point(lab_world.CONTROLLER)
    try:
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(
                lambda name: made.create_host(lab_world.host(name), base.path), lab_world.NUMBERS
            ):
                pass
        yield made
    finally:
        made.destroy()


@pytest.fixture
def call(lab: Lab, root: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr("infra.cli.environment.checkout_root", lambda: root)
    # Our own writer answers, also where this machine has a tcpdump; its own test brings one.
    monkeypatch.setattr("infra.lab.captures.TCPDUMP", "no-tcpdump-here")
    assert lab.state_directory.is_relative_to(root)

    def run(verb: str, *words: str) -> Answer:
        done = CliRunner().invoke(app, ["lab", verb, "small", *words])
        if isinstance(done.exception, ProvinceError):
            return Answer(int(done.exception.exit_code), done.exception.sentence)
        return Answer(done.exit_code, done.output)

    return run


def reaches(lab: Lab, address: str) -> bool:
    line = f"timeout 2 bash -c {shlex.quote(f'</dev/tcp/{address}/22')}"
    return Machine(lab, "controller").run(line).succeeded


def listed(call: Call, host: str) -> dict[str, object]:
    [found] = [one for one in json.loads(call("list", "--json").said) if one["host"] == host]
    return dict(found)


def test_the_list_tells_state_age_weight_and_cut_cables(call: Call) -> None:
    seen = listed(call, "svc1-70")
    assert (seen["state"], seen["cut"]) == ("running", [])
    assert isinstance(seen["uptime_seconds"], int)
    assert isinstance(seen["memory_bytes"], int)
    assert 4 * 2**20 < seen["memory_bytes"] < 200 * 2**20
    table = call("list").said.splitlines()
    assert table[0].split() == ["host", "state", "uptime", "memory", "cut", "links"]
    hosts = [line.split()[0] for line in table[1:]]
    assert hosts == [*sorted(lab_world.NUMBERS), "together"]


@pytest.mark.parametrize("words", [[], ["--hard"]], ids=["in order", "as after a power cut"])
def test_a_restarted_host_has_forgotten_what_was_not_saved_and_answers(
    lab: Lab, call: Call, words: list[str]
) -> None:
    svc = Machine(lab, "svc1-70")
    svc.check_output("touch /run/before && ip address add 10.70.7.200/24 dev management")
    assert call("restart", "svc1-70", *words) == Answer(0, "svc1-70: running\n")
    assert not svc.file("/run/before").exists
    assert "10.70.7.200/24" not in lab.read_host("svc1-70").links[0].addresses
    lab.wait_for_ssh("svc1-70", "controller")


def test_all_restart_in_one_moment_and_a_host_that_was_off_stays_off(lab: Lab, call: Call) -> None:
    assert call("stop", "mgt1-70") == Answer(0, "mgt1-70: stopped\n")
    stopped = listed(call, "mgt1-70")
    assert (stopped["state"], stopped["uptime_seconds"]) == ("stopped", None)
    answer = call("restart", "--all", "--hard")
    assert answer.code == 0
    assert sorted(answer.said.splitlines()) == [
        "gw1-70: running",
        "mgt1-70: was off and stays so",
        "svc1-70: running",
    ]
    refused = call("restart", "mgt1-70")
    assert refused == Answer(
        2,
        "mgt1-70: not running, so there is nothing to restart; use province lab start small "
        "mgt1-70",
    )
    assert call("start", "mgt1-70") == Answer(0, "mgt1-70: running\n")
    lab.wait_for_ssh("mgt1-70", "controller")


def test_a_host_whose_unit_fails_is_told_and_does_not_hold_the_others_up(
    lab: Lab, call: Call
) -> None:
    svc = Machine(lab, "svc1-70")
    svc.check_output(
        "printf '[Service]\\nExecStart=/bin/false\\n[Install]\\nWantedBy=multi-user.target\\n' "
        "> /etc/systemd/system/broken.service && systemctl enable broken.service"
    )
    answer = call("restart", "svc1-70", "gw1-70")
    assert answer.code == 1
    assert "svc1-70: failed: svc1-70: is up, but units failed: 'broken.service" in answer.said
    assert "gw1-70: running" in answer.said
    svc.check_output("systemctl disable broken.service && systemctl reset-failed")


def test_cut_and_heal_take_one_cable_or_all(lab: Lab, call: Call) -> None:
    assert call("cut", "svc1-70", "--interface", "servers").said == "svc1-70: cut servers\n"
    assert listed(call, "svc1-70")["cut"] == ["servers"]
    assert reaches(lab, "10.70.7.12")
    assert call("cut", "svc1-70").said == "svc1-70: cut management, servers\n"
    assert not reaches(lab, "10.70.7.12")
    assert not reaches(lab, "fd70:0:70:7::12")
    assert call("heal", "svc1-70").said == "svc1-70: healed management, servers\n"
    assert call("heal", "svc1-70") == Answer(0, "svc1-70: nothing was cut\n")
    lab.wait_for_ssh("svc1-70", "controller")


def test_the_driver_of_tests_restarts_and_cuts_alike(lab: Lab) -> None:
    svc = Machine(lab, "svc1-70")
    for hard in (False, True):
        svc.check_output("touch /run/before")
        svc.restart(hard=hard)
        assert not svc.file("/run/before").exists
    svc.cut()
    assert not reaches(lab, "10.70.7.12")
    svc.heal()
    lab.wait_for_ssh("svc1-70", "controller")


def test_a_probe_points_cable_is_cut_too(lab: Lab, call: Call) -> None:
    assert call("cut", "controller").code == 0
    assert not reaches(lab, "10.70.7.12")
    assert call("heal", "controller").said == "controller: healed management\n"
    lab.wait_for_ssh("svc1-70", "controller")


def test_a_capture_holds_what_passed_and_only_what_was_asked(lab: Lab, call: Call) -> None:
    lab.wait_for_ssh("svc1-70", "controller")
    with ThreadPoolExecutor() as pool:
        words = ("svc1-70", "management", "--seconds", "4", "--filter", "ip6 and port 22")
        running = pool.submit(call, "capture", *words)
        Machine(lab, "controller").run("sleep 2")
        assert reaches(lab, "10.70.7.12")
        assert reaches(lab, "fd70:0:70:7::12")
        answer = running.result()
    path = Path(answer.said.rpartition(":")[0].strip())
    assert path.is_relative_to(lab.state_directory / "captures")
    assert path.stat().st_mode & 0o777 == 0o600
    data, place, seen = path.read_bytes(), packets.FILE_HEADER.size, []
    while place < len(data):
        length = packets.PACKET_HEADER.unpack_from(data, place)[2]
        place += packets.PACKET_HEADER.size
        seen.append(packets.read_packet(data[place : place + length], packets.ETHERNET))
        place += length
    assert seen
    assert all("fd70:0:70:7::12" in packet.addresses and 22 in packet.ports for packet in seen)
    assert answer.said.endswith(f": {len(seen)} packets\n")


def test_tcpdump_does_it_where_there_is_one(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that takes every option we give, writes one packet, and ends as it does."""
    program = tmp_path / "tcpdump"
    words = tmp_path / "words"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, signal, sys\n"
        "from infra.lab import packets\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        f"pathlib.Path({str(words)!r}).write_text(' '.join(sys.argv[1:]))\n"
        "if sys.argv[-1] == 'wrong': sys.exit('tcpdump: syntax error in filter expression')\n"
        "with open(sys.argv[sys.argv.index('-w') + 1], 'wb') as file:\n"
        "    packets.write_header(file, packets.ETHERNET)\n"
        "    packets.write_packet(file, bytes(60), 0.0)\n"
        "signal.sigwait({signal.SIGINT})\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setattr("infra.lab.captures.TCPDUMP", str(program))
    wanted = ["svc1-70", "servers", "--seconds", "1"]
    assert call("capture", *wanted, "--filter", "vrrp or esp").said.endswith(": 1 packets\n")
    assert words.read_text(encoding="utf-8").startswith("-i servers -w ")
    assert words.read_text(encoding="utf-8").endswith(" -U -n -s 0 -Z root vrrp or esp")
    refused = call("capture", *wanted, "--filter", "wrong")
    assert (refused.code, "syntax error in filter" in refused.said) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["stop", "svc2-70"], "'svc2-70': is no machine of this lab; did you mean 'svc1-70'?"),
        (["cut", "svc1-70", "--interface", "server"], "did you mean 'servers'?"),
        (["capture", "svc1-70", "managment"], "did you mean 'management'?"),
        (["capture", "svc1-70", "servers", "--filter", "port https and"], "filter 'port https"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_touches_nothing(call: Call, words: list[str], sentence: str) -> None:
    before = call("list", "--json").said.count("running")
    answer = call(words[0], *words[1:])
    assert answer.code == 2
    assert sentence in answer.said
    assert call("list", "--json").said.count("running") == before


def test_power_is_not_changed_under_a_run_and_cables_may_be(lab: Lab, call: Call) -> None:
    with hold_lock(lab.state_directory, "provision", datetime.now(UTC)):
        assert call("restart", "svc1-70").code == 4
        assert call("cut", "svc1-70", "--interface", "servers").code == 0
        assert call("heal", "svc1-70").code == 0
