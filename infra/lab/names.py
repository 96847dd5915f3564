"""Names in the kernel: which namespace, bridge, port, cgroup and container belong to which lab.

Every name that lies in a place shared by the whole machine starts with ``pv`` and six digits made
from the lab's folder. So two checkouts never meet, and what a lab left behind is found by its name
alone, without any record.
"""

import hashlib
import re
from pathlib import Path

_LONGEST_INTERFACE = 15
NETWORK_PART = "net"
_LAB_NAME = re.compile(r"pv(?P<identifier>[0-9a-f]{6})(?:-(?P<part>.+))?")


def lab_identifier(state_directory: Path) -> str:
    """Answers the six hexadecimal digits that stand for the lab in this folder."""
    real = str(state_directory.resolve())
    return hashlib.sha256(real.encode()).hexdigest()[:6]


def lab_prefix(identifier: str) -> str:
    """Answers what every name of this lab starts with; alone, the name of its cgroup."""
    return f"pv{identifier}"


def machine_name(identifier: str, machine: str) -> str:
    """Answers the name of a machine's namespace, and of its container on this computer."""
    return f"{lab_prefix(identifier)}-{machine}"


def network_namespace(identifier: str) -> str:
    """Answers the namespace that holds the lab's bridges; no machine can have its name."""
    return machine_name(identifier, NETWORK_PART)


def split_lab_name(name: str) -> tuple[str, str] | None:
    """Answers identifier and rest of a name that a lab has given, None for anybody else's name."""
    match = _LAB_NAME.fullmatch(name)
    return (match["identifier"], match["part"] or "") if match else None


def bridge_name(network: str) -> str:
    """Answers the name of a network's bridge: its own where the kernel takes it, else shortened."""
    if len(network) <= _LONGEST_INTERFACE:
        return network
    return f"{network[:8]}-{_digest(network)[:6]}"


def port_name(machine: str, interface: str) -> str:
    """Answers the name of the end that a machine's cable has at the bridge."""
    return f"p{_digest(f'{machine}:{interface}')[:12]}"


def hardware_address(identifier: str, machine: str, interface: str) -> str:
    """Answers a locally administered MAC address that stays the same whenever the link is made."""
    digest = _digest(f"{identifier}:{machine}:{interface}")
    return ":".join(["02", *(digest[place : place + 2] for place in range(0, 10, 2))])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
