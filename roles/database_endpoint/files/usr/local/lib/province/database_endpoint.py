#!/usr/bin/python3
"""Looks at this host's database endpoint, and holds its clients while the cluster changes hands.

    database_endpoint.py look             JSON: the members as the router sees them, the pooler's
                                          state, and which shared addresses are on this host
    database_endpoint.py pause SECONDS    lets transactions end and holds every client; goes on by
                                          itself after SECONDS, whatever became of who asked
    database_endpoint.py await MEMBER     lets the clients go on as soon as this member alone leads;
                                          fails when they go on for another reason before that
    database_endpoint.py resume           lets the clients go on, if they are held

Every failure is a sentence and a failed exit.
"""

import csv
import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

SETTINGS = Path("/etc/province/database_endpoint.json")
TIMER = "province_database_resume"
HELD = Path("/run/province/database_endpoint.held")
LIMIT_SECONDS = 10
LOOK_EVERY_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 300


def main(arguments: list[str]) -> None:
    """Runs one verb."""
    settings = json.loads(SETTINGS.read_text())
    match arguments:
        case ["look"]:
            json.dump(look(settings), sys.stdout)
        case ["pause", seconds] if seconds.isdigit() and 0 < int(seconds) <= LONGEST_PAUSE_SECONDS:
            pause(settings, int(seconds))
        case ["await", member]:
            await_leader(settings, member)
        case ["resume"]:
            resume(settings)
        case _:
            sys.exit(__doc__)


def look(settings: dict) -> dict:
    """Answers what can be seen from here, without changing anything."""
    state = {row["key"]: row["value"] for row in console(settings, "SHOW STATE")}
    return {
        "cluster": settings["cluster"],
        "carries": [one for one in settings["shared"] if one in own_addresses()],
        "shared": settings["shared"],
        "held": state["paused"] == "yes",
        "servers": servers(settings),
        "databases": [
            {
                "name": row["name"],
                "connections": int(row["current_connections"]),
                "most_connections": int(row["max_connections"]),
                "clients": int(row["current_client_connections"]),
                "most_clients": int(row["max_client_connections"]),
            }
            for row in console(settings, "SHOW DATABASES")
            if row["name"] != "pgbouncer"
        ],
    }


def pause(settings: dict, seconds: int) -> None:
    """Holds the clients; the way back is arranged before anything is held."""
    call(["systemctl", "stop", f"{TIMER}.timer"], tolerate="not loaded")
    call(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={TIMER}", f"--on-active={seconds}"),
            *("--timer-property=AccuracySec=100ms", sys.argv[0], "resume"),
        ]
    )
    HELD.touch()
    try:
        console(settings, "PAUSE")
    except SystemExit:
        resume(settings)
        raise


def await_leader(settings: dict, member: str) -> None:
    """Lets the clients go on when the router leads to this member, and to no other."""
    while HELD.exists():
        found = servers(settings)
        if [one["member"] for one in found if is_leading(one)] == [member]:
            resume(settings)
            return
        time.sleep(LOOK_EVERY_SECONDS)
    sys.exit(
        f"database endpoint: {member} did not lead while the clients were held; they go on; see "
        "who leads and what the cluster says"
    )


def is_leading(server: dict) -> bool:
    """Answers whether the router would lead a writer to this member."""
    return server["part"] == "primary" and server["state"].startswith("UP")


def resume(settings: dict) -> None:
    """Lets the clients go on, and takes the arranged way back away."""
    console(settings, "RESUME", tolerate="not paused")
    HELD.unlink(missing_ok=True)
    call(["systemctl", "stop", f"{TIMER}.timer"], tolerate="not loaded")


def servers(settings: dict) -> list:
    """Answers the members as the router sees them."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(LIMIT_SECONDS)
        try:
            talk.connect(settings["router_socket"])
            talk.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: talk.recv(65536), b"")).decode()
        except OSError as error:
            sys.exit(
                f"database endpoint: the router does not answer at {settings['router_socket']} "
                f"({error}); it must run; see journalctl --unit haproxy"
            )
    return [
        {
            "part": row["pxname"],
            "member": row["svname"],
            "state": row["status"],
            "check": row["check_status"],
            "connections": int(row["scur"]),
        }
        for row in csv.DictReader(io.StringIO(answer.removeprefix("# ")))
        if row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def own_addresses() -> set:
    """Answers every address that is on this host now."""
    shown = json.loads(call(["ip", "-json", "address", "show"]))
    return {one["local"] for link in shown for one in link.get("addr_info", ())}


def console(settings: dict, command: str, tolerate: str = "") -> list:
    """Answers the rows of a command of the pooler's console, as the account it runs as."""
    answer = call(
        [
            *("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"),
            *("psql", "--no-psqlrc", "--csv", "--quiet"),
            f"--host={settings['pooler_socket']}",
            *(f"--port={settings['port']}", "--username=pgbouncer", "--dbname=pgbouncer"),
            *("--set=ON_ERROR_STOP=1", f"--command={command}"),
        ],
        tolerate,
    )
    return list(csv.DictReader(io.StringIO(answer)))


def call(command: list, tolerate: str = "") -> str:
    """Answers what a command printed, or ends the process with what it complained about."""
    try:
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        sys.exit(
            f"database endpoint: {command[-1]!r} did not end within {LIMIT_SECONDS} s; a "
            "transaction is open or the pooler does not answer; look for long transactions and try "
            "again"
        )
    if done.returncode != 0 and not (tolerate and tolerate in done.stderr):
        sys.exit(
            f"database endpoint: {command[-1]!r} exited {done.returncode}: "
            f"{done.stderr.strip()}; see journalctl --unit pgbouncer"
        )
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
