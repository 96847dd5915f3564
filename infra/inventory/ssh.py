"""The ssh configuration of an environment: one block per host, every host key pinned. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Way:
    """How a host is reached now: which address, as whom, with which key, through what."""

    host: str
    alias: str
    """The name under which its key is pinned and certified: its full name."""
    address: str
    user: str
    identity: Path
    proxy_command: tuple[str, ...]


def render_config(ways: Sequence[Way], known_hosts: Path, sockets: Path) -> str:
    """An OpenSSH client configuration; unknown and changed host keys are refused."""
    lines = ["# Written by province. Host keys are pinned; an unknown or changed one is refused."]
    for way in ways:
        lines += [
            "",
            f"Host {way.host}",
            f"    HostName {way.address}",
            f"    HostKeyAlias {way.alias}",
            f"    User {way.user}",
            f"    IdentityFile {way.identity}",
        ]
        if way.proxy_command:
            lines.append(f"    ProxyCommand {shlex.join(way.proxy_command)}")
    lines += [
        "",
        "Host *",
        "    IdentitiesOnly yes",
        "    PasswordAuthentication no",
        "    StrictHostKeyChecking yes",
        f"    UserKnownHostsFile {known_hosts}",
        "    GlobalKnownHostsFile /dev/null",
        "    UpdateHostKeys no",
        "    ConnectTimeout 10",
        "    ServerAliveInterval 10",
        "    ServerAliveCountMax 3",
        "    ControlMaster auto",
        "    ControlPersist 60",
        f"    ControlPath {sockets}/%C",
    ]
    return "\n".join(lines) + "\n"


def pin_missing(known_hosts: str, keys: Mapping[str, str], authority: str, domain: str) -> str:
    """The known hosts with every host that has no pinned key yet, and the SSH host authority.

    Args:
        known_hosts: the file as it is; its pins stay, because bootstrap has changed them.
        keys: the creator's public host keys (`ssh-ed25519 AAAA...`) by full name.
        authority: public key line of the SSH host authority.
        domain: the province's domain; the authority is trusted for names under it only.
    """
    lines = known_hosts.splitlines()
    pinned = {line.split(" ", 1)[0] for line in lines}
    lines += [f"{name} {key}" for name, key in sorted(keys.items()) if name not in pinned]
    trust = f"@cert-authority *.{domain} {' '.join(authority.split()[:2])}"
    if trust not in lines:
        lines = [line for line in lines if not line.startswith("@cert-authority")] + [trust]
    return "\n".join(lines) + "\n"


def unpin(known_hosts: str, names: frozenset[str]) -> str:
    """The known hosts without machines that were destroyed: what comes after has other keys."""
    kept = [line for line in known_hosts.splitlines() if line.split(" ", 1)[0] not in names]
    return "".join(f"{line}\n" for line in kept)
