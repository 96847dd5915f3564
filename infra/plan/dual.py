"""One thing in both families: what every address and prefix of the plan is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dual:
    """One thing in both families: two addresses or two prefixes."""

    ipv4: str
    ipv6: str

    def both(self) -> tuple[str, str]:
        """IPv4 first, as everywhere."""
        return (self.ipv4, self.ipv6)
