"""A cache outside the checkout: what was built once is found again by what it was made from.

1. An entry's name is the digest of its kind and of every input. Whoever changes an input gets
   another entry; nothing is ever updated in place.
2. An entry is built in a folder of its own and renamed when it is complete. A killed build leaves a
   folder under another name, which the next builder of that entry removes.
3. Builders of one entry take turns; the second finds what the first has made. The kernel drops the
   lock of a killed builder.

Layout: ``ROOT/<kind>/<digest>`` is complete, ``ROOT/<kind>/<digest>.building-*`` is not, and
``ROOT/<kind>/<digest>.lock`` orders the builders. A lock file stays: removing it would let two
builders hold locks on two files of one name.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import ToolError

Report = Callable[[str], None]
"""Takes one line of progress for a person."""


def silent(_line: str) -> None:
    """Takes progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the cache, whether or not it is filled yet."""

    kind: str
    digest: str
    path: Path

    @property
    def is_complete(self) -> bool:
        """Says whether the entry can be used: it only ever appears by being renamed."""
        return self.path.is_dir()


def cache_root(environment: Mapping[str, str] | None = None) -> Path:
    """Answers where the cache is: PROVINCE_CACHE, else the user's cache folder.

    Raises:
        ToolError: a variable names a relative folder, which would depend on where one stands.
    """
    variables = os.environ if environment is None else environment
    for name, below in (("PROVINCE_CACHE", ""), ("XDG_CACHE_HOME", "province")):
        value = variables.get(name, "")
        if value and not Path(value).is_absolute():
            raise ToolError(
                f"{name}: is the relative path {value!r}; the cache needs one place for all "
                f"folders: set an absolute path or unset {name}"
            )
        if value:
            return Path(value) / below
    return Path(variables.get("HOME") or Path.home()) / ".cache" / "province"


def entry(kind: str, inputs: Mapping[str, str | bytes], root: Path | None = None) -> Entry:
    """Answers the place of what is made from exactly these inputs; the order does not matter."""
    digest = hashlib.sha256()
    named = [("kind", kind), *sorted(inputs.items(), key=lambda item: item[0])]
    for name, value in named:
        content = value.encode() if isinstance(value, str) else value
        # Lengths first, so that no two different lists of inputs read as the same bytes.
        digest.update(f"{len(name.encode())}:{name}={len(content)}:".encode())
        digest.update(content)
    short = digest.hexdigest()[:32]
    return Entry(kind, short, (root or cache_root()) / kind / short)


def build_once(
    kind: str,
    inputs: Mapping[str, str | bytes],
    build: Callable[[Path], None],
    *,
    report: Report = silent,
    root: Path | None = None,
) -> Path:
    """Answers the folder that ``build`` makes from the inputs, building it only when it is missing.

    ``build`` fills the empty folder that it is given; that folder is renamed afterwards, so nothing
    inside may name it. Whatever ``build`` raises is passed on, and leaves nothing behind.

    Example:
        >>> build_once("greeting", {"text": "xin chào"}, lambda folder: greet(folder))
        PosixPath('/root/.cache/province/greeting/1f0c...')
    """
    wanted = entry(kind, inputs, root)
    if wanted.is_complete:
        return wanted.path
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    with _turn(wanted, report):
        if not wanted.is_complete:
            _fill(wanted, build)
    return wanted.path


def _fill(wanted: Entry, build: Callable[[Path], None]) -> None:
    prefix = f"{wanted.digest}.building-"
    for left_over in wanted.path.parent.glob(f"{prefix}*"):
        _remove(left_over)
    # A name of its own each time: a child of a killed build may live on and still write in its own.
    unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=wanted.path.parent))
    unfinished.chmod(0o755)
    try:
        build(unfinished)
        # The rename must not reach the disk before the content: after a power cut a hollow entry
        # would count as complete for ever. One sync is cheaper than one per file.
        os.sync()
        unfinished.rename(wanted.path)
    finally:
        _remove(unfinished)


@contextmanager
def _turn(wanted: Entry, report: Report) -> Iterator[None]:
    lock = wanted.path.with_name(f"{wanted.digest}.lock")
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{wanted.kind}: another run is building it; waiting")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    """Removes an unfinished folder, but never reaches through a mount that a build left in it."""
    if not folder.exists():
        return
    below = f"{folder.resolve()}/"
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = (line.split()[1].replace("\\040", " ") for line in lines)
    mounted = [point for point in points if point.startswith(below)]
    if mounted:
        raise ToolError(
            f"{folder}: an unfinished build still has {mounted[0]} mounted; it can only be removed "
            f"without: umount {mounted[0]} and run again"
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ToolError(
            f"{folder}: an unfinished build cannot be removed ({error}); the place must be free: "
            f"end what still writes there (fuser -v {folder}) and run again"
        ) from error
