"""Lets a daemon's own checker look at the new files before they go live."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .province_guard import ABSENT, Thing, look, run_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHECK_SECONDS = 120
SHORTEST_SECRET = 6

# The new tree is laid over the live one in a mount namespace of the checker's own: it sees its
# usual paths and all it includes, and nobody else sees anything. $1 is the number of folders.
_VIEW = """
set -e
count=$1; shift
while [ "$count" -gt 0 ]; do
    mount -t overlay -o "lowerdir=$1:$2" overlay "$2"
    shift 2; count=$((count - 1))
done
exec "$@"
"""


class Check(NamedTuple):
    """A checker: its command, and whether it can only look after the swap."""

    command: tuple[str, ...]
    after_swap: bool = False

    @property
    def text(self) -> str:
        """As a person would type it."""
        return " ".join(self.command)


def is_installed(check: Check) -> bool:
    """Whether the checker's program is there."""
    program = check.command[0]
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = [program] if "/" in program else [f"{folder}/{program}" for folder in folders]
    return any(os.access(place, os.X_OK) for place in places)


def stage(folder: Path, new: Mapping[str, tuple[Thing, bytes]]) -> None:
    """Lay the new tree below a folder; an absent path hides the live one in the checker's view."""
    for path in sorted(new):
        thing, content = new[path]
        place = folder / path.lstrip("/")
        _stage_parents(folder, path)
        if thing == ABSENT:
            os.mknod(place, mode=0o020000, device=0)  # how an overlay says "not here"
        elif thing.kind == "link":
            place.symlink_to(thing.target)
        elif thing.kind == "directory":
            place.mkdir(exist_ok=True)
            _like(place, thing)
        else:
            place.write_bytes(content)
            _like(place, thing)


def _stage_parents(folder: Path, path: str) -> None:
    for parent in reversed(Path(path).parents):
        place = folder / str(parent).lstrip("/")
        if not place.is_dir():
            place.mkdir()
            # The merged folder shows the upper one's mode: a checker that drops its rights must
            # be able to enter what it can enter live.
            live = look(str(parent))
            _like(place, live if live.kind == "directory" else Thing("directory", mode=0o755))


def _like(place: Path, thing: Thing) -> None:
    os.chown(place, thing.uid, thing.gid)
    place.chmod(thing.mode)


def folders_to_cover(paths: Iterable[str]) -> list[str]:
    """The live folders over which the new tree must be laid so that all of it is seen."""
    nearest = {next(str(p) for p in Path(path).parents if p.is_dir()) for path in paths}
    return sorted(
        folder for folder in nearest if not any(str(p) in nearest for p in Path(folder).parents)
    )


def run_before_swap(check: Check, staged: Path, changed: Iterable[str]) -> str:
    """Run a checker on the new tree; an empty answer is agreement."""
    command = [word.replace("{root}", str(staged)) for word in check.command]
    folders = folders_to_cover(changed)
    pairs = [word for folder in folders for word in (f"{staged}{folder}", folder)]
    view = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _VIEW, "sh"]
    whole = [*view, str(len(folders)), *pairs, *command]
    return run_command(whole, CHECK_SECONDS, known_as=check.command)


def run_after_swap(check: Check) -> str:
    """Run a checker on the live files; an empty answer is agreement."""
    return run_command(check.command, CHECK_SECONDS)


def redact(said: str, secrets: Iterable[bytes]) -> str:
    """What a checker said, without any line of a secret file."""
    for content in secrets:
        for line in content.decode(errors="replace").splitlines():
            if len(line.strip()) >= SHORTEST_SECRET:
                said = said.replace(line.strip(), "(secret)")
    return said
