"""Commands on a host, over the environment's own ssh configuration. The thin shell."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.database.views import EndpointView, Seen, Unanswered, parse_cluster, parse_endpoint
from infra.errors import ProvinceError

SSH_FAILED = 255
TOO_LATE = 124
"""The exit code of `timeout`; ours when a command did not end."""
LIMIT_SECONDS = 30

ENDPOINT_PROGRAM = "/usr/local/lib/province/database_endpoint.py"
CLUSTER_PROGRAM = ("patronictl", "--config-file", "/etc/patroni/config.yml")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on a host ended with."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """Its last word, for a sentence."""
        said = (self.err.strip() or self.out.strip()).splitlines()
        return said[-1] if said else f"it exited {self.code}"


Ask = Callable[[str, Sequence[str], float], Answer]
"""Runs a command as root on a host, within a limit in seconds."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster as the verbs need it: who may lead, and through whom clients come."""

    name: str
    hosts: tuple[str, ...]
    endpoints: tuple[str, ...]


def ask_over_ssh(ssh_config: Path) -> Ask:
    """Commands as the automation account with sudo, on hosts whose keys are pinned."""

    def ask(host: str, command: Sequence[str], limit: float) -> Answer:
        words = ["ssh", "-F", str(ssh_config), "-o", "BatchMode=yes", host]
        words.append(shlex.join(["sudo", "-n", *command]))
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(TOO_LATE, "", f"no answer within {limit:.0f} s")
        return Answer(done.returncode, done.stdout, done.stderr)

    return ask


def look_at(cluster: Cluster, ask: Ask) -> Seen:
    """Ask the first member that answers for the cluster, and every endpoint for itself.

    Raises:
        ProvinceError: no member answers.
    """
    silent = []
    for host in cluster.hosts:
        listing = ask(host, [*CLUSTER_PROGRAM, "list", "--format", "json"], LIMIT_SECONDS)
        settings = ask(host, [*CLUSTER_PROGRAM, "show-config"], LIMIT_SECONDS)
        if listing.code == settings.code == 0:
            endpoints = tuple(_look_at_endpoint(one, ask) for one in cluster.endpoints)
            return Seen(parse_cluster(listing.out, settings.out), endpoints)
        silent.append(f"{host}: {(listing if listing.code else settings).reason}")
    raise ProvinceError(
        f"cluster {cluster.name!r}: no member answers ({'; '.join(silent)}); one at least must be "
        "reachable with its store; look at patroni.service there"
    )


def _look_at_endpoint(host: str, ask: Ask) -> EndpointView | Unanswered:
    answer = ask(host, [ENDPOINT_PROGRAM, "look"], LIMIT_SECONDS)
    if answer.code != 0:
        return Unanswered(host, answer.reason)
    return parse_endpoint(host, answer.out)
