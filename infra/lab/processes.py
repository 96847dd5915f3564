"""Finds processes by what they stand in: a network namespace, or a container."""

import os
from pathlib import Path

from infra.lab import cgroups

_PROC = Path("/proc")


def leader(cgroup: Path) -> int | None:
    """Answers the container's PID 1 as this machine counts it, None while there is none.

    It is found by what it is and not as somebody's child: a container outlives the program that
    started it.
    """
    best: tuple[int, int] | None = None
    for pid in cgroups.processes(cgroup):
        counted = namespace_pids(_read(_PROC / str(pid) / "status"))
        # A container inside the container has a PID 1 too, further in.
        if len(counted) > 1 and counted[-1] == 1 and (best is None or len(counted) < best[0]):
            best = (len(counted), pid)
    return best[1] if best else None


def namespace_pids(status: str) -> tuple[int, ...]:
    """Answers a process's number in every process namespace, outermost first, from its status."""
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return tuple(map(int, line.split()[1:]))
    return ()


def in_network_namespace(namespace: Path) -> tuple[int, ...]:
    """Answers the processes that stand in a network namespace; this one never."""
    try:
        wanted = namespace.stat()
    except FileNotFoundError:
        return ()
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            seen = (folder / "ns" / "net").stat()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # It ended meanwhile, or is closed even to root as some PID 1 are: never one of ours.
            continue
        if (seen.st_ino, seen.st_dev) == (wanted.st_ino, wanted.st_dev):
            found.append(int(folder.name))
    return tuple(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
