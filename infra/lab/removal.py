"""Finds and removes what belongs to a machine or to a whole lab, by name alone.

No record is asked: namespaces, cgroups, processes, mounts and files are looked at. So it works
after a reboot, after a kill at any point, and for a lab whose folder somebody has deleted.
"""

import fcntl
import os
import shutil
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from infra.lab import cgroups, names, networks, processes, registry
from infra.lab.commands import wait_until
from infra.lab.records import remove_tree

_DEATH_LIMIT = timedelta(seconds=20)
# Where systemd-nspawn keeps what it shares with a container; one that was killed does not tidy up.
_NSPAWN_PLACES = (Path("/run/systemd/nspawn/propagate"), Path("/run/systemd/nspawn/unix-export"))
_NSPAWN_LOCKS = Path("/run/systemd/nspawn/locks")


def remove_machine(identifier: str, machine: str) -> None:
    """Ends a machine at once and removes it from the kernel; its files stay."""
    cgroups.kill(_cgroup(identifier) / machine)
    namespace = names.machine_name(identifier, machine)
    _end_processes(namespace)
    # Deleting a namespace removes its cables some time later; here they are gone on return.
    networks.detach(identifier, machine)
    networks.delete_namespace(namespace)
    _remove_nspawn_leftovers(identifier, f"-{machine}")


def remove_lab(identifier: str, folder: Path) -> None:
    """Removes a lab from the kernel and from disk; accepts that nothing or only part is there."""
    # All containers in one moment: one after the other would be a second for each.
    cgroups.kill(_cgroup(identifier))
    parts = [names.split_lab_name(name) for name in networks.namespaces(identifier)]
    for machine in [part[1] for part in parts if part and part[1] != names.NETWORK_PART]:
        remove_machine(identifier, machine)
    _remove_namespace(names.network_namespace(identifier))
    _remove_nspawn_leftovers(identifier, "*")
    remove_tree(folder)
    registry.unregister(identifier)


def _cgroup(identifier: str) -> Path:
    return cgroups.mounted_hierarchy() / names.lab_prefix(identifier)


def _remove_namespace(name: str) -> None:
    _end_processes(name)
    networks.delete_namespace(name)


def _end_processes(namespace: str) -> None:
    place = networks.NAMESPACES / namespace
    if not networks.namespace_exists(namespace):
        return

    def is_empty() -> bool:
        found = processes.in_network_namespace(place)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    wait_until(f"{namespace}: no process stands in it", is_empty, _DEATH_LIMIT)


def _remove_nspawn_leftovers(identifier: str, rest: str) -> None:
    for place in _NSPAWN_PLACES:
        for leftover in place.glob(f"{names.lab_prefix(identifier)}{rest}"):
            shutil.rmtree(leftover)
    for lock in _NSPAWN_LOCKS.glob("inode-*"):
        _remove_unheld(lock)


def _remove_unheld(lock: Path) -> None:
    """Removes a lock file that nobody holds, the way its makers do: while holding it oneself."""
    with suppress(FileNotFoundError, BlockingIOError), lock.open("r+b") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink()
