"""The manifest of one role on one host: the desired state, rendered, not learned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from .province_guard import Thing, digest, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = 1
BOOTSTRAP = "bootstrap"  # what the machine's creator put there; handed over to the first role
_ROOMS = {"file": "files", "directory": "directories", "link": "links"}


class Entry(NamedTuple):
    """One path of the manifest.

    `origin` says what was there before: kind (nothing, package, original, taken_over, adopted,
    bootstrap; for a directory made or found), the package, and where the old file is kept.
    `replaced` is the content that a run in progress was about to replace.
    """

    kind: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    sha256: str = ""
    target: str = ""
    secret: bool = False
    origin: Mapping[str, str] = {}
    replaced: str = ""

    def accepts(self, found: Thing) -> bool:
        """Whether what was found is what we wrote, or were about to replace when cut off."""
        if found.kind == "link":
            return found.target in {self.target, self.replaced}
        return found.kind == "file" and found.sha256 in {self.sha256, self.replaced}

    def desired(self) -> dict[str, object]:
        """What a host must hold, without how it came there."""
        if self.kind == "link":
            return {"target": self.target}
        state: dict[str, object] = {"mode": self.mode, "owner": self.owner, "group": self.group}
        return {**state, "sha256": self.sha256, "secret": self.secret} if self.sha256 else state

    def record(self) -> dict[str, object]:
        """As it is written."""
        extra = {"replaced": self.replaced} if self.replaced else {}
        return {**self.desired(), "origin": dict(self.origin), **extra}


Manifest = dict[str, Entry]  # by path


def place(folder: Path, role: str) -> Path:
    """Where a role's manifest lies."""
    return folder / f"{role}.json"


def load(path: Path) -> Manifest:
    """Read a manifest; a role that never wrote has an empty one.

    Raises:
        ValueError: the file is of a schema that this program does not know.
    """
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if record.get("schema") != SCHEMA:
        raise ValueError(
            f"{path}: has schema {record.get('schema')!r}; this program knows {SCHEMA}; "
            "use the checkout that configured this host last, or a newer one"
        )
    return {
        name: Entry(kind, **entry)
        for kind, room in _ROOMS.items()
        for name, entry in record.get(room, {}).items()
    }


def render(role: str, manifest: Manifest) -> bytes:
    """The manifest's bytes: sorted, one final newline."""
    record: dict[str, object] = {"schema": SCHEMA, "role": role}
    for kind, room in _ROOMS.items():
        record[room] = {p: e.record() for p, e in manifest.items() if e.kind == kind}
    return (json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def desired_digest(role: str, manifest: Manifest) -> str:
    """Digest over the desired state alone: equal on two hosts that should hold the same.

    Parents that were missing on this host are no part of it.
    """
    state = {
        path: {"kind": entry.kind, **entry.desired()}
        for path, entry in manifest.items()
        if entry.origin.get("kind") != "parent"
    }
    return digest(json.dumps([SCHEMA, role, state], sort_keys=True).encode())


def save(path: Path, role: str, manifest: Manifest) -> None:
    """Write a manifest durably, or remove it when nothing is left."""
    if manifest:
        write_file(path, render(role, manifest), 0o600)
    else:
        path.unlink(missing_ok=True)


def owners_elsewhere(folder: Path, role: str, paths: set[str]) -> dict[str, str]:
    """Which of these paths another role's manifest holds, and whose it is."""
    if not paths:
        return {}
    return {
        name: other.stem
        for other in sorted(folder.glob("*.json"))
        if other.stem != role
        for name, entry in load(other).items()
        if name in paths and entry.kind != "directory"
    }
