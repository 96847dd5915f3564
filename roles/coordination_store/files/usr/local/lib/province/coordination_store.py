#!/usr/bin/python3
"""Starts and keeps this host's member of the coordination store (etcd).

    coordination_store.py look               prints `empty` where this member has no data yet
    coordination_store.py start [HOST...]    starts it; HOST... are the members seen to be empty
    coordination_store.py look_for_restart   says whether it runs with an older configuration
    coordination_store.py keep               restarts it where it does, when the others are healthy

Rule 1: a member without data joins the cluster that answers, in place of its former self.
Rule 2: a new cluster is founded only when every member is seen to be empty. Otherwise two
clusters could stand where one was.
Rule 3: a running member is stopped only while all others are healthy.

Prints what changed, nothing when nothing did. Every failure is a sentence and a failed exit.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/coordination_store.json")
DATA = Path("/var/lib/etcd/province/member")
JOIN = Path("/var/lib/etcd/join.env")
PKI = Path("/etc/province/pki")
UNIT = "etcd.service"
CONFIGURATION = (
    Path("/etc/default/etcd"),
    Path("/etc/systemd/system/etcd.service.d/province.conf"),
)
CLIENT_PORT, PEER_PORT = 2379, 2380
ANSWER_SECONDS = 3
HEALTH_SECONDS = 120
MADE_ANEW = "joined the cluster anew, without its former data"

Settings = dict[str, Any]


class RefusedError(Exception):
    """A sentence that says what could not be done."""


def main(arguments: list[str]) -> None:
    """Runs one verb."""
    settings = json.loads(SETTINGS.read_text())
    verb, empty = (arguments[0], arguments[1:]) if arguments else ("", [])
    try:
        if verb == "start":
            start(settings, empty)
        elif verb == "look":
            print("member" if DATA.is_dir() else "empty")
        elif verb == "look_for_restart":
            print("\n".join(restart_reasons()), end="")
        elif verb == "keep":
            keep(settings)
        else:
            sys.exit(__doc__)
    except RefusedError as refusal:
        sys.exit(f"coordination store on {settings['name']}: {refusal}")


def start(settings: Settings, empty: Sequence[str]) -> None:
    """Starts this member; decides first what it starts as."""
    if is_active() in {"active", "activating", "reloading"}:
        return
    if not DATA.is_dir():
        JOIN.unlink(missing_ok=True)
        answering = who_answers(settings)
        if answering:
            join(settings, answering)
        else:
            refuse_a_second_cluster(settings, empty)
    run(["systemctl", "start", "--no-block", UNIT])
    print(f"{settings['name']}: started")


def refuse_a_second_cluster(settings: Settings, empty: Sequence[str]) -> None:
    """Refuses where a member may hold a cluster that does not answer just now."""
    unknown = sorted(set(settings["members"]) - set(empty))
    if unknown:
        raise RefusedError(
            f"has no data, and {', '.join(unknown)} neither answered nor is known to be empty; a "
            "new cluster beside an old one would lose it; start the store there first, or run the "
            "role on all members at once"
        )


def who_answers(settings: Settings) -> str:
    """Answers the client address of another member that has a leader, empty where none has."""
    for host, address in settings["members"].items():
        if host != settings["name"] and is_healthy(address):
            return url(address, CLIENT_PORT)
    return ""


def join(settings: Settings, endpoint: str) -> None:
    """Takes the place of this member's former self in the cluster, and notes what it is."""
    name = settings["name"]
    own = url(settings["members"][name], PEER_PORT)
    known = json.loads(etcdctl(endpoint, "member", "list", "--write-out=json"))["members"]
    former = next((one for one in known if own in one["peerURLs"]), None)
    # One without a name was added by a run that did not come to start it.
    if former is not None and former.get("name"):
        etcdctl(endpoint, "member", "remove", f"{former['ID']:x}")
    if former is None or former.get("name"):
        etcdctl(endpoint, "member", "add", name, f"--peer-urls={own}")
    others = [f"{one['name']}={one['peerURLs'][0]}" for one in known if own not in one["peerURLs"]]
    JOIN.write_text(
        "ETCD_INITIAL_CLUSTER_STATE=existing\n"
        f"ETCD_INITIAL_CLUSTER={','.join([*others, f'{name}={own}'])}\n"
    )
    print(f"{name}: {MADE_ANEW}")


def keep(settings: Settings) -> None:
    """Waits for this member's health, and restarts it where its configuration is older."""
    name = settings["name"]
    wait_for_health(settings, [name])
    JOIN.unlink(missing_ok=True)
    reasons = restart_reasons()
    if reasons:
        wait_for_health(settings, list(settings["members"]))
        run(["systemctl", "restart", UNIT])
        wait_for_health(settings, [name])
        print(f"{name}: restarted, because {' and '.join(reasons)}")


def restart_reasons() -> list[str]:
    """Answers what was written after the daemon started."""
    if is_active() != "active":
        return []
    shown = run(
        ["systemctl", "show", "--timestamp=unix", "--value", "-p", "ExecMainStartTimestamp", UNIT]
    )
    started = int(shown.strip().removeprefix("@"))
    return [
        f"{path} is newer than the daemon"
        for path in CONFIGURATION
        if int(path.stat().st_mtime) > started
    ]


def wait_for_health(settings: Settings, hosts: Sequence[str]) -> None:
    """Waits until members answer with a leader behind them."""
    until = time.monotonic() + HEALTH_SECONDS
    while sick := [host for host in hosts if not is_healthy(settings["members"][host])]:
        if time.monotonic() > until:
            raise RefusedError(
                f"{', '.join(sick)} did not become healthy within {HEALTH_SECONDS} s; a majority "
                f"of members is required; look at 'journalctl --unit={UNIT}' there"
            )
        time.sleep(0.5)


def is_healthy(address: str) -> bool:
    """Answers whether a member can answer for the cluster."""
    return call([*client(url(address, CLIENT_PORT)), "endpoint", "health"]).returncode == 0


def is_active() -> str:
    """Answers the unit's state in the service manager's words."""
    return call(["systemctl", "is-active", UNIT]).stdout.strip()


def etcdctl(endpoint: str, *arguments: str) -> str:
    """Answers what the cluster says to a command."""
    return run([*client(endpoint), *arguments])


def client(endpoint: str) -> list[str]:
    """The store's own client, with this host's certificate."""
    return [
        "etcdctl",
        f"--endpoints={endpoint}",
        f"--cacert={PKI / 'root.pem'}",
        f"--cert={PKI / 'etcd/chain.pem'}",
        f"--key={PKI / 'etcd/key.pem'}",
        f"--dial-timeout={ANSWER_SECONDS}s",
        f"--command-timeout={ANSWER_SECONDS}s",
    ]


def url(address: str, port: int) -> str:
    """Answers where a member is met."""
    return f"https://{address}:{port}"


def run(command: Sequence[str]) -> str:
    """Answers what a command printed; refuses with what it complained about."""
    done = call(command)
    if done.returncode != 0:
        raise RefusedError(
            f"{command[0]!r} exited {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main(sys.argv[1:])
