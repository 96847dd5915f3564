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
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

SETTINGS = Path("/etc/province/backup_repository.json")
SCRATCH = Path("/var/lib/province/restore")
ARCHIVE = Path("/var/lib/pgbackrest/archive")
PROGRAMS = Path("/usr/lib/postgresql/17/bin")
ACCOUNT = "postgres"
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
SEGMENT = re.compile(r"(?P<timeline>[0-9A-F]{8})(?P<log>[0-9A-F]{8})(?P<segment>[0-9A-F]{8})")
SPARE_BYTES = 1 << 30
"""Room for the write-ahead log that is replayed, beside the database itself."""
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

Order = Mapping[str, Any]


class RefusedError(Exception):
    """What was asked cannot be; nothing has happened."""


class FailedError(Exception):
    """Something went wrong on the way; what was begun has been taken away."""


def tell(message: Mapping[str, Any]) -> None:
    """Writes one line for the controller."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def step(name: str, text: str) -> None:
    """Says what begins now."""
    tell({"step": name, "text": text})


def run(command: list[str], *, stdin: str | None = None) -> str:
    """Runs a program as the database's account and answers what it printed."""
    done = subprocess.run(
        command,
        user=ACCOUNT,
        group=ACCOUNT,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        input=stdin or "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines()]
        errors = [line for line in said if "ERROR" in line or "FATAL" in line]
        what = "; ".join(errors or [line for line in said if line][-2:])
        raise FailedError(f"{Path(command[0]).name} ended with {done.returncode}: {what}")
    return done.stdout


# --- what can be restored -----------------------------------------------------------------------


def refuse_order(order: Order, cluster: str, taken: bool) -> None:
    """Refuses an order that could not be meant.

    Raises:
        RefusedError: another cluster, a name that cannot be a folder's, or one that is taken.
    """
    if order["cluster"] != cluster:
        raise RefusedError(
            f"cluster {order['cluster']!r}: is not kept here; this repository keeps {cluster!r}"
        )
    if NAME.fullmatch(order["into"]) is None:
        raise RefusedError(
            f"--into {order['into']!r}: is no name for a folder; use lower-case letters, digits "
            "and underscores, 31 at most"
        )
    if taken:
        raise RefusedError(
            f"--into {order['into']}: {SCRATCH / order['into']} is there already and nothing is "
            "ever restored over something; choose another name, or remove that folder on this host"
        )


def usable(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The copies from which a restore can begin, oldest first."""
    return [one for one in info.get("backup", []) if not one.get("error")]


def refuse_moment(target: datetime | None, earliest: datetime, latest: datetime) -> None:
    """Refuses a moment that the archive does not hold.

    Raises:
        RefusedError: with the earliest and the latest moment that are possible.
    """
    if target is not None and not earliest <= target <= latest:
        raise RefusedError(
            f"--to {target.isoformat()}: the archive does not hold that moment; the earliest "
            f"possible is {earliest.isoformat()}, the latest {latest.isoformat()}"
        )


def refuse_space(needed: int, free: int, folder: Path) -> None:
    """Refuses where the copy would not fit.

    Raises:
        RefusedError: with both figures in MiB.
    """
    if needed > free:
        raise RefusedError(
            f"{folder}: {free >> 20} MiB are free and {needed >> 20} MiB are needed (the database "
            "and its log); make room on this host"
        )


def chosen(backups: list[Mapping[str, Any]], target: datetime | None) -> Mapping[str, Any]:
    """The newest copy that was complete before the moment."""
    until = target.timestamp() if target else float("inf")
    return [one for one in backups if one["timestamp"]["stop"] <= until][-1]


def stanza_info(cluster: str) -> dict[str, Any]:
    """What the repository holds of the cluster."""
    text = run(["/usr/bin/pgbackrest", f"--stanza={cluster}", "--output=json", "info"])
    found: list[dict[str, Any]] = json.loads(text)
    return found[0] if found else {}


def segments(cluster: str) -> Iterator[tuple[str, float]]:
    """Every segment of the archive with the moment at which it arrived."""
    for path in (ARCHIVE / cluster).glob("*/*/*"):
        found = SEGMENT.match(path.name)
        if found and not path.name.endswith(".tmp"):
            yield found[0], path.stat().st_mtime


def close_segment(cluster: str) -> None:
    """Has the primary close its current segment, so that the archive holds everything until now."""
    try:
        run(["/usr/bin/pgbackrest", f"--stanza={cluster}", "check"])
    except FailedError as failure:
        step("archive", f"the cluster itself did not answer, what is archived is used: {failure}")


def parse_moment(text: str) -> datetime | None:
    """A moment, or nothing for `latest`."""
    return None if text == "latest" else datetime.fromisoformat(text).astimezone(UTC)


def plan_restore(order: Order) -> dict[str, Any]:
    """Everything that is decided before anything happens.

    Raises:
        RefusedError: it cannot be done; nothing has happened.
    """
    cluster = json.loads(SETTINGS.read_text())["cluster"]
    folder = SCRATCH / str(order["into"])
    refuse_order(order, cluster, folder.exists())
    backups = usable(stanza_info(cluster))
    if not backups:
        raise RefusedError(f"cluster {cluster}: no copy has been made yet; see database.json")
    step("archive", "closing the current segment of the write-ahead log")
    close_segment(cluster)
    known = sorted(segments(cluster))
    if not known:
        raise RefusedError(f"cluster {cluster}: the archive holds no write-ahead log yet")
    latest = datetime.fromtimestamp(max(arrived for _, arrived in known), UTC)
    earliest = datetime.fromtimestamp(backups[0]["timestamp"]["stop"], UTC)
    target = parse_moment(order["to"])
    refuse_moment(target, earliest, latest)
    backup = chosen(backups, target)
    needed = backup["info"]["size"] + SPARE_BYTES
    SCRATCH.mkdir(parents=True, exist_ok=True)
    refuse_space(needed, shutil.disk_usage(SCRATCH).free, folder)
    return {
        "cluster": cluster,
        "folder": folder,
        "target": target,
        "backup": backup["label"],
        "earliest": earliest.isoformat(timespec="seconds"),
        "latest": latest.isoformat(timespec="seconds"),
        "end": end_of(known[-1][0]),
    }


def end_of(segment: str) -> int:
    """The position in the log right behind a segment of 16 MiB."""
    return (int(segment[8:16], 16) << 32) + ((int(segment[16:24], 16) + 1) << 24)


def position(text: str) -> int:
    """A position in the log, `0/3000060`, as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


# --- the scratch server -------------------------------------------------------------------------


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
    return now >= end or (now >= end - (1 << 24) and quiet_seconds >= QUIET_SECONDS)


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
    begin = time.monotonic()
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
    except BaseException:
        said = last_words(folder / "log")
        shutil.rmtree(folder, ignore_errors=True)
        step("failed", f"the scratch server's last words: {said}")
        raise
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
    pwd.getpwnam(ACCOUNT)
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
