"""What the stacks answer: previews, updates, looks. Values only, ready for JSON."""

from dataclasses import dataclass

from infra.stacks.events import Change, Violation
from infra.stacks.outputs import StackOutputs


@dataclass(frozen=True, slots=True)
class StackPreview:
    """What would be done to one stack, or what was seen of it.

    Attributes:
        site: the site's code, or `backbone`.
        changes: what an update would do, or has done.
        drift: what was found otherwise than it was known; empty when nobody was asked to look.
        violations: policies that are broken; with a mandatory one no update happens.
        failure: the sentence of a run that could not be brought to its end.
    """

    site: str
    changes: tuple[Change, ...] = ()
    drift: tuple[Change, ...] = ()
    violations: tuple[Violation, ...] = ()
    failure: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether an update must not follow."""
        return self.failure is not None or any(one.level == "mandatory" for one in self.violations)


@dataclass(frozen=True, slots=True)
class StackUpdate:
    """What was done to one stack.

    Attributes:
        preview: what was announced.
        changes: what was done of it.
        failure: why not all of it was done; None when it was.
        outputs: what the stack exports; None where it failed.
    """

    site: str
    preview: StackPreview
    changes: tuple[Change, ...] = ()
    failure: str | None = None
    outputs: StackOutputs | None = None
