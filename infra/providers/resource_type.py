"""What the servicer asks of a resource type: the life of a resource in seven verbs."""

from dataclasses import dataclass
from typing import Protocol

from infra.providers.changes import CheckFailure, Properties, PropertyChange


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource as it really is.

    Attributes:
        inputs: what would have to be declared so that nothing had to change.
        outputs: everything that is known of it, inputs among it.
    """

    inputs: Properties
    outputs: Properties


class ResourceType(Protocol):
    """One type of resource. `check` and `compare` are pure; the rest touches the world.

    Whatever cannot be done raises a ProvinceError whose sentence the engine shows.
    """

    @property
    def token(self) -> str:
        """The name of the type in programs, states and policies."""

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which inputs differ, and which of them need a replacement."""

    def create(self, inputs: Properties) -> Properties:
        """Makes the resource, or adopts what a killed run left of it; answers the outputs."""

    def read(self, inputs: Properties, outputs: Properties) -> Seen | None:
        """Answers what is there, None when nothing is."""

    def update(self, old: Properties, new: Properties) -> Properties:
        """Changes what differs and nothing else; answers the outputs."""

    def delete(self, inputs: Properties) -> None:
        """Removes it; accepts that it is gone."""
