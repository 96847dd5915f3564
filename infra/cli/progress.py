"""Progress that people see and a log that stays: stage n of m, what runs now, on what."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from rich.console import Console
from rich.status import Status
from rich.text import Text


def now() -> datetime:
    """The clock of the command; everything below receives the time."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Progress:
    """Tells what runs now; keeps every line in the log.

    On a terminal the current line moves and finished stages stay; elsewhere each line is printed.
    """

    log: Path
    stages: int
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    _stage: int = 0
    _title: str = ""
    _status: Status | None = None
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Have the log ready before the first stage."""
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def say(self, line: str) -> None:
        """One line about the current stage."""
        with self._lock:
            self._keep(line)
            head = f"[{self._stage}/{self.stages}] {self._title}"
            if self._status is not None:
                shown = line[: max(20, self.console.width - len(head) - 8)]
                self._status.update(Text(f"{head}: {shown}"))
            else:
                self.console.print(f"{head}: {line}", markup=False, soft_wrap=True)

    def _keep(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as stream:
            moment = now().isoformat(timespec="seconds")
            stream.write(f"{moment} [{self._stage}/{self.stages}] {self._title}: {line}\n")

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Run one stage: announced, timed, and marked as ended or as stopped."""
        self._stage += 1
        self._title = title
        begin = now()
        if self.console.is_terminal:
            self._status = self.console.status(Text(f"[{self._stage}/{self.stages}] {title}"))
            self._status.start()
        self._keep("begins")
        word = "stopped"
        try:
            yield
            word = "done"
        finally:
            seconds = (now() - begin).total_seconds()
            if self._status is not None:
                self._status.stop()
                self._status = None
            self._keep(f"{word} after {seconds:.0f} s")
            self.console.print(
                f"[{self._stage}/{self.stages}] {title}: {word} ({seconds:.0f} s)", markup=False
            )


def make_progress(logs: Path, verb: str, stages: int) -> Progress:
    """Progress with a log named after the verb and the time."""
    name = f"{now():%Y%m%dT%H%M%SZ}_{verb}.log"
    return Progress(logs / name, stages)


def print_plain(text: str) -> None:
    """Data goes to standard output, without decoration, for pipes."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
