"""Decides, path by path, what is to be done and what must not be touched. Pure.

Rules, in this order, for a path that we want:

1. Nothing there: create. As wanted already: adopt, or nothing at all.
2. Our own (the manifest's digest), a package's unmodified file, one of the declared originals,
   handed over by bootstrap: replace.
3. Named in `managed_files_take_over`: keep a copy and replace.
4. Anything else was made by another hand: stop.

A path that we no longer want is given back when it is as we wrote it; otherwise 3 and 4 hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .manifest import BOOTSTRAP, Entry, Manifest
from .province_guard import ABSENT, Step, Thing

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKUP = "/var/lib/province/backup"


class Wanted(NamedTuple):
    """One path as the role wants it; uid and gid are -1 where the account does not exist yet."""

    thing: Thing
    entry: Entry
    content: bytes = b""
    originals: frozenset[str] = frozenset()


class Evidence(NamedTuple):
    """What is known of this host, by path."""

    found: Mapping[str, Thing]
    packages: Mapping[str, str]  # unmodified files of packages
    elsewhere: Mapping[str, str]  # files that another role's manifest holds
    bootstrap: Manifest
    take_over: frozenset[str]
    given_back: Mapping[str, Thing]  # kept copies, by the path they go back to
    now: str  # for the names of kept copies


class Action(NamedTuple):
    """What is done at one path, for people to read."""

    path: str
    action: str
    step: Step
    backup: str = ""


class Plan(NamedTuple):
    """What a run does. `manifest` is what is recorded when it is done."""

    actions: list[Action]
    blocked: dict[str, str]  # path to what was seen
    manifest: Manifest


def questionable(
    wanted: Mapping[str, Wanted], manifest: Manifest, found: Mapping[str, Thing]
) -> set[str]:
    """Files that are neither ours nor as wanted: somebody must vouch for them."""
    return {
        path
        for path, thing in found.items()
        if thing.kind == "file"
        and not (path in wanted and thing.holds_the_same_as(wanted[path].thing))
        and not (path in manifest and manifest[path].accepts(thing))
    }


def decide(wanted: Mapping[str, Wanted], manifest: Manifest, evidence: Evidence) -> Plan:
    """The plan for one role on one host."""
    plan = Plan([], {}, {})
    for path in sorted(wanted):
        if wanted[path].thing.kind == "directory":
            _directory(plan, path, wanted[path], manifest.get(path), evidence)
        else:
            _file(plan, path, wanted[path], manifest.get(path), evidence)
    for path in sorted(set(manifest) - set(wanted)):
        _leave(plan, path, manifest[path], evidence)
    return plan


def _same_attributes(found: Thing, wanted: Thing) -> bool:
    if wanted.kind == "link":
        return True
    pairs = ((found.mode, wanted.mode), (found.uid, wanted.uid), (found.gid, wanted.gid))
    return all(shall in {-1, is_now} for is_now, shall in pairs)


def _directory(
    plan: Plan, path: str, wanted: Wanted, known: Entry | None, evidence: Evidence
) -> None:
    found = evidence.found[path]
    if found.kind not in {"absent", "directory"}:
        plan.blocked[path] = f"is a {found.kind} where a directory is declared"
        return
    if found.kind == "absent":
        action = "create"
        implicit = wanted.entry.origin.get("kind") == "parent"
        origin: Mapping[str, str] = {"kind": "parent" if implicit else "made"}
    else:
        action = "" if _same_attributes(found, wanted.thing) else "attributes"
        origin = {"kind": "found", "mode": f"{found.mode:04o}"}
        origin = {**origin, "uid": str(found.uid), "gid": str(found.gid)}
    if known is not None and known.kind == "directory":
        origin = known.origin
        if wanted.entry.origin.get("kind") != "parent" and origin.get("kind") == "parent":
            origin = {"kind": "made"}
    _do(plan, path, action, Step(path, found, wanted.thing))
    plan.manifest[path] = wanted.entry._replace(origin=origin)


def _file(plan: Plan, path: str, wanted: Wanted, known: Entry | None, evidence: Evidence) -> None:
    found, shall = evidence.found[path], wanted.thing
    if path in evidence.elsewhere and evidence.elsewhere[path] != BOOTSTRAP:
        plan.blocked[path] = f"is written by role {evidence.elsewhere[path]!r} already"
        return
    if found.kind in {"directory", "other"}:
        plan.blocked[path] = f"is a {found.kind} where a {shall.kind} is declared"
        return
    step, backup = Step(path, found, shall), ""
    if found == ABSENT:
        action, origin = "create", known.origin if known else {"kind": "nothing"}
    elif found.holds_the_same_as(shall):
        action = "" if _same_attributes(found, shall) else "attributes"
        action = "adopt" if known is None else action
        origin = known.origin if known else {"kind": "adopted"}
    else:
        reason = _may_replace(path, found, wanted, known, evidence)
        if not reason:
            plan.blocked[path] = _another_hand(found, known)
            return
        action = "replace"
        if reason != "ours":
            backup = f"{BACKUP}{path}@{evidence.now}"
        origin = known.origin if known else _origin(reason, path, backup, evidence)
    _do(plan, path, action, step, backup)
    plan.manifest[path] = wanted.entry._replace(origin=origin)


def _may_replace(
    path: str, found: Thing, wanted: Wanted, known: Entry | None, evidence: Evidence
) -> str:
    """Why this may be replaced; empty when it may not."""
    if known is not None and known.accepts(found):
        return "ours"
    if path in evidence.packages:
        return "package"
    if found.sha256 in wanted.originals or (found.target and found.target in wanted.originals):
        return "original"
    if path in evidence.bootstrap and evidence.bootstrap[path].accepts(found):
        return BOOTSTRAP
    return "taken_over" if path in evidence.take_over else ""


def _origin(reason: str, path: str, backup: str, evidence: Evidence) -> dict[str, str]:
    package = {"package": evidence.packages[path]} if reason == "package" else {}
    return {"kind": reason, "backup": backup, **package}


def _another_hand(found: Thing, known: Entry | None) -> str:
    seen = f"link to {found.target}" if found.kind == "link" else f"sha256 {found.sha256[:12]}"
    if known is None:
        return f"was made by another hand ({seen}; no package vouches for it)"
    return f"was changed by another hand ({seen}; this role wrote {known.sha256[:12]})"


def _leave(plan: Plan, path: str, known: Entry, evidence: Evidence) -> None:
    """A path that the role once had and does not want any more."""
    found = evidence.found[path]
    if known.kind == "directory":
        _leave_directory(plan, path, known, found)
        return
    if found == ABSENT or path in evidence.packages or known.origin.get("kind") == "adopted":
        return  # gone, the package's own again, or there before us: nothing of ours is left
    backup = ""
    if not known.accepts(found):
        if path not in evidence.take_over:
            plan.blocked[path] = _another_hand(found, known)
            plan.manifest[path] = known
            return
        backup = f"{BACKUP}{path}@{evidence.now}"
    earlier = evidence.given_back.get(path, ABSENT)
    action = "remove" if earlier == ABSENT else "give_back"
    _do(plan, path, action, Step(path, found, earlier), backup)


def _leave_directory(plan: Plan, path: str, known: Entry, found: Thing) -> None:
    if found.kind != "directory":
        return
    if known.origin.get("kind") in {"made", "parent"}:
        _do(plan, path, "remove", Step(path, found, ABSENT))
        return
    numbers = {key: int(known.origin[key]) for key in ("uid", "gid")}
    earlier = Thing("directory", mode=int(known.origin["mode"], 8), **numbers)
    _do(plan, path, "" if earlier == found else "give_back", Step(path, found, earlier))


def _do(plan: Plan, path: str, action: str, step: Step, backup: str = "") -> None:
    if action:
        plan.actions.append(Action(path, action, step, backup))
