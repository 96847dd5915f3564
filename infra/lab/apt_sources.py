"""Reads the machine's own apt configuration: the only place that knows where Debian comes from.

Nothing of ours names an archive's host, so that a machine behind a mirror or proxy works unchanged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.errors import PreflightError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_APT = Path("/etc/apt")
_MAIN_ARCHIVE = "debian"


@dataclass(frozen=True, slots=True)
class Source:
    """One place of one suite, as apt knows it."""

    kind: str
    uri: str
    suite: str
    components: tuple[str, ...]


def one_line_sources(text: str) -> Iterator[Source]:
    """Reads ``deb [options] uri suite component...`` lines, the style of sources.list."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] not in {"deb", "deb-src"}:
            continue
        rest = words[1:]
        if rest and rest[0].startswith("["):
            end = next((at for at, word in enumerate(rest) if word.endswith("]")), len(rest) - 1)
            rest = rest[end + 1 :]
        if len(rest) >= 2:  # noqa: PLR2004 - an address and a suite
            yield Source(words[0], rest[0], rest[1], tuple(rest[2:]))


def stanza_sources(text: str) -> Iterator[Source]:
    """Reads the stanzas of a ``.sources`` file (deb822)."""
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in {"no", "false", "0", "off", "disable"}:
            continue
        for kind in stanza.get("types", "").split():
            for uri in stanza.get("uris", "").split():
                for suite in stanza.get("suites", "").split():
                    yield Source(kind, uri, suite, tuple(stanza.get("components", "").split()))


def main_archives(sources: Iterable[Source]) -> tuple[str, ...]:
    """Answers the places of Debian's main archive: not security, not updates, not other vendors."""
    found = (
        source.uri.rstrip("/")
        for source in sources
        if source.kind == "deb"
        and "main" in source.components
        and "/" not in source.suite
        and "-" not in source.suite
        and source.uri.rstrip("/").rsplit("/", 1)[-1] == _MAIN_ARCHIVE
    )
    return tuple(dict.fromkeys(found))


def read_main_archives(folder: Path = _APT) -> tuple[str, ...]:
    """Answers where this machine takes Debian's main archive from.

    Raises:
        PreflightError: its configuration names none.
    """
    lists = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    stanzas = sorted(folder.glob("sources.list.d/*.sources"))
    sources = [
        *(one for path in lists if path.is_file() for one in one_line_sources(_text(path))),
        *(one for path in stanzas for one in stanza_sources(_text(path))),
    ]
    found = main_archives(sources)
    if not found:
        raise PreflightError(
            f"{folder}: names no main archive of Debian among {len(sources)} sources; the base "
            "image is built from one: add a source whose address ends in /debian, component main"
        )
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, name = {}, ""
        elif line[0] in " \t":
            stanza[name] = f"{stanza.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanza[name] = value.strip()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
