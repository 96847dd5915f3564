"""The files that make one bare base into one particular host, ready for its first connection.

They are few on purpose: a name, the host key that the caller knows, who may log in, and addresses
where the caller wants to reach it. Everything else is the work of roles. The network profiles sort
last, so that whatever a role writes wins even where it leaves ours behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from infra.errors import LabError
from infra.lab.specs import HostSpec, Link

PUBLIC_KEY_FILE = PurePosixPath("etc/ssh/ssh_host_ed25519_key.pub")
AUTHORIZED_KEYS_FILE = PurePosixPath("root/.ssh/authorized_keys")


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file of a host; its path is relative to the host's root."""

    path: PurePosixPath
    content: str = field(repr=False)
    mode: int = 0o644


FOLDER_MODES = {PurePosixPath("root"): 0o700, PurePosixPath("root/.ssh"): 0o700}
"""Folders that are not open to everybody; a folder in the upper layer hides the base's own mode."""


def files(spec: HostSpec, machine_id: str) -> tuple[HostFile, ...]:
    """Answers the files of first contact.

    A machine id is always given: a root without one is taken for a first boot, which switches units
    on that the base has switched off.
    """
    return (
        HostFile(PurePosixPath("etc/machine-id"), f"{machine_id}\n", 0o444),
        HostFile(PurePosixPath("etc/hostname"), f"{spec.name}\n"),
        HostFile(PurePosixPath("etc/hosts"), _hosts(spec.name)),
        HostFile(PUBLIC_KEY_FILE.with_suffix(""), f"{spec.host_key.strip()}\n", 0o600),
        HostFile(PUBLIC_KEY_FILE, f"{public_key(spec)} {spec.name}\n"),
        HostFile(AUTHORIZED_KEYS_FILE, _lines(spec.authorized_keys), 0o600),
        *(HostFile(_profile_path(link), _profile(link)) for link in spec.links),
    )


def public_key(spec: HostSpec) -> str:
    """Answers the public half of the host key, ``ssh-ed25519 AAAA...``.

    Raises:
        LabError: the key is no ed25519 key in OpenSSH's format without a passphrase.
    """
    try:
        key = load_ssh_private_key(spec.host_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The cause may quote the key: only its kind is told.
        raise LabError(
            f"host {spec.name!r}: its host key cannot be read ({type(error).__name__}); give an "
            "ed25519 key in OpenSSH's format without a passphrase"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LabError(
            f"host {spec.name!r}: its host key is a {type(key).__name__}; give an ed25519 key"
        )
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _hosts(name: str) -> str:
    return (
        f"127.0.0.1 localhost\n127.0.1.1 {name}\n"
        "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    )


def _profile_path(link: Link) -> PurePosixPath:
    return PurePosixPath(f"etc/systemd/network/90-first_contact-{link.interface}.network")


def _profile(link: Link) -> str:
    local = "ipv6" if link.addresses else "no"
    return _lines(
        [
            "# Made by the lab for the first contact; the host's roles replace it.",
            "[Match]",
            f"Name={link.interface}",
            "",
            "[Network]",
            f"LinkLocalAddressing={local}",
            "IPv6AcceptRA=no",
            *(f"Address={address}" for address in link.addresses),
            *(f"Gateway={gateway}" for gateway in link.gateways),
        ]
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line.strip()}\n" for line in lines)
