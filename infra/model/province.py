"""What people declare about a province: `province.yml`, typed, strict and frozen.

Meanings are in architecture.md's glossary and in the descriptions below, which `province schema`
hands to editors. A key that is not here is refused; a default here is what silence means.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from infra.model.functions import Name, Port, Strict, Text

Code = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,12}$")]
HostName = Annotated[str, Field(pattern=r"^[a-z]{1,12}[0-9]{1,3}$")]
Slot = Annotated[int, Field(ge=2, le=253)]
Date = Annotated[dt.date, Field(strict=False)]
ParameterValue = bool | int | float | str
ZoneKind = Literal[
    "border", "dmz", "internal", "servers", "database", "management", "wireless", "party"
]


class FamilyBlock(Strict):
    """One family's address block of the province and how it is cut."""

    block: str
    site_prefix: Annotated[int, Field(ge=8, le=64)]


class Addressing(Strict):
    """The province's address blocks; a site's number and a zone's slot give every address."""

    ipv4: FamilyBlock
    ipv6: FamilyBlock


class Uplink(Strict):
    """A network of the backbone: the dedicated data network (TSLCD) or the Internet."""

    kind: Literal["dedicated", "internet"]
    title: Text
    ipv4: str
    ipv6: str


class Zone(Strict):
    """A zone of a site. A border zone has the uplinks; an absent zone says why it is absent."""

    kind: ZoneKind
    slot: Annotated[int, Field(ge=0, le=255)] | None = None
    uplinks: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    absent: str = ""


class Asset(Strict):
    """What the asset register asks of a machine (TCVN 14423:2026 5.2.2.1 b)."""

    vendor: str
    support_end: Date
    serial: str = ""


class BlueprintHost(Strict):
    """A host of a blueprint. The first zone is its primary one."""

    slot: Slot
    zones: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
    functions: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
    failure_domain: str
    asset: Asset
    purpose: str


class SharedAddress(Strict):
    """An address that the instances of a function at a site share; one of them carries it."""

    function: Name
    zone: Name
    slot: Slot


class BlueprintProbePoint(Strict):
    """A place to look from at every site of the blueprint: `office` becomes `office_692` there."""

    zone: Name
    slot: Slot


class Blueprint(Strict):
    """A kind of site, described once. `{unit}` in a text is the site's unit by kind and name."""

    kind: Name
    level: Annotated[int, Field(ge=1, le=5)]
    level_reason: str
    approval: str
    owner: str
    operator: str
    place: str = "{unit}"
    zones: dict[Name, Zone]
    hosts: dict[HostName, BlueprintHost]
    shared_addresses: dict[Name, SharedAddress] = Field(default_factory=dict)
    probe_points: dict[Name, BlueprintProbePoint] = Field(default_factory=dict)
    parameters: dict[Name, ParameterValue] = Field(default_factory=dict)


class HostOverride(Strict):
    """Where a site's host differs from its blueprint."""

    asset: Asset | None = None
    failure_domain: str | None = None
    add_functions: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    host_key: str = ""
    """For a machine that exists already: its public host key (`ssh-ed25519 AAAA...`)."""
    address: str = ""
    """For a machine that exists already: where it answers for the first contact."""


class SiteUplink(Strict):
    """A site's leg in an uplink network.

    Where a site has several border hosts, its address is theirs together and each needs a slot
    of its own in the network (`slots`).
    """

    circuit: str
    ipv4: str = ""
    ipv6: str = ""
    slots: dict[HostName, Annotated[int, Field(ge=2, le=254)]] = Field(default_factory=dict)


class Site(Strict):
    """A place with machines: its blueprint, and only what differs from it.

    `number` addresses the site and is never reused. `code` defaults to the unit's; it is given
    once and never changes, so that a merger of units renames no host.
    """

    unit: Code
    blueprint: Name
    number: Annotated[int, Field(ge=1, le=65535)]
    code: Code | None = None
    level: Annotated[int, Field(ge=1, le=5)] | None = None
    level_reason: str | None = None
    approval: str | None = None
    owner: str | None = None
    operator: str | None = None
    substrate: Literal["lab", "static"] | None = None
    uplinks: dict[Name, SiteUplink] = Field(default_factory=dict)
    target_date: Date | None = None
    hosts: dict[HostName, HostOverride] = Field(default_factory=dict)
    parameters: dict[Name, ParameterValue] = Field(default_factory=dict)

    @property
    def effective_code(self) -> str:
        """The site's own code, by default its unit's."""
        return self.code or self.unit


class SiteSelector(Strict):
    """Which sites: by tier of their unit, by code, by blueprint; every given key must match."""

    tiers: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    codes: Annotated[tuple[Code, ...], Field(strict=False)] = ()
    blueprints: Annotated[tuple[Name, ...], Field(strict=False)] = ()


class Consumer(Strict):
    """Who reaches a service: a zone of the selected sites."""

    sites: SiteSelector
    zone: Name


class RequiredShare(Strict):
    """How much of a tier must reach a service."""

    tier: Name
    percent: Annotated[int, Field(ge=0, le=100)]


class Published(Strict):
    """Where a service is met from the Internet: a host in the DMZ, a name, a port."""

    host: HostName
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    port: Port = 443


class SharedService(Strict):
    """A service that several sites share; its flows open when `active_from` has come.

    `tenant` names the tenant in whose database it stores.
    """

    title: Text
    level: Annotated[int, Field(ge=1, le=5)]
    site: Code
    hosts: Annotated[tuple[HostName, ...], Field(strict=False, min_length=1)]
    protocol: Literal["tcp", "udp"] = "tcp"
    ports: Annotated[tuple[Port, ...], Field(strict=False, min_length=1)]
    active_from: Date
    tenant: Name | None = None
    published: Published | None = None
    consumers: Annotated[tuple[Consumer, ...], Field(strict=False)] = ()
    required_shares: Annotated[tuple[RequiredShare, ...], Field(strict=False)] = ()


class DatabaseCluster(Strict):
    """A database cluster: its members are the site's hosts with `function`.

    `endpoint` names the shared address through which its clients meet it.
    """

    title: Text
    site: Code
    function: Name
    endpoint: Name


class TenantDatabase(Strict):
    """A tenant's database: in which cluster, under which name, within which limits."""

    cluster: Name
    name: Name
    connections: Annotated[int, Field(ge=1, le=500)]
    statement_timeout_seconds: Annotated[int, Field(ge=1, le=3600)]


class Tenant(Strict):
    """A body that keeps and exchanges data: Party and State agencies meet only in the exchange."""

    title: Text
    kind: Literal["party", "state", "exchange"]
    owner: str
    consumers: Annotated[tuple[Consumer, ...], Field(strict=False)] = ()
    services: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    database: TenantDatabase | None = None


class DeclaredFlow(Strict):
    """A permission that no function's need explains."""

    source: Consumer
    service: Name
    why: str


class DeclaredProbePoint(Strict):
    """A place to look from: in a zone of a site, or in an uplink network."""

    site: Code | None = None
    zone: Name | None = None
    uplink: Name | None = None
    slot: Slot


class Expectation(Strict):
    """A promise in words as data: who reaches what, or is refused, from a date on."""

    title: Text
    source: Name
    host: str
    zone: Name | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    port: Port
    expect: Literal["allowed", "refused"]
    due: Date | None = None


class Controller(Strict):
    """Where the controller stands: a leg in the hub's management zone and one in an uplink."""

    zone: Name
    slot: Annotated[int, Field(ge=2, le=254)]
    uplink: Name
    uplink_slot: Annotated[int, Field(ge=2, le=254)]


class Administrator(Strict):
    """A person who may administer, by short-lived certificate."""

    full_name: str
    groups: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]


class Declaration(Strict):
    """A province, declared: `inventories/<env>/province.yml`."""

    schema_version: Literal[1]
    name: Name
    title: Text
    province: Code
    as_of: Date
    units: str
    domain: Annotated[str, Field(pattern=r"^([a-z0-9-]+\.)+internal$")]
    substrate: Literal["lab", "static"]
    hub: Code
    addressing: Addressing
    uplinks: dict[Name, Uplink]
    controller: Controller
    tiers: dict[Name, Text] = Field(default_factory=dict)
    """What a tier is called where people read; the code itself knows no tier."""
    every_host: Annotated[tuple[Name, ...], Field(strict=False)]
    parameters: dict[Name, ParameterValue] = Field(default_factory=dict)
    administrators: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Administrator]
    blueprints: dict[Name, Blueprint]
    sites: Annotated[tuple[Site, ...], Field(strict=False, min_length=1)]
    shared_services: dict[Name, SharedService] = Field(default_factory=dict)
    database_clusters: dict[Name, DatabaseCluster] = Field(default_factory=dict)
    tenants: dict[Name, Tenant] = Field(default_factory=dict)
    flows: Annotated[tuple[DeclaredFlow, ...], Field(strict=False)] = ()
    probe_points: dict[Name, DeclaredProbePoint] = Field(default_factory=dict)
    expectations: Annotated[tuple[Expectation, ...], Field(strict=False)] = ()
