"""Waits until a host has arrived: its systemd has started everything, its sshd shows its key."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

from infra.errors import LabError
from infra.lab.commands import wait_until

_LOOK_LIMIT = timedelta(seconds=20)


class Execute(Protocol):
    """Runs a program in one machine, within a limit."""

    def __call__(self, argv: Sequence[str], timeout: timedelta, /) -> CompletedProcess[str]:
        """Answers how it ended and what it printed."""


def wait_until_running(name: str, inside: Execute, console: Path, limit: timedelta) -> None:
    """Waits until systemd says that it runs; gives up at once when a unit has failed."""
    state = ""

    def is_running() -> bool:
        nonlocal state
        state = inside(["systemctl", "is-system-running"], _LOOK_LIMIT).stdout.strip()
        if state == "degraded":
            failed = inside(["systemctl", "--failed", "--plain", "--no-legend"], _LOOK_LIMIT)
            raise LabError(
                f"{name}: is up, but units failed: {failed.stdout.strip()!r}; look at them with "
                f"journalctl in the host, or at {console}"
            )
        return state == "running"

    wait_until(
        f"{name}: systemd says that it is running",
        is_running,
        limit,
        lambda: f"it says {state!r}; its console is in {console}",
    )


def wait_for_host_key(
    what: str, outside: Execute, addresses: Sequence[str], limit: timedelta
) -> str:
    """Asks the addresses in turn until one shows an SSH host key, and answers that key."""
    found: list[str] = []

    def answers() -> bool:
        for address in addresses:
            scan = ["ssh-keyscan", "-T", "2", "-t", "ed25519", address]
            lines = outside(scan, _LOOK_LIMIT).stdout.splitlines()
            found.extend(line.partition(" ")[2] for line in lines)
            if found:
                return True
        return False

    wait_until(what, answers, limit)
    return found[0]
