#!/usr/bin/python3
"""Lets one host send its files: takes its name and password over the configuration channel.

Reads JSON on standard input: {"host": name, "password": text}. Keeps a bcrypt of the password only.
Writes {"changed": bool}. The password never stands on a command line and is not kept.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SETTINGS = Path("/etc/province/backup_repository.json")
USERS = Path("/etc/restic-rest-server/province/users")
COST = "10"
SERVICE = "restic-rest-server.service"


def htpasswd(order: str, path: Path, host: str, password: str) -> int:
    """Runs htpasswd with the password on its standard input; answers its exit code."""
    return subprocess.run(
        ["/usr/bin/htpasswd", order, "-C", COST, str(path), host],
        input=password + "\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).returncode


def without(users: str, clients: list[str]) -> str:
    """The users' file without those who may no longer send."""
    kept = [line for line in users.splitlines() if line.split(":", 1)[0] in clients]
    return "".join(f"{line}\n" for line in kept)


def main() -> None:
    """Registers the host, unless it is with just this password."""
    order = json.load(sys.stdin)
    host, password = order["host"], order["password"]
    clients = json.loads(SETTINGS.read_text())["file_clients"]
    if host not in clients:
        sys.exit(
            f"{host}: is no client of this repository ({', '.join(clients)}); only a host whose "
            "function needs the service file_backup may send; configure backup_repository first"
        )
    with (USERS.parent / "users.lock").open("w") as lock:
        # A run registers several hosts at once; each must find what the one before it wrote.
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump({"changed": register(host, password, clients)}, sys.stdout)


def register(host: str, password: str, clients: list[str]) -> bool:
    """Writes the host's password, unless it is written; answers whether anything changed."""
    before = USERS.read_text() if USERS.exists() else ""
    kept = without(before, clients)
    if kept == before and USERS.exists() and htpasswd("-iv", USERS, host, password) == 0:
        return False
    beside = USERS.with_name("users.new")
    beside.write_text(kept)
    if (code := htpasswd("-iB", beside, host, password)) != 0:
        sys.exit(f"{host}: htpasswd ended with {code}; see whether {USERS.parent} can be written")
    shutil.chown(beside, "root", "restic-rest-server")
    beside.chmod(0o640)
    beside.replace(USERS)
    # At once: the daemon would look by itself only twice a minute, and refuse the host until then.
    hangup = ["systemctl", "kill", "--kill-whom=main", "--signal=HUP", SERVICE]
    subprocess.run(hangup, check=True)
    return True


if __name__ == "__main__":
    os.umask(0o077)
    main()
