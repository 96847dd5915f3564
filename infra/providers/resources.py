"""Resource classes for programs: typed constructors over our type tokens.

Each takes the finished record of its inputs; the resource's name is the record's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pulumi

from infra.providers import tokens


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """A segment as the plan has it."""

    name: str
    site: str
    zone: str
    kind: str
    prefix_ipv4: str
    prefix_ipv6: str


@dataclass(frozen=True, slots=True)
class LinkArgs:
    """A leg of a host; `addresses` carry their prefix length."""

    network: str
    zone: str
    kind: str
    addresses: Sequence[str]
    gateways: Sequence[str]
    isolated: bool


@dataclass(frozen=True, slots=True)
class ProbeLinkArgs:
    """A leg of a probe point."""

    network: str
    addresses: Sequence[str]
    gateways: Sequence[str]
    isolated: bool


@dataclass(frozen=True, slots=True)
class OpeningArgs:
    """A way in from an uplink that anybody may use.

    Attributes:
        leads_to: the leg that it goes out by; empty where it ends on the host itself.
        flow: the permission that it comes from; empty where there is none.
    """

    interface: str
    protocol: str
    ports: Sequence[int]
    leads_to: str
    flow: str


@dataclass(frozen=True, slots=True)
class HostArgs:
    """What every machine has; `links` by interface, `openings` by service and family."""

    name: str
    fqdn: str
    site: str
    functions: Sequence[str]
    failure_domain: str
    owner: str
    operator: str
    place: str
    purpose: str
    vendor: str
    serial: str
    support_end: str
    openings: Mapping[str, OpeningArgs]
    links: Mapping[str, LinkArgs]


@dataclass(frozen=True, slots=True)
class ProbePointArgs:
    """A place to look from."""

    name: str
    site: str
    links: Mapping[str, ProbeLinkArgs]


@dataclass(frozen=True, slots=True)
class RegisteredSite:
    """What the register says of a site."""

    number: int
    level: int
    prefix_ipv4: str
    prefix_ipv6: str


@dataclass(frozen=True, slots=True)
class QuorumMember:
    """A host that votes in a function's quorum."""

    function: str
    site: str
    failure_domain: str


@dataclass(frozen=True, slots=True)
class RegisteredService:
    """What the register says of a shared service."""

    host: str
    site: str
    level: int


@dataclass(frozen=True, slots=True)
class RegisterArgs:
    """What concerns several sites; keys are site codes, ``function@host`` and service names."""

    name: str
    sites: Mapping[str, RegisteredSite]
    quorum_members: Mapping[str, QuorumMember]
    services: Mapping[str, RegisteredService]


class LabNetwork(pulumi.CustomResource):
    """A bridge of the lab."""

    name: pulumi.Output[str]

    def __init__(self, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.LAB_NETWORK, args.name, asdict(args), opts)


class StaticNetwork(pulumi.CustomResource):
    """A segment that others built."""

    name: pulumi.Output[str]

    def __init__(self, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.STATIC_NETWORK, args.name, asdict(args), opts)


class LabHost(pulumi.CustomResource):
    """A container of the lab."""

    name: pulumi.Output[str]
    power: pulumi.Output[str]
    os: pulumi.Output[str]
    host_public_key: pulumi.Output[str]

    def __init__(
        self,
        args: HostArgs,
        authorized_keys: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = asdict(args) | {"authorized_keys": list(authorized_keys)} | _seen("power", "os")
        super().__init__(tokens.LAB_HOST, args.name, props | _seen("host_public_key"), opts)


class StaticHost(pulumi.CustomResource):
    """A machine that exists already."""

    name: pulumi.Output[str]
    power: pulumi.Output[str]
    os: pulumi.Output[str]
    host_public_key: pulumi.Output[str]

    def __init__(
        self,
        args: HostArgs,
        address_ways: Sequence[str],
        host_key: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        declared = {"address_ways": list(address_ways), "host_key": host_key}
        props = asdict(args) | declared | _seen("power", "os", "host_public_key")
        super().__init__(tokens.STATIC_HOST, args.name, props, opts)


class LabProbePoint(pulumi.CustomResource):
    """A place to look from."""

    name: pulumi.Output[str]

    def __init__(self, args: ProbePointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.LAB_PROBE_POINT, args.name, asdict(args), opts)


class Register(pulumi.CustomResource):
    """What concerns several sites, for the policies of the backbone."""

    name: pulumi.Output[str]

    def __init__(self, args: RegisterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.REGISTER, args.name, asdict(args), opts)


def _seen(*names: str) -> dict[str, Any]:
    """Announces outputs that only the provider can tell."""
    return dict.fromkeys(names)
