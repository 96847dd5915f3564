"""How tests and scenarios speak to a machine of the lab: a testinfra host that can also be broken.

A `Machine` enters its container directly, so it needs no network, no SSH and no Python there, and
it still answers when a test has cut every link.

Example:
    >>> edge = Machine(lab, "edge1-692")
    >>> edge.cut("dedicated")
    >>> edge.wait_until_fails("getent hosts time.binhphuoc.internal")
    >>> edge.heal("dedicated")
    >>> edge.wait_for_unit("unbound.service", timedelta(seconds=20))
    >>> assert edge.service("unbound").is_running
"""

from datetime import timedelta
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from infra.errors import LabError
from infra.lab import links
from infra.lab.commands import wait_until
from infra.lab.lab import COMMAND_LIMIT, START_LIMIT, STOP_LIMIT, Lab
from infra.lab.restarts import restart

WAIT_LIMIT = timedelta(seconds=30)
_JOURNAL_LINES = 20


class LabBackend(BaseBackend):
    """Carries testinfra's commands into a host, or runs them from a probe point."""

    NAME = "lab"

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(name)
        self._lab = lab

    @property
    def encoding(self) -> str:
        """Answers the encoding of every machine of the lab, which testinfra would ask Python."""
        return "utf-8"

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:  # noqa: ANN401
        """Runs a shell command and answers its result, whatever it is.

        Raises:
            LabError: the machine is not running, or the command did not end in time.
        """
        line = self.get_command(command, *args)
        done = self._lab.execute(self.hostname, ["/bin/sh", "-c", line], COMMAND_LIMIT)
        return self.result(
            done.returncode, line.encode(), _raw_bytes(done.stdout), _raw_bytes(done.stderr)
        )


class Machine(Host):
    """A testinfra host of the lab, with the verbs that a scenario needs.

    Limits are durations; half of one used up gives a warning, all of it a `LabError`.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        backend = LabBackend(lab, name)
        super().__init__(backend)
        backend.set_host(self)
        self.name = name
        self._lab = lab

    def wait_for_unit(self, unit: str, limit: timedelta = WAIT_LIMIT) -> None:
        """Waits until a unit is active.

        Raises:
            LabError: it has failed, or is inactive and nothing is about to start it: then waiting
                is in vain, and the sentence ends with its journal. Or the limit is over.
        """
        wait_until(
            f"{self.name}: {unit} is active",
            lambda: self._is_active(unit),
            limit,
            lambda: self._journal(unit),
        )

    def wait_until_succeeds(self, command: str, *args: str, limit: timedelta = WAIT_LIMIT) -> str:
        """Repeats a shell command until it ends with 0, and answers what it printed then."""
        return self._wait_for_result(command, args, limit, succeeded=True)

    def wait_until_fails(self, command: str, *args: str, limit: timedelta = WAIT_LIMIT) -> str:
        """Repeats a shell command until it ends with another status than 0."""
        return self._wait_for_result(command, args, limit, succeeded=False)

    def crash(self) -> None:
        """Cuts the power: links down and every process dead in one moment."""
        self._lab.crash_host(self.name)

    def stop(self, limit: timedelta = STOP_LIMIT) -> None:
        """Shuts the machine down in order."""
        self._lab.stop_host(self.name, limit)

    def start(self, limit: timedelta = START_LIMIT) -> None:
        """Switches the machine on and waits until it runs."""
        self._lab.start_host(self.name, limit)

    def restart(self, *, hard: bool = False) -> None:
        """Restarts the machine and waits until it runs; hard is a power cut.

        Raises:
            LabError: it did not go down, or did not come up again.
        """
        error = restart(self._lab, [self.name], hard=hard)[self.name]
        if error is not None:
            raise error

    def cut(self, *interfaces: str) -> None:
        """Pulls the cables of these interfaces, of all when none is named."""
        for interface in interfaces or self._cables():
            self._lab.cut_link(self.name, interface)

    def heal(self, *interfaces: str) -> None:
        """Puts the cables of these interfaces back, of all when none is named."""
        for interface in interfaces or self._cables():
            self._lab.heal_link(self.name, interface)

    def _cables(self) -> tuple[str, ...]:
        return links.cables(self._lab, self.name)

    def _is_active(self, unit: str) -> bool:
        seen = dict(
            line.partition("=")[::2]
            for line in self.check_output(
                "systemctl show --property=LoadState,ActiveState,Job -- %s", unit
            ).splitlines()
        )
        state, load = seen.get("ActiveState", ""), seen.get("LoadState", "")
        lost = state == "inactive" and not seen.get("Job", "")
        if state == "failed" or load in {"not-found", "masked"} or lost:
            raise LabError(
                f"{self.name}: {unit} is {state} ({load}) and nothing is going to start it; it "
                f"must become active; {self._journal(unit)}"
            )
        return state == "active"

    def _journal(self, unit: str) -> str:
        said = self.run(
            "journalctl --no-pager --output=cat --lines=%s --unit=%s", str(_JOURNAL_LINES), unit
        )
        lines = " / ".join(line.strip() for line in said.stdout.splitlines() if line.strip())
        return f"its journal ends with: {lines or said.stderr.strip() or 'nothing'}"

    def _wait_for_result(
        self, command: str, args: tuple[str, ...], limit: timedelta, *, succeeded: bool
    ) -> str:
        line = self.backend.get_command(command, *args)
        last: CommandResult | None = None

        def is_so() -> bool:
            nonlocal last
            last = self.run(command, *args)
            return last.succeeded is succeeded

        def explain() -> str:
            if last is None:
                return ""
            said = last.stderr.strip() or last.stdout.strip() or "nothing"
            return f"it ended with {last.rc} and said {said!r}"

        verb = "succeeds" if succeeded else "fails"
        wait_until(f"{self.name}: {line!r} {verb}", is_so, limit, explain)
        return last.stdout if last else ""


def _raw_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
