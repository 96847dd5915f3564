"""Starts the engine: one process per operation, each in a session of its own.

The Automation API's own command and stack ask the program three times more than is needed; 124
stacks pay that 124 times. So the version is known from the lock file, no stack is selected, and
what `up` would ask afterwards is told by events.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import create_command_error
from semver import VersionInfo


class EngineCommand(automation.PulumiCommand):
    """The engine's program, whose running processes are known and can be interrupted.

    Args:
        folder: the folder that holds ``pulumi``.
    """

    def __init__(self, folder: Path) -> None:
        # The base class would start the program to ask its version: it is the SDK's.
        self.command = str(folder / "pulumi")
        self.version = VersionInfo.parse(metadata.version("pulumi"))
        self._path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._interrupted = False

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """Runs one operation to its end; a failed one raises what the Automation API names it."""
        if on_output or on_error:
            raise NotImplementedError("progress comes as events, not as lines")
        process = self._start(args, cwd, additional_env)
        try:
            output, errors = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        result = automation.CommandResult(output, errors, process.returncode)
        if process.returncode:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Asks every running engine to end its current step and stop; none starts afterwards."""
        with self._lock:
            self._interrupted = True
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def _start(
        self, args: list[str], cwd: str, additional_env: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self._interrupted:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**os.environ, "PATH": self._path, **additional_env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C reaches us alone and is passed on once: a second one would make the
                # engine drop what it is doing.
                start_new_session=True,
            )
            self._running.add(process)
        return process


class EngineStack(automation.Stack):
    """A stack that exists, without the questions that the base class asks before and after."""

    def __init__(self, name: str, workspace: automation.LocalWorkspace) -> None:
        self.name = name
        self.workspace = workspace
        self._mode = StackInitMode.SELECT

    def outputs(self) -> automation.OutputMap:
        """Answers nothing: `up` asks it after every update, and events have told it."""
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary | None:  # noqa: ARG002
        """Answers an empty summary, for the same reason."""
        return _NO_SUMMARY


_NO_SUMMARY = object.__new__(automation.UpdateSummary)
