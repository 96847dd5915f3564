"""The lock of an environment: the kernel holds it, so a killed run leaves none behind."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from infra.errors import LockHeldError

FILE = "lock"
ATTEMPTS = 4
PAUSE_SECONDS = 0.05
"""Who only looks (`province status`) holds the lock for a moment; a run outlasts all attempts."""


def held_by(state: Path) -> str:
    """Who said last that they hold the lock of this environment."""
    try:
        holder = json.loads((state / FILE).read_text(encoding="utf-8"))
        return (
            f"{holder['verb']!r} of {holder['user']}@{holder['machine']} "
            f"(process {holder['process']}) since {holder['since']}"
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "a run that has not said yet who it is"


def lock_holder(state: Path) -> str:
    """Who holds the lock now; empty when nobody does."""
    path = state / FILE
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return held_by(state)
    return ""


def _lock(descriptor: int, state: Path) -> None:
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if attempt + 1 == ATTEMPTS:
                raise LockHeldError(
                    f"environment {state.name!r}: {held_by(state)} holds the lock; "
                    "wait for it to end, then run again"
                ) from error
            time.sleep(PAUSE_SECONDS)
        else:
            return


@contextmanager
def hold_lock(state: Path, verb: str, now: datetime) -> Iterator[None]:
    """Hold the environment's lock for one run.

    Args:
        state: `.province/<env>`.
        verb: what runs, for the one who is told to wait.
        now: the time, for the same.

    Raises:
        LockHeldError: another run holds it; the sentence says who and since when.
    """
    state.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state / FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor, state)
        holder = {
            "verb": verb,
            "user": getpass.getuser(),
            "machine": socket.gethostname(),
            "process": os.getpid(),
            "since": now.isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())
        yield
    finally:
        os.close(descriptor)
