"""Ways to a host: tried in order, refused where another machine answers, reported all."""

import os
from pathlib import Path

import pytest

from infra.configure import Reached, reach_hosts
from infra.inventory import Way

SSH = """#!/bin/sh
# Stands for OpenSSH: answers by the address that its configuration names.
while [ "$1" != -F ]; do shift; done
address=$(awk '/HostName/ {print $2}' "$2")
echo "$address" >>"$ASKED"
case $address in
    10.1.6.11) echo '{"commit": "c0ffee"}' ;;
    10.1.6.12) echo 'Host key verification failed.' >&2; exit 255 ;;
    10.1.6.13) echo 'ansible@10.1.6.13: Permission denied (publickey).' >&2; exit 255 ;;
    10.1.6.14) exit 255 ;;
    *) echo "ssh: connect to host $address port 22: No route to host" >&2; exit 255 ;;
esac
"""


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in before OpenSSH; answers the file of addresses that were asked."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH, encoding="utf-8")
    program.chmod(0o755)
    record = tmp_path / "asked"
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(record))
    return record


def ways(host: str, *addresses: str) -> list[Way]:
    return [
        Way(host, f"{host}.sample.internal", one, "ansible", Path("/key"), ()) for one in addresses
    ]


def reach(tmp_path: Path, *hosts: list[Way]) -> tuple[dict[str, Reached], list[str]]:
    said: list[str] = []
    folder = tmp_path / "reach"
    reached = reach_hosts(list(hosts), tmp_path / "known_hosts", folder, said.append)
    assert list(folder.iterdir()) == []
    return reached, said


def test_the_first_way_that_answers_is_gone(tmp_path: Path, asked: Path) -> None:
    reached, said = reach(tmp_path, ways("svc1-70", "10.1.6.11", "198.51.100.1"))
    result = reached["svc1-70"]
    assert (result.outcome, result.applied) == ("reached", '{"commit": "c0ffee"}')
    assert result.way is not None
    assert result.way.address == "10.1.6.11"
    assert said == ["svc1-70: reached at 10.1.6.11"]
    assert asked.read_text(encoding="utf-8").split() == ["10.1.6.11"]


def test_a_way_that_does_not_answer_is_followed_by_the_next(tmp_path: Path, asked: Path) -> None:
    reached, _ = reach(tmp_path, ways("svc1-70", "192.0.2.1", "10.1.6.11"))
    assert reached["svc1-70"].sentence == "svc1-70: reached at 10.1.6.11"
    assert asked.read_text(encoding="utf-8").split() == ["192.0.2.1", "10.1.6.11"]


def test_a_host_that_no_way_leads_to_is_unreachable_with_every_reason(tmp_path: Path) -> None:
    reached, _ = reach(tmp_path, ways("svc1-70", "192.0.2.1", "10.1.6.14"))
    assert reached["svc1-70"] == Reached(
        "svc1-70",
        "unreachable",
        None,
        "svc1-70: unreachable (192.0.2.1: ssh: connect to host 192.0.2.1 port 22: "
        "No route to host; 10.1.6.14: ssh ended with 255)",
    )


def test_another_host_key_is_refused_and_no_other_way_is_tried(tmp_path: Path, asked: Path) -> None:
    reached, _ = reach(tmp_path, ways("svc1-70", "10.1.6.12", "10.1.6.11"))
    assert reached["svc1-70"].outcome == "refused"
    assert reached["svc1-70"].way is None
    assert reached["svc1-70"].sentence == (
        "svc1-70: the machine at 10.1.6.12 shows another host key than the pinned one; nothing was "
        "sent; find out who answers there before you pin a new key"
    )
    assert asked.read_text(encoding="utf-8").split() == ["10.1.6.12"]


def test_a_machine_that_does_not_know_us_yet_is_reached(tmp_path: Path) -> None:
    reached, _ = reach(tmp_path, ways("svc1-70", "10.1.6.13"))
    assert (reached["svc1-70"].outcome, reached["svc1-70"].sentence) == (
        "reached",
        "svc1-70: reached at 10.1.6.13, not yet taken over",
    )


def test_every_host_is_told_of_and_none_waits_for_another(tmp_path: Path) -> None:
    hosts = [ways("svc1-70", "10.1.6.11"), ways("edge1-692", "192.0.2.1")]
    reached, said = reach(tmp_path, *hosts)
    assert {name: one.outcome for name, one in reached.items()} == {
        "svc1-70": "reached",
        "edge1-692": "unreachable",
    }
    assert len(said) == 2
