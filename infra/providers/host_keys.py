"""The host keys that a machine's creator makes, so that the first connection is to a known key.

A private key lies in one file below the environment's secrets, readable by its owner alone. It
never becomes an input, an output or part of a log: the engine's state knows the public key only.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.errors import ProviderError


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host's first key pair in OpenSSH's forms."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The folder with one private key per host."""

    folder: Path

    def ensure(self, host: str) -> HostKey:
        """Answers the host's key pair, made now if it has none yet.

        Raises:
            ProviderError: the file is there and cannot be read as a key.
        """
        path = self.folder / host
        if not path.exists():
            self._write(path)
        content = path.read_bytes()
        try:
            key = serialization.load_ssh_private_key(content, password=None)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ProviderError(
                f"{path}: is no private key that OpenSSH wrote ({error}); restore the file, or "
                "remove it to have a new key made for a host that is created anew"
            ) from error
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return HostKey(content.decode(), public.decode())

    def forget(self, host: str) -> None:
        """Removes the key of a host that is gone."""
        (self.folder / host).unlink(missing_ok=True)

    def _write(self, path: Path) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        # mkstemp gives 0600 from the start; the link refuses to replace a key that another thread
        # has just made.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.link(temporary, path)
        except FileExistsError:
            return
        finally:
            Path(temporary).unlink()
