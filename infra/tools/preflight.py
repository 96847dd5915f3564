"""Says what this machine lacks for an operation, before anything is created.

`observe` looks, `lacks` decides over what was seen, `require` is both and refuses. Nothing is
loaded or kept by looking: kernel abilities are asked in namespaces that end with the question.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infra.errors import PreflightError

_EXECUTABLES = Path(__file__).parent / "executables.txt"
_MIB = 1024 * 1024
_INOTIFY_INSTANCES = 8192


class Ability(StrEnum):
    """Something that the lab asks of the kernel or of how this machine was set up."""

    OVERLAY = "overlayfs"
    TUN = "tun"
    LINKS = "bridges and veth pairs"
    FIREWALL = "nftables"
    CGROUP = "cgroup v2"
    INOTIFY = "inotify limit"


_ASKED_WITH = {
    Ability.OVERLAY: {"unshare", "mount"},
    Ability.LINKS: {"unshare", "ip"},
    Ability.FIREWALL: {"unshare", "nft"},
}

_WITHOUT = {
    Ability.OVERLAY: (
        "an overlay cannot be mounted over the state folder",
        "host roots are overlays over one base image",
        "load the module (modprobe overlay), and keep the checkout on ext4 or xfs",
    ),
    Ability.TUN: (
        "/dev/net/tun cannot be opened",
        "the lab's tunnels encrypt in user space and need it",
        "load the module (modprobe tun); in a container, pass the device in",
    ),
    Ability.LINKS: (
        "the kernel makes no bridge or no veth pair",
        "zones are bridges and hosts hang on veth pairs",
        "load the modules (modprobe bridge, modprobe veth)",
    ),
    Ability.FIREWALL: (
        "the kernel answers no nftables request",
        "every host filters with nftables",
        "load the module (modprobe nf_tables)",
    ),
    Ability.CGROUP: (
        "no cgroup2 file system is mounted",
        "every host runs in a cgroup of its own",
        "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified",
    ),
    Ability.INOTIFY: (
        "fs.inotify.max_user_instances is low and cannot be written",
        "a dozen systemd instances need 8192",
        (
            "make /proc/sys writable, or set it from outside: "
            "sysctl fs.inotify.max_user_instances=8192"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that this machine does not have, with what to do about it."""

    subject: str
    seen: str
    required: str
    remedy: str

    def __str__(self) -> str:
        """Reads as the sentence that a person gets."""
        return f"{self.subject}: {self.seen}; {self.required}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation asks of the machine."""

    operation: str
    purposes: frozenset[str]
    """Which lines of executables.txt count; ``every`` always does."""

    root: bool = False
    memory_mib: int = 0
    disk_mib: int = 0
    abilities: frozenset[Ability] = frozenset()


LAB = Needs(
    operation="the lab",
    purposes=frozenset({"lab", "mirror"}),
    root=True,
    memory_mib=12 * 1024,
    disk_mib=8 * 1024,
    abilities=frozenset(Ability),
)
"""Containers on this machine: 16 GiB are meant, 12 are the least that was seen to carry it."""

MIRROR = Needs(operation="the package mirror", purposes=frozenset({"mirror"}), disk_mib=2 * 1024)
"""The signed repository for machines that exist elsewhere."""

REMOTE = Needs(operation="machines that exist", purposes=frozenset())
"""Operations over ssh on machines that we do not make."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of this machine."""

    user_id: int
    memory_mib: int
    free_mib: Mapping[Path, int]
    """Free space by folder: the state folder and the cache."""

    executables: frozenset[str]
    abilities: frozenset[Ability]


def needed_executables(purposes: Iterable[str], table: str | None = None) -> dict[str, str]:
    """Answers the needed executables with the package that brings each, in the table's order."""
    wanted = {"every", *purposes}
    text = _EXECUTABLES.read_text(encoding="utf-8") if table is None else table
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {executable: package for executable, package, purpose in rows if purpose in wanted}


def lacks(needs: Needs, observed: Observed) -> tuple[Lack, ...]:
    """Answers everything that is missing at once, in the order in which one would mend it."""
    found: list[Lack] = []
    if needs.root and observed.user_id != 0:
        found.append(
            Lack(
                subject="user",
                seen=f"runs with user id {observed.user_id}",
                required=f"{needs.operation} needs root for namespaces and mounts",
                remedy="run it as root (sudo -E)",
            )
        )
    found += _missing_executables(needs, observed)
    if observed.memory_mib < needs.memory_mib:
        found.append(
            Lack(
                subject="memory",
                seen=f"{observed.memory_mib} MiB in all",
                required=f"{needs.operation} needs {needs.memory_mib} MiB",
                remedy="use a larger machine",
            )
        )
    for folder, free in observed.free_mib.items():
        if free < needs.disk_mib:
            found.append(
                Lack(
                    subject=str(folder),
                    seen=f"{free} MiB free",
                    required=f"{needs.operation} needs {needs.disk_mib} MiB there",
                    remedy="free some space, or set PROVINCE_CACHE to another disk",
                )
            )
    found += (
        Lack(str(ability), *_WITHOUT[ability])
        for ability in Ability
        if ability in needs.abilities - observed.abilities and _was_asked(ability, observed)
    )
    return tuple(found)


def _was_asked(ability: Ability, observed: Observed) -> bool:
    """Says whether a no is the kernel's own: one missing program must not give two findings."""
    tools = _ASKED_WITH.get(ability, set())
    return observed.user_id == 0 and tools <= observed.executables


def _missing_executables(needs: Needs, observed: Observed) -> list[Lack]:
    """Groups by package, so that the remedy is one command and is said once per package."""
    missing: dict[str, list[str]] = {}
    for executable, package in needed_executables(needs.purposes).items():
        if executable not in observed.executables:
            missing.setdefault(package, []).append(executable)
    return [
        Lack(
            subject=", ".join(executables),
            seen="not found on PATH",
            required=f"{needs.operation} calls it",
            remedy=f"apt-get install {package}, or make install",
        )
        for package, executables in missing.items()
    ]


def observe(needs: Needs, folders: Iterable[Path]) -> Observed:
    """Looks at what the needs ask for; ``folders`` are where the operation will write."""
    places = [_existing(folder) for folder in folders]
    state = places[0] if places else Path.cwd()
    named = needed_executables(needs.purposes)
    return Observed(
        user_id=os.geteuid(),
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB,
        free_mib={place: shutil.disk_usage(place).free // _MIB for place in places},
        executables=frozenset(name for name in named if shutil.which(name)),
        abilities=frozenset(ability for ability in needs.abilities if _kernel_has(ability, state)),
    )


def require(needs: Needs, folders: Iterable[Path]) -> None:
    """Refuses when this machine lacks something.

    Raises:
        PreflightError: with every lack as a finding; nothing was created.
    """
    found = lacks(needs, observe(needs, folders))
    if found:
        raise PreflightError(
            f"{needs.operation}: this machine lacks {len(found)} of what is needed; nothing was "
            "created: mend what follows and run again",
            found,
        )


def _existing(folder: Path) -> Path:
    """Answers the nearest folder that is there: what will be made below is on its disk."""
    return next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir()
    )


def _kernel_has(ability: Ability, state: Path) -> bool:
    match ability:
        case Ability.OVERLAY:
            return _mounts_overlay(state)
        case Ability.TUN:
            return _opens_tun()
        case Ability.LINKS:
            return _answers("ip", "link", "add", "b0", "type", "bridge") and _answers(
                "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"
            )
        case Ability.FIREWALL:
            return _answers("nft", "list", "tables")
        case Ability.CGROUP:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
            return any(line.split()[2] == "cgroup2" for line in mounts.splitlines())
        case Ability.INOTIFY:
            limit = Path("/proc/sys/fs/inotify/max_user_instances")
            return int(limit.read_text(encoding="utf-8")) >= _INOTIFY_INSTANCES or os.access(
                limit, os.W_OK
            )


def _answers(*command: str, namespace: str = "--net") -> bool:
    """Runs a command in a namespace of its own, which takes along whatever it made."""
    try:
        done = subprocess.run(["unshare", namespace, *command], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _mounts_overlay(state: Path) -> bool:
    """Tries the file system that will carry the host roots: not each can be an upper layer."""
    try:
        with tempfile.TemporaryDirectory(dir=state, prefix=".preflight_") as name:
            layers = {layer: Path(name) / layer for layer in ("lower", "upper", "work", "root")}
            for folder in layers.values():
                folder.mkdir()
            options = ",".join(f"{key}dir={layers[key]}" for key in ("lower", "upper", "work"))
            return _answers(
                *("mount", "-t", "overlay", "overlay", "-o", options, str(layers["root"])),
                namespace="--mount",
            )
    except PermissionError:
        return False


def _opens_tun() -> bool:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError:
        return False
    return True
