"""A cgroup of its own for every container, on the version 2 hierarchy.

Containers started from one cgroup share one tree, and each systemd then waits for the processes of
the other. A cgroup that was once killed kills whatever is born into it later, so its name is used
again only after it has been removed.
"""

import errno
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from infra.errors import PreflightError
from infra.lab.commands import wait_until

_KILL_LIMIT = timedelta(seconds=20)


def hierarchy(mounts: str) -> Path | None:
    """Finds the version 2 hierarchy in the text of /proc/mounts; hybrid machines have it below."""
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def mounted_hierarchy() -> Path:
    """Answers where the version 2 hierarchy is mounted on this machine."""
    found = hierarchy(Path("/proc/mounts").read_text(encoding="utf-8"))
    if found is None:
        raise PreflightError(
            "this machine: has no cgroup version 2 mounted; the lab needs one for its containers: "
            "mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    return found


def make(cgroup: Path) -> None:
    """Makes a fresh cgroup, removing what an earlier container of that name left."""
    kill(cgroup)
    cgroup.mkdir(parents=True)


def processes(cgroup: Path) -> tuple[int, ...]:
    """Answers the process ids in a cgroup and everything below it; none where it does not exist.

    From the top down, each folder before the ones in it are listed: a container that starts moves
    its processes down, and one that moves meanwhile is met twice and not missed.
    """
    return tuple(dict.fromkeys(_from_the_top(cgroup)))


def _from_the_top(cgroup: Path) -> Iterator[int]:
    yield from _members(cgroup)
    for folder in _folders(cgroup):
        yield from _from_the_top(folder)


def is_populated(cgroup: Path) -> bool:
    """Answers whether anything lives in a cgroup or below it, as the kernel itself counts."""
    try:
        return "populated 1" in (cgroup / "cgroup.events").read_text(encoding="ascii")
    except FileNotFoundError:
        return False


def kill(cgroup: Path) -> None:
    """Ends every process in a cgroup at once and removes it; accepts that it does not exist."""
    if cgroup.is_dir():
        (cgroup / "cgroup.kill").write_text("1", encoding="ascii")
        wait_until(f"{cgroup}: is empty", lambda: not is_populated(cgroup), _KILL_LIMIT)
    for twin in (cgroup, *_mirrors(cgroup)):
        wait_until(f"{twin}: is removed", partial(_remove, twin), _KILL_LIMIT)


def mirrors(cgroup: Path, mounts: str) -> tuple[Path, ...]:
    """Answers the same place in every version 1 hierarchy, as the text of /proc/mounts has them.

    systemd-nspawn repeats a container's tree in one of them and leaves it there.
    """
    base = hierarchy(mounts)
    if base is None:
        return ()
    places = (line.split()[1:3] for line in mounts.splitlines())
    return tuple(
        Path(place) / cgroup.relative_to(base) for place, kind in places if kind == "cgroup"
    )


def _mirrors(cgroup: Path) -> tuple[Path, ...]:
    return mirrors(cgroup, Path("/proc/mounts").read_text(encoding="utf-8"))


def _members(folder: Path) -> Iterator[int]:
    try:
        yield from map(int, (folder / "cgroup.procs").read_text(encoding="ascii").split())
    except OSError as error:
        # A folder vanishes while we look, or holds threads only: it has no process to tell.
        if error.errno not in {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP}:
            raise


def _tree(cgroup: Path) -> Iterator[Path]:
    """Answers a cgroup and all below it, deepest first."""
    if cgroup.is_dir():
        for folder in _folders(cgroup):
            yield from _tree(folder)
        yield cgroup


def _folders(cgroup: Path) -> list[Path]:
    try:
        return [one for one in cgroup.iterdir() if one.is_dir()]
    except FileNotFoundError:
        return []


def _remove(cgroup: Path) -> bool:
    """Removes a cgroup from below; answers no while the kernel still counts a dying process."""
    for folder in _tree(cgroup):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
    return True
