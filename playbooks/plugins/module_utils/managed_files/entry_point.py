"""From the controller's request to the answer that Ansible reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import manifest, run
from .request import request_from

if TYPE_CHECKING:
    from collections.abc import Mapping


def answer(record: Mapping) -> dict[str, object]:
    """The module's result for one request; a refusal is a failed result with its sentence."""
    if "confirm" in record:
        from . import guarding  # noqa: PLC0415 (most tasks have no guard: its price is theirs)

        return guarding.confirm(record["confirm"], record["settle_seconds"])
    try:
        return _answer(record)
    except run.Refusal as refusal:
        told = {"failed": True, "changed": False, "msg": str(refusal)}
        return told | ({"diff": refusal.differences} if refusal.differences else {})
    except (OSError, ValueError) as error:
        # Before the swap nothing was changed, and a swap that fails undoes itself.
        sentence = f"managed_files {record['role']}: {error}; the files are as they were before"
        return {"failed": True, "changed": False, "msg": sentence}


def _answer(record: Mapping) -> dict[str, object]:
    request = request_from(record)
    is_guarded = request.guard is not None and not request.root
    if is_guarded and not request.check_mode:
        from . import guarding  # noqa: PLC0415 (the same)

        guarding.refuse_while_pending(request.role)
    this = run.prepare(request)
    run.refuse_other_hands(this)
    result: dict[str, object] = {
        "changed": bool(this.plan.actions) or this.records_differ,
        "changes": [{"path": a.path, "action": a.action} for a in this.plan.actions],
        "manifest_digest": manifest.desired_digest(request.role, this.plan.manifest),
        "not_checked": this.not_checked,
        "backups": [],
    }
    if not result["changed"]:
        return result
    if request.show_differences:
        result["diff"] = run.differences(this)
    run.check_before_swap(this)
    if not request.check_mode:
        result["backups"] = run.keep_copies(this)
        if is_guarded and run.steps(this):
            guarding.hand_over(this, request.guard)
            result["guard"] = {"id": request.guard.id, "outcome": "waiting"}
        else:
            run.swap(this)
    return result
