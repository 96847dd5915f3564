"""The cables of one machine, and which of them are cut."""

from infra.lab import names, networks
from infra.lab.lab import Lab


def cables(lab: Lab, machine: str) -> tuple[str, ...]:
    """Answers the interfaces of a machine's cables, sorted; none while the machine is not there."""
    return tuple(sorted(networks.ports(names.network_namespace(lab.identifier), machine)))


def cut_cables(lab: Lab, machine: str) -> tuple[str, ...]:
    """Answers those that were cut on purpose."""
    ports = networks.ports(names.network_namespace(lab.identifier), machine)
    return tuple(sorted(name for name, port in ports.items() if networks.is_cut(port)))
