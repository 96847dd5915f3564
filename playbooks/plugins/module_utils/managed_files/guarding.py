"""Hands a change to the guard on this host, and confirms it: the module's side of the guard."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import manifest, province_guard
from .manifest import BOOTSTRAP
from .province_guard import (
    ABSENT,
    APPLY_UNIT,
    GUARD,
    RESTORE_UNIT,
    Change,
    Step,
    Thing,
    keep,
    look,
    remove_tree,
    run_command,
    write_file,
)
from .run import Refusal, Run, fill, steps

if TYPE_CHECKING:
    from .request import GuardOptions

PROGRAM = Path("/usr/local/lib/province/province_guard.py")
UNITS = Path("/etc/systemd/system")
BOOT_UNIT = "province_guard.service"
# Early: what reads addresses, kernel settings, rules or sshd's configuration starts after it.
BOOT_UNIT_TEXT = f"""\
# Written by province (managed_files): its guard against lock-out.
[Unit]
Description=Take back a change that nobody confirmed before this host went down
DefaultDependencies=no
RequiresMountsFor=/var/lib/province {PROGRAM.parent}
After=systemd-remount-fs.service
Before=sysinit.target network-pre.target nftables.service
Before=systemd-sysctl.service systemd-networkd.service
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=/var/lib/province/guard/pending

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {PROGRAM} boot

[Install]
WantedBy=sysinit.target
"""


def refuse_while_pending(role: str) -> None:
    """Only one change may wait for its confirmation; one whose timer was lost is taken back.

    Raises:
        Refusal: another guarded change waits, on this host, for its confirmation or its timer.
    """
    change = province_guard.pending()
    if change is None:
        return
    units = [f"{RESTORE_UNIT}.timer", f"{RESTORE_UNIT}.service", f"{APPLY_UNIT}.service"]
    if any(not run_command(["systemctl", "is-active", "--quiet", unit]) for unit in units):
        raise Refusal(
            f"managed_files {role}: a change of role {change.role!r} waits on this host for its "
            f"confirmation; one at a time; run again in {change.seconds} seconds, when it has been "
            "confirmed or taken back"
        )
    province_guard.restore(change.id, "its timer was lost before anybody confirmed it")


def install() -> None:
    """Put the guard's program and boot unit on this host; nothing when they are there."""
    source = sys.modules[province_guard.__name__].__spec__.loader.get_source(
        province_guard.__name__
    )
    for place, text in ((PROGRAM, source), (UNITS / BOOT_UNIT, BOOT_UNIT_TEXT)):
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_text() != text:
            write_file(place, text.encode(), 0o644)
    link = UNITS / "sysinit.target.wants" / BOOT_UNIT
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(f"../{BOOT_UNIT}")


def hand_over(run: Run, options: GuardOptions) -> None:
    """Save, arm, and only then let the host make the change in a unit of its own.

    Raises:
        Refusal: the timer could not be armed; nothing was changed.
    """
    install()
    GUARD.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = GUARD / "pending.new"
    remove_tree(folder)
    fill(folder / "content", run)
    change = Change(
        id=options.id,
        role=run.request.role,
        steps=tuple(steps(run) + record_steps(run, folder / "content")),
        apply=options.apply,
        restore=options.restore,
        seconds=options.seconds,
        connection=connection(),
        armed_by=os.getpid(),
    )
    write_file(folder / "change.json", json.dumps(change._asdict(), sort_keys=True).encode(), 0o600)
    folder.rename(GUARD / "pending")
    province_guard.sync_directory(GUARD)
    reason = f"no fresh connection confirmed it within {options.seconds} seconds"
    timer = [f"--on-active={options.seconds}s", "--timer-property=AccuracySec=500ms"]
    failure = _start(RESTORE_UNIT, timer, ["restore", options.id, reason])
    failure = failure or _start(APPLY_UNIT, [], ["apply", options.id])
    if failure:
        run_command(["systemctl", "stop", f"{RESTORE_UNIT}.timer"])
        province_guard.forget()
        raise Refusal(
            f"managed_files {run.request.role}: the guard could not be armed, nothing was "
            f"changed; a running systemd is required: {failure}"
        )


def _start(unit: str, options: list[str], arguments: list[str]) -> str:
    program = ["/usr/bin/python3", "-I", str(PROGRAM), *arguments]
    return run_command(
        ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *options, *program]
    )


def record_steps(run: Run, store: Path) -> list[Step]:
    """The manifest as part of the change: it goes back with the files it speaks of."""
    run.manifest_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    records = {run.request.role: run.plan.manifest}
    if run.bootstrap:
        remaining = {p: e for p, e in run.bootstrap.items() if p not in run.plan.manifest}
        records[BOOTSTRAP] = remaining
    todo = []
    for role, record in records.items():
        place = manifest.place(run.manifest_folder, role)
        before, after = look(str(place)), ABSENT
        if before.kind == "file":
            keep(store, place.read_bytes())
        if record:
            name = keep(store, manifest.render(role, record))
            after = Thing("file", sha256=name, mode=0o600, uid=os.getuid(), gid=os.getgid())
        todo.append(Step(str(place), before, after))
    return todo


def connection() -> str:
    """Which ssh connection this process came over: the process of sshd that serves it."""
    pid = os.getpid()
    while pid > 1:
        name, parent, born = _process(pid)
        if name.startswith("sshd"):
            return f"{pid}:{born}"
        pid = parent
    return ""


def _process(pid: int) -> tuple[str, int, str]:
    """Name, parent and time of birth of a process."""
    text = Path(f"/proc/{pid}/stat").read_text()
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, int(fields[1]), fields[19]


def confirm(identity: str, settle_seconds: float) -> dict[str, object]:
    """Confirm a change if it is in place, has settled, and this is another connection.

    The answer is the host's record: confirmed, reverted, or waiting with the reason.
    """
    with province_guard.locked():
        change = province_guard.pending()
        if change is None or change.id != identity:
            known = province_guard.outcome_of(identity)
            return known._asdict() if known else {"outcome": "unknown"}
        reason = _not_yet(change, settle_seconds)
        if reason:
            return {"outcome": "waiting", "reason": reason}
        how = "over a fresh ssh connection" if change.connection else "without ssh"
        province_guard.finish(change, "confirmed", how, [], GUARD)
    run_command(["systemctl", "stop", f"{RESTORE_UNIT}.timer"])
    return province_guard.outcome_of(identity)._asdict()


def _not_yet(change: Change, settle_seconds: float) -> str:
    if change.state != "applied":
        return "the change is still being made"
    if time.monotonic() - change.applied_at < settle_seconds:
        return "the change has not settled"
    if change.connection and connection() == change.connection:
        return "this is the connection from before the change"
    return ""
