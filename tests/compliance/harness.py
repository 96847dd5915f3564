"""What compliance tests stand on: the plan that was applied, who is asked, and three answers.

A test asks the running system and says what it saw through the `seen` fixture. It passes when the
requirement holds, fails by assertion when it does not, and raises one of the three below when the
question has no such answer here. Anything else that goes wrong is "could not check".
"""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host as TestinfraHost

from infra.plan import Host, Plan, Site, from_json

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
LOOPBACK = re.compile(r"^(127\.|\[?::1\]?$|\[?::ffff:127\.)|%lo$")


class NotShown(Exception):
    """The requirement applies, and this substrate cannot show it; the reason is the message."""


class NotApplicable(Exception):
    """The requirement does not apply to this target; the reason is the message."""


class CouldNotCheck(Exception):
    """The question could not be asked; the reason is the message."""


@functools.cache
def program(name: str) -> str:
    """A program of ours that runs where the question is asked, with the Python of that place."""
    return (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program on a host ended with."""

    code: int
    output: str
    complaint: str


@dataclass(slots=True)
class Machine:
    """A host that is asked as root, each question once a run unless asked live.

    A host that did not answer once is not waited for again: the rest could not be checked either.
    """

    name: str
    connection: TestinfraHost
    lost: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)

    def reply(self, *argv: str, live: bool = False) -> Reply:
        """How a program ended, whatever it says."""
        if self.lost:
            raise CouldNotCheck(self.lost)
        command = shlex.join(argv)
        if live or command not in self.replies:
            try:
                done = self.connection.run(command)
            except RuntimeError as error:
                self.lost = f"{self.name}: does not answer: {str(error).strip()}"
                raise CouldNotCheck(self.lost) from error
            self.replies[command] = Reply(done.rc, done.stdout, done.stderr.strip())
        return self.replies[command]

    def ask(self, *argv: str, live: bool = False) -> str:
        """What a program prints; it must end well."""
        reply = self.reply(*argv, live=live)
        if reply.code != 0:
            said = reply.complaint or reply.output.strip()
            words = " ".join(argv)[:80]
            raise CouldNotCheck(f"{self.name}: {words!r} exited {reply.code}: {said[:300]}")
        return reply.output

    def ask_json(self, *argv: str, live: bool = False) -> Any:  # noqa: ANN401 - JSON is anything
        """The JSON that a program prints."""
        return json.loads(self.ask(*argv, live=live))

    def ask_program(self, name: str, *arguments: str, live: bool = False) -> Any:  # noqa: ANN401
        """The JSON that a program of ours prints there."""
        return self.ask_json("python3", "-c", program(name), *arguments, live=live)

    def is_container(self) -> bool:
        """Whether it shares its kernel with others, so that it cannot show what is the kernel's."""
        return self.reply("systemd-detect-virt", "--container").code == 0

    def unit(self, name: str, *properties: str, live: bool = False) -> dict[str, str]:
        """Properties of a unit as systemd has them."""
        wanted = f"--property={','.join(properties)}"
        shown = self.ask("systemctl", "show", name, wanted, live=live)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def listeners(self) -> set[tuple[str, str, int, str]]:
        """(protocol, address, port, program) of every socket that listens beyond loopback, now."""
        found = set()
        for line in self.ask("ss", "-Hlntup", live=True).splitlines():
            protocol, _, _, _, local, *rest = line.split()
            address, _, port = local.rpartition(":")
            program = re.search(r'\(\("([^"]+)"', " ".join(rest))
            if not LOOPBACK.search(address):
                found.add((protocol, address, int(port), program[1] if program else "?"))
        return found

    def firewall(self) -> list[dict[str, Any]]:
        """The rule set that the kernel applies."""
        ruleset: list[dict[str, Any]] = self.ask_json("nft", "-j", "list", "ruleset")["nftables"]
        return ruleset

    def links(self) -> list[dict[str, Any]]:
        """Interfaces and their addresses, as the kernel has them."""
        links: list[dict[str, Any]] = self.ask_json("ip", "-j", "address")
        return links


@dataclass(slots=True)
class Machines:
    """Every host by its name, over the environment's own ssh configuration."""

    ssh_config: str
    known: dict[str, Machine] = field(default_factory=dict)

    def adopt(self, connection: TestinfraHost) -> Machine:
        """The machine behind a host that testinfra gave."""
        name = connection.backend.hostname
        return self.known.setdefault(name, Machine(name, connection))

    def named(self, name: str) -> Machine:
        """A machine that a test looks at besides its own."""
        if name not in self.known:
            connection = testinfra.get_host(f"ssh://{name}", ssh_config=self.ssh_config, sudo=True)
            self.known[name] = Machine(name, connection)
        return self.known[name]


@dataclass(slots=True)
class Seen:
    """Collects what a test saw, in the words of the system."""

    observations: list[str] = field(default_factory=list)

    def __call__(self, *observations: object) -> None:
        """Record observations; each becomes a line of evidence."""
        self.observations += [str(one).strip() for one in observations]


@dataclass(frozen=True, slots=True)
class World:
    """The environment under test."""

    environment: str
    plan: Plan

    @property
    def state(self) -> Path:
        """`.province/<env>`."""
        return ROOT / ".province" / self.environment

    def hub(self) -> Site:
        """The site that the others connect to."""
        return next(site for site in self.plan.sites if not site.hub)

    def hosts_with(self, function: str) -> tuple[Host, ...]:
        """Every host that carries a function."""
        return tuple(host for host in self.plan.hosts() if function in host.functions)


def load_world(environment: str) -> World:
    """The environment and the plan that was applied to it."""
    path = ROOT / ".province" / environment / "plan.json"
    return World(environment, from_json(path.read_text(encoding="utf-8"), str(path)))


def listed(things: Sequence[object]) -> str:
    """Several things as part of a sentence."""
    return ", ".join(str(thing) for thing in things) or "nothing"
