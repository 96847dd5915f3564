"""Makes secret values. Each kind is one function; randomness is the system's."""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

PASSWORD_ALPHABET = string.ascii_letters + string.digits
ECDSA_P256_SHA256 = 13
"""DNSSEC algorithm number (RFC 6605)."""


def _random_base64(length_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(length_bytes)).decode()


def _password(length_bytes: int) -> str:
    return "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(length_bytes))


def _dnssec_key_pair(length_bytes: int) -> str:
    """A key pair that signs zones: JSON with private scalar and public point, both base64.

    Formats: RFC 6605 section 4 (public key as X and Y), BIND's private-key file (the scalar).
    """
    del length_bytes  # the algorithm fixes it
    key = ec.generate_private_key(ec.SECP256R1())
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    numbers = key.public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    pair = {
        "private_key": base64.b64encode(scalar).decode(),
        "public_key": base64.b64encode(point).decode(),
    }
    return json.dumps(pair, sort_keys=True)


def public_part(kind: str, value: str) -> str | None:
    """What others may know of a secret: a key pair's public half, as the data of a DNSKEY record.

    RFC 4034 section 2: flags 257 (secure entry point), protocol 3, algorithm.
    """
    if kind != "dnssec_key_pair":
        return None
    return f"257 3 {ECDSA_P256_SHA256} {json.loads(value)['public_key']}"


def typed_value(kind: str, value: str | Mapping[str, str]) -> object:
    """A secret as a role receives it: a key pair as its two halves, everything else as it is."""
    if not isinstance(value, str):
        return {name: typed_value(kind, one) for name, one in value.items()}
    return json.loads(value) if kind == "dnssec_key_pair" else value


KINDS: Mapping[str, Callable[[int], str]] = {
    "dnssec_key_pair": _dnssec_key_pair,
    "password": _password,
    "random_base64": _random_base64,
}


def generate(kind: str, length_bytes: int) -> str:
    """A new value of a kind that `SecretRecord` allows."""
    return KINDS[kind](length_bytes)
