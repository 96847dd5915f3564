"""Shows what a run changes, as unified differences; secrets are never shown."""

from __future__ import annotations

import difflib
import grp
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .province_guard import Thing

LARGEST_SHOWN_BYTES = 200_000


def describe(thing: Thing) -> str:
    """Owner, mode and target of what is at a path, for the header of a difference."""
    if thing.kind in {"absent", "other"}:
        return thing.kind
    if thing.kind == "link":
        return f"link to {thing.target}"
    owner = f" {_name(pwd.getpwuid, thing.uid)}:{_name(grp.getgrgid, thing.gid)}"
    return f"{thing.kind} {thing.mode:04o}{owner if thing.uid >= 0 else ''}"


def _name(look_up: Callable[[int], Sequence], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def difference(
    path: str, before: tuple[Thing, bytes], after: tuple[Thing, bytes], *, secret: bool
) -> dict[str, str]:
    """One entry of Ansible's `diff`: header lines and a prepared text."""
    headers = (f"{path} (now: {describe(before[0])})", f"{path} (then: {describe(after[0])})")
    if before[1] == after[1]:
        return {"prepared": f"--- {headers[0]}\n+++ {headers[1]}\n"}
    if secret:
        return {"prepared": f"--- {headers[0]}\n+++ {headers[1]}\n(secret: not shown)\n"}
    return {"prepared": _unified(before[1], after[1], *headers)}


def _unified(old: bytes, new: bytes, old_header: str, new_header: str) -> str:
    if max(len(old), len(new)) > LARGEST_SHOWN_BYTES or b"\0" in old + new:
        return f"--- {old_header}\n+++ {new_header}\n({len(old)} and {len(new)} bytes: not shown)\n"
    texts = [c.decode("utf-8", errors="replace").splitlines(keepends=True) for c in (old, new)]
    lines = difflib.unified_diff(*texts, fromfile=old_header, tofile=new_header)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline\n" for line in lines)
