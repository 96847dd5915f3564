"""Plans for tests: a small province in the lab, and one as large as Binh Phuoc that is static."""

import ipaddress
from dataclasses import replace

from infra.plan.types import (
    SCHEMA_VERSION,
    Backbone,
    Dual,
    Flow,
    Host,
    Interface,
    Machine,
    Network,
    Plan,
    ProbeLink,
    ProbePoint,
    Rule,
    SharedService,
    Site,
)

HUB = "70"
DOMAIN = "binhphuoc.internal"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE"
DEDICATED = Network(
    "dedicated",
    "",
    "dedicated",
    "dedicated",
    Dual("198.51.100.0/22", "2001:db8:100::/64"),
    isolated=False,
)
INTERNET = Network(
    "internet",
    "",
    "internet",
    "internet",
    Dual("203.0.113.0/24", "2001:db8:200::/64"),
    isolated=False,
)
UPLINKS = {one.name: one for one in (DEDICATED, INTERNET)}


def nth(prefix: Dual, number: int) -> Dual:
    """The address of a number in both families."""
    return Dual(
        str(ipaddress.ip_network(prefix.ipv4)[number]),
        str(ipaddress.ip_network(prefix.ipv6)[number]),
    )


def site_prefix(number: int) -> Dual:
    return Dual(f"10.{number}.0.0/16", f"fdb7:70c0:{number:x}::/48")


def network(site: str, number: int, kind: str, slot: int) -> Network:
    prefix = Dual(f"10.{number}.{slot}.0/24", f"fdb7:70c0:{number:x}:{slot:x}::/64")
    return Network(f"{kind}-{site}", site, kind, kind, prefix, isolated=kind == "management")


def leg(place: Network, number: int, *, kind: str = "service") -> Interface:
    lengths = (
        ipaddress.ip_network(place.prefix.ipv4).prefixlen,
        ipaddress.ip_network(place.prefix.ipv6).prefixlen,
    )
    return Interface(
        name=place.zone,
        network=place.name,
        zone="border" if kind == "uplink" else place.zone,
        kind=kind,
        addresses=nth(place.prefix, number),
        prefix_lengths=lengths,
        shared=(),
        default_gateways=None,
        routes=(),
        answer_table=None,
        answer_gateways=None,
        isolated=place.isolated,
    )


def host(name: str, site: str, functions: tuple[str, ...], legs: tuple[Interface, ...]) -> Host:
    return Host(
        name=f"{name}-{site}",
        fqdn=f"{name}-{site}.{DOMAIN}",
        site=site,
        declared_as=name,
        functions=functions,
        interfaces=legs,
        failure_domain="rack_1",
        quorum=(),
        substrate="lab",
        machine=Machine(
            owner="Ủy ban nhân dân tỉnh",
            operator="Sở Thông tin và Truyền thông",
            place="Phòng máy",
            purpose="Máy chủ",
            vendor="Debian 13 container",
            serial="",
            support_end="2030-06-30",
        ),
        certificates=(),
        offerings=(),
        address_ways=(legs[0].addresses.ipv4,),
        data=(),
        declared_host_key=HOST_KEY,
    )


def site(
    code: str,
    number: int,
    networks: tuple[Network, ...],
    hosts: tuple[Host, ...],
    *,
    level: int = 2,
) -> Site:
    absent = (("wireless", "không có mạng không dây"),)
    return Site(
        code=code,
        unit=code,
        title=f"Điểm {code}",
        tier="district",
        kind="edge",
        blueprint="district_edge",
        number=number,
        level=level,
        level_reason="331/2026/NĐ-CP, Điều 12.3",
        approval="Hồ sơ mẫu",
        owner="Ủy ban nhân dân",
        operator="Phòng Văn hóa và Thông tin",
        substrate="lab",
        hub="" if code == HUB else HUB,
        target_date="",
        circuits=(("dedicated", f"TSLCD-{code}"),),
        prefix=site_prefix(number),
        networks=networks,
        absent_zones=absent,
        hosts=hosts,
        probe_points=(),
        parameters=(("esp", '"user_space"'),),
    )


def hub_site() -> Site:
    """The data centre: gateway, services, management, a database voter, and the controller."""
    kinds = ("internal", "servers", "dmz", "database", "management")
    networks = tuple(network(HUB, 1, kind, slot) for slot, kind in enumerate(kinds, start=2))
    places = {one.zone: one for one in networks}
    inner = [leg(one, 2) for one in networks if one.zone != "management"]
    gateway = host(
        "gw1",
        HUB,
        ("gateway", "site_tunnel"),
        (
            *inner,
            leg(places["management"], 2, kind="management"),
            leg(DEDICATED, 1, kind="uplink"),
            leg(INTERNET, 1, kind="uplink"),
        ),
    )
    management = leg(places["management"], 11, kind="management")
    services = host("svc1", HUB, ("name_service",), (leg(places["servers"], 11), management))
    database = host(
        "db1",
        HUB,
        ("database_cluster",),
        (leg(places["database"], 21), leg(places["management"], 21, kind="management")),
    )
    database = replace(database, quorum=("database_cluster",), failure_domain="rack_2")
    controller = ProbePoint(
        "controller",
        HUB,
        (
            ProbeLink(
                "management",
                places["management"].name,
                nth(places["management"].prefix, 250),
                (24, 64),
                None,
            ),
            ProbeLink("dedicated", "dedicated", nth(DEDICATED.prefix, 250), (22, 64), None),
        ),
    )
    hub = site(HUB, 1, networks, (gateway, services, database), level=3)
    return replace(hub, kind="data_centre", probe_points=(controller,))


def edge_site(code: str, number: int) -> Site:
    """An edge node with its zones and one machine."""
    kinds = ("internal", "servers", "dmz")
    networks = tuple(network(code, number, kind, slot) for slot, kind in enumerate(kinds, start=2))
    legs = (*(leg(one, 2) for one in networks), leg(DEDICATED, number, kind="uplink"))
    edge = host("edge1", code, ("gateway", "site_tunnel", "edge_services"), legs)
    return site(code, number, networks, (edge,))


def small_province() -> Plan:
    """A data centre and one district edge, both in the lab."""
    return province((hub_site(), edge_site("692", 15)))


def province(sites: tuple[Site, ...]) -> Plan:
    """A plan of these sites, with one published service behind the hub's gateway."""
    citizen = ProbePoint(
        "citizen",
        "",
        (
            ProbeLink(
                "internet", "internet", nth(INTERNET.prefix, 200), (24, 64), nth(INTERNET.prefix, 1)
            ),
        ),
    )
    outside = Flow(
        source="uplink:internet",
        source_site="",
        source_zone="internet",
        sources=(),
        target="gw1-70",
        target_site=HUB,
        target_zone="internet",
        destinations=(f"{nth(INTERNET.prefix, 1).ipv4}/32", f"{nth(INTERNET.prefix, 1).ipv6}/128"),
        direct=True,
        service="https",
        protocol="tcp",
        ports=(443,),
        why="publishing_proxy",
        origin="roles/publishing_proxy/meta/function.yml",
    )
    rules = tuple(
        Rule(
            "gw1-70",
            "input",
            family,
            "tcp",
            (443,),
            (),
            (one,),
            "internet",
            None,
            "https",
            "publishing_proxy",
        )
        for family, one in zip(("ipv4", "ipv6"), outside.destinations, strict=True)
    )
    return Plan(
        schema_version=SCHEMA_VERSION,
        environment="sample",
        title="Tỉnh mẫu",
        province=HUB,
        as_of="2021-01-13",
        domain=DOMAIN,
        blocks=Dual("10.0.0.0/8", "fdb7:70c0::/32"),
        backbone=Backbone((DEDICATED, INTERNET), (citizen,)),
        sites=sites,
        controller="controller",
        flows=(outside,),
        rules=rules,
        tunnels=(),
        zones_of_names=(),
        services=(
            SharedService(
                "one_stop", "Một cửa", 3, ("svc1-70",), "tcp", (8443,), "2021-07-01", "", None
            ),
        ),
        clusters=(),
        shares=(),
        expectations=(),
        administrators=(),
        packages=(),
        first_contact_packages=(),
    )


def static(plan: Plan) -> Plan:
    """The same plan on machines that exist already."""
    return replace(
        plan,
        sites=tuple(
            replace(
                one,
                substrate="static",
                hosts=tuple(replace(machine, substrate="static") for machine in one.hosts),
            )
            for one in plan.sites
        ),
    )


def large_province(edges: int = 122) -> Plan:
    """As large as Binh Phuoc before July 2025: a data centre, 11 districts and 111 communes."""
    places = tuple(edge_site(str(1000 + number), number) for number in range(2, edges + 2))
    return static(province((hub_site(), *places)))
