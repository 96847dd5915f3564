"""What the lab's resource types ask of a lab. `infra.lab.Lab` answers it; tests bring a fake."""

from pathlib import Path
from typing import Protocol

from infra.lab.specs import (
    HostSpec,
    NetworkSpec,
    ObservedHost,
    ObservedNetwork,
    ObservedProbePoint,
    ProbePointSpec,
)


class LabClient(Protocol):
    """Every verb looks at what is there, so each may be repeated after a killed run."""

    def ensure_network(self, spec: NetworkSpec) -> ObservedNetwork:
        """Makes a network, or finds it made."""

    def read_network(self, name: str) -> ObservedNetwork:
        """Looks whether a network is there."""

    def delete_network(self, name: str) -> None:
        """Removes a network; accepts that it is gone."""

    def create_host(self, spec: HostSpec, base: Path) -> ObservedHost:
        """Makes and boots a host; one that was once complete is taken as it is."""

    def read_host(self, name: str) -> ObservedHost:
        """Looks at a host."""

    def delete_host(self, name: str) -> None:
        """Removes a host; accepts that it is gone."""

    def create_probe_point(self, spec: ProbePointSpec) -> ObservedProbePoint:
        """Makes a probe point, or finds it made as asked."""

    def read_probe_point(self, name: str) -> ObservedProbePoint:
        """Looks at a probe point."""

    def delete_probe_point(self, name: str) -> None:
        """Removes a probe point; accepts that it is gone."""
