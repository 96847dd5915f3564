"""One call's work with the engine: its servers, and how one operation on one stack runs."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pulumi
from pulumi import automation
from pulumi.automation.errors import CommandError

from infra.errors import LockHeldError
from infra.providers.resource_type import ResourceType
from infra.providers.server import serving
from infra.providers.tokens import PACKAGE
from infra.stacks.backend import Backend
from infra.stacks.engine import EngineCommand, EngineStack
from infra.stacks.events import Collector, Phase, Progress, plain
from infra.stacks.names import stack_name
from infra.stacks.policy_server import shared_policy_server

DYING_LIMIT = timedelta(seconds=20)
"""How long an engine may take to notice that whoever started it was killed."""

Report = Callable[[Progress], None]
Operation = Callable[[EngineStack, Collector], object]

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Session:
    """The engine with everything that it talks to.

    Attributes:
        environment: the variables that lead it to our files and servers.
        policy_pack: the shared policy server's stand-in.
        making: held while a stack is made: the first one is an example for the others.
    """

    backend: Backend
    command: EngineCommand
    environment: dict[str, str]
    policy_pack: Path | None
    report: Report
    workers: int
    making: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        site: str,
        verb: str,
        operation: Operation,
        program: Callable[[], None] | None = None,
        **variables: str,
    ) -> tuple[Collector, str | None]:
        """Runs one operation on one stack; answers what was told, and why it failed if it did."""
        name = stack_name(site)
        workspace = automation.LocalWorkspace(
            work_dir=str(self.backend.work),
            program=program,
            env_vars=self.environment | variables,
            pulumi_command=self.command,
        )
        collector = Collector(name, self.report)
        failure = None
        self.report(Progress(site, "", "", verb, "started"))
        try:
            operation(EngineStack(name, workspace), collector)
        except CommandError as error:
            if not any(one.level == "mandatory" for one in collector.violations):
                failure = self._failure(name, verb, collector, error)
        phase: Phase = "failed" if failure or collector.violations else "done"
        self.report(Progress(site, "", "", verb, phase))
        return collector, failure

    def side_by_side(
        self, items: Sequence[_Item], work: Callable[[_Item], _Answer]
    ) -> list[_Answer]:
        """Works on several stacks at once; on Ctrl-C lets every running step end, then stops."""
        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                return [future.result() for future in futures]
            except KeyboardInterrupt:
                for future in futures:
                    future.cancel()
                self.command.interrupt()
                raise

    def ensure(self, site: str) -> None:
        """Makes a stack that does not exist yet."""
        name = stack_name(site)
        with self.making:
            existing = self.backend.stacks()
            if not existing:
                self._command("stack", "init", name)
            elif name not in existing:
                self.backend.add_like(existing[0], name)
            self.backend.ensure_settings(name)

    def recover(self, site: str) -> None:
        """Clears what a killed run left: its lock, and steps of which nobody learned the end.

        Such a step is not lost: creating adopts what is there, and removing accepts absence.

        Raises:
            LockHeldError: a living engine works on the stack.
        """
        name = stack_name(site)
        limit = time.monotonic() + DYING_LIMIT.total_seconds()
        while held := [lock for lock in self.backend.locks(name) if lock.is_held]:
            if time.monotonic() > limit:
                raise LockHeldError(
                    f"stack {name!r}: process {held[0].process} of {held[0].user} on "
                    f"{held[0].host} works on it since {held[0].since}; one writer at a time: "
                    "wait for it, or end that process"
                )
            time.sleep(0.2)
        if self.backend.locks(name):
            self._command("cancel", "--yes", "--stack", name)
        if self.backend.has_pending_operations(name):
            state = json.loads(self._command("stack", "export", "--stack", name))
            state["deployment"].pop("pending_operations", None)
            cleared = self.backend.work / f"{name}.recovered.json"
            cleared.write_text(json.dumps(state), encoding="utf-8")
            self._command("stack", "import", "--stack", name, "--file", str(cleared))
            cleared.unlink()

    def exports(self, site: str) -> dict[str, Any]:
        """Answers what a stack exported when it was last updated."""
        name = stack_name(site)
        found: dict[str, Any] = json.loads(
            self._command("stack", "output", "--json", "--stack", name)
        )
        return found

    def _command(self, *arguments: str) -> str:
        work = str(self.backend.work)
        return self.command.run(list(arguments), work, self.environment).stdout

    def _failure(self, stack: str, verb: str, collector: Collector, error: CommandError) -> str:
        log = self.backend.keep_log(stack, verb, str(error))
        said = "; ".join(dict.fromkeys(collector.errors)) or _last_line(str(error))
        return f"stack {stack!r}: {verb} stopped: {said}; everything that was said is in {log}"


@contextmanager
def session(
    backend: Backend,
    engine: Path,
    types: tuple[ResourceType, ...],
    *,
    policy_pack: Path | None,
    report: Report,
    workers: int,
) -> Iterator[Session]:
    """Starts what the engine talks to, and ends it.

    Without a policy pack no policy is asked: where nothing is made, nothing can break one.
    """
    backend.prepare()
    with _quiet_sdk(), serving(types) as port:
        environment = dict(backend.environment())
        environment["PULUMI_DEBUG_PROVIDERS"] = f"{PACKAGE}:{port}"
        command = EngineCommand(engine)
        if policy_pack is None:
            yield Session(backend, command, environment, None, report, workers)
            return
        with shared_policy_server(policy_pack, backend.folder) as stand_in:
            yield Session(backend, command, environment, stand_in, report, workers)


@contextmanager
def _quiet_sdk() -> Iterator[None]:
    """Keeps the SDK from sending its debug lines.

    Each is a call to the engine, an event and a call back: a quarter of what a program costs here.
    """
    said = pulumi.log.debug
    pulumi.log.debug = _say_nothing
    try:
        yield
    finally:
        pulumi.log.debug = said


def _say_nothing(
    msg: str,
    resource: pulumi.Resource | None = None,
    stream_id: int | None = None,
    ephemeral: bool | None = None,
) -> None:
    """Takes a debug line of the SDK."""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in plain(text).splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
