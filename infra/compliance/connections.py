"""Shares of connected units: as declared, as measured on live tunnels, as required. Pure.

A unit counts as measured when verification saw the tunnel of one of its gateways stand. Whoever
was not asked, or could not be, is counted apart and never as connected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.compliance.outcomes import Outcome, Words

LIVE_TUNNEL = "test_wide_area_network.py::test_tunnels_stand"
"""The test that is proved on a gateway exactly when its tunnels stand; WAN-02 has it."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some kind of unit are connected, and which share (0 to 1) is required.

    ``gateways`` names, for each unit that is declared as connected and whose flows are open, the
    hosts of which one must have its tunnel.
    """

    what: Words
    connected: int
    total: int
    required: float
    gateways: tuple[tuple[str, ...], ...] = ()

    @property
    def is_met(self) -> bool:
        """Answer whether enough of them are connected, as declared."""
        return self.total > 0 and self.connected >= self.required * self.total


@dataclass(frozen=True, slots=True)
class MeasuredShare:
    """A share beside what was measured; ``unseen`` are declared units that nobody could ask."""

    declared: Share
    connected: int
    unseen: int

    @property
    def is_met(self) -> bool:
        """Answer whether enough of them are connected, as measured."""
        return self.declared.total > 0 and (
            self.connected >= self.declared.required * self.declared.total
        )


def measure(shares: Iterable[Share], tunnels: Mapping[str, Outcome]) -> tuple[MeasuredShare, ...]:
    """Count the units of each share whose tunnel stands; ``tunnels`` has the outcome by host."""
    return tuple(_measured(share, tunnels) for share in shares)


def _measured(share: Share, tunnels: Mapping[str, Outcome]) -> MeasuredShare:
    # A gateway that stands by has no tunnel of its own: it is not applicable there, and its
    # twin's answer is the unit's.
    answers = [{tunnels.get(host) for host in hosts} for hosts in share.gateways]
    connected = sum(Outcome.PROVED in answer for answer in answers)
    down = sum(Outcome.PROVED not in one and Outcome.FAILED in one for one in answers)
    return MeasuredShare(share, connected, share.connected - connected - down)
