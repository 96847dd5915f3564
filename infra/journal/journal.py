"""The journal: one line per thing that a run did, with author and outcome; never rewritten."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from infra.errors import JournalError

FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What happened to one subject in one run."""

    at: str
    run: str
    author: str
    verb: str
    stage: str
    subject: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class Journal:
    """Appends to the environment's journal."""

    state: Path
    run: str
    verb: str
    clock: Callable[[], datetime]

    def note(self, stage: str, subject: str, outcome: str, detail: str = "") -> None:
        """Append one entry and have it on disk before going on."""
        entry = JournalEntry(
            at=self.clock().isoformat(timespec="seconds"),
            run=self.run,
            author=getpass.getuser(),
            verb=self.verb,
            stage=stage,
            subject=subject,
            outcome=outcome,
            detail=detail,
        )
        line = json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True) + "\n"
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / FILE).open("a+b") as stream:
            _drop_torn_line(stream)
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())

    def entries(self) -> tuple[JournalEntry, ...]:
        """Every entry of every run; a last line that a kill cut short is none yet.

        Raises:
            JournalError: a whole line is damaged.
        """
        path = self.state / FILE
        if not path.exists():
            return ()
        entries = []
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                entries.append(JournalEntry(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise JournalError(
                    f"{path}:{number}: is no journal entry; keep the damaged file aside and go on"
                ) from error
        return tuple(entries)


def _drop_torn_line(stream: BinaryIO) -> None:
    """Take away what follows the last line break: the entry that a killed run did not finish."""
    stream.seek(0)
    whole = stream.read().rfind(b"\n") + 1
    stream.truncate(whole)
