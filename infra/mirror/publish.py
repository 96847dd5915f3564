"""Writes a signed repository into a folder, in an order that a reader in the middle survives.

Packages come first, then the indexes under the names of their digests, then the signed file that
names them, in one rename. What nobody names any more goes last; the indexes of the publication
before stay, for a host that read the signed file a moment ago.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.errors import MirrorError
from infra.mirror import plan
from infra.mirror.sign import Keyring

KEY_NAME = "province_archive.asc"
"""The armoured public key in a repository's folder; hosts get it from there by our hand only."""

_MODE_FILE, _MODE_FOLDER = 0o644, 0o755
_AR_MAGIC = b"!<arch>\n"


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A package file that goes into a repository, and what its content must be."""

    name: str
    source: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a repository lie below its folder."""

    pool: str
    release: str
    index: str
    """Folder of the index, below ``release``."""
    flat: bool


def suite_layout(architecture: str) -> Layout:
    """Answers the layout of a repository with a suite and a pool, as it is served over HTTP."""
    index = f"{plan.COMPONENT}/binary-{architecture}/"
    return Layout("pool/main/", f"dists/{plan.SUITE}/", index, flat=False)


FLAT = Layout("", "", "", flat=True)
"""All in one folder: what is carried to a bare host."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A repository on disk: its packages, its date, the digest of its signed file."""

    digest: str
    date: datetime
    packages: tuple[plan.MirrorPackage, ...]
    key: Path
    changed: bool


@dataclass(frozen=True, slots=True)
class Publisher:
    """What every publication of one environment shares."""

    keyring: Keyring
    architecture: str
    hashes: Path
    """Database of apt-ftparchive: files whose time is the same are not read again."""

    def publish(
        self, output: Path, layout: Layout, pool: tuple[PoolFile, ...], newest_input: datetime
    ) -> Publication:
        """Makes ``output`` the signed repository of exactly ``pool``; writes nothing if it is so.

        Raises:
            MirrorError: a package's content is not what was vouched for.
        """
        changed = _link_pool(output / layout.pool, pool)
        stanzas = self._describe(output, layout, pool)
        index = plan.render_index(stanzas)
        files = {
            f"{layout.index}Packages": index,
            f"{layout.index}Packages.xz": plan.compress(index),
        }
        date = plan.publication_date(
            newest_input, hashlib.sha256(index).hexdigest(), _published(output / layout.release)
        )
        release = plan.render_release(date, files, self.architecture, flat=layout.flat)
        signed = self.keyring.clear_sign(release, date)
        changed |= _write_indexes(output / layout.release, files, by_hash=not layout.flat)
        key = output / KEY_NAME
        changed |= _write(key, self.keyring.key.public)
        changed |= _write(output / layout.release / "InRelease", signed)
        changed |= _remove_strangers(output / layout.pool, {file.name for file in pool})
        if changed and not layout.flat:
            _remove_old_hashes(output / layout.release / layout.index, index)
        return Publication(
            digest=hashlib.sha256(signed).hexdigest(),
            date=date,
            packages=tuple(stanza.package for stanza in stanzas),
            key=key,
            changed=changed,
        )

    def _describe(
        self, output: Path, layout: Layout, pool: tuple[PoolFile, ...]
    ) -> tuple[plan.Stanza, ...]:
        files = {f"{layout.pool}{file.name}": file for file in pool}
        expected = {name: file.sha256 for name, file in files.items()}
        stanzas = self._read_pool(output, layout, expected)
        if plan.wrong_hashes(stanzas, expected):
            # The database takes a file for the same by its time, in whole seconds: ask the files.
            self.hashes.unlink()
            stanzas = self._read_pool(output, layout, expected)
        if wrong := plan.wrong_hashes(stanzas, expected):
            sources = ", ".join(str(files[name].source) for name in wrong)
            raise MirrorError(
                f"package mirror: {sources}: the content is not what its publisher signed; it was "
                "damaged after the download and no host would install it: delete it and run again"
            )
        return stanzas

    def _read_pool(
        self, output: Path, layout: Layout, expected: Mapping[str, str]
    ) -> tuple[plan.Stanza, ...]:
        self.hashes.parent.mkdir(parents=True, exist_ok=True)
        command = ["apt-ftparchive", "--db", str(self.hashes)]
        # Without this it would not even look at the time.
        command += ["-o", "APT::FTPArchive::AlwaysStat=true"]
        for weak in ("MD5", "SHA1", "SHA512"):
            command += ["-o", f"APT::FTPArchive::{weak}=false"]
        answer = _run([*command, "packages", layout.pool.rstrip("/") or "."], output)
        return tuple(
            stanza for stanza in plan.parse_index(answer) if stanza.package.filename in expected
        )


def newest_build(files: tuple[PoolFile, ...]) -> datetime:
    """Answers when the youngest package was built, as it says itself: its archive's own stamp."""
    return max((_built(file.source) for file in files), default=datetime.fromtimestamp(0, UTC))


def file_sha256(path: Path) -> str:
    """Answers the SHA-256 of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _built(package: Path) -> datetime:
    with package.open("rb") as content:
        head = content.read(68)
    stamp = head[24:36].strip()
    if not head.startswith(_AR_MAGIC) or not stamp.isdigit():
        raise MirrorError(
            f"{package}: is no Debian package; it was damaged after the download: delete it and "
            "run again"
        )
    return datetime.fromtimestamp(int(stamp), UTC)


def _published(release: Path) -> plan.Published | None:
    signed = release / "InRelease"
    return plan.read_published(signed.read_text(encoding="utf-8")) if signed.exists() else None


def _link_pool(pool: Path, files: tuple[PoolFile, ...]) -> bool:
    _make_folder(pool)
    changed = False
    for file in files:
        target = pool / file.name
        if target.exists() and _is_same(target, file.source):
            continue
        target.unlink(missing_ok=True)
        changed = True
        try:
            target.hardlink_to(file.source)
        except OSError:
            # Another file system, or one without links: the bytes are the same, only dearer.
            shutil.copy2(file.source, target)
        target.chmod(_MODE_FILE)
    return changed


def _is_same(target: Path, source: Path) -> bool:
    """Says whether the pool has this very file, or a copy where it could not be linked."""
    one, other = target.stat(), source.stat()
    if one.st_dev == other.st_dev:
        return one.st_ino == other.st_ino
    return (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)


def _write_indexes(release: Path, files: Mapping[str, bytes], *, by_hash: bool) -> bool:
    changed = False
    for name, content in files.items():
        path = release / name
        if by_hash:
            digest = hashlib.sha256(content).hexdigest()
            changed |= _write(path.parent / "by-hash/SHA256" / digest, content)
        changed |= _write(path, content)
    return changed


def _remove_old_hashes(index: Path, current: bytes) -> None:
    """Keeps the newest publication's indexes and those of the one before it."""
    keep = {hashlib.sha256(current).hexdigest(), hashlib.sha256(plan.compress(current)).hexdigest()}
    hashes = sorted(
        (path for path in (index / "by-hash/SHA256").iterdir() if path.name not in keep),
        key=lambda path: (path.stat().st_mtime_ns, path.name),
    )
    for path in hashes[: -len(keep)]:
        path.unlink()


def _remove_strangers(pool: Path, wanted: set[str]) -> bool:
    strangers = [path for path in pool.glob("*.deb") if path.name not in wanted]
    for path in strangers:
        path.unlink()
    return bool(strangers)


def _write(path: Path, content: bytes) -> bool:
    """Writes a file whole or not at all; answers whether its content is new."""
    if path.exists() and path.read_bytes() == content:
        return False
    _make_folder(path.parent)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(content)
    unfinished.chmod(_MODE_FILE)
    unfinished.replace(path)
    return True


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        # Readers are other users than root, whatever this shell's mask says.
        path.chmod(_MODE_FOLDER)


def _run(command: list[str], folder: Path) -> str:
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "APT_CONFIG": "/dev/null", "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as missing:
        raise MirrorError(
            f"package mirror: {command[0]} is not on this machine; it describes the packages: "
            "apt-get install apt-utils"
        ) from missing
    if answer.returncode != 0:
        said = re.sub(r"\s+", " ", answer.stderr.strip())
        raise MirrorError(
            f"package mirror: {command[0]} ended with {answer.returncode} ({said}); the packages "
            f"of {folder} must be readable: delete the file it names and run again"
        )
    return answer.stdout
