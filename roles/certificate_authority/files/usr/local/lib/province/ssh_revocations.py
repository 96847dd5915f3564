#!/usr/bin/python3
"""Keeps and publishes what opens nothing any more over secure shell.

    ssh_revocations.py revoke serial NUMBER REASON   one certificate of a person
    ssh_revocations.py revoke key LINE REASON        a public key, and every certificate of it
    ssh_revocations.py revoke name NAME REASON       every certificate that says the name, for good
    ssh_revocations.py list                          what is revoked, why, when and by whom
    ssh_revocations.py publish                       signs the list anew; a timer runs this

The list is signed with the key that also signs people's keys, so every host can check it with what
it knows already, over whatever way it came. Hosts fetch it every few minutes.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

FOLDER = Path("/etc/province/authority")
KEY, PASSPHRASE = FOLDER / "ssh_user_authority_key.pem", FOLDER / "issuing_passphrase"
SETTINGS = FOLDER / "ssh_revocations.json"
RECORDS = Path("/var/lib/province/authority/ssh_revocations.json")
PUBLISHED = Path("/srv/ssh_revocations/list")
AUTOMATION_KEYS = Path("/var/lib/ansible/.ssh/authorized_keys")
SIGNED_FOR = "ssh_revocations"
LIMIT_SECONDS = 30
SERIAL_END = 2**64

Record = dict[str, str]


class RefusedError(Exception):
    """A sentence that says what could not be done."""


def main(arguments: list[str]) -> None:
    """Runs one verb."""
    os.umask(0o077)
    try:
        match arguments:
            case ["revoke", kind, value, *reason] if kind in SPECIFICATIONS and reason:
                revoke(kind, value, " ".join(reason))
            case ["list"]:
                print("\n".join(map(described, read_records())) or "nothing is revoked")
            case ["publish"]:
                with_lock(publish)
            case _:
                sys.exit(__doc__)
    except RefusedError as refusal:
        sys.exit(f"ssh revocations: {refusal}")


def revoke(kind: str, value: str, reason: str) -> None:
    """Puts one more on record and publishes the list."""
    record = {
        "specification": SPECIFICATIONS[kind](value),
        "reason": reason,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": os.environ.get("SUDO_USER") or os.environ.get("USER") or "unknown",
    }

    def record_and_publish() -> None:
        records = read_records()
        if record["specification"] not in {one["specification"] for one in records}:
            write(RECORDS, json.dumps([*records, record], indent=1) + "\n", 0o600)
        publish()

    with_lock(record_and_publish)
    print(described(record))


def serial(value: str) -> str:
    """Answers how the list says one certificate; zero stands for "has none"."""
    if not value.isdecimal() or not 0 < int(value) < SERIAL_END:
        raise RefusedError(
            f"serial {value!r}: is not a number of a certificate; one from 1 to 2^64-1 is "
            "required; 'ssh-keygen -L -f CERTIFICATE' shows it"
        )
    return f"serial: {int(value)}"


def key(value: str) -> str:
    """Answers how the list says a key; refuses the one by which hosts are configured."""
    words = value.split()[:2]
    with tempfile.TemporaryDirectory(prefix="ssh_revocations-") as folder:
        line = Path(folder) / "key.pub"
        line.write_text(" ".join(words) + "\n")
        shown = run(["ssh-keygen", "-l", "-f", line], {0, 1, 255})
    if shown.returncode != 0 or words[0].startswith("ssh-cert"):
        raise RefusedError(
            "key: is not a public key; a line such as 'ssh-ed25519 AAAA...' is required; give the "
            "content of the .pub file in quotation marks"
        )
    if AUTOMATION_KEYS.is_file() and words[1] in AUTOMATION_KEYS.read_text().split():
        raise RefusedError(
            "key: is the one by which every host is configured; revoked, it would lock the "
            "controller out of all of them; give the hosts another one first"
        )
    return f"key: {' '.join(words)}"


def name(value: str) -> str:
    """Answers how the list says every certificate with one name (the key ID)."""
    if not re.fullmatch(r"[A-Za-z0-9_.@-]+", value):
        raise RefusedError(
            f"name {value!r}: is no name of a certificate; letters, digits and _ . @ - are "
            "allowed; 'ssh-keygen -L -f CERTIFICATE' shows it as Key ID"
        )
    return f"id: {value}"


SPECIFICATIONS: dict[str, Callable[[str], str]] = {"serial": serial, "key": key, "name": name}
"""Kind of what is revoked: the line for it as ssh-keygen reads it."""


def described(record: Record) -> str:
    """Answers one line about one record."""
    return f"{record['at']} {record['by']}: {record['specification']} ({record['reason']})"


def read_records() -> list[Record]:
    """Answers what is on record, oldest first."""
    found: list[Record] = json.loads(RECORDS.read_text()) if RECORDS.is_file() else []
    return found


def publish() -> None:
    """Signs the list as it is now, good for as long as the settings say, and puts it in place."""
    now = datetime.now(UTC)
    hours = json.loads(SETTINGS.read_text())["valid_hours"]
    said = {
        "this_update": now.isoformat(timespec="microseconds"),
        "next_update": (now + timedelta(hours=hours)).isoformat(timespec="seconds"),
        "revoked": [record["specification"] for record in read_records()],
    }
    text = json.dumps(said, indent=1) + "\n"
    write(PUBLISHED, text + signature(text), 0o644)


def signature(text: str) -> str:
    """Answers the signature by the authority's key, which lies encrypted."""
    # Not in /tmp: a hardened host runs no program from there, and one answers for the passphrase.
    with tempfile.TemporaryDirectory(prefix="ssh_revocations-", dir=RECORDS.parent) as folder:
        place = Path(folder)
        private, ask = place / "key", place / "ask"
        shutil.copyfile(KEY, private)
        # ssh-keygen asks a program for the passphrase, so that it stands on no command line.
        ask.write_text(f"#!/bin/sh\nexec cat {PASSPHRASE}\n")
        ask.chmod(0o700)
        asking = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        public = run(["ssh-keygen", "-y", "-f", private], {0}, environment=asking).stdout
        (place / "key.pub").write_text(public)
        order: list[str | Path] = ["ssh-keygen", "-Y", "sign", "-n", SIGNED_FOR, "-f", private]
        return run(order, {0}, environment=asking, given=text).stdout


def write(path: Path, text: str, mode: int) -> None:
    """Exchanges a file in one step, and not before its content is on the disk."""
    fresh = path.with_name(f".{path.name}.fresh")
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.chmod(mode)
    fresh.replace(path)


def with_lock(act: Callable[[], None]) -> None:
    """Does what nobody else may do at the same time."""
    with RECORDS.with_name("ssh_revocations.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        act()


def run(
    command: list[str | Path],
    expected: set[int],
    environment: dict[str, str] | None = None,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Runs a command; refuses with what it complained about."""
    done = subprocess.run(
        [str(word) for word in command],
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
        input=given,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode not in expected:
        raise RefusedError(
            f"'{command[0]} {command[1]}' exited {done.returncode}: {done.stderr.strip()}; the key "
            "of the authority and its passphrase must be readable; run this as root"
        )
    return done


if __name__ == "__main__":
    main(sys.argv[1:])
