"""The plan: everything that follows from a declaration, as frozen values with plain JSON forms.

Rule 1: values only. Nothing here decides; `derive.py` and its neighbours do.
Rule 2: addresses are strings (`10.15.3.2`, `10.15.3.2/24`), in both families, in a fixed order.
Rule 3: nothing that was observed; the plan is what should be.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.plan.dual import Dual as Dual  # noqa: PLC0414 - every other value stands on it
from infra.plan.service_types import DatabaseCluster, Expectation, Share, SharedService

SCHEMA_VERSION = 2
"""Raised when a stored plan of an older shape can no longer be read."""


GATEWAY = "gateway"
"""The group of addresses that the gateways of a site carry in turn."""


@dataclass(frozen=True, slots=True)
class Network:
    """A segment: a zone of a site, or an uplink network of the backbone (`site` is empty there)."""

    name: str
    site: str
    zone: str
    kind: str
    prefix: Dual
    isolated: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A static route of a host."""

    to: str
    via: str


@dataclass(frozen=True, slots=True)
class SharedAddress:
    """An address of a network that a host may carry, alone or in turn with its twins."""

    group: str
    """Addresses of one group move together: `gateway`, or the name in the blueprint."""
    function: str
    """Whose service is met there; empty for a gateway's."""
    addresses: Dual
    router_id: int
    """VRRP's virtual router identifier: the address's slot in its network (RFC 9568 5.2.3)."""
    priority: int
    """The first declared host has the most."""
    twins: tuple[str, ...]
    """The other hosts that may carry it; empty means that it stays here."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A leg of a host in a network; its name is the zone's or the uplink's."""

    name: str
    network: str
    zone: str
    kind: str
    """service, management or uplink."""
    addresses: Dual
    prefix_lengths: tuple[int, int]
    shared: tuple[SharedAddress, ...]
    default_gateways: Dual | None
    routes: tuple[Route, ...]
    answer_table: int | None
    answer_gateways: Dual | None
    isolated: bool

    def with_length(self, addresses: Dual) -> tuple[str, str]:
        """Addresses of this network with its prefix lengths, IPv4 first."""
        return (
            f"{addresses.ipv4}/{self.prefix_lengths[0]}",
            f"{addresses.ipv6}/{self.prefix_lengths[1]}",
        )

    def cidrs(self) -> tuple[str, str]:
        """Own addresses with prefix length, IPv4 first."""
        return self.with_length(self.addresses)

    def shared_in(self, group: str) -> SharedAddress | None:
        """What this leg shares in that group."""
        return next((one for one in self.shared if one.group == group), None)

    def shared_for(self, function: str) -> SharedAddress | None:
        """The shared address at which a function's service is met."""
        return next((one for one in self.shared if one.function == function), None)

    @property
    def site_addresses(self) -> Dual:
        """Where the site itself is met on this leg: what its gateways share, else its own."""
        gateway = self.shared_in(GATEWAY)
        return gateway.addresses if gateway and self.kind == "uplink" else self.addresses


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a host's certificate must say, who owns its key, and what to reload after renewal."""

    name: str
    common_name: str
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    owner: str
    group: str
    reload: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the asset register asks for: TCVN 14423:2026 5.2.2.1 b."""

    owner: str
    operator: str
    place: str
    purpose: str
    vendor: str
    serial: str
    support_end: str
    """ISO date."""


@dataclass(frozen=True, slots=True)
class Offering:
    """A service on a host: where it listens and who may come."""

    function: str
    service: str
    protocol: str
    ports: tuple[int, ...]
    interfaces: tuple[str, ...]
    clients: str
    alias: str
    shared: bool = False
    """Met at the address that the instances share."""


@dataclass(frozen=True, slots=True)
class Data:
    """What matters on a host, as its function's record says it."""

    function: str
    path: str
    what: str
    backup: str
    """hourly, daily, weekly or continuous."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the plan; the first interface is its primary one."""

    name: str
    fqdn: str
    site: str
    declared_as: str
    functions: tuple[str, ...]
    interfaces: tuple[Interface, ...]
    failure_domain: str
    quorum: tuple[str, ...]
    """Functions on this host whose members must stand in different failure domains."""
    substrate: str
    machine: Machine
    certificates: tuple[Certificate, ...]
    offerings: tuple[Offering, ...]
    address_ways: tuple[str, ...]
    """Addresses for administration, in the order in which they are tried."""
    data: tuple[Data, ...]
    declared_host_key: str
    """For machines that exist already (`static`): the public host key; empty elsewhere."""

    @property
    def primary(self) -> Interface:
        """The leg whose addresses the host's name resolves to."""
        return self.interfaces[0]

    @property
    def is_router(self) -> bool:
        """Whether traffic between zones and sites passes here: it has a leg in an uplink."""
        return any(leg.kind == "uplink" for leg in self.interfaces)

    @property
    def inner(self) -> tuple[Interface, ...]:
        """The legs inside the site, without the uplinks."""
        return tuple(leg for leg in self.interfaces if leg.kind != "uplink")

    def interface(self, name: str) -> Interface | None:
        """The leg of that name, if the host has one."""
        return next((leg for leg in self.interfaces if leg.name == name), None)


@dataclass(frozen=True, slots=True)
class ProbePoint:
    """A place to look from that is not a managed host."""

    name: str
    site: str
    links: tuple[ProbeLink, ...]


@dataclass(frozen=True, slots=True)
class ProbeLink:
    """A leg of a probe point; gateways are set on one leg at most."""

    interface: str
    network: str
    addresses: Dual
    prefix_lengths: tuple[int, int]
    gateways: Dual | None
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """A permission: from a place to a service on a host."""

    source: str
    """Host name, `zone:<site>/<zone>`, `uplink:<name>` or `controller`."""
    source_site: str
    source_zone: str
    sources: tuple[str, ...]
    """CIDRs of both families; empty means any source on the zone."""
    target: str
    target_site: str
    target_zone: str
    """The target's leg that is addressed."""
    destinations: tuple[str, ...]
    direct: bool
    """Whether both stand in one network, so that no router passes it on."""
    service: str
    protocol: str
    ports: tuple[int, ...]
    why: str
    origin: str
    """The record or the path in the declaration that asked for it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of one host's firewall, of one family."""

    host: str
    chain: str
    """input, output or forward."""
    family: str
    protocol: str
    ports: tuple[int, ...]
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    interface_in: str | None
    interface_out: str | None
    service: str
    why: str


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """One end of a site's tunnel towards its hub."""

    site: str
    hosts: tuple[str, ...]
    identity: str
    addresses: Dual
    prefixes: Dual


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An encrypted link between a site and its hub; the site initiates."""

    hub: TunnelEnd
    spoke: TunnelEnd


@dataclass(frozen=True, slots=True)
class NameRecord:
    """A record relative to its zone; `@` is the zone itself."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class NameZone:
    """A zone of names without SOA and NS, which the name service adds."""

    name: str
    records: tuple[NameRecord, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A place with machines."""

    code: str
    unit: str
    title: str
    tier: str
    kind: str
    blueprint: str
    number: int
    level: int
    level_reason: str
    approval: str
    owner: str
    operator: str
    substrate: str
    hub: str
    """Code of the site at the other end of its tunnel; empty for the hub itself."""
    target_date: str
    circuits: tuple[tuple[str, str], ...]
    """(uplink, circuit identifier) pairs."""
    prefix: Dual
    networks: tuple[Network, ...]
    absent_zones: tuple[tuple[str, str], ...]
    """(kind of zone, reason) for zones that are declared absent."""
    hosts: tuple[Host, ...]
    probe_points: tuple[ProbePoint, ...]
    parameters: tuple[tuple[str, str], ...]
    """Sorted (name, JSON text) pairs."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """What belongs to no site: the uplink networks and who looks from them."""

    networks: tuple[Network, ...]
    probe_points: tuple[ProbePoint, ...]


@dataclass(frozen=True, slots=True)
class Administrator:
    """A person who may log in, by short-lived certificate."""

    name: str
    full_name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from one declaration."""

    schema_version: int
    environment: str
    title: str
    province: str
    as_of: str
    domain: str
    blocks: Dual
    backbone: Backbone
    sites: tuple[Site, ...]
    controller: str
    """Name of the probe point that stands for the controller."""
    flows: tuple[Flow, ...]
    rules: tuple[Rule, ...]
    tunnels: tuple[Tunnel, ...]
    zones_of_names: tuple[NameZone, ...]
    services: tuple[SharedService, ...]
    clusters: tuple[DatabaseCluster, ...]
    shares: tuple[Share, ...]
    expectations: tuple[Expectation, ...]
    administrators: tuple[Administrator, ...]
    packages: tuple[str, ...]
    first_contact_packages: tuple[str, ...]

    def hosts(self) -> tuple[Host, ...]:
        """Every host, in the order of the sites."""
        return tuple(host for site in self.sites for host in site.hosts)

    def host(self, name: str) -> Host:
        """The host of that name; KeyError when there is none."""
        for host in self.hosts():
            if host.name == name:
                return host
        raise KeyError(name)

    def site(self, code: str) -> Site:
        """The site of that code; KeyError when there is none."""
        for site in self.sites:
            if site.code == code:
                return site
        raise KeyError(code)
