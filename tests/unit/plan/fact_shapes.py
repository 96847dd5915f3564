"""The shapes of facts as `infra/README.md` promises them to roles, strict to the last key."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

STRICT = ConfigDict(extra="forbid", strict=True)


def _parsed(parse: Any) -> AfterValidator:  # noqa: ANN401 - any of the standard library's parsers
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Address = Annotated[str, _parsed(ip_address)]
AddressIPv4 = Annotated[str, _parsed(IPv4Address)]
AddressIPv6 = Annotated[str, _parsed(IPv6Address)]
Leg = Annotated[str, _parsed(ip_interface)]
Prefix = Annotated[str, _parsed(ip_network)]
Both = Annotated[list[Address], Field(min_length=2, max_length=2)]
BothOrNone = Annotated[list[Address], Field(max_length=2)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


@with_config(STRICT)
class Route(TypedDict):
    to: Prefix
    via: Address


@with_config(STRICT)
class Interface(TypedDict):
    name: Text
    zone: Text
    kind: Literal["service", "management", "uplink"]
    addresses: Annotated[list[Leg], Field(min_length=2, max_length=2)]
    virtual_addresses: Annotated[list[Leg], Field(max_length=2)]
    default_gateways: BothOrNone
    routes: list[Route]
    answer_table: int | None
    answer_sources: BothOrNone
    answer_gateways: BothOrNone
    mtu: int | None


@with_config(STRICT)
class Rule(TypedDict):
    family: Literal["ipv4", "ipv6"]
    protocol: Literal["tcp", "udp", "vrrp"]
    ports: list[Port]
    sources: list[Prefix]
    destinations: list[Prefix]
    interface_in: str | None
    interface_out: str | None
    service: Text
    why: Text


@with_config(STRICT)
class Firewall(TypedDict):
    inputs: list[Rule]
    outputs: list[Rule]
    forwards: list[Rule]


@with_config(STRICT)
class Guard(TypedDict):
    interface: Text
    ipv4: NotRequired[list[Prefix]]
    ipv6: NotRequired[list[Prefix]]
    refused_ipv4: NotRequired[list[Prefix]]
    refused_ipv6: NotRequired[list[Prefix]]


@with_config(STRICT)
class SharedLeg(TypedDict):
    interface: Text
    router_id: Annotated[int, Field(ge=1, le=255)]
    ipv4: Leg
    ipv6: Leg


@with_config(STRICT)
class TwinLeg(TypedDict):
    interface: Text
    ipv4: AddressIPv4
    ipv6: AddressIPv6


@with_config(STRICT)
class Twin(TypedDict):
    host: Name
    addresses: Annotated[list[TwinLeg], Field(min_length=1)]


@with_config(STRICT)
class SharedGroup(TypedDict):
    name: Text
    priority: Annotated[int, Field(ge=1, le=254)]
    addresses: Annotated[list[SharedLeg], Field(min_length=1)]
    twins: Annotated[list[Twin], Field(min_length=1)]
    state_interface: str | None


@with_config(STRICT)
class Publication(TypedDict):
    interface: Text
    ipv4: AddressIPv4
    ipv6: AddressIPv6
    port: Port
    target_ipv4: AddressIPv4
    target_ipv6: AddressIPv6


@with_config(STRICT)
class Peer(TypedDict):
    name: Text
    identity: Name
    addresses: Both
    prefixes: Annotated[list[Prefix], Field(min_length=2, max_length=2)]
    initiates: bool


@with_config(STRICT)
class Tunnels(TypedDict):
    esp: Literal["user_space", "kernel"]
    local_addresses: Both
    identity: Name
    certificate: Text
    prefixes: Annotated[list[Prefix], Field(min_length=2, max_length=2)]
    peers: Annotated[list[Peer], Field(min_length=1)]


@with_config(STRICT)
class Endpoint(TypedDict):
    host: Name
    name: Name
    ipv4: AddressIPv4
    ipv6: AddressIPv6
    port: Port
    protocol: Literal["tcp", "udp"]


@with_config(STRICT)
class Member(TypedDict):
    host: Name
    name: Name
    ipv4: AddressIPv4
    ipv6: AddressIPv6


@with_config(STRICT)
class Backend(Member):
    port: Port


@with_config(STRICT)
class Application(TypedDict):
    name: Text
    title: Text
    port: Port
    tenant: str | None
    database: str | None


@with_config(STRICT)
class PublishedService(TypedDict):
    name: Text
    title: Text
    server_name: Name
    port: Port
    addresses: BothOrNone
    backends: Annotated[list[Backend], Field(min_length=1)]


@with_config(STRICT)
class ClusterEndpoint(TypedDict):
    name: Name
    ipv4: AddressIPv4
    ipv6: AddressIPv6
    port: Port


@with_config(STRICT)
class Tenant(TypedDict):
    name: Text
    kind: Literal["party", "state", "exchange"]
    title: Text
    database: Text
    connections: Annotated[int, Field(ge=1)]
    statement_timeout_seconds: Annotated[int, Field(ge=1)]


@with_config(STRICT)
class Cluster(TypedDict):
    name: Text
    members: Annotated[list[Member], Field(min_length=1)]
    endpoint: ClusterEndpoint | None
    tenants: list[Tenant]


@with_config(STRICT)
class Data(TypedDict):
    function: Text
    path: Annotated[str, Field(pattern=r"^/")]
    what: Text
    backup: Literal["hourly", "daily", "weekly", "continuous"]


@with_config(STRICT)
class OwnEndpoint(TypedDict):
    name: Name
    listen: Annotated[list[Address], Field(min_length=2)]
    virtual: list[Address]
    port: Port


@with_config(STRICT)
class Client(TypedDict):
    host: Name
    addresses: Annotated[list[Address], Field(min_length=2)]


@with_config(STRICT)
class Record(TypedDict):
    name: Text
    type: Literal["A", "AAAA", "PTR", "CNAME"]
    value: Text


@with_config(STRICT)
class Zone(TypedDict):
    name: Name
    records: Annotated[list[Record], Field(min_length=1)]


@with_config(STRICT)
class NameServer(TypedDict):
    name: Name
    ipv4: AddressIPv4
    ipv6: AddressIPv6


@with_config(STRICT)
class NameServers(TypedDict):
    authoritative: Annotated[list[NameServer], Field(min_length=1)]


@with_config(STRICT)
class Certificate(TypedDict):
    name: Text
    common_name: Name
    dns_names: Annotated[list[Name], Field(min_length=1)]
    addresses: Annotated[list[Address], Field(min_length=2)]
    owner: Text
    group: Text
    reload: list[str]


@with_config(STRICT)
class Authority(TypedDict):
    host: Name
    name: Name
    url: Annotated[str, Field(pattern=r"^https://ca\.")]
    crl_url: Annotated[str, Field(pattern=r"^http://ca\..*/1\.0/crl$")]
    permitted_domains: list[Name]
    permitted_prefixes: list[Prefix]


@with_config(STRICT)
class EssentialHost(TypedDict):
    address: Address
    names: Annotated[list[Name], Field(min_length=1)]


@with_config(STRICT)
class Administrator(TypedDict):
    name: Text
    full_name: Text
    groups: Annotated[list[str], Field(min_length=1)]


@with_config(STRICT)
class Administration(TypedDict):
    listen: Annotated[list[Address], Field(min_length=2)]
    sources: Annotated[list[Prefix], Field(min_length=2)]


SHAPES: dict[str, Any] = {
    "administration": Administration,
    "administrators": list[Administrator],
    "applications": list[Application],
    "authority": Authority,
    "certificates": list[Certificate],
    "client_prefixes": list[Prefix],
    "clients": list[Client],
    "data": list[Data],
    "database_cluster": Cluster,
    "domain": Name,
    "endpoints": list[Endpoint],
    "esp": Literal["user_space", "kernel"],
    "essential_hosts": list[EssentialHost],
    "firewall": Firewall,
    "forwarding": bool,
    "fqdn": Name,
    "functions": list[Text],
    "interfaces": list[Interface],
    "level": Literal[1, 2, 3, 4, 5],
    "members": list[Member],
    "name": Name,
    "name_servers": NameServers,
    "own_endpoint": OwnEndpoint,
    "parameter": bool | int | float | str,
    "publications": list[Publication],
    "published": list[PublishedService],
    "province_prefixes": Annotated[list[Prefix], Field(min_length=2, max_length=2)],
    "search_domain": Name,
    "shared_addresses": list[SharedGroup],
    "site": Text,
    "site_prefixes": list[Prefix],
    "spoof_guard": list[Guard],
    "tunnels": Tunnels,
    "zone_names": list[Name],
    "zones_of_names": list[Zone],
}
ADAPTERS = {name: TypeAdapter(shape, config=None) for name, shape in SHAPES.items()}
