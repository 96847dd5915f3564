"""What a server keeps of a password: a SCRAM-SHA-256 verifier (RFC 5802, RFC 7677)."""  # noqa: INP001 Ansible finds it by its folder

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

ITERATIONS = 4096
"""PostgreSQL's own number; RFC 7677 asks for at least 4096."""

SALT_BYTES = 16


def scram_verifier(password: str, role: str) -> str:
    """Answers the verifier of a role's password in PostgreSQL's form.

    The salt follows from password and role, so the same secret always gives the same verifier: a
    second run changes nothing, and whoever holds the password can compute what the server keeps.
    """
    key = password.encode()
    salt = hmac.digest(key, f"salt of {role}".encode(), "sha256")[:SALT_BYTES]
    salted = hashlib.pbkdf2_hmac("sha256", key, salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${ITERATIONS}:{salt_text}${stored_text}:{server_text}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> Mapping[str, Callable[..., str]]:
        """Answers the filters by name."""
        return {"scram_verifier": scram_verifier}
