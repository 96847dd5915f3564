#!/usr/bin/python3
"""Tells the rest of this host whether it carries a group of shared addresses.

    virtual_address.py notify GROUP <name> <STATE> <priority>   keepalived calls it so at a change
    virtual_address.py release                                  takes leftover addresses away
    virtual_address.py stopped                                  the same, and everybody steps back

What follows a group is an executable in /etc/province/virtual_address/<group>.d/ that takes one
word, `master` or `backup`, and can be run twice. /run/province/virtual_address/<group> holds the
last word that was passed on.

Rule 1: keepalived starts a notification without waiting for the one before. Whoever gets the lock
looks at the addresses themselves, and acts only when they still say what it was started for: a
change that came later has a notification of its own behind it.
Rule 2: connection states come first, then the followers, by name. None can hold up the others.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/virtual_address.json")
FOLLOWERS = Path("/etc/province/virtual_address")
STATES = Path("/run/province/virtual_address")
LIMIT_SECONDS = 20
MASTER, BACKUP = "master", "backup"

CONNECTION_STATES = {
    # Enter what the twin reported, forget its report, take over what the kernel has, pass it on.
    MASTER: ("-c", "-f", "-R", "-B"),
    # Let entries that nobody refreshes age soon, and ask the twin for all that it has.
    BACKUP: ("-t", "-n"),
}
"""conntrackd's orders at a change, as in its own primary-backup.sh."""

Group = dict[str, Any]
Held = dict[tuple[str, str], int]
"""Interface and address of everything that this host has, to the prefix length."""


def held_addresses() -> Held:
    """Answers what the kernel has now."""
    listed = subprocess.run(
        ["ip", "-json", "address", "show"], capture_output=True, check=True, timeout=LIMIT_SECONDS
    )
    return {
        (link["ifname"], one["local"]): one["prefixlen"]
        for link in json.loads(listed.stdout)
        for one in link.get("addr_info", [])
        if "local" in one
    }


def group_addresses(group: Group) -> list[tuple[str, str]]:
    """Answers interface and address of all that a group shares."""
    return [(one["interface"], one["address"]) for one in group["addresses"]]


def present_state(group: Group, held: Held) -> str:
    """Answers `master` while any of the group's addresses is here: keepalived moves all at once."""
    return MASTER if any(one in held for one in group_addresses(group)) else BACKUP


def state_of(event: str) -> str:
    """Answers what keepalived's word means for followers: BACKUP, FAULT and STOP are the same."""
    return MASTER if event == "MASTER" else BACKUP


def leftover_deletions(groups: dict[str, Group], held: Held) -> str:
    """Answers the lines for `ip -batch` that delete the groups' addresses which are here."""
    wanted = {one for group in groups.values() for one in group_addresses(group)}
    return "".join(
        f"address del {address}/{length} dev {interface}\n"
        for (interface, address), length in sorted(held.items())
        if (interface, address) in wanted
    )


def release(groups: dict[str, Group]) -> None:
    """Takes addresses away that a crash left: the twin has them, and two answers are none."""
    lines = leftover_deletions(groups, held_addresses())
    if lines:
        subprocess.run(
            ["ip", "-force", "-batch", "-"],
            input=lines.encode(),
            check=True,
            timeout=LIMIT_SECONDS,
        )


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Holds the group's lock."""
    STATES.mkdir(parents=True, exist_ok=True)
    with (STATES / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_state(name: str, state: str) -> None:
    """Leaves the state for whoever asks, never half written."""
    written = STATES / f".{name}.new"
    written.write_text(f"{state}\n")
    written.replace(STATES / name)


def followers(name: str) -> list[Path]:
    """Answers the executables that follow a group, by name."""
    folder = FOLLOWERS / f"{name}.d"
    return sorted(path for path in folder.glob("*") if os.access(path, os.X_OK))


def orders(name: str, group: Group, state: str) -> list[list[str]]:
    """Answers the commands of a change, in their order."""
    states = CONNECTION_STATES[state] if group["connection_state"] else ()
    return [
        *(["conntrackd", option] for option in states),
        *([str(path), state] for path in followers(name)),
    ]


def failure(order: Sequence[str]) -> str | None:
    """Runs one command; answers a sentence when it failed."""
    try:
        done = subprocess.run(
            order, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{' '.join(order)}: {error}; look at it and run it again by hand"
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    return f"{' '.join(order)}: exited {done.returncode}: {said}; run it again by hand"


def pass_on(name: str, group: Group, state: str) -> list[str]:
    """Tells everybody, state first, so that a follower that starts late finds it; answers faults."""
    write_state(name, state)
    found = (failure(order) for order in orders(name, group, state))
    return [sentence for sentence in found if sentence]


def notify(groups: dict[str, Group], name: str, event: str) -> list[str]:
    """Passes one change on, unless it is over by the time that its turn comes."""
    group = groups[name]
    with one_at_a_time(name):
        state = present_state(group, held_addresses())
        return pass_on(name, group, state) if state == state_of(event) else []


def stopped(groups: dict[str, Group]) -> list[str]:
    """Steps back with everything: keepalived is gone, by order or by a crash."""
    release(groups)
    faults = []
    for name, group in groups.items():
        with one_at_a_time(name):
            faults += pass_on(name, group, BACKUP)
    return faults


def main(arguments: Sequence[str]) -> int:
    """Runs one call; the exit says whether everybody was told."""
    groups = json.loads(SETTINGS.read_text())
    faults: list[str] = []
    match list(arguments):
        case ["notify", "GROUP", name, event, *_]:
            faults = notify(groups, name, event)
        case ["release"]:
            release(groups)
        case ["stopped"]:
            faults = stopped(groups)
        case _:
            faults = [f"virtual_address.py: cannot do {' '.join(arguments)!r}; see its first lines"]
    for sentence in faults:
        print(sentence, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
