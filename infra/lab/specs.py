"""The values of the lab: what is wanted of a network, a host or a probe point, and what is seen.

All are frozen. What is wanted can be written as JSON and read back, so that a later run recognises
what a killed one left; a host's private key is wanted too but never part of that record.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from infra.errors import LabError
from infra.lab.names import NETWORK_PART

Address = str
"""An address with its prefix length, ``192.0.2.10/24`` or ``2001:db8::10/64``."""

Power = Literal["running", "stopped", "absent"]

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_PLACE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")
_NETWORK_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")
_INTERFACE_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,14}")
_RESERVED_INTERFACES = {
    "lo": "the kernel makes it itself",
    "host0": "systemd-networkd ships a profile for that name which drops static addresses",
}


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A segment on which every attached machine hears every other, unless its port is isolated."""

    name: str

    def __post_init__(self) -> None:
        if not _NETWORK_NAME.fullmatch(self.name):
            raise LabError(
                f"network {self.name!r}: is no name for a network; use at most 64 lower case "
                "letters, digits, '-', '_' and '.', with a letter or digit at both ends"
            )
        if self.name == "lo":
            raise LabError("network 'lo': the kernel has an interface of that name; choose another")


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface of a machine.

    Attributes:
        interface: its name inside the machine, at most 15 characters.
        network: the network that it is attached to.
        addresses: what the creator configures for the first contact; without any the interface
            comes up without addresses, and the host's own roles give it some.
        gateways: default routes over this interface, at most one in each family.
        isolated: isolated ports of one network do not hear each other, only the others.
    """

    interface: str
    network: str
    addresses: tuple[Address, ...] = ()
    gateways: tuple[str, ...] = ()
    isolated: bool = False

    def __post_init__(self) -> None:
        if not _INTERFACE_NAME.fullmatch(self.interface):
            raise LabError(
                f"interface {self.interface!r}: is no name for an interface; the kernel takes at "
                "most 15 lower case letters, digits, '-', '_' and '.'"
            )
        if reason := _RESERVED_INTERFACES.get(self.interface):
            raise LabError(
                f"interface {self.interface!r}: cannot be used, {reason}; choose another name"
            )
        NetworkSpec(self.network)
        own = [_interface_address(self.interface, address).network for address in self.addresses]
        families = [_gateway(self.interface, gateway).version for gateway in self.gateways]
        if len(set(families)) != len(families):
            raise LabError(
                f"interface {self.interface!r}: has two gateways of one family "
                f"({', '.join(self.gateways)}); give at most one in each"
            )
        for gateway in self.gateways:
            if not any(ipaddress.ip_address(gateway) in network for network in own):
                raise LabError(
                    f"interface {self.interface!r}: gateway {gateway} lies in none of its own "
                    f"networks ({', '.join(map(str, own)) or 'it has no address'}); give an "
                    "address whose prefix covers the gateway"
                )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Reads what `to_record` wrote."""
        return cls(
            interface=record["interface"],
            network=record["network"],
            addresses=tuple(record["addresses"]),
            gateways=tuple(record["gateways"]),
            isolated=record["isolated"],
        )

    def to_record(self) -> dict[str, Any]:
        """Answers the link as JSON values."""
        return {
            "interface": self.interface,
            "network": self.network,
            "addresses": list(self.addresses),
            "gateways": list(self.gateways),
            "isolated": self.isolated,
        }


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A machine with Debian, systemd and sshd.

    Attributes:
        name: its host name, at most 32 characters.
        links: its interfaces.
        host_key: the private SSH host key (OpenSSH format, ed25519) that the caller has made, so
            that the first connection is already to a known key. Secret: kept out of every record,
            log and ``repr``.
        authorized_keys: public keys that may log in as root.
    """

    name: str
    links: tuple[Link, ...]
    host_key: str = field(repr=False)
    authorized_keys: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_host_name(self.name)
        _check_machine(self.name, self.links)
        if not self.authorized_keys:
            raise LabError(
                f"host {self.name!r}: has no authorized key, so nobody could ever log in; give the "
                "administrator's public key"
            )
        for key in self.authorized_keys:
            if "\n" in key.strip() or "PRIVATE" in key:
                raise LabError(
                    f"host {self.name!r}: an authorized key is not one line with a public key; "
                    "give the content of a .pub file"
                )


@dataclass(frozen=True, slots=True)
class ProbePointSpec:
    """A place to look from: a bare network namespace, whose addresses and routes we set ourselves.

    It forwards nothing unless `forwarding` says so.
    """

    name: str
    links: tuple[Link, ...]
    forwarding: bool = False

    def __post_init__(self) -> None:
        _check_machine(self.name, self.links)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Reads what `to_record` wrote."""
        return cls(
            name=record["name"],
            links=tuple(map(Link.from_record, record["links"])),
            forwarding=record["forwarding"],
        )

    def to_record(self) -> dict[str, Any]:
        """Answers the probe point as JSON values."""
        return {
            "name": self.name,
            "links": [link.to_record() for link in self.links],
            "forwarding": self.forwarding,
        }


@dataclass(frozen=True, slots=True)
class HostRecord:
    """What the lab remembers of a host: all of its specification but the private key.

    Attributes:
        created: the host has once been up completely; what a killed creation left has not.
    """

    name: str
    links: tuple[Link, ...]
    authorized_keys: tuple[str, ...]
    host_public_key: str
    image: str
    created: bool

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Reads what `to_record` wrote."""
        return cls(
            name=record["name"],
            links=tuple(map(Link.from_record, record["links"])),
            authorized_keys=tuple(record["authorized_keys"]),
            host_public_key=record["host_public_key"],
            image=record["image"],
            created=record["created"],
        )

    def to_record(self) -> dict[str, Any]:
        """Answers the record as JSON values."""
        return {
            "name": self.name,
            "links": [link.to_record() for link in self.links],
            "authorized_keys": list(self.authorized_keys),
            "host_public_key": self.host_public_key,
            "image": self.image,
            "created": self.created,
        }

    def differences(self, other: "HostRecord") -> tuple[str, ...]:
        """Names the properties in which two hosts of one name differ, `created` apart."""
        names = ("links", "authorized_keys", "host_public_key", "image")
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True)
class ObservedNetwork:
    """A network as it is now: which machine's interface (``host:interface``) is attached."""

    name: str
    present: bool
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedLink:
    """A link as it is now.

    Attributes:
        network: the network whose bridge carries its port, or None where it hangs in the air.
        addresses: what the machine really has, link-local ones apart.
        gateways: its default routes as they are.
        cut: the cable is pulled (`Lab.cut_link`).
    """

    interface: str
    network: str | None
    addresses: tuple[Address, ...]
    gateways: tuple[str, ...]
    isolated: bool
    cut: bool

    @classmethod
    def expected(cls, link: Link, *, cut: bool) -> Self:
        """Answers a link as it will be when its machine is on again."""
        return cls(link.interface, link.network, link.addresses, link.gateways, link.isolated, cut)


@dataclass(frozen=True, slots=True)
class ObservedHost:
    """A host as it is now. What cannot be seen while it is off comes from its record and disk."""

    name: str
    power: Power
    links: tuple[ObservedLink, ...] = ()
    os: str | None = None
    image: str | None = None
    host_public_key: str | None = None
    authorized_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedProbePoint:
    """A probe point as it is now."""

    name: str
    present: bool
    links: tuple[ObservedLink, ...] = ()
    forwarding: bool = False


@dataclass(frozen=True, slots=True)
class LabEntry:
    """A lab of this machine, as `list_labs` finds it.

    Attributes:
        state_directory: None where only namespaces or cgroups were found and no note of theirs.
    """

    identifier: str
    state_directory: str | None
    hosts_running: tuple[str, ...]
    namespaces: int


def _check_host_name(name: str) -> None:
    if not _HOST_LABEL.fullmatch(name):
        raise LabError(
            f"machine {name!r}: is no host name for the lab; use at most 32 lower case letters, "
            "digits and '-', with a letter or digit at both ends"
        )


def _check_machine(name: str, links: Iterable[Link]) -> None:
    if not _PLACE_NAME.fullmatch(name):
        raise LabError(
            f"machine {name!r}: is no name for the lab; use at most 32 lower case letters, digits, "
            "'-' and '_', with a letter or digit at both ends"
        )
    if name == NETWORK_PART:
        raise LabError(f"machine {name!r}: the lab's bridges live under that name; choose another")
    interfaces = [link.interface for link in links]
    twice = sorted({one for one in interfaces if interfaces.count(one) > 1})
    if twice:
        raise LabError(
            f"machine {name!r}: has the interface {twice[0]!r} twice; give each link its own name"
        )


def _interface_address(
    interface: str, text: Address
) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        # Alone, an address would be taken for a network of one.
        address, length = text.split("/")
        return ipaddress.ip_interface((address, int(length)))
    except ValueError as error:
        raise LabError(
            f"interface {interface!r}: {text!r} is no address with a prefix length; write it as "
            "192.0.2.10/24 or 2001:db8::10/64"
        ) from error


def _gateway(interface: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise LabError(
            f"interface {interface!r}: gateway {text!r} is no address; write it without a prefix "
            "length, as 192.0.2.1 or 2001:db8::1"
        ) from error
