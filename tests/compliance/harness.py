"""What compliance tests stand on: the plan that was applied, places to look from, three answers.

A test asks the running system and says what it saw through the `seen` fixture. It passes when the
requirement holds, fails by assertion when it does not, and raises one of the three below when the
question has no such answer here. Anything else that goes wrong is "could not check".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from infra.lab.lab import Lab
from infra.plan import Host, Plan, Site, from_json

ROOT = Path(__file__).resolve().parents[2]
PROBE_SECONDS = 4

PROBE = """
import socket, sys
family, kind, address, port, seconds = sys.argv[1:6]
payload = bytes.fromhex(sys.argv[6]) if len(sys.argv) > 6 else b""
family = socket.AF_INET6 if family == "ipv6" else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as one:
    one.settimeout(float(seconds))
    try:
        one.connect((address, int(port)))
        if kind == "udp":
            one.send(payload)
            one.recv(4096)
        print("answered")
    except OSError as error:
        print("silent:", type(error).__name__, error)
"""
"""Stands alone: it runs with the Python of whichever place looks."""


class NotShown(Exception):
    """The requirement applies, and this substrate cannot show it; the reason is the message."""


class NotApplicable(Exception):
    """The requirement does not apply to this target; the reason is the message."""


class CouldNotCheck(Exception):
    """The question could not be asked; the reason is the message."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a service answered, and in which words."""

    answered: bool
    words: str

    def __bool__(self) -> bool:
        return self.answered


@dataclass(frozen=True, slots=True)
class Place:
    """A probe point or a host of the lab, to look from."""

    lab: Lab
    name: str

    def _probe(self, kind: str, address: str, port: int, payload: str = "") -> Answer:
        family = "ipv6" if ":" in address else "ipv4"
        command = ["python3", "-c", PROBE, family, kind, address, str(port), str(PROBE_SECONDS)]
        result = self.lab.execute(self.name, [*command, *([payload] if payload else [])])
        said = result.stdout.strip()
        if result.returncode != 0 or not said.startswith(("answered", "silent")):
            raise CouldNotCheck(f"{self.name}: the probe itself failed: {result.stderr.strip()}")
        return Answer(said == "answered", f"{self.name} -> {kind} {address} {port}: {said}")

    def tcp(self, address: str, port: int) -> Answer:
        """Open a TCP connection."""
        return self._probe("tcp", address, port)

    def udp(self, address: str, port: int, payload: bytes) -> Answer:
        """Send one datagram that the service must answer."""
        return self._probe("udp", address, port, payload.hex())

    def run(self, *argv: str) -> str:
        """Run a program at that place; its standard output. It must end well."""
        result = self.lab.execute(self.name, list(argv))
        if result.returncode != 0:
            raise CouldNotCheck(f"{self.name}: {' '.join(argv)}: {result.stderr.strip()}")
        return result.stdout


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

    def place(self, name: str) -> Place:
        """A place to look from; only the lab has probe points."""
        site = next((host.substrate for host in self.plan.hosts()), "lab")
        if site != "lab":
            raise CouldNotCheck(f"{name}: probe points exist in the lab only")
        return Place(Lab(self.state), name)

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


def json_output(text: str) -> object:
    """Parsed JSON that a program printed."""
    return json.loads(text)
