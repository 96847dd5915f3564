"""Signs publications with the environment's own archive key (OpenPGP, Ed25519).

The key is one file in the environment's secrets. gpg works in a folder beside it that lives as long
as one publication, and each call in a process namespace of its own: the agent that gpg starts ends
with the call, so a killed run leaves neither a process nor a key outside that folder.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.errors import MirrorError

_USER = "Province package archive"
_SECRET = "archive_signing_key.asc"  # noqa: S105  a file's name


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The archive's key: its public half in armour, its fingerprint, and since when it exists."""

    public: bytes
    fingerprint: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Keyring:
    """A gpg folder that holds the archive's key for a moment."""

    home: Path
    key: SigningKey

    def clear_sign(self, text: str, date: datetime) -> bytes:
        """Answers the text with its signature made as if at ``date``: same input, same bytes.

        The signature may not be older than its key, or nobody would accept it.
        """
        moment = int(max(date, self.key.created).timestamp())
        return _gpg(
            self.home,
            *("--faked-system-time", f"{moment}!", "--digest-algo", "SHA512"),
            *("--local-user", self.key.fingerprint, "--clear-sign"),
            data=text.encode(),
        )


@contextmanager
def opened_keyring(home: Path) -> Iterator[Keyring]:
    """Opens the archive's key in ``home``, making it the first time.

    Raises:
        MirrorError: ``home`` can be read by others, or gpg refuses.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_mode & 0o077:
        raise MirrorError(
            f"{home}: others than its owner may enter; the key that signs packages is in it: "
            f"chmod 700 {home}"
        )
    secret = home / _SECRET
    with _folder(home / "gpg") as folder:
        if secret.exists():
            _gpg(folder, "--import", data=secret.read_bytes())
        else:
            _make(folder, secret)
        yield Keyring(folder, _describe(folder))


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Makes gpg's folder and answers it under a name that is short enough for its sockets.

    The kernel takes 107 bytes of a socket's path; a checkout may lie deeper than that.
    """
    shutil.rmtree(path, ignore_errors=True)  # what a killed run left
    path.mkdir(mode=0o700)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{handle}")
    finally:
        os.close(handle)
        shutil.rmtree(path)


def _make(folder: Path, secret: Path) -> None:
    passphrase = ("--pinentry-mode", "loopback", "--passphrase-fd", "0")
    _gpg(folder, *passphrase, "--quick-generate-key", _USER, "ed25519", "sign", "never", data=b"\n")
    armoured = _gpg(folder, *passphrase, "--armor", "--export-secret-keys", data=b"\n")
    # Whole or not at all: a key cut off by a kill would be taken for the environment's.
    unfinished = secret.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(armoured)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(secret)


def _describe(folder: Path) -> SigningKey:
    listed = _gpg(folder, "--with-colons", "--list-secret-keys").decode()
    records = [line.split(":") for line in listed.splitlines()]
    created = [record[5] for record in records if record[0] == "sec"]
    fingerprints = [record[9] for record in records if record[0] == "fpr"]
    if len(created) != 1:
        raise MirrorError(
            f"package mirror: the file of the archive's key holds {len(created)} keys; it must "
            "hold one: put the right file back, or delete it and have every host take the new key"
        )
    public = _gpg(folder, "--armor", "--export", fingerprints[0])
    return SigningKey(public, fingerprints[0], datetime.fromtimestamp(int(created[0]), UTC))


def _gpg(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    options = ("--batch", "--no-tty", "--quiet", "--homedir", str(folder))
    return _run(
        *("unshare", "--pid", "--fork", "--kill-child", "gpg"),
        *options,
        *("--no-emit-version", "--no-comments"),
        *arguments,
        data=data,
    )


def _run(*command: str, data: bytes) -> bytes:
    try:
        answer = subprocess.run(list(command), input=data, capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise MirrorError(
            f"package mirror: {command[0]} is not on this machine; signing needs it: apt-get "
            "install util-linux gpg gpg-agent"
        ) from missing
    if answer.returncode != 0:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        raise MirrorError(
            f"package mirror: gpg ended with {answer.returncode} "
            f"({said[-1] if said else 'it said nothing'}); without a signature no host installs "
            "anything: check that this runs as root and that gpg and gpg-agent are installed"
        )
    return answer.stdout
