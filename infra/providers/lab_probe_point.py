"""`province:lab:ProbePoint`: a bare network namespace to look from.

All of it is ours, so whatever is seen otherwise is put right by the next update: the namespace is
made anew, which nothing can lose anything by.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.lab.specs import ObservedProbePoint, ProbePointSpec
from infra.providers import rules, tokens
from infra.providers.changes import CheckFailure, Properties, PropertyChange, compare
from infra.providers.lab_client import LabClient
from infra.providers.lab_host import links, seen_links
from infra.providers.resource_type import Seen
from infra.providers.rules import Rule

RULES: Mapping[str, Rule] = {
    "name": rules.name,
    "site": rules.optional_text,
    "links": rules.mapping(
        {
            "network": rules.name,
            "addresses": rules.many(rules.interface_address),
            "gateways": rules.many(rules.address),
            "isolated": rules.boolean,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class LabProbePoints:
    """The type, over the lab that holds the probe points."""

    lab: LabClient
    token: str = tokens.LAB_PROBE_POINT

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""
        return rules.check(f"probe point {inputs.get('name', '')!r}", inputs, RULES)

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which properties differ; another name is another probe point."""
        return compare(old, new, replacing=frozenset({"name"}))

    def create(self, inputs: Properties) -> Properties:
        """Makes the namespace with its links, or finds it so."""
        seen = self.lab.create_probe_point(ProbePointSpec(inputs["name"], links(inputs)))
        return _found(inputs, seen)

    def read(self, inputs: Properties, _outputs: Properties) -> Seen | None:
        """Looks at the namespace; its links as they are count as what was asked for."""
        seen = self.lab.read_probe_point(inputs["name"])
        if not seen.present:
            return None
        found = _found(inputs, seen)
        return Seen(found, found)

    def update(self, _old: Properties, new: Properties) -> Properties:
        """Makes the namespace anew."""
        self.lab.delete_probe_point(new["name"])
        return self.create(new)

    def delete(self, inputs: Properties) -> None:
        """Removes the namespace."""
        self.lab.delete_probe_point(inputs["name"])


def _found(inputs: Properties, seen: ObservedProbePoint) -> Properties:
    """Answers the probe point as seen; where only an order differs, in the declared one."""
    found: dict[str, Properties] = {}
    for interface, link in seen_links(seen.links).items():
        declared = inputs["links"].get(interface, {})
        if link["cut"] and declared:
            # A scenario's act, in which addresses may vanish too: healed there, not by an update.
            found[interface] = declared
            continue
        wire = {name: link[name] for name in ("network", "isolated")}
        ordered = {
            name: declared[name] if sorted(declared.get(name, [])) == link[name] else link[name]
            for name in ("addresses", "gateways")
        }
        found[interface] = wire | ordered
    return {**inputs, "links": found}
