"""Starts, enters and ends one container: systemd-nspawn over an overlay root, in its own cgroup.

The root is mounted in a mount namespace that only the container's keeper sees. So it can leave no
mount behind, however it ends: the kernel unmounts it with the last process.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.errors import LabError
from infra.lab import cgroups, networks, processes
from infra.lab.commands import last_lines, wait_until

_BIRTH_LIMIT = timedelta(seconds=20)
_INSIDE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
# Joins the cgroup first: whatever it starts is born there, so nothing can escape `cgroups.kill`.
_KEEPER = """
echo $$ > "$1/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
cgroup=$1 overlay=$2 root=$3
shift 3
exec setsid --fork unshare --mount --propagation slave -- sh -euc '
    mount -t overlay -o "$1" lab "$2"
    shift 2
    exec systemd-nspawn "$@"
' keeper "$overlay" "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """What one container is made of.

    Attributes:
        name: its name on this computer, also that of its network namespace.
        hostname: what it calls itself.
        cgroup: its own cgroup, made at start.
        folder: holds ``upper``, ``work``, ``root`` (the mount point) and ``console.log``.
        base: the shared lower layer.
    """

    name: str
    hostname: str
    cgroup: Path
    folder: Path
    base: Path

    @property
    def console(self) -> Path:
        """Answers the log that nspawn and the container's console write."""
        return self.folder / "console.log"

    @property
    def leader(self) -> int | None:
        """Answers the container's PID 1, None while it is not running."""
        return processes.leader(self.cgroup)


def start(container: Container) -> None:
    """Starts a container and returns when its PID 1 lives.

    Raises:
        LabError: it ended at once, with what it said.
    """
    for name in ("upper", "work", "root"):
        (container.folder / name).mkdir(parents=True, exist_ok=True)
    cgroups.make(container.cgroup)
    layers = {
        "lowerdir": container.base,
        "upperdir": container.folder / "upper",
        "workdir": container.folder / "work",
    }
    options = ",".join(f"{name}={_plain_path(path)}" for name, path in layers.items())
    place = [str(container.cgroup), options, str(container.folder / "root")]
    keep = ["sh", "-euc", _KEEPER, "keeper", *place, *_nspawn_arguments(container)]
    with container.console.open("ab") as console:
        # Files and no pipes: the container keeps them open, and a pipe's reader would wait for it.
        done = subprocess.run(
            keep, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        raise LabError(
            f"{container.hostname}: its keeper ended with {done.returncode}; "
            f"{last_lines(container.console)}"
        )
    wait_until(
        f"{container.hostname}: has a PID 1",
        lambda: _is_born(container),
        _BIRTH_LIMIT,
        lambda: last_lines(container.console),
    )


def stop(container: Container, limit: timedelta) -> None:
    """Asks a container's systemd to power off, and waits for the last of its processes."""
    pid = container.leader
    if pid is not None:
        # The signal by which systemd is told to power off; it needs no bus to be heard.
        os.kill(pid, signal.SIGRTMIN + 4)
        wait_until(
            f"{container.hostname}: has powered off",
            lambda: not cgroups.is_populated(container.cgroup),
            limit,
            lambda: last_lines(container.console),
        )
    cgroups.kill(container.cgroup)


def kill(container: Container) -> None:
    """Ends a container as a power cut does: keeper, PID 1 and all daemons in one moment."""
    cgroups.kill(container.cgroup)


def enter(leader: int, argv: Sequence[str]) -> list[str]:
    """Answers the command line that runs `argv` inside the container of this PID 1."""
    environment = [f"{name}={value}" for name, value in _INSIDE.items()]
    return ["nsenter", "--target", str(leader), "--all", "--", "env", "-i", *environment, *argv]


def _nspawn_arguments(container: Container) -> list[str]:
    return [
        "--quiet",
        "--register=no",
        "--keep-unit",
        f"--directory={container.folder / 'root'}",
        f"--machine={container.name}",
        f"--hostname={container.hostname}",
        f"--network-namespace-path={networks.NAMESPACES / container.name}",
        "--bind=/dev/net/tun",
        "--capability=CAP_NET_ADMIN",
        # Both files belong to the host itself.
        "--resolv-conf=off",
        "--timezone=off",
        "--boot",
    ]


def _is_born(container: Container) -> bool:
    if container.leader is not None:
        return True
    if not cgroups.is_populated(container.cgroup):
        raise LabError(
            f"{container.hostname}: the container ended as soon as it was started; "
            f"{last_lines(container.console)}"
        )
    return False


def _plain_path(path: Path) -> Path:
    if {",", ":", "\\"} & set(str(path)):
        raise LabError(
            f"{path}: contains a comma, colon or backslash, which the kernel's overlay takes for "
            "punctuation; use a folder without them"
        )
    return path
