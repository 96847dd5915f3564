"""Runs the distribution's tools as argument lists and turns their failures into sentences."""

import json
import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.errors import LabError

LOGGER = logging.getLogger("province.lab")

_TOOL_LIMIT = timedelta(seconds=60)
_PAUSE_SECONDS = 0.1
_LINES_SHOWN = 12


def run(argv: Sequence[str], *, stdin: str | None = None) -> str:
    """Runs a tool to its end and answers what it printed.

    Raises:
        LabError: it could not be started, failed, or took longer than a minute.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=_TOOL_LIMIT.total_seconds(),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{argv[0]}: is not installed on this machine; the lab needs it, install its package"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{shlex.join(argv)}: did not end within {_TOOL_LIMIT.total_seconds():.0f} s; look at "
            "what it waits for and run again"
        ) from error
    if done.returncode != 0:
        raise LabError(
            f"{shlex.join(argv)}: ended with {done.returncode} and said "
            f"{(done.stderr.strip() or done.stdout.strip() or 'nothing')!r}; it must succeed"
        )
    return done.stdout


def run_json(argv: Sequence[str]) -> list[dict[str, Any]]:
    """Runs a tool that prints a JSON list of objects, and answers that list."""
    printed = run(argv).strip()
    # iproute2 prints nothing at all, and for some verbs empty objects, where nothing matches.
    return [one for one in json.loads(printed or "[]") if one]


def run_limited(
    what: str, command: Sequence[str], limit: timedelta, stdin: str | None
) -> subprocess.CompletedProcess[str]:
    """Runs a command with everything that it starts, and ends all of it when the limit is over.

    Raises:
        LabError: the limit is over; the sentence starts with `what`.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        process_group=0,
    ) as process:
        try:
            output, errors = process.communicate(stdin, limit.total_seconds())
        except BaseException as error:
            # nsenter is not alone: what it runs inside must not outlive the one who asked.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise LabError(
                f"{what} did not end within {limit.total_seconds():.0f} s; it was killed: give it "
                "more time or see what it waits for"
            ) from error
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def wait_until(
    what: str,
    attempt: Callable[[], bool],
    limit: timedelta,
    explain: Callable[[], str] = str,
) -> None:
    """Asks `attempt` until it answers yes; warns when half of the limit is used.

    Raises:
        LabError: the limit is over; `explain` adds what was seen last.
    """
    began = time.monotonic()
    warned = False
    while not attempt():
        seconds = time.monotonic() - began
        if seconds > limit.total_seconds():
            raise LabError(
                f"{what}: not so after {seconds:.1f} s, the limit is "
                f"{limit.total_seconds():.0f} s; {explain() or 'nothing more is known'}"
            )
        if not warned and seconds > limit.total_seconds() / 2:
            warned = True
            LOGGER.warning(
                "%s: still waiting after %.1f s, half of the limit of %.0f s",
                what,
                seconds,
                limit.total_seconds(),
            )
        time.sleep(_PAUSE_SECONDS)


def last_lines(path: Path) -> str:
    """Answers the end of a log as one line, or that there is none."""
    if not path.is_file():
        return f"{path} does not exist"
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    shown = [line.strip() for line in lines if line.strip()][-_LINES_SHOWN:]
    return f"{path} ends with: {' / '.join(shown) or 'nothing'}"
