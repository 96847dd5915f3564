#!/usr/bin/python3
"""Sends what matters on this host, encrypted here, to repositories where it can only be added.

    file_backup.py hourly|daily|weekly    sends the paths of that schedule
    file_backup.py look                   JSON of the repositories that do not know this host yet
    file_backup.py registered             notes that they all know it now

Every month begins a repository of its own, <url>/<host>/<year>-<month>: the repository's host
forgets a month as a whole and needs no key for it. One that does not open (made with a key that is
no longer this host's, or begun and never finished) stays as it is, and <year>-<month>-2 begins.
What was sent last stands in /var/lib/province/backup/last.json. Every failure is a sentence and a
failed exit.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/province/file_backup")
RESULTS = Path("/var/lib/province/backup")
LAST, REGISTERED = RESULTS / "last.json", RESULTS / "registered.json"
CACHE = Path("/var/cache/file_backup")
NO_REPOSITORY, INCOMPLETE, WRONG_KEY = 10, 3, 12
MOST_REPOSITORIES = 9
"""Exit codes of restic, see restic(1)."""

Settings = dict[str, Any]


class FailedError(Exception):
    """Something could not be sent, with the sentence that says what to do."""


def month_of(moment: datetime) -> str:
    """The name of a month's repository."""
    return f"{moment:%Y-%m}"


def environment_of(settings: Settings, url: str, month: str, password: str) -> dict[str, str]:
    """What restic is told, and nothing of it on a command line."""
    return {
        "PATH": "/usr/bin:/bin",
        "RESTIC_REPOSITORY": f"rest:{url}/{settings['name']}/{month}/",
        "RESTIC_REST_USERNAME": settings["name"],
        "RESTIC_REST_PASSWORD": password,
        "RESTIC_PASSWORD_FILE": str(FOLDER / "encryption_key"),
        "RESTIC_CACERT": settings["root"],
        "RESTIC_CACHE_DIR": str(CACHE),
    }


def restic(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs restic, which asks nothing."""
    return subprocess.run(
        ["/usr/bin/restic", "--quiet", "--json", *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def complaint(said: str) -> str:
    """The last thing that restic said, out of JSON lines or of text."""
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    try:
        message = json.loads(lines[-1])
    except ValueError:
        return lines[-1].strip()
    return str(message.get("message") or message.get("error") or lines[-1]).strip()


def opens(environment: Mapping[str, str]) -> bool:
    """Sees that a repository is there and opens, or makes it; no when it is not ours to open.

    Raises:
        FailedError: it could not be asked or made.
    """
    seen = restic(environment, "cat", "config")
    if seen.returncode == NO_REPOSITORY:
        seen = restic(environment, "init")
    if seen.returncode == 0:
        return True
    where, said = environment["RESTIC_REPOSITORY"], complaint(seen.stderr)
    if seen.returncode == WRONG_KEY or "is damaged" in said:
        sys.stderr.write(f"<4>{where}: does not open with this host's key ({said})\n")
        return False
    if "401" in said or "Unauthorized" in said:
        REGISTERED.unlink(missing_ok=True)
        raise FailedError(
            f"{where}: does not know this host or its password; run province configure, which "
            "registers it again"
        )
    raise FailedError(f"{where}: restic ended with {seen.returncode}: {said}")


def open_repository(settings: Settings, url: str, month: str, password: str) -> dict[str, str]:
    """Answers how this month's repository is reached: the first that opens or can be made.

    Raises:
        FailedError: none opens.
    """
    others = (f"{month}-{number}" for number in range(2, MOST_REPOSITORIES + 1))
    for name in (month, *others):
        environment = environment_of(settings, url, name, password)
        if opens(environment):
            return environment
    raise FailedError(
        f"{url}: none of {MOST_REPOSITORIES} repositories of {month} opens with this host's key; "
        "compare the key with the one in the controller's vault"
    )


def summary_of(output: str) -> dict[str, Any]:
    """The summary among restic's JSON lines; empty when there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            message: dict[str, Any] = json.loads(line)
            if message.get("message_type") == "summary":
                return message
    return {}


def send(
    environment: Mapping[str, str], word: str, paths: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Sends paths as one snapshot; answers what last.json says of it.

    Raises:
        FailedError: nothing was sent, or not everything could be read.
    """
    order = ["backup", f"--host={settings['name']}", f"--tag={word}"]
    order += [f"--exclude={path}" for path in settings["excludes"]]
    sent = restic(environment, *order, "--", *paths)
    summary = summary_of(sent.stdout)
    if sent.returncode != 0:
        what = "not everything could be read" if sent.returncode == INCOMPLETE else "nothing sent"
        raise FailedError(
            f"{environment['RESTIC_REPOSITORY']}: {what} (restic ended with {sent.returncode}): "
            f"{complaint(sent.stderr)}"
        )
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "repository": environment["RESTIC_REPOSITORY"],
        "snapshot": summary.get("snapshot_id", ""),
        "paths": list(paths),
        "files": summary.get("total_files_processed", 0),
        "bytes": summary.get("total_bytes_processed", 0),
        "added_bytes": summary.get("data_added", 0),
    }


def note(word: str, results: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> None:
    """Leaves what was sent for people and for the compliance tests."""
    every = json.loads(LAST.read_text()) if LAST.exists() else {}
    every[word] = {"copies": list(results), "missing": list(missing)}
    beside = LAST.with_suffix(".new")
    beside.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
    beside.replace(LAST)


def send_all(settings: Settings, word: str) -> None:
    """Sends one schedule's paths to every repository.

    Raises:
        FailedError: to one of them it could not be sent; the others have it.
    """
    declared = settings["paths"].get(word, [])
    paths = [path for path in declared if Path(path).exists()]
    missing = sorted(set(declared) - set(paths))
    password, month = read_password(), month_of(datetime.now(UTC))
    results, failures = [], []
    for repository in settings["repositories"]:
        try:
            environment = open_repository(settings, repository["url"], month, password)
            results.append(send(environment, word, paths, settings) if paths else {})
        except FailedError as failure:
            failures.append(str(failure))
    if failures:
        raise FailedError("; ".join(failures))
    note(word, results, missing)
    for path in missing:
        sys.stderr.write(f"<5>{path}: is not there (yet), so it was not sent\n")


def read_password() -> str:
    """By which repositories know this host."""
    return (FOLDER / "password").read_text().strip()


def proof(password: str) -> str:
    """What stands in the note of a registration in place of the password."""
    return hashlib.sha256(password.encode()).hexdigest()


def unregistered(settings: Settings, noted: Mapping[str, str], password: str) -> list[str]:
    """Hosts of the repositories that were not told of this host, or of an older password."""
    hosts = [repository["host"] for repository in settings["repositories"]]
    return [host for host in hosts if noted.get(host) != proof(password)]


def main() -> None:
    """Does what the unit or the configuration asks."""
    order = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 - the one order
    settings = json.loads((FOLDER / "settings.json").read_text())
    if order == "look":
        noted = json.loads(REGISTERED.read_text()) if REGISTERED.exists() else {}
        json.dump({"unregistered": unregistered(settings, noted, read_password())}, sys.stdout)
    elif order == "registered":
        RESULTS.mkdir(parents=True, exist_ok=True)
        known = {one["host"]: proof(read_password()) for one in settings["repositories"]}
        REGISTERED.write_text(json.dumps(known))
        REGISTERED.chmod(0o600)
    elif order in {"hourly", "daily", "weekly"}:
        RESULTS.mkdir(parents=True, exist_ok=True)
        try:
            # One after the other: two that begin a month together would both make its repository.
            with (RESULTS / ".sending").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                send_all(settings, order)
        except FailedError as failure:
            sys.exit(str(failure))
    else:
        sys.exit(f"file_backup.py: was called with {sys.argv[1:]}; say a schedule or an order")


if __name__ == "__main__":
    os.umask(0o022)
    main()
