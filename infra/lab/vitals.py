"""What a running host takes of this machine: since when it runs, how much memory it holds."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.lab import cgroups, names, processes
from infra.lab.lab import Lab

_PROC = Path("/proc")
_START_FIELD = 19
"""Place of the start time in /proc/PID/stat, counted behind the name in brackets (proc(5))."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """A host's age and weight.

    Attributes:
        uptime: how long its PID 1 has lived; None while it is off.
        memory_bytes: what its processes hold, pages that several share counted in parts (PSS).
    """

    uptime: timedelta | None
    memory_bytes: int


def is_running(lab: Lab, host: str) -> bool:
    """Looks whether a host has a PID 1; nothing is asked inside of it."""
    return processes.leader(_cgroup(lab, host)) is not None


def read_vitals(lab: Lab, host: str) -> Vitals:
    """Looks at the processes of a host; a host that is off has none."""
    cgroup = _cgroup(lab, host)
    leader = processes.leader(cgroup)
    if leader is None:
        return Vitals(None, 0)
    uptime = age(_text(_PROC / str(leader) / "stat"), _text(_PROC / "uptime"))
    held = (_text(_PROC / str(pid) / "smaps_rollup") for pid in cgroups.processes(cgroup))
    return Vitals(uptime, sum(map(proportional_bytes, held)))


def age(stat: str, uptime: str) -> timedelta | None:
    """Answers a process's age from its /proc/PID/stat and the machine's /proc/uptime."""
    # The name may hold spaces and brackets; what follows the last bracket is plain.
    fields = stat.rpartition(")")[2].split()
    if not fields:
        return None
    started = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return timedelta(seconds=float(uptime.split(maxsplit=1)[0]) - started)


def proportional_bytes(rollup: str) -> int:
    """Answers a process's share of memory from its /proc/PID/smaps_rollup; 0 once it has ended."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup(lab: Lab, host: str) -> Path:
    return cgroups.mounted_hierarchy() / names.lab_prefix(lab.identifier) / host


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
