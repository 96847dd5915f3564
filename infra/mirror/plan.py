"""What the package mirror holds and how it describes itself: pure, from texts that apt printed.

1. What a mirror is follows from its inputs alone: the names, the base's packages, the lists that
   the Debian archive signed, our own packages and the key. The clock is no input.
2. A publication never goes back in time. A host ignores an index older than the one it has, and
   would then ask for files that are gone.
3. No host name of an archive stands here: addresses are read from the controller's own sources.
"""

import hashlib
import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

from infra.errors import MirrorError

TARGET = "trixie"
"""Code name of the Debian release that every host runs."""

SUITE = "province"
COMPONENT = "main"
VALID_FOR = timedelta(days=400)
"""How long hosts accept a publication: an isolated province must outlive a year without news."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""The Debian archive's keys, from the package debian-archive-keyring of Debian 12 or newer."""

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_PRINTED_URI = re.compile(
    r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})"
)
_SETTING = re.compile(r"(?P<name>[A-Za-z0-9_:.+/-]+) \"(?P<value>.*)\";")
_FIELD = re.compile(r"^(?P<name>[A-Za-z0-9-]+): *(?P<value>.*)$", re.MULTILINE)
# How this machine reaches an archive (proxies, credentials of https, address family) and nothing
# else: hooks, languages and pins of the controller are none of the mirror's business.
_TRANSPORT = ("Acquire::http", "Acquire::https", "Acquire::ForceIPv4", "Acquire::ForceIPv6")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the controller gets Debian from: the addresses of archive and security archive."""

    archive: str
    security: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A package file that the Debian archive vouches for; ``size`` in bytes."""

    uri: str
    filename: str
    size: int
    sha256: str

    @property
    def request(self) -> str:
        """The same file as apt is asked for it: name, architecture and exact version."""
        name, version, architecture = self.filename.removesuffix(".deb").split("_")
        return f"{name}:{architecture}={unquote(version)}"

    @property
    def pool_name(self) -> str:
        """The file's name in a pool: as in Debian's own, without the epoch of its version."""
        return unquote(self.uri.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True)
class MirrorPackage:
    """A package that the mirror carries; ``size`` of its file in bytes."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    filename: str
    """Path of its file below the repository's root."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """One package's paragraph of an index, with the text that apt reads."""

    package: MirrorPackage
    text: str


@dataclass(frozen=True, slots=True)
class Published:
    """What the publication of before said of itself: its date and the digest of its index."""

    date: datetime
    index_sha256: str


def checked_names(packages: Iterable[str]) -> tuple[str, ...]:
    """Answers the names once each and sorted, so that their order decides nothing.

    Raises:
        MirrorError: a name that apt could read as an option, a pattern or a removal.
    """
    names = tuple(sorted(set(packages)))
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise MirrorError(
            f"package mirror: {', '.join(map(repr, wrong))} is no package name; names have small "
            "letters, digits, '+', '.' and '-': mend 'packages' in the function.yml that names it"
        )
    return names


def transport_settings(dump: str) -> tuple[str, ...]:
    """Answers the lines of ``apt-config dump`` that say how this machine reaches an archive."""
    return tuple(
        line
        for line in dump.splitlines()
        if (match := _SETTING.fullmatch(line))
        and match["value"]
        and any(
            match["name"] == name or match["name"].startswith(f"{name}::") for name in _TRANSPORT
        )
    )


def render_configuration(root: Path, architecture: str, transport: Iterable[str]) -> str:
    """Answers the configuration of an apt that knows only its own folder.

    ForceHash makes ``--print-uris`` print SHA-256; without it apt 2.6 prints MD5.
    """
    return "\n".join(
        (
            *transport,
            f'Dir "{root}/";',
            'Dir::Etc "etc";',
            'Dir::Etc::netrc "/etc/apt/auth.conf";',
            'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";',
            'Dir::State "state";',
            'Dir::Cache "cache";',
            'Dir::Log "log";',
            f'APT::Architecture "{architecture}";',
            f'APT::Architectures {{ "{architecture}"; }};',
            'APT::Install-Recommends "false";',
            'APT::Sandbox::User "root";',
            'Acquire::ForceHash "SHA256";',
            'Acquire::Languages "none";',
            'Acquire::PDiffs "false";',
            'Acquire::Retries "3";',
            "",
        )
    )


def find_sources(targets: str, codename: str) -> Sources:
    """Answers where the controller gets Debian from.

    ``targets`` has a line ``<release> <component> <address>`` for each index that apt knows;
    ``codename`` is the controller's own release, whose archive carries ours too.

    Raises:
        MirrorError: the controller has no source for its own release or that one's updates.
    """
    releases = {codename, "stable", "oldstable"}
    found: dict[str, str] = {}
    for line in targets.splitlines():
        release, component, uri = line.split(maxsplit=2)
        if component != COMPONENT:
            continue
        if release in releases:
            found.setdefault("archive", uri)
        elif release.removesuffix("-security") in releases:
            found.setdefault("security", uri)
    missing = [
        wanted
        for kind, wanted in (("archive", codename), ("security", f"{codename}-security"))
        if kind not in found
    ]
    if missing:
        raise MirrorError(
            f"package mirror: apt on this machine has no source for {' and '.join(missing)} main; "
            "the mirror takes its packages from where this machine takes its own: add that source "
            "to /etc/apt/sources.list.d and run 'apt-get update'"
        )
    return Sources(**found)


def render_sources(sources: Sources) -> str:
    """Answers the sources of the target release, in apt's paragraphs."""
    paragraphs = (
        (sources.archive, f"{TARGET} {TARGET}-updates"),
        (sources.security, f"{TARGET}-security"),
    )
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: {COMPONENT}\n"
        f"Signed-By: {KEYRING}\n"
        for uri, suites in paragraphs
    )


def render_own_source(repository: Path, key: Path) -> str:
    """Answers the source that reads our own repository from its folder."""
    return (
        f"Types: deb\nURIs: file:{repository}\nSuites: {SUITE}\nComponents: {COMPONENT}\n"
        f"Signed-By: {key}\n"
    )


def parse_uris(printed: str) -> tuple[Archive, ...]:
    """Answers the files that ``apt-get --print-uris`` would download, sorted by file name.

    Raises:
        MirrorError: a line that is no file with a SHA-256 digest.
    """
    archives: dict[str, Archive] = {}
    for line in filter(None, printed.splitlines()):
        match = _PRINTED_URI.fullmatch(line.rstrip())
        if match is None:
            raise MirrorError(
                f"package mirror: apt printed {line!r}; a file with its size and SHA-256 is "
                "needed: check that apt on this machine is version 2.6 or newer"
            )
        archive = Archive(match["uri"], match["file"], int(match["size"]), match["sha256"])
        archives[archive.filename] = archive
    return tuple(archives[name] for name in sorted(archives))


def render_uris(archives: Iterable[Archive]) -> str:
    """Answers the files as apt prints them; :func:`parse_uris` reads them back."""
    return "".join(
        f"'{archive.uri}' {archive.filename} {archive.size} SHA256:{archive.sha256}\n"
        for archive in archives
    )


def parse_index(text: str) -> tuple[Stanza, ...]:
    """Answers an index's paragraphs, sorted by name, architecture and version."""
    stanzas = [_parse_stanza(part.strip("\n")) for part in text.split("\n\n") if part.strip()]
    return tuple(sorted(stanzas, key=_stanza_order))


def render_index(stanzas: Iterable[Stanza]) -> bytes:
    """Answers the index that apt reads; the same paragraphs give the same bytes."""
    return "".join(f"{stanza.text}\n\n" for stanza in sorted(stanzas, key=_stanza_order)).encode()


def wrong_hashes(stanzas: Iterable[Stanza], expected: Mapping[str, str]) -> tuple[str, ...]:
    """Answers which of the expected files (path, SHA-256) an index lacks or has otherwise."""
    seen = {stanza.package.filename: stanza.package.sha256 for stanza in stanzas}
    return tuple(sorted(name for name, sha256 in expected.items() if seen.get(name) != sha256))


def publication_date(
    newest_input: datetime, index_sha256: str, before: Published | None
) -> datetime:
    """Answers the date of a publication: that of its newest input, but never back (rule 2)."""
    if before is None or before.date < newest_input:
        return newest_input
    return (
        before.date if before.index_sha256 == index_sha256 else before.date + timedelta(seconds=1)
    )


def read_published(release: str) -> Published:
    """Answers what a Release file says of its publication."""
    index = re.search(r"^ (\w{64}) +\d+ (?:\S+/)?Packages$", release, re.MULTILINE)
    if index is None:
        raise MirrorError(
            "package mirror: the Release file of before names no Packages; it was changed by "
            "another hand: delete the mirror's folder and run again"
        )
    return Published(release_date(release), index[1])


def release_date(release: str) -> datetime:
    """Answers the Date of a Release or InRelease file."""
    match = re.search(r"^Date: (.+)$", release, re.MULTILINE)
    if match is None:
        raise MirrorError(
            "package mirror: a Release file has no Date; every publication says when it was made: "
            "check the source that this machine takes its packages from"
        )
    # Archives write the zone as UTC, which Python's parser of mail dates does not know.
    return parsedate_to_datetime(match[1].replace("UTC", "+0000")).astimezone(UTC)


def compress(index: bytes) -> bytes:
    """Answers the index packed with xz, by one thread: several would cut it differently."""
    return lzma.compress(index, preset=6)


def render_release(
    date: datetime, files: Mapping[str, bytes], architecture: str, *, flat: bool
) -> str:
    """Answers the Release file that vouches for ``files`` (path below it, content).

    A flat repository lies in one folder and has neither components nor by-hash names.
    """
    lines = [
        "Origin: Province",
        "Label: Province",
        f"Suite: {SUITE}",
        f"Codename: {SUITE}",
        f"Date: {format_datetime(date.astimezone(UTC), usegmt=True)}",
        f"Valid-Until: {format_datetime((date + VALID_FOR).astimezone(UTC), usegmt=True)}",
        f"Architectures: {architecture}",
    ]
    if not flat:
        lines += ["Acquire-By-Hash: yes", f"Components: {COMPONENT}"]
    lines += ["SHA256:"]
    lines += [
        f" {hashlib.sha256(files[name]).hexdigest()} {len(files[name])} {name}"
        for name in sorted(files)
    ]
    return "\n".join([*lines, ""])


def _stanza_order(stanza: Stanza) -> tuple[str, str, str]:
    return (stanza.package.name, stanza.package.architecture, stanza.package.version)


def _parse_stanza(text: str) -> Stanza:
    fields = {match["name"]: match["value"] for match in _FIELD.finditer(text)}
    try:
        package = MirrorPackage(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
            filename=fields["Filename"].removeprefix("./"),
        )
    except KeyError as missing:
        raise MirrorError(
            f"package mirror: a package's paragraph has no {missing.args[0]}: {text[:80]!r}; the "
            "index cannot be used: check that apt-ftparchive is installed unchanged"
        ) from missing
    return Stanza(package, text)
