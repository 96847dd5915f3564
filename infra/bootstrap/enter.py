"""Enters hosts with OpenSSH: who answers, with which key, and what the host says of itself.

OpenSSH and not pyinfra decides whether a host is the right one, with the same configuration that
Ansible and people use; pyinfra is then given exactly what OpenSSH has resolved.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.bootstrap import plan
from infra.bootstrap.plan import Contact, Facts, Way
from infra.errors import BootstrapError

_CONNECT_SECONDS = 10
_PROBE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """Private key files: the creator's, which opens root at first, and the automation account's."""

    creator: Path
    automation: Path


@dataclass(frozen=True, slots=True)
class Route:
    """How OpenSSH reaches a host, resolved from its configuration."""

    hostname: str
    port: str
    proxy_command: str
    lookup_name: str
    known_hosts: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One way into one host."""

    name: str
    ssh_config: Path
    identity: Path
    way: Way

    @property
    def user(self) -> str:
        """Answers who enters."""
        return plan.ACCOUNT if self.way is Way.AUTOMATION else "root"


@dataclass(frozen=True, slots=True)
class Visit:
    """One attempt to enter a host, and what was learned."""

    contact: Contact
    entry: Entry
    facts: Facts | None
    said: str
    """The last words of ssh or of the host, for a sentence."""


def public_key(private: Path) -> str:
    """Answers the public half of a private key file, ``ssh-ed25519 AAAA...``.

    Raises:
        BootstrapError: the file is missing, protected by a passphrase, or no key.
    """
    answer = _run(["ssh-keygen", "-y", "-P", "", "-f", str(private)])
    if answer.returncode != 0:
        raise BootstrapError(
            f"{private}: is no private key that can be used without asking "
            f"({_last_line(answer.stderr)}); give the key file that opens the hosts"
        )
    return " ".join(answer.stdout.split()[:2])


def find_route(name: str, ssh_config: Path) -> Route:
    """Answers how OpenSSH would reach the host.

    Raises:
        BootstrapError: the configuration cannot be read or pins keys in more than one file.
    """
    answer = _run(["ssh", "-G", "-F", str(ssh_config), name])
    if answer.returncode != 0:
        raise BootstrapError(
            f"{name}: {ssh_config} cannot be read ({_last_line(answer.stderr)}); it must say how "
            "to reach the host: write it anew"
        )
    settings = dict(line.partition(" ")[::2] for line in answer.stdout.splitlines())
    files = settings.get("userknownhostsfile", "").split()
    if len(files) != 1:
        raise BootstrapError(
            f"{name}: {ssh_config} pins host keys in {len(files)} files; one UserKnownHostsFile is "
            "required, so that there is one place to change"
        )
    proxy = settings.get("proxycommand", "")
    return Route(
        hostname=settings["hostname"],
        port=settings["port"],
        proxy_command="" if proxy == "none" else proxy,
        lookup_name=plan.lookup_name(settings),
        known_hosts=Path(files[0]).expanduser(),
    )


def visit(name: str, ssh_config: Path, keys: AccountKeys, creator_key: str) -> Visit:
    """Enters a host by the first way that works, and takes its facts in the same connection."""
    tried = _visit(Entry(name, ssh_config, keys.automation, Way.AUTOMATION), creator_key)
    if tried.contact in {Contact.UNREACHABLE, Contact.WRONG_HOST_KEY} or tried.facts is not None:
        return tried
    return _visit(Entry(name, ssh_config, keys.creator, Way.CREATOR), creator_key)


def carry(entry: Entry, archive: Path, digest: str) -> str | None:
    """Brings the repository of first contact over; answers what went wrong, or None.

    Not a task for pyinfra: its client loses bytes of anything large behind a ProxyCommand, because
    it takes a partial write for a whole one.
    """
    remote = _become(entry.way, ["sh", "-c", plan.CARRY, "carry", digest])
    with archive.open("rb") as content:
        answer = _run([*_ssh(entry), entry.name, remote], data=content)
    return None if answer.returncode == 0 else _last_line(answer.stderr)


def write_known_hosts(path: Path, text: str) -> None:
    """Replaces known_hosts whole, so that nobody ever reads half of it."""
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def pyinfra_configuration(route: Route, name: str) -> str:
    """Answers an ssh configuration of what pyinfra's client understands, and no more."""
    lines = [f"Host {name}", f"  HostName {route.hostname}", f"  Port {route.port}"]
    if route.proxy_command:
        lines.append(f"  ProxyCommand {route.proxy_command}")
    return "".join(f"{line}\n" for line in lines)


def pyinfra_known_hosts(route: Route, known_hosts: str) -> str:
    """Answers the host's pinned keys under the name by which pyinfra's client looks them up."""
    # It knows no HostKeyAlias: it always takes the address.
    name = route.hostname if route.port == "22" else f"[{route.hostname}]:{route.port}"
    keys = plan.pinned_keys(known_hosts, route.lookup_name)
    return "".join(f"{name} {key}\n" for key in keys)


def _visit(entry: Entry, creator_key: str) -> Visit:
    remote = _become(entry.way, ["sh", "-s", "--", creator_key.split()[1]])
    try:
        command = [*_ssh(entry), entry.name, remote]
        answer = _run(command, data=plan.PROBE, limit=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return Visit(Contact.UNREACHABLE, entry, None, f"no answer within {_PROBE_SECONDS} s")
    contact = plan.classify_contact(answer.returncode, answer.stderr)
    facts = plan.parse_facts(answer.stdout, answer.stderr) if contact is Contact.ENTERED else None
    said = _last_line(answer.stderr)
    if contact is Contact.WRONG_HOST_KEY and (shown := plan.shown_fingerprint(answer.stderr)):
        said = f"it shows {shown}"
    return Visit(contact, entry, facts, said)


def _ssh(entry: Entry) -> list[str]:
    options: Mapping[str, str] = {
        "User": entry.user,
        "IdentityFile": str(entry.identity),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "ConnectTimeout": str(_CONNECT_SECONDS),
        "ServerAliveInterval": "15",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        # A connection that somebody left open says nothing of the host's key of today.
        "ControlMaster": "no",
        "ControlPath": "none",
    }
    command = ["ssh", "-v", "-T", "-F", str(entry.ssh_config)]
    for option, value in options.items():
        command += ["-o", f"{option}={value}"]
    return command


def _become(way: Way, command: list[str]) -> str:
    return shlex.join([*(["sudo", "-n"] if way is Way.AUTOMATION else []), *command])


def _run(
    command: list[str], *, data: str | BinaryIO = "", limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    given = {"input": data} if isinstance(data, str) else {"stdin": data}
    try:
        return subprocess.run(
            command,
            **given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=limit,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as missing:
        raise BootstrapError(
            f"{command[0]} is not on this machine; hosts are entered with OpenSSH: apt-get install "
            "openssh-client"
        ) from missing


def _last_line(text: str) -> str:
    lines = [
        line.strip()
        for line in text.splitlines()
        if line.strip()
        and not line.startswith(("debug", "OpenSSH_", "Authenticated to"))
        and "Transferred: sent" not in line
        and not line.startswith("Bytes per second")
    ]
    return lines[-1] if lines else "it said nothing"
