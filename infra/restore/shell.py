"""Restores on a host, over the environment's own ssh configuration. The thin shell."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.errors import ProvinceError, RefusedError
from infra.restore.digests import DIGEST_SQL, Digest, parse_digests
from infra.restore.order import Order

PROGRAM = "/usr/local/lib/province/restore_database.py"
QUESTION_LIMIT_SECONDS = 3600
"""The longest that one database may take to look at all its tables."""

_PSQL = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Hosts:
    """How hosts are reached: as the automation account, with pinned keys."""

    ssh_config: Path

    def command(self, host: str, words: Sequence[str]) -> list[str]:
        """The command that runs words as root on a host."""
        ssh = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", host]
        return [*ssh, shlex.join(["sudo", "-n", *words])]

    def ask(self, host: str, words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        """Run words on a host with a text on their standard input."""
        return subprocess.run(
            self.command(host, words),
            input=text,
            capture_output=True,
            text=True,
            timeout=QUESTION_LIMIT_SECONDS,
            check=False,
        )

    def psql(self, host: str, database: str, sql: str) -> subprocess.CompletedProcess[str]:
        """Put a question to a database of the running cluster, over the socket of a member."""
        words = ["runuser", "-u", "postgres", "--", *_PSQL, f"--dbname={database}", "--file=-"]
        return self.ask(host, words, sql)

    def query(self, host: str, database: str, sql: str) -> list[str]:
        """What a database of the running cluster answers on one of its members, line by line.

        Raises:
            ProvinceError: it does not answer, with its last words.
        """
        done = self.psql(host, database, sql)
        if done.returncode != 0:
            raise ProvinceError(f"{host}: database {database} does not answer: {_reason(done)}")
        return done.stdout.splitlines()


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back."""

    folder: str
    backup: str
    """Label of the copy that the restore began with."""
    earliest: str
    latest: str
    """The earliest and latest moment that were possible."""
    newest_commit: str
    seconds: float
    """From the first byte until the copy stood at the moment asked for."""
    digests: dict[tuple[str, str], Digest]


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"it ended with {done.returncode}"


def leader_of(hosts: Hosts, members: Sequence[str]) -> str:
    """The member that takes writes now.

    Raises:
        ProvinceError: none does, or none answers.
    """
    silent = []
    for member in members:
        done = hosts.psql(member, "postgres", "SELECT pg_is_in_recovery();")
        if done.returncode != 0:
            silent.append(f"{member}: {_reason(done)}")
        elif done.stdout.strip() == "f":
            return member
    raise ProvinceError(
        f"members {', '.join(members)}: none takes writes ({'; '.join(silent) or 'all follow'}), "
        "so there is nothing to compare with; look at province database status"
    )


def digests_of_cluster(hosts: Hosts, leader: str) -> dict[tuple[str, str], Digest]:
    """What every table of the running cluster holds, asked on its leader.

    Raises:
        ProvinceError: a database does not answer.
    """
    databases = hosts.query(leader, "postgres", f"{_DATABASES};")
    return parse_digests({one: hosts.query(leader, one, DIGEST_SQL) for one in databases})


def restore(hosts: Hosts, repository: str, order: Order, report: Report) -> Restored:
    """Have the repository's host bring a copy back, and read what it says.

    Args:
        hosts: how hosts are reached.
        repository: the host that keeps the copies.
        order: what is asked for.
        report: told what happens there now.

    Raises:
        RefusedError: it cannot be restored; nothing has happened.
        ProvinceError: it failed on the way; what was begun has been taken away there.
    """
    with subprocess.Popen(
        hosts.command(repository, [PROGRAM]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise ProvinceError(f"{repository}: no conversation with ssh is possible")
        child.stdin.write(json.dumps({**asdict(order), "look": DIGEST_SQL}))
        child.stdin.close()
        result = None
        for line in child.stdout:
            result = read_line(repository, line, report) or result
        complaint = child.stderr.read().strip()
    if result is None:
        raise ProvinceError(
            f"{repository}: the restore ended with {child.returncode} and without an answer: "
            f"{complaint or 'it said nothing'}"
        )
    return result


def read_line(repository: str, line: str, report: Report) -> Restored | None:
    """Read one line of the program: a step is reported, the result is answered.

    Raises:
        RefusedError: the program refuses the order.
        ProvinceError: it failed, or speaks in a way that is not ours.
    """
    try:
        message: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise ProvinceError(f"{repository}: {PROGRAM} said {line.strip()!r}") from error
    if "refused" in message:
        raise RefusedError(f"{repository}: {message['refused']}; nothing was touched")
    if "failed" in message:
        raise ProvinceError(f"{repository}: {message['failed']}; what was begun was taken away")
    if "restored" in message:
        found = message["restored"]
        digests = parse_digests(found.pop("databases"))
        return Restored(**found, digests=digests)
    report(f"{message['step']}: {message['text']}")
    return None
