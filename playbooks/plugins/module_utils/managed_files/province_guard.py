"""Puts files in place and takes an unconfirmed change back; installed on hosts as a program.

Rules of this file:

1. It stands alone: Python's own library only, nothing of ours, because it also runs early at boot.
2. A change is a list of steps (path, before, after). Taking it back is the same list turned round.
3. Contents are kept under their sha256, old and new alike, for root only.
4. What is in `pending` is not confirmed. Only `confirm` ends that well; everything else, a reboot
   included, brings the old files back.
5. Values are named tuples: importing `dataclasses` would cost every host 20 ms in every run.

As a program: `apply ID`, `restore ID REASON`, `boot`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GUARD = Path("/var/lib/province/guard")
COMMAND_SECONDS = 60  # a command that hangs must not keep the old rules away for ever
ANSWER_SECONDS = 5
APPLY_UNIT = "province_guard_apply"
RESTORE_UNIT = "province_guard_restore"


class Thing(NamedTuple):
    """What stands, or shall stand, at a path.

    `kind` is absent, file, link, directory or other; `mode` is permission bits.
    """

    kind: str
    sha256: str = ""
    target: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0

    def holds_the_same_as(self, other: Thing) -> bool:
        """Content alone: kind, digest and link target, without owner and mode."""
        mine = (self.kind, self.sha256, self.target)
        return mine == (other.kind, other.sha256, other.target)


ABSENT = Thing("absent")


class Step(NamedTuple):
    """One path of a change."""

    path: str
    before: Thing
    after: Thing


class Change(NamedTuple):
    """A guarded change that waits for its confirmation. Durations in seconds."""

    id: str
    role: str
    steps: tuple[Step, ...]
    apply: tuple[tuple[str, ...], ...]
    restore: tuple[tuple[str, ...], ...]
    seconds: int
    connection: str
    armed_by: int  # the process that armed it, over the connection from before
    state: str = "armed"  # then applied
    applied_at: float = 0.0  # on the monotonic clock, which no time daemon sets


class Outcome(NamedTuple):
    """What became of a guarded change: confirmed or reverted, and why."""

    id: str
    role: str
    outcome: str
    reason: str
    paths: tuple[str, ...]
    restore_failures: tuple[str, ...] = ()


# Files ---------------------------------------------------------------------------------------


def digest(content: bytes) -> str:
    """Sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def look(path: str) -> Thing:
    """What stands at a path now, without following a link there."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    bits, owner = stat.S_IMODE(status.st_mode), {"uid": status.st_uid, "gid": status.st_gid}
    if stat.S_ISREG(status.st_mode):
        return Thing("file", sha256=digest(Path(path).read_bytes()), mode=bits, **owner)
    if stat.S_ISLNK(status.st_mode):
        return Thing("link", target=os.readlink(path), **owner)  # noqa: PTH115 (a string, not a path)
    return Thing("directory" if stat.S_ISDIR(status.st_mode) else "other", mode=bits, **owner)


def keep(store: Path, content: bytes) -> str:
    """Put a content into a store under its digest, for root only, and return the digest."""
    name = digest(content)
    write_file(store / name, content, 0o600)
    return name


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file durably by rename."""
    aside = _aside(str(path))
    _write_aside(aside, content, mode, None)
    Path(aside).replace(path)
    sync_directory(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder of ours with all in it, if it is there."""
    # shutil is not part of the smallest Python that a bare host has.
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            Path(folder, name).unlink()
        for name in folders:
            inner = Path(folder, name)
            inner.unlink() if inner.is_symlink() else inner.rmdir()
    if path.is_dir():
        path.rmdir()


def sync_directory(path: Path) -> None:
    """Make renames in a directory outlive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def carry_out(steps: Sequence[Step], store: Path, *, owners: bool = True) -> None:
    """Make every path what its step wants; undo all of them when one cannot be done.

    New contents are first written beside their places, so that what follows is renames only.

    Raises:
        OSError: a path could not be changed; the paths are as they were before.
    """
    done: list[Step] = []
    asides: dict[str, str] = {}
    try:
        for step in _in_order(steps, "directory"):
            done.append(step)
            _put_directory(step, owners=owners)
        for step in _in_order(steps, "file", "link"):
            asides[step.path] = _prepare(step, store, owners=owners)
        for step in _in_order(steps, "file", "link"):
            Path(asides[step.path]).replace(step.path)
            del asides[step.path]
            done.append(step)
        for step in reversed(_in_order(steps, "absent")):
            _take_away(step.path)
            done.append(step)
        for folder in sorted({str(Path(step.path).parent) for step in steps}):
            if Path(folder).is_dir():
                sync_directory(Path(folder))
    except OSError:
        for aside in asides.values():
            Path(aside).unlink(missing_ok=True)
        undo = turned_round(step for step in done if look(step.path) != step.before)
        if undo:
            carry_out(undo, store, owners=owners)
        raise


def turned_round(steps: Iterable[Step]) -> list[Step]:
    """The change that takes a change back."""
    return [Step(step.path, before=step.after, after=step.before) for step in steps]


def _in_order(steps: Iterable[Step], *kinds: str) -> list[Step]:
    return sorted((s for s in steps if s.after.kind in kinds), key=lambda step: step.path)


def _aside(path: str) -> str:
    # Hidden and without the suffixes that *.d folders read, so no daemon takes it for its own.
    folder, name = os.path.split(path)
    return f"{folder}/.{name}.province-new"


def _put_directory(step: Step, *, owners: bool) -> None:
    Path(step.path).mkdir(mode=0o700, exist_ok=True)
    if owners:
        os.chown(step.path, step.after.uid, step.after.gid)
    Path(step.path).chmod(step.after.mode)


def _prepare(step: Step, store: Path, *, owners: bool) -> str:
    aside, after = _aside(step.path), step.after
    owner = (after.uid, after.gid) if owners else None
    if after.kind == "link":
        Path(aside).unlink(missing_ok=True)
        Path(aside).symlink_to(after.target)
        if owner:
            os.lchown(aside, *owner)
    else:
        _write_aside(aside, (store / after.sha256).read_bytes(), after.mode, owner)
    return aside


def _write_aside(aside: str, content: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    Path(aside).unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(aside, flags, 0o600), "wb") as handle:
        handle.write(content)
        if owner:
            os.fchown(handle.fileno(), *owner)
        os.fchmod(handle.fileno(), mode)  # after chown, which clears set-id bits
        handle.flush()
        os.fsync(handle.fileno())


def _take_away(path: str) -> None:
    kind = look(path).kind
    if kind == "directory":
        # Somebody else's file in a directory of ours is no failure: the directory stays.
        if not any(Path(path).iterdir()):
            Path(path).rmdir()
    elif kind != "absent":
        Path(path).unlink()


# Guard ---------------------------------------------------------------------------------------


def change_from(record: dict) -> Change:
    """Read a change as `json` gives it back."""
    steps = tuple(Step(path, Thing(*old), Thing(*new)) for path, old, new in record["steps"])
    commands = {key: tuple(map(tuple, record[key])) for key in ("apply", "restore")}
    return Change(**{**record, "steps": steps, **commands})


def pending(guard: Path = GUARD) -> Change | None:
    """The change that waits for its confirmation, if there is one."""
    try:
        return change_from(json.loads((guard / "pending/change.json").read_text()))
    except FileNotFoundError:
        return None


def outcome_of(identity: str, guard: Path = GUARD) -> Outcome | None:
    """What the host recorded about a change, if that was the last one."""
    try:
        record = json.loads((guard / "outcome.json").read_text())
    except FileNotFoundError:
        return None
    lists = {key: tuple(record[key]) for key in ("paths", "restore_failures")}
    return Outcome(**{**record, **lists}) if record["id"] == identity else None


@contextlib.contextmanager
def locked(guard: Path = GUARD) -> Iterator[None]:
    """One at a time: apply, restore and confirm."""
    with (guard / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_pending(change: Change, guard: Path = GUARD) -> None:
    """Record a pending change, or its progress, durably."""
    content = json.dumps(change._asdict(), sort_keys=True).encode()
    write_file(guard / "pending/change.json", content, 0o600)


def finish(change: Change, outcome: str, reason: str, failures: Sequence[str], guard: Path) -> None:
    """Record what became of a change, and only then forget that it was pending."""
    # Our own records go with the files and are not worth a person's attention.
    paths = tuple(s.path for s in change.steps if not s.path.startswith(str(guard.parent)))
    record = Outcome(change.id, change.role, outcome, reason, paths, tuple(failures))
    write_file(guard / "outcome.json", json.dumps(record._asdict()).encode(), 0o600)
    forget(guard)


def forget(guard: Path = GUARD) -> None:
    """Remove the pending change in one step, so that a cut leaves it whole or gone."""
    remove_tree(guard / "finished")
    (guard / "pending").rename(guard / "finished")
    sync_directory(guard)
    remove_tree(guard / "finished")


def run_command(
    command: Sequence[str], seconds: int = COMMAND_SECONDS, known_as: Sequence[str] = ()
) -> str:
    """Run a command; an empty answer is success, otherwise a sentence that names it."""
    import subprocess  # noqa: PLC0415 (its import costs 6 ms, and most runs start nothing)

    text = " ".join(known_as or command)
    try:
        result = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f'"{text}" could not be run to its end: {error}'
    if result.returncode == 0:
        return ""
    said = result.stdout.decode(errors="replace").strip()
    return f'"{text}" exited {result.returncode}: {said}'


def let_go(pid: int) -> None:
    """Wait until the session that armed the guard has its answer: the change may cut it off."""
    limit = time.monotonic() + ANSWER_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.5)  # sudo and sshd pass the answer on


def apply(identity: str, guard: Path = GUARD) -> None:
    """Put the new files in place and make them live; take all back when a step fails."""
    with locked(guard):
        change = pending(guard)
        if change is None or change.id != identity or change.state != "armed":
            return
        let_go(change.armed_by)
        try:
            carry_out(change.steps, guard / "pending/content")
        except OSError as error:
            finish(change, "reverted", f"the files could not be put in place: {error}", [], guard)
            return
    # Without the lock: a command that hangs must not keep the timer's restore waiting.
    failure = ""
    for command in change.apply:
        failure = run_command(command)
        if failure:
            break
    if failure:
        restore(identity, failure, guard)
        return
    with locked(guard):
        current = pending(guard)
        if current is not None and current.id == identity and current.state == "armed":
            write_pending(current._replace(state="applied", applied_at=time.monotonic()), guard)


def restore(identity: str, reason: str, guard: Path = GUARD, *, live: bool = True) -> None:
    """Bring the old files back and, on a running host, make them live again."""
    with locked(guard):
        change = pending(guard)
        if change is None or change.id != identity:
            return
        known = outcome_of(change.id, guard)
        if known is not None and known.outcome == "confirmed":
            forget(guard)  # the host went down between the record and the removal
            return
        undo = [step for step in turned_round(change.steps) if look(step.path) != step.after]
        carry_out(undo, guard / "pending/content")
        commands = list(change.restore) if live else []
        if not live and any("/systemd/" in step.path for step in change.steps):
            commands = [("systemctl", "daemon-reload")]  # units were read before this ran
        failures = [run_command(command) for command in commands]
        finish(change, "reverted", reason, [f for f in failures if f], guard)


def main(arguments: Sequence[str]) -> int:
    """Run as a program."""
    if not GUARD.is_dir():
        return 0
    match arguments:
        case ["apply", identity]:
            apply(identity)
            if pending() is None:  # taken back already
                run_command(["systemctl", "stop", f"{RESTORE_UNIT}.timer"])
        case ["restore", identity, reason]:
            # The change may hang: end it first, or it could go on after the restore.
            run_command(["systemctl", "stop", f"{APPLY_UNIT}.service"])
            restore(identity, reason)
        case ["boot"]:
            change = pending()
            if change is not None:
                reason = "the host was restarted before the change was confirmed"
                restore(change.id, reason, live=False)
        case _:
            sys.stderr.write("province_guard: say apply ID, restore ID REASON or boot\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
