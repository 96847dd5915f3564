"""What a machine looks like from outside: compared before the lab and after it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

SETTINGS = (
    "fs/inotify/max_user_instances",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
)


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(done.stdout.splitlines())


def _cgroups() -> frozenset[str]:
    roots = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
    root = next(path for path in roots if (path / "cgroup.procs").exists())
    return frozenset(path.name for path in root.iterdir() if path.is_dir())


def _settings() -> frozenset[str]:
    return frozenset(f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in SETTINGS)


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything of which a lab must leave nothing."""

    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    cgroups: frozenset[str]
    settings: frozenset[str]
    keepers: frozenset[str]

    def added(self, later: Machine) -> dict[str, frozenset[str]]:
        """What is there later and was not there before, by kind."""
        kinds = ("mounts", "namespaces", "links", "routes", "cgroups", "settings", "keepers")
        found = {kind: getattr(later, kind) - getattr(self, kind) for kind in kinds}
        return {kind: names for kind, names in found.items() if names}


def look(identifier: str) -> Machine:
    """The machine as it is now; processes only where they belong to the lab of that name."""
    processes = _lines("ps", "-eo", "stat=,args=")
    mounts = Path("/proc/mounts").read_text().splitlines()
    return Machine(
        mounts=frozenset(line.split()[1] for line in mounts),
        namespaces=_lines("ip", "netns", "list"),
        links=frozenset(line.split(":")[1] for line in _lines("ip", "-o", "link")),
        routes=_lines("ip", "route") | _lines("ip", "-6", "route"),
        cgroups=_cgroups(),
        settings=_settings(),
        keepers=frozenset(
            line for line in processes if f"pv{identifier}" in line and not line.startswith("Z")
        ),
    )
