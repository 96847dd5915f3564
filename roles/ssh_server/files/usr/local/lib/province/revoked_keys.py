#!/usr/bin/python3
"""Makes the list of keys that the ssh daemon refuses.

From two sources: the environment's declaration (/etc/ssh/revoked_keys) and what the authority has
revoked (/var/lib/province/revocation/ssh_revoked, where a host fetches it). The daemon refuses
EVERY key while its list is missing or cannot be read. So the list is exchanged in one step, what
cannot be read never replaces what can, and where there is none an empty one is made.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

DECLARED = Path("/etc/ssh/revoked_keys")
FETCHED = Path("/var/lib/province/revocation/ssh_revoked")
AUTHORITY = Path("/etc/ssh/user_authority.pub")
IN_FORCE = Path("/etc/ssh/revoked_keys.krl")
LIMIT_SECONDS = 20


class RefusedError(Exception):
    """A sentence that says what could not be done."""


def main() -> None:
    """Puts the list in force; whatever fails, there is one that the daemon can read."""
    os.umask(0o022)
    try:
        put_in_force([path for path in (DECLARED, FETCHED) if path.is_file()])
    except RefusedError as refusal:
        try:
            entries(IN_FORCE)
            outcome = "the list in force stays"
        except RefusedError:
            put_in_force([])
            outcome = "there was none, so an empty one is in force"
        sys.exit(f"revoked keys: {refusal}; {outcome}; correct what could not be read")


def put_in_force(sources: list[Path]) -> None:
    """Makes the list from its sources and exchanges it, unless the one in force says the same."""
    with tempfile.TemporaryDirectory(prefix=".revoked_keys-", dir=IN_FORCE.parent) as folder:
        fresh = Path(folder) / "fresh"
        authority = ["-s", str(AUTHORITY)] if AUTHORITY.is_file() else []
        ssh_keygen(["-k", "-f", str(fresh), *authority, *map(str, sources or [Path("/dev/null")])])
        wanted = entries(fresh)
        try:
            same = entries(IN_FORCE) == wanted
        except RefusedError:
            same = False
        if same:
            return
        with fresh.open("rb") as stream:
            os.fsync(stream.fileno())
        fresh.chmod(0o644)
        fresh.replace(IN_FORCE)
    print(f"revoked keys: {len(wanted)} lines in force")


def entries(path: Path) -> list[str]:
    """Answers what a list says, without when it was made."""
    lines = ssh_keygen(["-Q", "-l", "-f", str(path)]).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("# ")]


def ssh_keygen(arguments: list[str]) -> str:
    """Answers what ssh-keygen printed; refuses with what it complained about."""
    done = subprocess.run(
        ["/usr/bin/ssh-keygen", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RefusedError(
            f"'ssh-keygen {' '.join(arguments)}' exited {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


if __name__ == "__main__":
    main()
