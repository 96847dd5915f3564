"""What the labs of one machine share: the list of labs, and kernel settings that all of them need.

The list lies in /run, so a reboot empties it together with everything that it speaks of.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.lab import cgroups, names, networks, processes
from infra.lab.specs import LabEntry

FOLDER = Path("/run/province")
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES_WANTED = 8192
"""Each container takes about seven of root's usual 128, so seventeen would be the end."""

_LABS = FOLDER / "labs"
_INSTANCES_BEFORE = FOLDER / "inotify_max_user_instances"
_NAMESPACES_ARE_OURS = FOLDER / "namespace_folder"


def register(identifier: str, state_directory: Path) -> None:
    """Notes a lab and, with the first one of this machine, prepares the machine for labs."""
    with _locked():
        _LABS.mkdir(exist_ok=True)
        note = _LABS / f"{identifier}.json"
        if not note.is_file():
            _write(note, json.dumps({"state_directory": str(state_directory)}))
        if not _INSTANCES_BEFORE.is_file():
            _write(_INSTANCES_BEFORE, INSTANCES.read_text(encoding="ascii"))
        if int(INSTANCES.read_text(encoding="ascii")) < INSTANCES_WANTED:
            INSTANCES.write_text(f"{INSTANCES_WANTED}\n", encoding="ascii")
        if not networks.NAMESPACES.exists():
            _write(_NAMESPACES_ARE_OURS, "made with the first lab\n")
        # Under the lock, because the first namespace of a machine also mounts their folder.
        networks.ensure_lab_namespace(identifier)


def unregister(identifier: str) -> None:
    """Forgets a lab; with the last one of this machine, gives the machine its settings back."""
    if not FOLDER.is_dir():
        return
    with _locked():
        (_LABS / f"{identifier}.json").unlink(missing_ok=True)
        if networks.namespaces() or (_LABS.is_dir() and any(_LABS.iterdir())):
            return
        if _INSTANCES_BEFORE.is_file():
            # Whoever changed it meanwhile had a reason: only our own value is taken back.
            if int(INSTANCES.read_text(encoding="ascii")) == INSTANCES_WANTED:
                INSTANCES.write_text(_INSTANCES_BEFORE.read_text("ascii"), encoding="ascii")
            _INSTANCES_BEFORE.unlink()
        if _NAMESPACES_ARE_OURS.is_file():
            networks.remove_namespace_folder()
            _NAMESPACES_ARE_OURS.unlink()
        if _LABS.is_dir():
            _LABS.rmdir()


def list_labs() -> tuple[LabEntry, ...]:
    """Answers every lab of this machine that is noted or of which the kernel still has something.

    After a reboot nothing of a lab is left but its files, which their own `Lab` still knows.
    """
    noted = _state_directories()
    spaces = [names.split_lab_name(name) for name in networks.namespaces()]
    groups = _lab_cgroups()
    found = {*noted, *groups, *(split[0] for split in spaces if split)}
    return tuple(
        LabEntry(
            identifier=identifier,
            state_directory=noted.get(identifier),
            hosts_running=_running_hosts(identifier),
            namespaces=sum(1 for split in spaces if split and split[0] == identifier),
        )
        for identifier in sorted(found)
    )


def _running_hosts(identifier: str) -> tuple[str, ...]:
    cgroup = cgroups.mounted_hierarchy() / names.lab_prefix(identifier)
    if not cgroup.is_dir():
        return ()
    hosts = sorted(folder for folder in cgroup.iterdir() if folder.is_dir())
    return tuple(folder.name for folder in hosts if processes.leader(folder) is not None)


def _lab_cgroups() -> set[str]:
    splits = (names.split_lab_name(path.name) for path in cgroups.mounted_hierarchy().glob("pv*"))
    return {split[0] for split in splits if split and not split[1]}


def _state_directories() -> dict[str, str]:
    if not _LABS.is_dir():
        return {}
    return {
        note.stem: json.loads(note.read_text(encoding="utf-8"))["state_directory"]
        for note in sorted(_LABS.glob("*.json"))
    }


def _write(path: Path, text: str) -> None:
    """Writes a note that is there completely or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


@contextmanager
def _locked() -> Iterator[None]:
    """Lets one process at a time change what the labs share; the last one removes the folder."""
    while True:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # Whoever held it before us may have removed the folder, and with it the meaning of this.
        if FOLDER.is_dir() and os.path.samestat(os.fstat(handle), FOLDER.stat()):
            break
        os.close(handle)
    try:
        yield
    finally:
        if not any(FOLDER.iterdir()):
            FOLDER.rmdir()
        os.close(handle)
