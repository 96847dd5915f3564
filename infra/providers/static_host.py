"""`province:static:Host`: a machine that exists already and is only recognised, never changed.

Creating means: the declared address answers with the declared host key, and (where credentials are
given) the machine has the addresses that the plan gives it. Deleting means: it is no longer ours.
A machine that does not answer is `unreachable` in outputs; it is not gone, so nothing is made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.errors import ProviderError
from infra.providers import rules, tokens
from infra.providers.changes import CheckFailure, Properties, PropertyChange, compare
from infra.providers.host_properties import HOST_RULES
from infra.providers.resource_type import Seen
from infra.providers.rules import Rule
from infra.providers.static_client import ObservedMachine, StaticClient

RULES: Mapping[str, Rule] = {
    **HOST_RULES,
    "address_ways": rules.many(rules.address, 1),
    "host_key": rules.optional_text,
}
"""An empty host key is refused by a policy, and once more by `create`."""


@dataclass(frozen=True, slots=True)
class StaticHosts:
    """The type, over a client that can reach the machines."""

    client: StaticClient
    token: str = tokens.STATIC_HOST

    def check(self, inputs: Properties) -> tuple[CheckFailure, ...]:
        """Answers what is wrong with the inputs."""
        return rules.check(f"host {inputs.get('name', '')!r}", inputs, RULES)

    def compare(self, old: Properties, new: Properties) -> tuple[PropertyChange, ...]:
        """Answers which properties differ; another name is another machine."""
        return compare(old, new, replacing=frozenset({"name"}))

    def create(self, inputs: Properties) -> Properties:
        """Recognises the machine.

        Raises:
            ProviderError: it does not answer, has another key or lacks declared addresses.
        """
        return _outputs(inputs, self._recognise(inputs))

    def read(self, inputs: Properties, outputs: Properties) -> Seen:
        """Looks at the machine; a silent one keeps what was last known of it."""
        seen = self.client.look(inputs["address_ways"], inputs["host_key"])
        if seen is None:
            silent = {**outputs, **inputs, "power": "unreachable", "answering_address": ""}
            return Seen(inputs, silent)
        return Seen({**inputs, "host_key": _key(seen, inputs)}, _outputs(inputs, seen))

    def update(self, _old: Properties, new: Properties) -> Properties:
        """Recognises the machine by what is declared now."""
        return _outputs(new, self._recognise(new))

    def delete(self, _inputs: Properties) -> None:
        """Lets go of the machine; it stays as it is."""

    def _recognise(self, inputs: Properties) -> ObservedMachine:
        name, ways = inputs["name"], ", ".join(inputs["address_ways"])
        if rules.public_key(inputs["host_key"]):
            raise ProviderError(
                f"host {name!r}: has no declared host key, so nobody can tell whether the machine "
                "is the right one; declare the line that its console shows in "
                "/etc/ssh/ssh_host_ed25519_key.pub"
            )
        seen = self.client.look(inputs["address_ways"], inputs["host_key"])
        if seen is None:
            raise ProviderError(
                f"host {name!r}: answers on none of {ways}; a machine that exists and runs sshd "
                "is required: switch it on or correct its addresses"
            )
        if not _same_key(seen.host_key, inputs["host_key"]):
            raise ProviderError(
                f"host {name!r}: {seen.address} shows the host key {seen.host_key!r}, declared is "
                f"{inputs['host_key']!r}; it is another machine or was installed anew: read the "
                "key at its console before you change the declaration"
            )
        if missing := _missing(inputs, seen):
            raise ProviderError(
                f"host {name!r}: the machine lacks the addresses {', '.join(missing)}; it must "
                "have what the plan gives it before it is taken over: configure them there"
            )
        return seen


def _missing(inputs: Properties, seen: ObservedMachine) -> list[str]:
    if seen.addresses is None:
        return []
    # Only what must be there before the roles come: the addresses it is reached on.
    present = {address.partition("/")[0] for address in seen.addresses}
    return [address for address in inputs["address_ways"] if address not in present]


def _same_key(one: str, other: str) -> bool:
    return one.split()[:2] == other.split()[:2]


def _key(seen: ObservedMachine, inputs: Properties) -> str:
    declared: str = inputs["host_key"]
    return declared if _same_key(seen.host_key, declared) else seen.host_key


def _outputs(inputs: Properties, seen: ObservedMachine) -> Properties:
    return {
        **inputs,
        "power": "running",
        "os": seen.os,
        "host_public_key": seen.host_key,
        "answering_address": seen.address,
        "seen_addresses": list(seen.addresses or ()),
    }
