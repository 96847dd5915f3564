#!/usr/bin/python3
"""Brings the database cluster in line with what is declared; acts on the leader only.

    database_cluster.py look     says what `apply` would change
    database_cluster.py apply    waits until this member takes part; then, on the leader, brings the
                                 cluster's settings and tenants in line and restarts what waits

Rule 1: settings belong to the cluster and are the declared ones, whole; a pause is people's own.
Rule 2: a member is restarted only while every other one takes part, and the leader last: the
cluster can be written to, but for the moment in which the leader starts.

Lines that begin with `changed:` are changes, `note:` what somebody should know. Every failure is a
sentence and a failed exit.
"""

import base64
import json
import os
import pwd
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from database_catalogue import carry_out, observe
from database_tenants import Change, changes, undeclared, wanted

Json = Any
"""What a member answers."""

SETTINGS = Path("/etc/province/database_cluster.json")
ROLES = Path("/etc/province/database_roles.json")
PKI = Path("/etc/province/pki")
TAKES_PART = {"running", "streaming"}
LEADERS = {"leader", "standby_leader"}
ANSWER_SECONDS = 5
START_SECONDS = 300
RESTART_SECONDS = 120
SETTLE_SECONDS = 6
"""In this time every member has read new settings: several times the manager's own interval."""


class RefusedError(Exception):
    """A sentence that says what could not be done."""


class Manager:
    """The cluster's manager (Patroni), as this host's member and the others answer."""

    def __init__(self, settings: Mapping[str, Any], management: Mapping[str, str]) -> None:
        self.name: str = settings["name"]
        self.members: Mapping[str, str] = settings["members"]
        self.port: int = settings["port"]
        pair = f"{management['username']}:{management['password']}".encode()
        self.authorisation = f"Basic {base64.b64encode(pair).decode()}"
        self.trust = ssl.create_default_context(cafile=str(PKI / "root.pem"))
        self.trust.load_cert_chain(PKI / "database/chain.pem", PKI / "database/key.pem")

    def ask(
        self,
        host: str,
        path: str,
        method: str = "GET",
        body: object = None,
        limit: float = ANSWER_SECONDS,
    ) -> Json:
        """Answers what a member says, whatever the code: a replica's answer is an answer too."""
        request = urllib.request.Request(
            f"https://{self.members[host]}:{self.port}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self.authorisation, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=limit, context=self.trust
            ) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise RefusedError(
                f"{host} answered {error.code} to {method} /{path}: {error.read().decode()[:300]}"
            ) from error
        except OSError as error:
            raise RefusedError(f"{host} did not answer {method} /{path}: {error}") from error
        return json.loads(text) if method == "GET" else text

    def cluster(self) -> dict[str, dict[str, Any]]:
        """Every member that the cluster knows, by name."""
        return {one["name"]: one for one in self.ask(self.name, "cluster")["members"]}

    def not_taking_part(self) -> list[str]:
        """The declared members that do not lead or follow just now."""
        known = self.cluster()
        return [
            name
            for name in self.members
            if name not in known or known[name]["state"] not in TAKES_PART
        ]

    def waits_for_restart(self) -> list[str]:
        """The members whose settings need a restart; the leader last."""
        due = [one for one in self.cluster().values() if one.get("pending_restart")]
        return [one["name"] for one in sorted(due, key=lambda one: one["role"] in LEADERS)]

    def leads(self) -> bool:
        """Whether this member is the leader."""
        own = self.cluster().get(self.name)
        return own is not None and own["role"] in LEADERS and own["state"] in TAKES_PART


def main(arguments: list[str]) -> None:
    """Runs one verb."""
    if arguments not in (["look"], ["apply"]):
        sys.exit(__doc__)
    settings = json.loads(SETTINGS.read_text())
    roles = json.loads(ROLES.read_text())
    manager = Manager(settings, roles["management"])
    # The socket lets in whoever has the account's name; nothing further needs root.
    account = pwd.getpwnam("postgres")
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    try:
        for line in (look if arguments == ["look"] else apply)(
            manager, settings, roles["verifiers"]
        ):
            print(line, flush=True)
    except RefusedError as refusal:
        sys.exit(f"database cluster {settings['cluster']} on {settings['name']}: {refusal}")


def look(
    manager: Manager, settings: Mapping[str, Any], verifiers: Mapping[str, str]
) -> Iterator[str]:
    """Says what would change; a member that does not answer could change nothing either."""
    if not takes_part(manager) or not manager.leads():
        return
    if manager.ask(manager.name, "config") != desired_settings(manager, settings):
        yield "changed: settings of the cluster"
    for step in tenant_steps(settings, verifiers):
        yield f"changed: {step.sentence}"
    yield from restart_notes(manager, settings)


def apply(
    manager: Manager, settings: Mapping[str, Any], verifiers: Mapping[str, str]
) -> Iterator[str]:
    """Waits for this member, and acts where it leads."""
    wait_until(
        lambda: takes_part(manager),
        START_SECONDS,
        "this member does not take part yet; a big database takes longer to be copied: run this "
        "again, and look at 'journalctl --unit=patroni.service' if nothing moves",
    )
    if not manager.leads():
        return
    ought = desired_settings(manager, settings)
    if manager.ask(manager.name, "config") != ought:
        manager.ask(manager.name, "config", "PUT", ought)
        yield "changed: settings of the cluster"
        time.sleep(SETTLE_SECONDS)
    for sentence in carry_out(list(tenant_steps(settings, verifiers))):
        yield f"changed: {sentence}"
    for name in undeclared_databases(settings, verifiers):
        yield f"note: database {name} is not declared; it stays, and nobody is let in"
    yield from restart_due(manager, settings)


def takes_part(manager: Manager) -> bool:
    """Whether this member leads or follows, and the cluster has a leader."""
    try:
        known = manager.cluster()
    except RefusedError:
        return False
    has_leader = any(one["role"] in LEADERS for one in known.values())
    return has_leader and known.get(manager.name, {"state": ""})["state"] in TAKES_PART


def desired_settings(manager: Manager, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The declared settings, with the pause that somebody may have ordered."""
    now = manager.ask(manager.name, "config")
    return {**settings["settings"], **{key: now[key] for key in ("pause",) if key in now}}


def tenant_steps(settings: Mapping[str, Any], verifiers: Mapping[str, str]) -> Iterator[Change]:
    """What tenants lack."""
    ought = wanted(settings["tenants"], verifiers)
    yield from changes(observe(ought.inside), ought, verifiers)


def undeclared_databases(settings: Mapping[str, Any], verifiers: Mapping[str, str]) -> list[str]:
    """Databases without a tenant."""
    return undeclared(observe(()), wanted(settings["tenants"], verifiers))


def restart_notes(manager: Manager, settings: Mapping[str, Any]) -> Iterator[str]:
    """Says which members wait for a restart, and whether they would get it."""
    word = "changed" if settings["restart_when_due"] else "note"
    for name in manager.waits_for_restart():
        yield f"{word}: {name} restarts for a setting that needs it"


def restart_due(manager: Manager, settings: Mapping[str, Any]) -> Iterator[str]:
    """Restarts what waits for it, one member after the other, the leader last."""
    for name in manager.waits_for_restart():
        if not settings["restart_when_due"]:
            yield f"note: {name} waits for a restart; database_cluster_restart_when_due says no"
            continue
        wait_until(
            lambda: not manager.not_taking_part(),
            RESTART_SECONDS,
            f"{name} waits for a restart, and not every member takes part; all are required, so "
            "that the cluster can be written to; mend the one that does not, then run this again",
        )
        manager.ask(name, "restart", "POST", {"restart_pending": True}, RESTART_SECONDS)
        wait_until(
            lambda: not manager.not_taking_part(),
            RESTART_SECONDS,
            f"{name} was restarted and does not take part again; the others go on; look at "
            "'journalctl --unit=patroni.service' there",
        )
        yield f"changed: {name} restarted for a setting that needs it"


def wait_until(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Waits, and refuses with a sentence when it takes too long."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise RefusedError(f"{otherwise} (waited {seconds} s)")
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1:])
