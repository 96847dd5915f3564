"""Builders of the lab's values for the tests beside this file."""

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.lab.specs import HostRecord, HostSpec, Link

ADMINISTRATOR = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPJAhZaXmSWbw9vMptT4OFdDkIS5j16ke9pxxrNm+QFH"


def ed25519_key() -> str:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def ecdsa_key() -> str:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def management_link() -> Link:
    return Link(
        "management",
        "site-70-management",
        ("10.70.7.11/24", "fd70:0:70:7::11/64"),
        ("10.70.7.1", "fd70:0:70:7::1"),
        isolated=True,
    )


def service_host(host_key: str | None = None) -> HostSpec:
    links = (Link("servers", "site-70-servers"), management_link())
    return HostSpec("svc1-70", links, host_key or ed25519_key(), (ADMINISTRATOR,))


def service_record() -> HostRecord:
    spec = service_host()
    return HostRecord(
        name=spec.name,
        links=spec.links,
        authorized_keys=spec.authorized_keys,
        host_public_key="ssh-ed25519 AAAA",
        image="/cache/root",
        created=True,
    )
