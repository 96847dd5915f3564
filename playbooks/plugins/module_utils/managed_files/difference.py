"""Says what a run changes in a form that Ansible shows; secrets are never sent back."""

from __future__ import annotations

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
    """One entry of Ansible's `diff`; the controller makes the unified text of it."""
    headers = (f"{path} (now: {describe(before[0])})", f"{path} (then: {describe(after[0])})")
    header = f"--- {headers[0]}\n+++ {headers[1]}\n"
    old, new = before[1], after[1]
    if old == new:
        return {"prepared": header}
    if secret:
        return {"prepared": f"{header}(secret: not shown)\n"}
    if max(len(old), len(new)) > LARGEST_SHOWN_BYTES or b"\0" in old + new:
        return {"prepared": f"{header}({len(old)} and {len(new)} bytes: not shown)\n"}
    texts = {"before": _text(old), "after": _text(new)}
    return {"before_header": headers[0], "after_header": headers[1], **texts}


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
