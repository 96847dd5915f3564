"""What a policy of ours is made of."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Judge = Callable[[Mapping[str, Any]], Iterator[str]]
"""Takes a resource's inputs and yields one sentence for each way in which they break the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy.

    Attributes:
        name: what the engine and people call it.
        description: what it requires, in one sentence.
        control: the control of `policies/controls` that asks for it.
        types: type tokens of the resources that it judges.
        remedy: what to do about a violation.
        judge: looks at one resource's inputs. Numbers arrive as floats.
    """

    name: str
    description: str
    control: str
    types: frozenset[str]
    remedy: str
    judge: Judge

    def sentences(self, resource_type: str, inputs: Mapping[str, Any]) -> Iterator[str]:
        """Yields what is wrong with a resource; nothing for a type that the rule is not about."""
        if resource_type in self.types:
            for sentence in self.judge(inputs):
                yield f"{sentence} (control {self.control})"
