"""The ceremony: makes what is missing, in an order that a kill cannot spoil, and reads the rest.

A key is always written before what is signed for it. So what a killed ceremony left is a key
without its certificate, for which the next one signs; a certificate without its key can only mean
that somebody took the key away, and is refused.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from infra.authority.certificates import (
    check_issuing,
    check_root,
    issuing_certificate,
    root_certificate,
)
from infra.authority.keys import (
    PrivateKey,
    encrypted_pem,
    json_web_key,
    make_key,
    read_key,
    ssh_line,
)
from infra.authority.material import Material, Profile
from infra.errors import AuthorityError

_PASSPHRASE_BYTES = 32
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class _Files:
    """Where the parts of a ceremony lie."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    @property
    def issuing(self) -> Path:
        return self.folder / "issuing.pem"

    @property
    def issuing_key(self) -> Path:
        return self.folder / "issuing_key.pem"

    @property
    def passphrase(self) -> Path:
        return self.folder / "issuing_passphrase"

    @property
    def ssh_host_key(self) -> Path:
        return self.folder / "ssh_host_authority_key.pem"

    @property
    def ssh_user_key(self) -> Path:
        return self.folder / "ssh_user_authority_key.pem"

    @property
    def provisioner_key(self) -> Path:
        return self.folder / "provisioner_key.pem"

    def required(self) -> tuple[Path, ...]:
        return (
            self.root,
            self.issuing,
            self.issuing_key,
            self.passphrase,
            self.ssh_host_key,
            self.ssh_user_key,
            self.provisioner_key,
        )


def hold_ceremony(
    profile: Profile, *, folder: Path, store: Path, passphrase_file: Path, now: datetime
) -> Material:
    """Makes whatever of the authority is missing and answers all of it.

    Args:
        profile: whom the authority speaks for.
        folder: where the environment keeps what hosts need; made with mode 0700.
        store: the removable store; the only place that ever holds the root key. It need not be
            there once the ceremony is over.
        passphrase_file: opens the root key; lies outside the store. Made when there is no root key
            yet.
        now: the moment from which certificates are valid; with a time zone.

    Raises:
        AuthorityError: a part is missing, open to others, expired, or of another ceremony.
    """
    files = _Files(folder)
    if not _exists(files.issuing):
        _refuse_one_place(store, passphrase_file)
        _make_private_folder(folder)
        _make_private_folder(store)
        root_key = _root_key(store, passphrase_file, files)
        root = _root_certificate(profile, store, files, root_key, now)
        issuing_key = _key(files.issuing_key, _passphrase(files.passphrase))
        _write(
            files.issuing,
            issuing_certificate(profile, issuing_key.public_key(), root, root_key, now),
        )
    passphrase = _read(files.passphrase)
    _key(files.ssh_host_key, passphrase)
    _key(files.ssh_user_key, passphrase)
    # `step` signs tokens with ES256 whatever it is told, hence the smaller curve.
    _key(files.provisioner_key, passphrase, ec.SECP256R1())
    return read_material(profile, folder=folder, now=now)


def read_material(profile: Profile, *, folder: Path, now: datetime) -> Material:
    """Answers what a ceremony made, checked against the profile and the moment.

    Raises:
        AuthorityError: a part is missing, open to others, expired, or of another ceremony.
    """
    files = _Files(folder)
    missing = [path.name for path in files.required() if not _exists(path)]
    if missing:
        raise AuthorityError(
            f"{folder}: has no {', '.join(missing)}; all parts of the ceremony must be there; hold "
            "the ceremony again, or bring them from a backup"
        )
    root, issuing, passphrase = _read(files.root), _read(files.issuing), _read(files.passphrase)
    check_root(root, None, now)
    issuing_key = _opened(files.issuing_key, passphrase)
    check_issuing(issuing, root, issuing_key.public_key(), profile, now)
    comment = profile.domains[0]
    return Material(
        root_certificate=root,
        issuing_certificate=issuing,
        issuing_key=_read(files.issuing_key),
        issuing_passphrase=passphrase,
        ssh_host_authority=ssh_line(_opened(files.ssh_host_key, passphrase), f"hosts of {comment}"),
        ssh_user_authority=ssh_line(
            _opened(files.ssh_user_key, passphrase), f"people of {comment}"
        ),
        ssh_host_authority_key=_read(files.ssh_host_key),
        ssh_user_authority_key=_read(files.ssh_user_key),
        provisioner=json_web_key(_opened(files.provisioner_key, passphrase)),
        provisioner_key=_read(files.provisioner_key),
    )


def _root_key(store: Path, passphrase_file: Path, files: _Files) -> PrivateKey:
    path = store / "root_key.pem"
    if _exists(path):
        if not _exists(passphrase_file):
            raise AuthorityError(
                f"{path}: is there, but its passphrase {passphrase_file} is not; both are needed; "
                "bring the passphrase from where it is kept"
            )
        return _opened(path, _read(passphrase_file))
    if _exists(files.root):
        raise AuthorityError(
            f"{store}: has no root_key.pem although {files.root} stands; signing an issuing "
            "authority needs the root key; bring the removable store of this environment"
        )
    return _key(path, _passphrase(passphrase_file))


def _root_certificate(
    profile: Profile, store: Path, files: _Files, key: PrivateKey, now: datetime
) -> str:
    kept = store / "root.pem"
    if not _exists(kept):
        _write(kept, root_certificate(profile, key, now))
    root = _read(kept)
    check_root(root, key.public_key(), now)
    _write(files.root, root)
    return root


def _key(path: Path, passphrase: str, curve: ec.EllipticCurve | None = None) -> PrivateKey:
    if not _exists(path):
        _write(path, encrypted_pem(make_key(curve), passphrase))
    return _opened(path, passphrase)


def _opened(path: Path, passphrase: str) -> PrivateKey:
    return read_key(_read(path), passphrase, str(path))


def _passphrase(path: Path) -> str:
    if not _exists(path):
        # Its own mode protects it; whose folder it lies in is the caller's business.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, secrets.token_urlsafe(_PASSPHRASE_BYTES))
    return _read(path)


def _refuse_one_place(store: Path, passphrase_file: Path) -> None:
    if passphrase_file.resolve().is_relative_to(store.resolve()):
        raise AuthorityError(
            f"{passphrase_file}: lies on the removable store {store}; whoever finds the store must "
            "not find what opens it; keep the passphrase elsewhere"
        )


def _make_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_open(folder, "0700")


def _refuse_open(path: Path, mode: str) -> None:
    seen = stat.S_IMODE(path.stat().st_mode)
    if seen & _OPEN_TO_OTHERS:
        raise AuthorityError(
            f"{path}: has mode {seen:04o}, so others than its owner may enter; it must have "
            f'{mode}; run "chmod {mode} {path}"'
        )


def _exists(path: Path) -> bool:
    return path.is_file()


def _read(path: Path) -> str:
    _refuse_open(path, "0600")
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Writes all or nothing, readable by the owner alone from its first byte."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.rename(path)
