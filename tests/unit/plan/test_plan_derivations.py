"""Names, certificates, tunnels, shares, parameters: what else follows from a declaration."""

import ipaddress
import re
from collections import Counter
from dataclasses import replace

import pytest
import worlds

from infra.plan import Plan, derive_plan
from infra.plan.types import NameZone

PLANS = [worlds.plan_with_two_districts(), *map(worlds.declared_plan, ("lab", "binh_phuoc"))]
plans = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.environment)


def zones(plan: Plan) -> tuple[NameZone, NameZone, NameZone]:
    forward, reverse4, reverse6 = plan.zones_of_names
    return forward, reverse4, reverse6


def values(zone: NameZone, name: str, kind: str) -> list[str]:
    return [one.value for one in zone.records if (one.name, one.type) == (name, kind)]


# Names


@plans
def test_every_host_has_its_name_in_both_families_and_both_directions(plan: Plan) -> None:
    forward, reverse4, reverse6 = zones(plan)
    for host in plan.hosts():
        where = host.primary.addresses
        assert values(forward, host.name, "A") == [where.ipv4]
        assert values(forward, host.name, "AAAA") == [where.ipv6]
    pointed = {record.value for record in (*reverse4.records, *reverse6.records)}
    assert {f"{host.fqdn}." for host in plan.hosts()} <= pointed


@plans
def test_reverse_names_lead_to_names_that_lead_back(plan: Plan) -> None:
    forward, reverse4, reverse6 = zones(plan)
    for zone, kind, rebuild in ((reverse4, "A", _ipv4), (reverse6, "AAAA", _ipv6)):
        assert zone.records
        for record in zone.records:
            assert record.type == "PTR"
            relative = record.value.removesuffix(f".{forward.name}.")
            (address,) = values(forward, relative, kind)
            assert rebuild(f"{record.name}.{zone.name}") == rebuild(_pointer(address))


def _pointer(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _ipv4(name: str) -> list[str]:
    return name.removesuffix(".in-addr.arpa").split(".")


def _ipv6(name: str) -> list[str]:
    return name.removesuffix(".ip6.arpa").split(".")


@plans
def test_no_name_leads_to_two_hosts_unless_it_is_a_services(plan: Plan) -> None:
    forward = zones(plan)[0]
    aliases = {offering.alias for host in plan.hosts() for offering in host.offerings}
    several = [
        name
        for (name, kind), count in Counter((one.name, one.type) for one in forward.records).items()
        if count > 1 and kind == "A"
    ]
    assert {name.split("-")[0] for name in several} <= aliases


@plans
def test_every_name_is_one_that_the_dns_accepts(plan: Plan) -> None:
    label = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$")
    names = {one.name for one in zones(plan)[0].records}
    assert [name for name in names if not all(label.match(part) for part in name.split("."))] == []


def test_a_service_has_one_name_with_every_host_that_offers_it() -> None:
    forward = zones(worlds.plan_with_two_districts())[0]
    assert values(forward, "time", "A") == ["10.1.3.2", "10.1.3.11"]
    assert values(forward, "log", "AAAA") == ["fdb7:70c0:1:6::41"]
    assert values(forward, "ca", "A") == ["10.1.6.41"]


def test_a_second_leg_has_a_name_of_its_own() -> None:
    forward = zones(worlds.plan_with_two_districts())[0]
    assert values(forward, "svc1-70.management", "A") == ["10.1.6.11"]


def test_a_sites_code_and_not_its_units_name_names_hosts() -> None:
    plan = derive_plan(worlds.province_without_districts())
    assert plan.site("692").unit == "90001"
    assert [host.name for host in plan.site("692").hosts] == ["edge1-692"]


# Certificates


@plans
def test_certificates_say_names_and_addresses_of_their_host(plan: Plan) -> None:
    forward = zones(plan)[0]
    for host in plan.hosts():
        inner = {address for leg in host.inner for address in leg.addresses.both()}
        for certificate in host.certificates:
            assert certificate.common_name == host.fqdn == certificate.dns_names[0]
            shared = {
                address
                for leg in host.inner
                for share in leg.shared
                for address in share.addresses.both()
            }
            assert inner <= set(certificate.addresses) <= inner | shared
            assert all(name.endswith(f".{forward.name}") for name in certificate.dns_names)
            assert len(certificate.dns_names) == len(set(certificate.dns_names))


def test_a_tunnels_certificate_carries_the_identity_that_gateways_of_a_site_share() -> None:
    plan = worlds.plan_with_two_districts()
    (certificate,) = [one for one in plan.host("edge1-692").certificates if one.name == "tunnel"]
    assert "gw-692.sample.internal" in certificate.dns_names
    assert certificate.reload == ("strongswan.service",)


# Tunnels


@plans
def test_every_site_has_one_tunnel_to_the_hub(plan: Plan) -> None:
    hub = next(site for site in plan.sites if not site.hub)
    spokes = [site for site in plan.sites if site.hub]
    assert [tunnel.spoke.site for tunnel in plan.tunnels] == [site.code for site in spokes]
    for tunnel, site in zip(plan.tunnels, spokes, strict=True):
        assert tunnel.hub.site == hub.code == site.hub
        assert (tunnel.hub.prefixes, tunnel.spoke.prefixes) == (hub.prefix, site.prefix)
        assert tunnel.spoke.identity != tunnel.hub.identity
        uplinks = [
            leg.addresses
            for leg in plan.host(tunnel.spoke.hosts[0]).interfaces
            if leg.kind == "uplink"
        ]
        assert tunnel.spoke.addresses in uplinks


@plans
def test_identities_of_tunnels_are_names_in_their_certificates(plan: Plan) -> None:
    for tunnel in plan.tunnels:
        for end in (tunnel.hub, tunnel.spoke):
            for name in end.hosts:
                named = [
                    one for one in plan.host(name).certificates if end.identity in one.dns_names
                ]
                assert named, f"{name} cannot prove to be {end.identity}"


def test_without_tunnel_ends_there_are_no_tunnels() -> None:
    data = worlds.sample_declaration_data()
    for blueprint in data["blueprints"].values():
        for host in blueprint["hosts"].values():
            host["functions"] = [one for one in host["functions"] if one != "site_tunnel"]
    assert derive_plan(worlds.province_from(data)).tunnels == ()


# Shares, services, expectations


def counted(plan: Plan) -> list[tuple[str, str, int, int, int]]:
    return [
        (one.service, one.tier, one.connected, one.total, one.required_percent)
        for one in plan.shares
    ]


def test_shares_count_units_that_existed_and_have_a_consuming_site() -> None:
    assert counted(worlds.plan_with_two_districts()) == [
        ("one_stop", "district", 2, 2, 100),
        ("one_stop", "commune", 0, 2, 50),
    ]


def test_the_whole_province_is_connected_to_the_one_stop_centre() -> None:
    shares = {share.tier: share for share in worlds.declared_plan("binh_phuoc").shares}
    assert (shares["district"].connected, shares["district"].total) == (11, 11)
    assert (shares["commune"].connected, shares["commune"].total) == (111, 111)
    assert [share for share in shares.values() if share.percent < share.required_percent] == []


def test_without_districts_the_share_of_communes_alone_counts() -> None:
    plan = derive_plan(worlds.province_without_districts())
    assert counted(plan) == [("one_stop", "commune", 3, 3, 100)]


def test_a_tier_without_units_is_connected_as_a_whole() -> None:
    share = worlds.plan_with_two_districts().shares[0]
    assert replace(share, connected=0, total=0).percent == 100
    assert replace(share, connected=1, total=4).percent == 25


def test_expectations_know_the_addresses_that_they_are_about() -> None:
    first, second = worlds.plan_with_two_districts().expectations
    assert (first.source, first.target, first.port, first.expect) == (
        "office_692",
        "svc1-70",
        8443,
        "allowed",
    )
    assert first.destinations.ipv4 == "10.1.3.11"
    assert second.destinations.ipv6 == "fdb7:70c0:1:6::41"


@pytest.mark.parametrize("environment", ["lab", "binh_phuoc"])
def test_what_is_expected_today_is_what_the_flows_say(environment: str) -> None:
    """A promise that the plan already breaks needs no machine to be found."""
    plan = worlds.declared_plan(environment)
    points = {
        probe.name: link
        for probe in (*plan.backbone.probe_points, *(p for s in plan.sites for p in s.probe_points))
        for link in probe.links[:1]
    }
    judged = 0
    for promise in plan.expectations:
        if promise.due > plan.as_of:
            continue
        network = points[promise.source].network
        zone = next(
            (
                f"zone:{site.code}/{one.zone}"
                for site in plan.sites
                for one in site.networks
                if one.name == network
            ),
            f"uplink:{network}",
        )
        is_open = any(
            flow.source in {zone, promise.source}
            and flow.target == promise.target
            and f"{promise.destinations.ipv4}/32" in flow.destinations
            and flow.protocol == promise.protocol
            and promise.port in flow.ports
            for flow in plan.flows
        )
        assert is_open == (promise.expect == "allowed"), promise.title
        judged += 1
    assert judged >= 3


# Hosts


def test_a_function_takes_the_place_of_the_one_that_it_replaces() -> None:
    plan = worlds.plan_with_two_districts()
    assert "time_sync" not in plan.host("svc1-70").functions
    assert "time_service" in plan.host("svc1-70").functions
    assert "time_sync" in plan.host("mgt1-70").functions


def test_a_site_says_only_what_differs_from_its_blueprint() -> None:
    data = worlds.sample_declaration_data()
    data["sites"][1] |= {
        "level": 3,
        "level_reason": "Đặt ứng dụng một cửa",
        "owner": "Văn phòng {unit}",
        "parameters": {"log_retention_days": 400},
        "hosts": {"edge1": {"failure_domain": "cabinet", "add_functions": ["time_service"]}},
    }
    plan = derive_plan(worlds.province_from(data))
    changed, other = plan.site("692"), plan.site("689")
    assert (changed.level, other.level) == (3, 2)
    assert changed.owner == "Văn phòng huyện Lộc Ninh"
    assert other.owner == "Ủy ban nhân dân thành phố Đồng Xoài"
    assert dict(changed.parameters)["log_retention_days"] == "400"
    assert dict(other.parameters)["log_retention_days"] == "90"
    assert changed.hosts[0].failure_domain == "cabinet"
    assert "time_service" in changed.hosts[0].functions


def test_a_blueprint_gives_every_site_its_place_to_look_from() -> None:
    data = worlds.sample_declaration_data()
    data["blueprints"]["district_edge"]["probe_points"] = {"desk": {"zone": "internal", "slot": 99}}
    plan = derive_plan(worlds.province_from(data))
    for code, address in (("692", "10.15.2.99"), ("689", "10.12.2.99")):
        point = next(one for one in plan.site(code).probe_points if one.name == f"desk_{code}")
        assert [link.addresses.ipv4 for link in point.links] == [address]
    assert not [one for one in plan.site("70").probe_points if one.name.startswith("desk")]


def test_a_host_is_administered_by_its_management_zone_or_through_the_tunnel_first() -> None:
    plan = worlds.plan_with_two_districts()
    assert plan.host("svc1-70").address_ways == ("10.1.6.11",)
    assert plan.host("edge1-692").address_ways == ("10.15.3.2", "198.51.100.15")


def test_a_machine_that_exists_is_also_tried_where_it_was_declared() -> None:
    data = worlds.sample_declaration_data()
    data["sites"][1] |= {
        "substrate": "static",
        "hosts": {"edge1": {"address": "192.0.2.15", "host_key": "ssh-ed25519 AAAA"}},
    }
    host = derive_plan(worlds.province_from(data)).host("edge1-692")
    assert host.substrate == "static"
    assert host.address_ways[-1] == "192.0.2.15"
    assert host.declared_host_key == "ssh-ed25519 AAAA"


def test_members_of_a_quorum_are_told_apart() -> None:
    plan = worlds.plan_with_two_districts()
    members = [host for host in plan.hosts() if host.quorum]
    assert {host.name: host.failure_domain for host in members} == {
        "db1-70": "rack_1",
        "db2-70": "rack_2",
        "db3-70": "rack_3",
    }
    assert {host.quorum for host in members} == {("coordination_store",)}


def test_packages_of_placed_functions_are_named_once() -> None:
    plan = worlds.plan_with_two_districts()
    assert plan.packages == ("adduser", "chrony", "nftables", "strongswan-swanctl")
    assert plan.first_contact_packages == ("adduser", "nftables", "strongswan-swanctl")


def test_unknown_hosts_and_sites_are_no_answer() -> None:
    plan = worlds.plan_with_two_districts()
    with pytest.raises(KeyError):
        plan.host("svc9-70")
    with pytest.raises(KeyError):
        plan.site("71")
