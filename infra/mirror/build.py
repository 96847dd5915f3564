"""Builds the package mirror and the small repository of first contact.

The archives that apt downloaded, its lists and the digests of files are kept in the cache, outside
the checkout and shared by all environments; what an environment owns is its repository and its key.
"""

import fcntl
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import MirrorError
from infra.mirror import plan
from infra.mirror.pack import OWN_PACKAGES, OwnPackage, pack
from infra.mirror.publish import (
    FLAT,
    PoolFile,
    Publisher,
    file_sha256,
    newest_build,
    suite_layout,
)
from infra.mirror.resolve import AptRoot, architecture, controller_sources, controller_transport
from infra.mirror.sign import opened_keyring
from infra.tools.cache import Report, build_once, cache_root, silent
from infra.tools.step import ensure_step


@dataclass(frozen=True, slots=True)
class Mirror:
    """The province's package repository, ready to be served from ``path``.

    A host's source: ``Suites: province``, ``Components: main``, ``Signed-By`` the armoured ``key``.
    """

    path: Path
    digest: str
    """SHA-256 of the signed file, and so of everything in the repository."""
    packages: tuple[plan.MirrorPackage, ...]
    key: Path
    changed: bool
    """Whether this build wrote anything."""


@dataclass(frozen=True, slots=True)
class FirstContact:
    """The signed repository that is carried to a bare host; all its files lie in ``path``.

    A host's source: ``URIs: copy:<folder>``, ``Suites: ./``, ``Signed-By`` the armoured ``key``.
    """

    path: Path
    digest: str
    packages: tuple[plan.MirrorPackage, ...]
    requested: tuple[str, ...]
    """Names that were asked for; the packages are these and what they need."""
    key: Path
    changed: bool


def build_mirror(
    packages: Iterable[str],
    base: Path,
    output: Path,
    signing_home: Path,
    *,
    report: Report = silent,
) -> Mirror:
    """Builds the repository of these packages, all they need, and the base's own upgrades.

    Args:
        packages: names from the roles' records, our own packages among them.
        base: dpkg status file of the image that every host starts from.
        output: folder of the repository; made, brought up to date, or left as it is.
        signing_home: folder of the environment's archive key, 0700; the key is made once.
        report: takes a line of progress.

    Raises:
        MirrorError: a name is unknown, the archive cannot be reached, a signature or digest is
            wrong, or a tool is missing.
    """
    _require_base(base)
    names = plan.checked_names(packages)
    debian = [name for name in names if name not in OWN_PACKAGES]
    with _store(report) as store:
        apt = AptRoot(store / "apt", base)
        target = architecture()
        sources = plan.render_sources(controller_sources(_codename()))
        apt.prepare(target, controller_transport(), sources)
        report("package mirror: reading the package lists")
        apt.update()
        archives = _resolve(apt, debian, report)
        downloaded = apt.fetch(archives, store / "archives", report)
        pool = (
            *(_pool_file(store / "archives", archive) for archive in archives),
            *_own_pool([name for name in names if name in OWN_PACKAGES], target, report),
        )
        newest = max(newest_build(pool), plan.release_date(apt.newest_release()))
        with opened_keyring(signing_home) as keyring:
            publisher = Publisher(keyring, target, store / "hashes.db")
            made = publisher.publish(output, suite_layout(target), pool, newest)
    report(
        f"package mirror: {len(made.packages)} packages, "
        f"{sum(package.size for package in made.packages) / 1e6:.0f} MB, "
        + (f"{downloaded / 1e6:.0f} MB downloaded" if made.changed else "nothing new")
    )
    return Mirror(output, made.digest, made.packages, made.key, made.changed)


def build_first_contact(
    mirror: Mirror,
    packages: Iterable[str],
    base: Path,
    output: Path,
    signing_home: Path,
    *,
    report: Report = silent,
) -> FirstContact:
    """Builds the repository that bootstrap carries to a bare host, from the mirror's own packages.

    Arguments are those of :func:`build_mirror`; nothing is downloaded.

    Raises:
        MirrorError: the mirror does not carry a package or something that it needs.
    """
    _require_base(base)
    names = plan.checked_names(packages)
    with _store(report) as store:
        target = architecture()
        apt = AptRoot(store / "first_contact_apt", base)
        # Its lists are of whatever mirror was asked last, under the same name.
        shutil.rmtree(apt.root, ignore_errors=True)
        apt.prepare(target, (), plan.render_own_source(mirror.path, mirror.key))
        apt.update()
        wanted = {archive.sha256 for archive in apt.closure(names, upgrade=False)}
        pool = tuple(
            PoolFile(Path(package.filename).name, mirror.path / package.filename, package.sha256)
            for package in mirror.packages
            if package.sha256 in wanted
        )
        release = mirror.path / suite_layout(target).release / "InRelease"
        with opened_keyring(signing_home) as keyring:
            publisher = Publisher(keyring, target, store / "hashes.db")
            # Its date is the mirror's: old packages alone would make it look expired.
            date = plan.release_date(release.read_text(encoding="utf-8"))
            made = publisher.publish(output, FLAT, pool, date)
    report(
        f"first contact: {len(made.packages)} packages, "
        f"{sum(package.size for package in made.packages) / 1e6:.1f} MB"
        + ("" if made.changed else ", nothing new")
    )
    return FirstContact(output, made.digest, made.packages, names, made.key, made.changed)


def _resolve(apt: AptRoot, names: Sequence[str], report: Report) -> tuple[plan.Archive, ...]:
    """Answers what the names need; the same question to the same lists is asked once."""

    def ask(folder: Path) -> None:
        archives = apt.closure(names, upgrade=True)
        (folder / "archives").write_text(plan.render_uris(archives), encoding="utf-8")

    inputs: dict[str, str | bytes] = {
        "base": apt.base_status.read_bytes(),
        "lists": apt.signed_lists(),
        "names": " ".join(names),
        "configuration": (apt.root / "apt.conf").read_bytes(),
    }
    answer = build_once("package_closure", inputs, ask, report=report) / "archives"
    return plan.parse_uris(answer.read_text(encoding="utf-8"))


def _pool_file(store: Path, archive: plan.Archive) -> PoolFile:
    return PoolFile(archive.pool_name, store / archive.filename, archive.sha256)


def _own_pool(names: Sequence[str], target: str, report: Report) -> tuple[PoolFile, ...]:
    if not names:
        return ()
    files = [
        pack(package, report) for package in _own_packages(target, report) if package.name in names
    ]
    return tuple(PoolFile(path.name, path, file_sha256(path)) for path in files)


def _own_packages(target: str, report: Report) -> tuple[OwnPackage, ...]:
    tools = ensure_step(report)
    return (
        OwnPackage(
            name="province-step",
            version=tools.version,
            architecture=target,
            command="step",
            program=tools.step,
            summary="command line of the province's certificate authority",
            description="Asks the authority for certificates and inspects them.",
        ),
        OwnPackage(
            name="province-step-ca",
            version=tools.version,
            architecture=target,
            command="step-ca",
            program=tools.step_ca,
            summary="certificate authority for TLS and SSH",
            description="The program alone: the role certificate_authority makes the service.",
        ),
    )


@contextmanager
def _store(report: Report) -> Iterator[Path]:
    """Opens the shared part of the cache; apt's folder bears one user at a time."""
    store = cache_root() / "package_mirror"
    store.mkdir(parents=True, exist_ok=True)
    with (store / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("package mirror: another run is building one; waiting")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield store


def _require_base(base: Path) -> None:
    if not base.is_file():
        raise MirrorError(
            f"{base}: is no file; the mirror holds what the base image lacks and needs its dpkg "
            "status: build the base image first"
        )


def _codename() -> str:
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if not name:
        raise MirrorError(
            "package mirror: /etc/os-release of this machine names no release; the mirror is built "
            "on Debian 12 or 13: run it there"
        )
    return name
