"""Keys: made, written as encrypted PEM, read back, and shown in public forms. Pure."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.errors import AuthorityError

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def make_key(curve: ec.EllipticCurve | None = None) -> PrivateKey:
    """Answers a new private key, on P-384 unless another curve is asked for."""
    return ec.generate_private_key(curve or ec.SECP384R1())


def encrypted_pem(key: PrivateKey, passphrase: str) -> str:
    """Answers the key as PKCS 8, encrypted: the form that step-ca opens with its password file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    ).decode()


def read_key(pem: str, passphrase: str, subject: str) -> PrivateKey:
    """Answers the key in an encrypted PEM.

    Raises:
        AuthorityError: the passphrase does not open it, or it is no key of ours; `subject` names
            the file in the sentence.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase.encode())
    except (ValueError, TypeError) as error:
        raise AuthorityError(
            f"{subject}: the key could not be opened ({error}); it must be PEM, encrypted with the "
            "passphrase that was made in the same ceremony; bring both from one backup"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(
            f"{subject}: holds a {type(key).__name__}; the ceremony makes elliptic curve keys "
            "only; bring the file from a backup of the ceremony"
        )
    return key


def same_key(left: PublicKey, right: object) -> bool:
    """Answers whether both are the same public key."""
    return isinstance(right, ec.EllipticCurvePublicKey) and (
        left.public_numbers() == right.public_numbers()
    )


def ssh_line(key: PrivateKey, comment: str) -> str:
    """Answers the public key as OpenSSH writes it, without a line's end."""
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return f"{line.decode()} {comment}"


def json_web_key(key: PrivateKey) -> str:
    """Answers the public half of a P-256 key as JSON web key.

    Its `kid` is the thumbprint of RFC 7638, which `step` computes too when it reads the private
    half: so the authority finds the provisioner of a token without being told.
    """
    numbers = key.public_key().public_numbers()
    required = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(32)),
        "y": _base64url(numbers.y.to_bytes(32)),
    }
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    thumbprint = _base64url(hashlib.sha256(canonical).digest())
    return json.dumps({**required, "alg": "ES256", "kid": thumbprint, "use": "sig"}, sort_keys=True)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
