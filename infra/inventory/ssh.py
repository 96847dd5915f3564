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
            f"    HostKeyAlias {way.host}",
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


def render_known_hosts(keys: Mapping[str, Sequence[str]], authority: str, domain: str) -> str:
    """Pinned keys by host, and the authority that signs host keys of the province.

    Args:
        keys: public host keys (`ssh-ed25519 AAAA...`) by host name.
        authority: public key line of the SSH host authority; empty before the ceremony.
        domain: the province's domain; the authority is trusted for names under it only.
    """
    lines = [f"{host} {key}" for host in sorted(keys) for key in keys[host]]
    if authority:
        lines.append(f"@cert-authority *.{domain} {authority}")
    return "\n".join(lines) + "\n"
