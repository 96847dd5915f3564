"""Resources that are only written down: segments which others built, and the province's register.

The engine keeps them in its state, shows what changes in them and hands them to the policies. There
is nothing to make, nothing to look at and nothing to remove.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.providers import rules, tokens
from infra.providers.changes import CheckFailure, Properties, PropertyChange, compare
from infra.providers.resource_type import Seen
from infra.providers.rules import Rule

NETWORK_RULES: Mapping[str, Rule] = {
    "name": rules.name,
    "site": rules.optional_text,
    "zone": rules.name,
    "kind": rules.name,
    "prefix_ipv4": rules.prefix(4),
    "prefix_ipv6": rules.prefix(6),
}
"""A segment: a zone of a site, or an uplink network of the backbone (`site` is empty there)."""

_ADDRESSED: Mapping[str, Rule] = {
    "number": rules.whole_number,
    "level": rules.whole_number,
    "prefix_ipv4": rules.prefix(4),
    "prefix_ipv6": rules.prefix(6),
}

REGISTER_RULES: Mapping[str, Rule] = {
    "name": rules.name,
    "sites": rules.mapping(_ADDRESSED),
    "quorum_members": rules.mapping(
        {"function": rules.name, "site": rules.name, "failure_domain": rules.text}
    ),
    "services": rules.mapping(
        {"host": rules.name, "site": rules.name, "level": rules.whole_number}
    ),
}
"""What is known of all sites together; keys are site codes, ``function@host`` and service names."""


@dataclass(frozen=True, slots=True)
class Records:
    """A type whose resources are exactly what was declared."""

    token: str
    rules: Mapping[str, Rule]

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""
        return rules.check(f"{self.token} {inputs.get('name', '')!r}", inputs, self.rules)

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which properties differ; another name is another record."""
        return compare(old, new, replacing=frozenset({"name"}))

    def create(self, inputs: Properties) -> Properties:
        """Answers the record."""
        return inputs

    def read(self, inputs: Properties, _outputs: Properties) -> Seen:
        """Answers the record: nothing else of it exists."""
        return Seen(inputs, inputs)

    def update(self, _old: Properties, new: Properties) -> Properties:
        """Answers the new record."""
        return new

    def delete(self, _inputs: Properties) -> None:
        """Forgets the record."""


STATIC_NETWORKS = Records(tokens.STATIC_NETWORK, NETWORK_RULES)
REGISTERS = Records(tokens.REGISTER, REGISTER_RULES)
