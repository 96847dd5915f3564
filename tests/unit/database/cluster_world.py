"""A cluster of three members and two endpoints that answers as real ones do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from infra.database import Answer, Cluster

MAIN = Cluster("main", ("db1-70", "db2-70", "db3-70"), ("svc1-70", "svc2-70"))
ADDRESSES = ("10.70.4.20", "fd70:0:0:4::20")


def listed(leader: str = "db1-70") -> list[dict[str, Any]]:
    """What `patronictl list --format json` of Patroni 4.0.7 prints."""
    return [
        {
            "Cluster": "main",
            "Member": name,
            "Host": f"10.70.5.1{number}",
            "Role": "Leader" if name == leader else "Quorum Standby",
            "State": "running" if name == leader else "streaming",
            "TL": 3,
            **({} if name == leader else {"Lag in MB": 0}),
        }
        for number, name in enumerate(MAIN.hosts, start=1)
    ]


SETTINGS = "loop_wait: 1\nsynchronous_mode: quorum\nttl: 20\n"


def endpoint_saw(leader: str, *, carries: Sequence[str] = (), held: bool = False) -> str:
    """What the endpoint's program prints."""
    servers = [
        {"part": part, "member": name, "state": "UP" if up else "DOWN", "check": "L7OK"}
        for part, leads in (("primary", True), ("replicas", False))
        for name in MAIN.hosts
        for up in [(name == leader) == leads]
    ]
    databases = [{"name": "one_stop", "clients": 4}, {"name": "one_stop_read_only", "clients": 1}]
    return json.dumps(
        {"carries": list(carries), "held": held, "servers": servers, "databases": databases}
    )


@dataclass(slots=True)
class World:
    """Runs commands like the hosts would, and keeps what was asked of whom."""

    leader: str = "db1-70"
    obeys: bool = True
    """Whether an order to hand over is carried out."""
    breaks: bool = False
    """Whether an order ends in our own crash."""
    silent: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    """Endpoints that cannot hold their clients."""
    deaf: set[str] = field(default_factory=set)
    """Endpoints that cannot be told to let their clients go on."""
    rows: list[dict[str, Any]] | None = None
    settings: str = SETTINGS
    held: dict[str, Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    errors_of_clients: int = 0
    _lock: Lock = field(default_factory=Lock)

    def ask(self, host: str, command: Sequence[str], _limit: float) -> Answer:
        """Answer one command."""
        words = " ".join(word for word in command if not word.startswith(("-", "/")))
        with self._lock:
            self.asked.append(f"{host}: {words}")
        if host in self.silent:
            return Answer(255, "", f"ssh: connect to host {host}: No route to host\n")
        if words.startswith("patronictl"):
            return self._cluster(words.split()[1:])
        return self._endpoint(host, words.split())

    def _cluster(self, words: list[str]) -> Answer:
        match words:
            case ["list", *_]:
                rows = self.rows if self.rows is not None else listed(self.leader)
                return Answer(0, json.dumps(rows), "")
            case ["show-config"]:
                return Answer(0, self.settings, "")
            case ["switchover", "main", leader, candidate]:
                assert leader == self.leader
                if self.breaks:
                    raise KeyboardInterrupt
                if not self.obeys:
                    return Answer(0, "Switchover failed, details: 412, no good candidates\n", "")
                if not all(self.is_held(host) for host in MAIN.endpoints):
                    self.errors_of_clients += 1
                self.leader = candidate
                return Answer(0, "Successfully switched over\n", "")
        raise AssertionError(words)

    def _endpoint(self, host: str, words: list[str]) -> Answer:
        match words:
            case ["look"]:
                carries = ADDRESSES if host == "svc1-70" else ()
                saw = endpoint_saw(self.leader, carries=carries, held=self.is_held(host))
                return Answer(0, saw, "")
            case ["pause", _]:
                if host in self.busy:
                    return Answer(1, "", "database endpoint: 'PAUSE' did not end within 10 s\n")
                self.held[host] = Event()
                return Answer(0, "", "")
            case ["await", member]:
                while self.leader != member and not self.held[host].wait(0.005):
                    pass
                return self._endpoint(host, ["resume"])
            case ["resume"]:
                if host in self.deaf:
                    return Answer(255, "", "Connection closed by remote host\n")
                if host in self.held:
                    self.held[host].set()
                return Answer(0, "", "")
        raise AssertionError(words)

    def is_held(self, host: str) -> bool:
        """Whether the clients of an endpoint wait."""
        return host in self.held and not self.held[host].is_set()

    def everybody_goes_on(self) -> bool:
        """Whether nobody is left waiting."""
        return not any(self.is_held(host) for host in MAIN.endpoints)

    def orders(self) -> list[str]:
        """What was asked beside looking."""
        looks = ("list", "show-config", "look")
        return [one for one in self.asked if not one.endswith(looks) and " list " not in one]
