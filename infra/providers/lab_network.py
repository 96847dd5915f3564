"""`province:lab:Network`: a bridge in the lab's own namespace. It carries frames and no addresses.

The prefixes are what the plan says of it: they are shown when they change and judged by policies,
and nothing has to be done for them.
"""

from dataclasses import dataclass

from infra.lab.specs import NetworkSpec
from infra.providers import rules, tokens
from infra.providers.changes import CheckFailure, Properties, PropertyChange, compare
from infra.providers.lab_client import LabClient
from infra.providers.records import NETWORK_RULES
from infra.providers.resource_type import Seen


@dataclass(frozen=True, slots=True)
class LabNetworks:
    """The type, over the lab that holds the networks."""

    lab: LabClient
    token: str = tokens.LAB_NETWORK

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""
        return rules.check(f"network {inputs.get('name', '')!r}", inputs, NETWORK_RULES)

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which properties differ; another name is another bridge."""
        return compare(old, new, replacing=frozenset({"name"}))

    def create(self, inputs: Properties) -> Properties:
        """Makes the bridge or finds it."""
        self.lab.ensure_network(NetworkSpec(inputs["name"]))
        return inputs

    def read(self, inputs: Properties, _outputs: Properties) -> Seen | None:
        """Looks for the bridge."""
        if not self.lab.read_network(inputs["name"]).present:
            return None
        return Seen(inputs, inputs)

    def update(self, _old: Properties, new: Properties) -> Properties:
        """Takes note of what the plan now says."""
        return new

    def delete(self, inputs: Properties) -> None:
        """Removes the bridge."""
        self.lab.delete_network(inputs["name"])
