"""What the engine says while it works, read into our own values. Pure but for the collector.

Components only group others, so what happens to them is left out unless a property of theirs
changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata

from infra.providers import tokens
from infra.providers.changes import compare
from infra.stacks.names import site_code

Operation = Literal["create", "update", "replace", "delete", "refresh"]
Phase = Literal["started", "done", "failed"]

_OPERATIONS: Mapping[OpType, Operation] = {
    OpType.CREATE: "create",
    OpType.UPDATE: "update",
    OpType.REPLACE: "replace",
    OpType.DELETE: "delete",
}
"""Steps that tell something; the halves of a replacement are told by `replace`."""

_WORK: Mapping[OpType, Operation] = {
    OpType.CREATE: "create",
    OpType.UPDATE: "update",
    OpType.DELETE: "delete",
    OpType.CREATE_REPLACEMENT: "replace",
    OpType.DELETE_REPLACED: "replace",
    OpType.REFRESH: "refresh",
}
"""Steps that take time, for the progress display."""


@dataclass(frozen=True, slots=True)
class PropertyDifference:
    """One property that was otherwise; None stands for a property that is not there."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What is done, or would be done, to one resource.

    Attributes:
        type: its type token.
        operation: `refresh` is what was seen, all others are what is done about it.
    """

    urn: str
    type: str
    name: str
    operation: Operation
    properties: tuple[PropertyDifference, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A policy that a resource breaks; `urn` is empty where the whole stack does."""

    policy: str
    level: str
    urn: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that started or ended, or a whole stack's run (`name` and `type` empty)."""

    site: str
    name: str
    type: str
    operation: str
    phase: Phase


@dataclass(slots=True)
class Collector:
    """Takes the events of one run of one stack and keeps what they tell.

    The engine sends events from another thread, one at a time and in order.
    """

    stack: str
    report: Callable[[Progress], None]
    changes: list[Change] = field(default_factory=list)
    drift: list[Change] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    exports: Mapping[str, Any] = field(default_factory=dict)
    _looking: set[str] = field(default_factory=set)

    def __call__(self, event: EngineEvent) -> None:
        """Takes one event."""
        if event.resource_pre_event:
            self._announced(event.resource_pre_event.metadata, event.resource_pre_event.planning)
        elif event.res_outputs_event:
            self._ended(event.res_outputs_event.metadata, event.res_outputs_event.planning)
        elif event.res_op_failed_event:
            self._tell(event.res_op_failed_event.metadata, "failed")
        elif event.policy_event:
            found = event.policy_event
            self.violations.append(
                Violation(
                    found.policy_name,
                    found.enforcement_level,
                    found.resource_urn or "",
                    violation_sentence(found.message),
                )
            )
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.errors.append(plain(event.diagnostic_event.message))

    def _announced(self, step: StepEventMetadata, planning: bool | None) -> None:
        if not planning:
            self._tell(step, "started")
        if step.op is OpType.REFRESH:
            self._looking.add(step.urn)
            return
        # A component is made and removed with what it groups: only its own words can change.
        known = step.type not in tokens.COMPONENTS or step.op is OpType.UPDATE
        if step.op in _OPERATIONS and _is_real(step) and known:
            self.changes.append(_change(step, _OPERATIONS[step.op]))

    def _ended(self, step: StepEventMetadata, planning: bool | None) -> None:
        if not planning:
            self._tell(step, "done")
        if step.type == "pulumi:pulumi:Stack" and step.new and step.new.outputs:
            self.exports = step.new.outputs
        # What a look ends with is named after what it found; only its start says that it looks.
        if step.urn in self._looking:
            self._looking.discard(step.urn)
            if seen := _seen(step):
                self.drift.append(seen)

    def _tell(self, step: StepEventMetadata, phase: Phase) -> None:
        if step.op in _WORK and _is_real(step) and step.type not in tokens.COMPONENTS:
            self.report(
                Progress(site_code(self.stack), _name(step.urn), step.type, _WORK[step.op], phase)
            )


def plain(message: str) -> str:
    """Answers a message of the engine without its marks for colours."""
    for opening in ("<{%", "%}>"):
        message = message.replace(opening, "\0")
    parts = message.split("\0")
    return "".join(parts[0::2]).strip()


def violation_sentence(message: str) -> str:
    """Answers the policy's own sentence: the engine repeats the description in front of it."""
    return plain(message).rpartition("\n")[2].strip()


def _is_real(step: StepEventMetadata) -> bool:
    return step.type.startswith(f"{tokens.PACKAGE}:")


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _change(step: StepEventMetadata, operation: Operation) -> Change:
    if operation == "delete":
        return Change(step.urn, step.type, _name(step.urn), operation, ())
    old = dict(step.old.inputs or {}) if step.old else {}
    new = dict(step.new.inputs or {}) if step.new else {}
    return Change(step.urn, step.type, _name(step.urn), operation, _differences(old, new))


def _seen(step: StepEventMetadata) -> Change | None:
    """Answers how a resource was found otherwise than it was known; None when it was not."""
    if not _is_real(step) or step.type in tokens.COMPONENTS or step.old is None:
        return None
    old = dict(step.old.outputs or {})
    if step.new is None or not step.new.outputs:
        return Change(step.urn, step.type, _name(step.urn), "delete", ())
    found = _differences(old, dict(step.new.outputs))
    if not found:
        return None
    return Change(step.urn, step.type, _name(step.urn), "refresh", found)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> tuple[PropertyDifference, ...]:
    return tuple(PropertyDifference(one.path, one.old, one.new) for one in compare(old, new))
