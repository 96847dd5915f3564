"""What the controller asks for, turned into values of this host."""

from __future__ import annotations

import binascii
import grp
import pwd
from pathlib import Path
from typing import NamedTuple

from .checks import Check
from .decide import Wanted
from .manifest import Entry
from .province_guard import Thing, digest


class GuardOptions(NamedTuple):
    """How a change is guarded; durations in seconds."""

    apply: tuple[tuple[str, ...], ...]
    restore: tuple[tuple[str, ...], ...]
    seconds: int
    id: str


class Request(NamedTuple):
    """One task's wish. `root` is empty on real hosts."""

    role: str
    root: str
    take_over: frozenset[str]
    objects: tuple[dict, ...]
    checks: tuple[Check, ...]
    guard: GuardOptions | None
    check_mode: bool
    show_differences: bool

    @property
    def owners(self) -> bool:
        """Whether owners are compared and set: not below a test's root."""
        return not self.root

    def real(self, path: str) -> str:
        """Where a declared path lies on this machine."""
        return f"{self.root}{path}"

    @property
    def state_folder(self) -> Path:
        """Where this host keeps what we must remember."""
        return Path(self.real("/var/lib/province"))


def request_from(record: dict) -> Request:
    """Read the controller's request."""
    guard = record["guard"]
    commands = {key: tuple(map(tuple, guard[key])) for key in ("apply", "restore")} if guard else {}
    return Request(
        role=record["role"],
        root=record["root"].rstrip("/"),
        take_over=frozenset(record["take_over"]),
        objects=tuple(record["objects"]),
        checks=tuple(Check(tuple(c["command"]), c["after_swap"]) for c in record["checks"]),
        guard=GuardOptions(seconds=guard["seconds"], id=guard["id"], **commands) if guard else None,
        check_mode=record["check_mode"],
        show_differences=record["show_differences"],
    )


def wanted_from(request: Request) -> tuple[dict[str, Wanted], list[str]]:
    """The wanted paths, and the accounts and groups that this host does not have yet."""
    wanted, missing = {}, []
    for record in request.objects:
        uid = gid = -1
        if request.owners and record["kind"] != "link":
            uid = _number(pwd.getpwnam, "pw_uid", record["owner"], "account", missing)
            gid = _number(grp.getgrnam, "gr_gid", record["group"], "group", missing)
        wanted[record["path"]] = _wanted(record, uid, gid)
    return wanted, sorted(set(missing))


def _number(look_up, attribute: str, name: str, what: str, missing: list[str]) -> int:  # noqa: ANN001 (pwd and grp have no common type)
    if name.isdigit():
        return int(name)
    try:
        return getattr(look_up(name), attribute)
    except KeyError:
        missing.append(f"{what} {name!r}")
        return -1


def _wanted(record: dict, uid: int, gid: int) -> Wanted:
    kind = record["kind"]
    if kind == "link":
        target = record["target"]
        originals = frozenset(record["originals"])
        return Wanted(Thing(kind, target=target), Entry(kind, target=target), b"", originals)
    access = {key: record[key] for key in ("mode", "owner", "group")}
    thing = Thing(kind, mode=int(record["mode"], 8), uid=uid, gid=gid)
    if kind == "directory":
        return Wanted(thing, Entry(kind, **access))
    text = record.get("text")
    content = binascii.a2b_base64(record["base64"]) if text is None else text.encode()
    name = digest(content)
    return Wanted(
        Thing(kind, sha256=name, mode=thing.mode, uid=uid, gid=gid),
        Entry(kind, sha256=name, secret=record["secret"], **access),
        content,
        frozenset(record["originals"]),
    )
