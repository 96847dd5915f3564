"""Who is told of a change, and what a crash leaves: the program itself beside an `ip` of ours."""

import fcntl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = (
    Path(__file__).parents[3]
    / "roles/virtual_address/files/usr/local/lib/province/virtual_address.sh"
)
SHARED = "servers 10.70.3.1\nservers fe80::13:1\nservers fd70:0:70:3::1\n"
OWN = """\
8: servers    inet 10.70.3.2/24 brd 10.70.3.255 scope global servers
8: servers    inet6 fd70:0:70:3::2/64 scope global
"""
HELD = """\
8: servers    inet 10.70.3.1/32 scope global servers
8: servers    inet6 fd70:0:70:3::1/128 scope global deprecated
8: servers    inet6 fe80::13:1/128 scope link deprecated
"""
IP = """\
#!/bin/sh
if [ "$2" = address ]; then cat {place}/addresses; else echo "$*" >>{place}/deleted; fi
"""
SYSTEMCTL = """\
#!/bin/sh
[ "$1 $2" = "is-active --quiet" ] && [ $# = 3 ] && grep --quiet --line-regexp "$3" {place}/running
"""


@dataclass(frozen=True)
class Host:
    """A folder that stands for a host with the group `gateway`."""

    place: Path

    def carries(self, *addresses: str) -> None:
        (self.place / "addresses").write_text("".join((OWN, *addresses)))

    def is_followed_by(self, name: str, script: str) -> None:
        follower = self.place / "settings/gateway.d" / name
        follower.write_text(f"#!/bin/sh\n{script}\n")
        follower.chmod(0o755)

    def is_worth_nothing_without(self, name: str, *units: str) -> None:
        folder = self.place / "settings/gateway.units"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("#\n# who wrote this\n#\n" + "".join(f"{x}\n" for x in units))

    def runs(self, *units: str) -> None:
        (self.place / "running").write_text("".join(f"{unit}\n" for unit in units))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", self.place / "program", *arguments],
            env={"PATH": f"{self.place}/bin:/usr/bin:/bin"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        _, said = process.communicate(timeout=30)
        return process.returncode, said

    def told(self) -> list[str]:
        log = self.place / "told"
        return log.read_text().splitlines() if log.exists() else []

    def deleted(self) -> list[str]:
        log = self.place / "deleted"
        return sorted(log.read_text().splitlines()) if log.exists() else []

    def last_word(self) -> str:
        return (self.place / "states/gateway").read_text().strip()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for folder in ("bin", "settings/gateway.d", "states"):
        (tmp_path / folder).mkdir(parents=True)
    program = (
        PROGRAM.read_text()
        .replace("/etc/province/virtual_address\n", f"{tmp_path}/settings\n")
        .replace("/run/province/virtual_address\n", f"{tmp_path}/states\n")
    )
    (tmp_path / "program").write_text(program)
    for name, script in (("ip", IP), ("systemctl", SYSTEMCTL)):
        (tmp_path / "bin" / name).write_text(script.format(place=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "settings/gateway.addresses").write_text(SHARED)
    made = Host(tmp_path)
    made.is_followed_by("00_first", f'echo "first $1" >>{tmp_path}/told')
    made.is_followed_by("second", f'echo "second $1" >>{tmp_path}/told')
    return made


def test_followers_are_told_in_the_order_of_their_names(host: Host) -> None:
    host.carries(HELD)
    assert host.run("notify", "GROUP", "gateway", "MASTER", "140") == (0, "")
    assert host.told() == ["first master", "second master"]
    assert host.last_word() == "master"


@pytest.mark.parametrize("event", ["BACKUP", "FAULT", "STOP"])
def test_whatever_is_not_master_is_backup(host: Host, event: str) -> None:
    host.carries()
    assert host.run("notify", "GROUP", "gateway", event, "140") == (0, "")
    assert host.told() == ["first backup", "second backup"]


@pytest.mark.parametrize(("event", "held"), [("BACKUP", HELD), ("MASTER", "")])
def test_what_is_over_when_its_turn_comes_is_told_to_nobody(
    host: Host, event: str, held: str
) -> None:
    host.carries(held)
    assert host.run("notify", "GROUP", "gateway", event, "140") == (0, "")
    assert host.told() == []


def test_a_change_waits_for_the_one_before_and_looks_then(host: Host) -> None:
    host.carries()
    with (host.place / "states/.gateway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = host.start("notify", "GROUP", "gateway", "MASTER", "140")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=0.5)
        host.carries(HELD)
    waiting.communicate(timeout=30)
    assert host.told() == ["first master", "second master"]


def test_a_follower_that_fails_holds_up_nobody_and_is_named(host: Host) -> None:
    host.carries(HELD)
    host.is_followed_by("00_first", "echo no such peer >&2; exit 3")
    code, said = host.run("notify", "GROUP", "gateway", "MASTER", "140")
    assert code == 1
    assert said == (
        "no such peer\n"
        f"{host.place}/settings/gateway.d/00_first master: exited 3; see above why, and run it "
        "again by hand\n"
    )
    assert host.told() == ["second master"]


def test_leftover_addresses_go_and_own_ones_stay(host: Host) -> None:
    host.carries(HELD)
    assert host.run("release") == (0, "")
    assert host.deleted() == [
        "address delete 10.70.3.1/32 dev servers",
        "address delete fd70:0:70:3::1/128 dev servers",
        "address delete fe80::13:1/128 dev servers",
    ]
    assert host.told() == []


def test_everybody_steps_back_when_keepalived_is_gone(host: Host) -> None:
    host.carries(HELD)
    assert host.run("stopped") == (0, "")
    assert len(host.deleted()) == 3
    assert host.told() == ["first backup", "second backup"]
    assert host.last_word() == "backup"


def test_an_unknown_order_is_refused(host: Host) -> None:
    code, said = host.run("start")
    assert code == 2
    assert said == "virtual_address.sh: cannot do 'start'; its first lines say what it can\n"


def test_a_group_that_needs_no_unit_can_always_be_served(host: Host) -> None:
    assert host.run("able", "gateway") == (0, "")


def test_a_group_can_be_served_while_every_unit_runs_that_it_needs(host: Host) -> None:
    host.is_worth_nothing_without("first", "router.service", "pooler.service")
    host.is_worth_nothing_without("second", "tunnel.service")
    host.runs("router.service", "pooler.service", "tunnel.service")
    assert host.run("able", "gateway") == (0, "")


@pytest.mark.parametrize("missing", ["router.service", "pooler.service", "tunnel.service"])
def test_one_unit_that_does_not_run_is_enough_and_named(host: Host, missing: str) -> None:
    units = ["router.service", "pooler.service", "tunnel.service"]
    host.is_worth_nothing_without("first", *units[:2])
    host.is_worth_nothing_without("second", *units[2:])
    host.runs(*(unit for unit in units if unit != missing))
    failed, said = host.run("able", "gateway")
    assert failed == 1
    assert said.startswith(f"gateway: {missing} does not run here")
