"""What a substrate can do, as data: what it cannot is told before anything is made.

They hold for the kernels that the lab was tried on. The reasons are what a report says where it
shows nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether a substrate can do something, and why not."""

    available: bool
    reason: str = ""


_CAN = Ability(available=True)

SUBSTRATES: Mapping[str, Mapping[str, Ability]] = {
    "lab": {
        "kernel_esp": Ability(
            available=False,
            reason="containers share a kernel that carries no ESP; the tunnel runs in user space",
        ),
        "vlan": Ability(
            available=False,
            reason="the containers' kernel has no 802.1Q; every zone is a cable of its own",
        ),
        "bond": Ability(available=False, reason="the containers' kernel has no bonding"),
        "own_clock": Ability(
            available=False,
            reason="containers may not set the clock, which they share with this computer",
        ),
        "netem": Ability(
            available=False,
            reason="the containers' kernel has no netem; links can be cut and shaped by rate",
        ),
        "kernel_parameters": Ability(
            available=False,
            reason="only /proc/sys/net is a container's own; the rest is this computer's",
        ),
    },
    "static": {
        "kernel_esp": _CAN,
        "vlan": _CAN,
        "bond": _CAN,
        "own_clock": _CAN,
        "netem": _CAN,
        "kernel_parameters": _CAN,
    },
}
"""Abilities by substrate; every substrate answers for every ability."""

WANTED_BY: Mapping[tuple[str, object], str] = {("esp", "kernel"): "kernel_esp"}
"""Declared parameters, with their value, that need an ability."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """Something that was declared and that the substrate cannot do."""

    site: str
    parameter: str
    value: object
    ability: str
    reason: str

    def __str__(self) -> str:
        return (
            f"site {self.site!r}: {self.parameter} is declared as {self.value!r}, and its "
            f"substrate lacks {self.ability} ({self.reason}); declare another value, or another "
            "substrate"
        )


def unmet(site: str, substrate: str, parameters: Mapping[str, object]) -> Iterator[Unmet]:
    """Yields what a site's parameters ask for and its substrate cannot do.

    Args:
        site: the site's code.
        substrate: `lab` or `static`.
        parameters: declared values by name, as they are, not as JSON text.

    Raises:
        KeyError: the substrate is unknown; the declaration's check comes first.
    """
    for (parameter, value), ability in WANTED_BY.items():
        has = SUBSTRATES[substrate][ability]
        if parameters.get(parameter) == value and not has.available:
            yield Unmet(site, parameter, value, ability, has.reason)
