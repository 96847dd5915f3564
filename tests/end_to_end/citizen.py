"""A citizen who keeps asking: stores records through what is published, in both families.

Runs at the citizen's probe point and knows only a name, two addresses and the province's root.
Each record is asked for until it is acknowledged; so a pause is seen, and a loss.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path
from socket import create_connection
from threading import Event, Thread

EVERY_SECONDS = 0.4
ANSWER_SECONDS = 3
"""How long a citizen waits before he asks again, unless a test gives him more patience."""
WAIT_SECONDS = 90.0


class _Online(HTTPConnection):
    """A connection to an address that must show the certificate of a name."""

    def __init__(
        self, address: str, name: str, context: ssl.SSLContext, patience: float = ANSWER_SECONDS
    ) -> None:
        super().__init__(name, 443, timeout=patience)
        self._address, self._context, self._patience = address, context, patience

    def connect(self) -> None:
        plain = create_connection((self._address, self.port), self._patience)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def _ask(connection: _Online, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _keep_asking(family: str, settings: dict[str, str], stop: Event) -> None:
    context = ssl.create_default_context(cafile=settings["root"])
    number = 0
    while not stop.is_set():
        reference = f"{settings['run']}-{family}-{number}"
        record = {"reference": reference, "text": f"Hồ sơ số {number}"}
        try:
            patience = float(settings["patience"])
            connection = _Online(settings[family], settings["name"], context, patience)
            status, _ = _ask(connection, "POST", "/records", json.dumps(record))
        except (OSError, HTTPException) as error:
            status = 0
            said = type(error).__name__
        else:
            said = str(status)
        acknowledged = status in {200, 201}
        line = {"family": family, "number": number, "at": time.monotonic(), "said": said}
        # In one call, for both families write here: print() sends the end of a line by itself.
        os.write(1, f"{json.dumps(line | {'acknowledged': acknowledged})}\n".encode())
        number += acknowledged
        stop.wait(EVERY_SECONDS)


def _read_back(address: str, name: str, root: str, references: list[str]) -> list[str]:
    """Name the records that are not what was stored."""
    context = ssl.create_default_context(cafile=root)
    lost = []
    for reference in references:
        wanted = f"Hồ sơ số {reference.rsplit('-', 1)[1]}"
        status, text = _ask(_Online(address, name, context), "GET", f"/records/{reference}")
        if status != 200 or json.loads(text)["text"] != wanted:
            lost.append(f"{reference}: {status} {text}")
        time.sleep(0.06)  # below what one source may ask
    return lost


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of the citizen's and what came back."""

    family: str
    number: int
    at: float
    acknowledged: bool
    said: str


class Citizen:
    """The program as a test sees it: what it was told so far, and whether it still is."""

    def __init__(self, log: Path, command: list[str]) -> None:
        self._log, self._command = log, command

    def answers(self) -> list[Answered]:
        whole = self._log.read_text(encoding="utf-8").rsplit("\n", 1)[0]
        return [Answered(**json.loads(line)) for line in whole.splitlines() if line]

    def acknowledged(self, family: str) -> list[Answered]:
        return [one for one in self.answers() if one.family == family and one.acknowledged]

    def wait_for_more(self, count: int) -> None:
        """Wait until each family was acknowledged `count` more records.

        Raises:
            AssertionError: one of them was not within 90 s.
        """
        wanted = {one: len(self.acknowledged(one)) + count for one in ("ipv4", "ipv6")}
        deadline = time.monotonic() + WAIT_SECONDS
        while any(len(self.acknowledged(one)) < number for one, number in wanted.items()):
            last = [f"{one.family} {one.said}" for one in self.answers()[-6:]]
            assert time.monotonic() < deadline, f"the citizen waits; the last answers: {last}"
            time.sleep(1)

    def longest_pause(self, family: str) -> float:
        """The longest time between two acknowledgements, in seconds."""
        moments = [one.at for one in self.acknowledged(family)]
        return max(later - sooner for sooner, later in pairwise(moments))

    def lost(self, run: str) -> list[str]:
        """Name what was acknowledged and is not there."""
        known = [
            f"{run}-{family}-{one.number}"
            for family in ("ipv4", "ipv6")
            for one in self.acknowledged(family)
        ]
        done = subprocess.run(
            [*self._command, "read"],
            input=json.dumps(known),
            capture_output=True,
            text=True,
            check=True,
        )
        return list(json.loads(done.stdout))


@contextmanager
def asking(enter: list[str], settings: dict[str, str], folder: Path) -> Iterator[Citizen]:
    """Have a citizen ask as long as the block lasts.

    Args:
        enter: the words that run a program at the probe point.
        settings: `name`, `root`, `run`, `patience` in seconds, and an address for each family.
        folder: where the log goes.
    """
    log = folder / f"{settings['run']}.jsonl"
    command = [*enter, sys.executable, __file__, json.dumps(settings)]
    with log.open("w", encoding="utf-8") as stream:
        program = subprocess.Popen([*command, "ask"], stdout=stream, stdin=subprocess.PIPE)
        try:
            yield Citizen(log, command)
        finally:
            program.communicate()  # the end of its input ends it


def _main(settings: dict[str, str], verb: str) -> None:
    if verb == "read":
        where = (settings["ipv4"], settings["name"], settings["root"])
        print(json.dumps(_read_back(*where, json.load(sys.stdin))))  # noqa: T201 - its answer
        return
    stop = Event()
    threads = [
        Thread(target=_keep_asking, args=(family, settings, stop)) for family in ("ipv4", "ipv6")
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]), sys.argv[2])
