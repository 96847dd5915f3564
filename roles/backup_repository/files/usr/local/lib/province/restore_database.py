#!/usr/bin/python3
"""Restores the database cluster into a scratch folder of this host, looks at it, and stops it.

Reads one order as JSON on standard input:

    {"cluster": name, "into": name, "to": "latest" or a moment with its zone (ISO 8601),
     "look": SQL for every database}

Writes JSON lines: {"step": ..., "text": ...} while it works, then {"refused": sentence} or
{"failed": sentence} or {"restored": {...}}, which holds what the SQL answered for each database.
The running cluster is never touched, but for a restore point in its write-ahead log: what comes
back is a standby of the archive, paused at the moment asked for, on a socket of its own.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from database_archive import (
    ACCOUNT,
    SEGMENT_BYTES,
    FailedError,
    Order,
    RefusedError,
    plan_restore,
    position,
    run,
    step,
    tell,
)

PROGRAMS = Path("/usr/lib/postgresql/17/bin")
QUIET_SECONDS, HEARTBEAT_SECONDS = 5, 10
START_LIMIT_SECONDS, REPLAY_LIMIT_SECONDS = 600, 6 * 3600
LIMITS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
"""A standby must allow at least as much as the server whose log it replays (pg_controldata)."""
OPEN_DATABASES = (
    "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
)


def configuration(plan: Mapping[str, Any], limits: Mapping[str, str]) -> str:
    """The scratch server's own configuration: a standby that nobody else can reach."""
    restore = shlex.join([*brought_back(plan), "archive-get", "%f"])
    lines = [
        f"data_directory = '{plan['folder']}/data'",
        f"hba_file = '{plan['folder']}/pg_hba.conf'",
        f"ident_file = '{plan['folder']}/pg_ident.conf'",
        "listen_addresses = ''",
        f"unix_socket_directories = '{plan['folder']}'",
        "shared_preload_libraries = 'pgaudit'",
        "archive_mode = off",
        "hot_standby = on",
        "ssl = off",
        "shared_buffers = 64MB",
        "max_parallel_workers_per_gather = 0",
        f"restore_command = '{restore} \"%p\"'",
        "recovery_target_timeline = 'latest'",
        *(f"{name} = {value}" for name, value in sorted(limits.items())),
    ]
    if plan["target"] is not None:
        lines += [
            f"recovery_target_time = '{plan['target'].isoformat()}'",
            "recovery_target_action = 'pause'",
        ]
    return "\n".join(lines) + "\n"


def brought_back(plan: Mapping[str, Any]) -> list[str]:
    """How pgBackRest is called for the scratch folder: as if the database stood on this host."""
    where = [f"--stanza={plan['cluster']}", f"--pg1-path={plan['folder']}/data"]
    return ["/usr/bin/pgbackrest", "--config=/etc/pgbackrest/restore.conf", *where]


def limits_of(controldata: str) -> dict[str, str]:
    """What the source allowed, out of pg_controldata."""
    values = dict(
        (part.strip() for part in line.split(":", 1))
        for line in controldata.splitlines()
        if ":" in line
    )
    return {option: values[name] for name, option in LIMITS.items()}


def write(path: Path, text: str) -> None:
    """Writes a file of the database's account, closed to all others."""
    path.write_text(text)
    shutil.chown(path, ACCOUNT, ACCOUNT)
    path.chmod(0o600)


def fetch(plan: Mapping[str, Any]) -> None:
    """Brings the copy back and makes it a standby of the archive."""
    folder: Path = plan["folder"]
    folder.mkdir(mode=0o700)
    shutil.chown(folder, ACCOUNT, ACCOUNT)
    data = folder / "data"
    data.mkdir(mode=0o700)
    shutil.chown(data, ACCOUNT, ACCOUNT)
    run([*brought_back(plan), f"--set={plan['backup']}", "--type=none", "restore"])
    for name in ("recovery.signal", "standby.signal", "postmaster.pid"):
        (data / name).unlink(missing_ok=True)
    limits = limits_of(run([str(PROGRAMS / "pg_controldata"), str(data)]))
    write(data / "standby.signal", "")
    write(data / "postgresql.auto.conf", "")
    write(folder / "postgresql.conf", configuration(plan, limits))
    write(folder / "pg_hba.conf", "local all all peer\n")
    write(folder / "pg_ident.conf", "")


@contextmanager
def server(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The scratch server while it is looked at; stopped whatever happens."""
    with (folder / "log").open("w") as log:
        shutil.chown(folder / "log", ACCOUNT, ACCOUNT)
        process = subprocess.Popen(
            [str(PROGRAMS / "postgres"), "-D", str(folder / "data"), *config_file(folder)],
            user=ACCOUNT,
            group=ACCOUNT,
            extra_groups=[],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def config_file(folder: Path) -> list[str]:
    """Where the server finds its configuration, in place of the source's own."""
    return ["-c", f"config_file={folder}/postgresql.conf"]


def ask(folder: Path, database: str, sql: str) -> str:
    """What the scratch server answers: unaligned rows without a heading."""
    command = ["/usr/bin/psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
    where = [f"--host={folder}", f"--dbname={database}", "--set=ON_ERROR_STOP=1", "--file=-"]
    return run([*command, *where], stdin=sql)


def wait_for(
    what: str, process: subprocess.Popen[str], look: Callable[[], bool], limit: float
) -> None:
    """Waits until a look says yes.

    Raises:
        FailedError: the server ended, or the limit (seconds) has passed.
    """
    begin = time.monotonic()
    told, until = begin, begin + limit
    while not look():
        if process.poll() is not None:
            raise FailedError(f"the scratch server ended before {what}")
        if time.monotonic() > until:
            raise FailedError(f"the scratch server took more than {limit:.0f} s before {what}")
        if time.monotonic() > told + HEARTBEAT_SECONDS:
            # Also finds out whether anybody still listens: a broken pipe ends the work.
            told = time.monotonic()
            step("wait", f"for {told - begin:.0f} s, until {what}")
        time.sleep(1)


def answers(folder: Path) -> bool:
    """Whether the scratch server takes questions: it is consistent and read-only."""
    done = subprocess.run(
        [str(PROGRAMS / "pg_isready"), "--quiet", f"--host={folder}"],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


STATE = (
    "SELECT pg_get_wal_replay_pause_state(), coalesce(pg_last_wal_replay_lsn()::text, '0/0'), "
    "coalesce(pg_last_xact_replay_timestamp()::text, '')"
)


class Replay:
    """Follows the replay: it has ended when it paused, or when the archive has nothing more."""

    def __init__(self, folder: Path, end: int) -> None:
        self.folder, self.end = folder, end
        self.last, self.since = -1, time.monotonic()
        self.newest_commit = ""

    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        paused, lsn, self.newest_commit = ask(self.folder, "postgres", STATE).strip().split("|")
        now = position(lsn)
        if now != self.last:
            self.last, self.since = now, time.monotonic()
            step("replay", f"replayed up to {lsn}")
        return paused == "paused" or is_behind(now, self.end, time.monotonic() - self.since)


def is_behind(now: int, end: int, quiet_seconds: float) -> bool:
    """Whether the replay has reached the end of the archive.

    The last record of a segment that was full may end in the next one, which is not archived: then
    the replay stands still somewhere in the last segment.
    """
    return now >= end or (now >= end - SEGMENT_BYTES and quiet_seconds >= QUIET_SECONDS)


def look_at(folder: Path, sql: str) -> dict[str, list[str]]:
    """What the SQL answers in every database, line by line."""
    found = {}
    for database in ask(folder, "postgres", OPEN_DATABASES).splitlines():
        step("look", f"database {database}")
        found[database] = ask(folder, database, sql).splitlines()
    return found


def restore(order: Order) -> dict[str, Any]:
    """Does it all; what was begun and failed is taken away again."""
    plan = plan_restore(order)
    folder: Path = plan["folder"]
    begin, is_done = time.monotonic(), False
    step("restore", f"bringing back the copy {plan['backup']}")
    try:
        fetch(plan)
        step("start", "starting a server of its own")
        with server(folder) as process:
            wait_for("it answered", process, lambda: answers(folder), START_LIMIT_SECONDS)
            replay = Replay(folder, plan["end"])
            wait_for("the replay ended", process, replay.has_ended, REPLAY_LIMIT_SECONDS)
            seconds = time.monotonic() - begin
            databases = look_at(folder, order["look"])
        is_done = True
    finally:
        if not is_done:
            said = last_words(folder / "log")
            shutil.rmtree(folder, ignore_errors=True)
            step("failed", f"the scratch server's last words: {said}")
    return {
        "folder": str(folder),
        "backup": plan["backup"],
        "earliest": plan["earliest"],
        "latest": plan["latest"],
        "newest_commit": replay.newest_commit,
        "seconds": round(seconds, 1),
        "databases": databases,
    }


def last_words(log: Path) -> str:
    """The end of the server's log, without its answers to whoever asked too early."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "; ".join([line for line in lines if "is starting up" not in line][-3:]) or "none"


def end(number: int, frame: FrameType | None) -> None:
    """A connection that is gone ends the work, and what was begun is taken away."""
    del frame
    raise FailedError(f"ended by signal {number}")


def main() -> int:
    """Takes one order."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        result = restore(json.load(sys.stdin))
    except RefusedError as refusal:
        tell({"refused": str(refusal)})
        return 2
    except FailedError as failure:
        tell({"failed": str(failure)})
        return 1
    tell({"restored": result})
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
