"""`province:lab:Host`: a container with Debian, systemd and sshd, as its creator hands it over.

1. What the creator decides (name, links, who may log in first) is made once. Another name or
   another link makes another machine; who may log in is the roles' matter after the first contact.
2. What the plan tells of the machine (owner, functions, openings) is kept and shown, and changes
   nothing on it.
3. What the machine does by itself (power, wiring, addresses, keys) are outputs: seen by every
   refresh, property by property, and never put right from here. Switching on is a person's act, and
   a wrong cable is put right by a restart, not by a new machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.errors import ProviderError
from infra.lab.specs import HostSpec, Link, ObservedHost, ObservedLink
from infra.providers import rules, tokens
from infra.providers.changes import CheckFailure, Properties, PropertyChange, compare
from infra.providers.host_keys import HostKeys
from infra.providers.host_properties import HOST_RULES
from infra.providers.lab_client import LabClient
from infra.providers.resource_type import Seen
from infra.providers.rules import Rule

RULES: Mapping[str, Rule] = {**HOST_RULES, "authorized_keys": rules.many(rules.public_key)}

_REPLACING = frozenset({"name", "links"})
_ONCE = frozenset({"authorized_keys"})
_NO_PART_OF_THE_MACHINE = frozenset({"zone", "kind"})
"""What a link's record says besides the cable: other words for the same wire."""


@dataclass(frozen=True, slots=True)
class LabHosts:
    """The type, over the lab that holds the hosts.

    Attributes:
        base_image: answers the root of the base image; asked only when a host is really made.
    """

    lab: LabClient
    host_keys: HostKeys
    base_image: Callable[[], Path]
    token: str = tokens.LAB_HOST

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""
        return rules.check(f"host {inputs.get('name', '')!r}", inputs, RULES)

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which properties differ; another wire makes another machine."""
        return tuple(
            replace(one, replaces=False)
            if one.path.rpartition(".")[2] in _NO_PART_OF_THE_MACHINE
            else one
            for one in compare(old, new, replacing=_REPLACING, ignored=_ONCE)
        )

    def create(self, inputs: Properties) -> Properties:
        """Makes and boots the host; takes one that is there as it is, also switched off."""
        key = self.host_keys.ensure(inputs["name"])
        spec = HostSpec(
            name=inputs["name"],
            links=links(inputs),
            host_key=key.private,
            authorized_keys=tuple(inputs["authorized_keys"]),
        )
        return _outputs(inputs, self.lab.create_host(spec, self.base_image()))

    def read(self, inputs: Properties, _outputs_before: Properties) -> Seen | None:
        """Looks at the host."""
        seen = self.lab.read_host(inputs["name"])
        if seen.power == "absent":
            return None
        return Seen(inputs, _outputs(inputs, seen))

    def update(self, _old: Properties, new: Properties) -> Properties:
        """Takes note of what the plan now says, and looks at the host; changes nothing on it."""
        seen = self.lab.read_host(new["name"])
        if seen.power == "absent":
            raise ProviderError(
                f"host {new['name']!r}: is gone though the state knows it; run with a refresh, "
                "which then makes it again"
            )
        return _outputs(new, seen)

    def delete(self, inputs: Properties) -> None:
        """Removes the host, then the key that its creator gave it."""
        self.lab.delete_host(inputs["name"])
        self.host_keys.forget(inputs["name"])


def links(inputs: Properties) -> tuple[Link, ...]:
    """Answers the links of a host or probe point as the lab wants them, sorted by interface."""
    return tuple(
        Link(
            interface=interface,
            network=link["network"],
            addresses=tuple(link["addresses"]),
            gateways=tuple(link["gateways"]),
            isolated=link["isolated"],
        )
        for interface, link in sorted(inputs["links"].items())
    )


def seen_links(found: tuple[ObservedLink, ...]) -> dict[str, Properties]:
    """Answers what was seen of links, by interface."""
    return {
        link.interface: {
            "network": link.network or "",
            "addresses": sorted(link.addresses),
            "gateways": sorted(link.gateways),
            "isolated": link.isolated,
            "cut": link.cut,
        }
        for link in found
    }


def _outputs(inputs: Properties, seen: ObservedHost) -> Properties:
    return {
        **inputs,
        "power": seen.power,
        "os": seen.os or "",
        "image": seen.image or "",
        "host_public_key": seen.host_public_key or "",
        "seen_links": seen_links(seen.links),
    }
