"""Addresses follow from numbers alone: stable, apart, readable, in both families."""

import ipaddress
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import worlds
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.model import Province, numbering
from infra.model.address_checks import RULES
from infra.model.expand import placed_hosts
from infra.model.world import World
from infra.plan import Plan, Site, addresses
from infra.plan.sites import plan_sites
from infra.plan.types import GATEWAY, Dual

CODES = st.from_regex(r"[1-9][0-9]{2,4}", fullmatch=True)


def edge(code: str, number: int) -> dict[str, Any]:
    circuit = {"circuit": f"TSLCD-{code}"}
    return {
        "unit": "692",
        "code": code,
        "blueprint": "district_edge",
        "number": number,
        "uplinks": {"dedicated": circuit},
    }


def with_edges(edges: list[tuple[str, int]], **addressing: Any) -> Province:  # noqa: ANN401 - YAML data
    """Build the sample province with other edges and other blocks, and no services."""
    data = worlds.sample_declaration_data()
    data["sites"] = [data["sites"][0], *(edge(code, number) for code, number in edges)]
    for key in ("shared_services", "tenants", "probe_points"):
        data[key] = {}
    data["flows"] = data["expectations"] = []
    data["addressing"] |= addressing
    return worlds.province_from(data)


def edges_of(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[str, int]]]:
    drawn = st.lists(
        st.tuples(CODES, numbers), min_size=2, max_size=6, unique_by=lambda one: one[0]
    )
    return drawn.filter(lambda edges: len({number for _, number in edges}) == len(edges))


def all_addresses(sites: tuple[Site, ...]) -> dict[tuple[str, str], Dual]:
    return {
        (host.name, leg.name): leg.addresses
        for site in sites
        for host in site.hosts
        for leg in host.interfaces
    }


@given(edges_of(st.integers(2, 200)), st.data())
def test_adding_removing_and_reordering_sites_renumbers_nobody(
    edges: list[tuple[str, int]], data: st.DataObject
) -> None:
    fewer = data.draw(st.permutations(edges))[: data.draw(st.integers(1, len(edges)))]
    before = all_addresses(plan_sites(with_edges(edges)))
    after = all_addresses(plan_sites(with_edges(fewer)))
    assert {leg: before[leg] for leg in after} == after


def overlaps(sites: tuple[Site, ...]) -> list[tuple[str, str]]:
    prefixes = [
        (f"{site.code}/{network.zone}", ipaddress.ip_network(prefix))
        for site in sites
        for network in site.networks
        for prefix in network.prefix.both()
    ]
    prefixes += [
        (f"{site.code} itself", ipaddress.ip_network(prefix))
        for site in sites
        for prefix in site.prefix.both()
    ]
    return [
        (one, other)
        for (one, first), (other, second) in combinations(prefixes, 2)
        if first.version == second.version
        and first.overlaps(second)
        and one.split("/")[0] != other.removesuffix(" itself")
    ]


def misplaced(sites: tuple[Site, ...], blocks: Dual) -> list[str]:
    """Name what stands outside of where it belongs: host in zone, zone in site, site in block."""
    places = [(site.prefix, blocks) for site in sites]
    places += [(network.prefix, site.prefix) for site in sites for network in site.networks]
    networks = {network.name: network.prefix for site in sites for network in site.networks}
    legs = [leg for site in sites for host in site.hosts for leg in host.inner]
    places += [(leg.addresses, networks[leg.network]) for leg in legs]
    return [
        f"{own} outside of {other}"
        for inner, outer in places
        for own, other in zip(inner.both(), outer.both(), strict=True)
        if not _inside(own, other)
    ]


def _inside(inner: str, outer: str) -> bool:
    own, other = ipaddress.ip_network(inner), ipaddress.ip_network(outer)
    return own.version == other.version and own.subnet_of(other)


def cut_blocks(
    family: str, lengths: tuple[int, ...], longest: int
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a block and the length at which it is cut into sites."""
    return st.sampled_from(lengths).flatmap(
        lambda length: st.builds(
            lambda cut: {"block": f"{family}/{length}", "site_prefix": cut},
            st.integers(length + 6, longest),
        )
    )


@given(
    edges=edges_of(st.integers(1, 110)),
    ipv4=cut_blocks("10.0.0.0", (8,), 21),
    ipv6=cut_blocks("fd00::", (24, 32, 40, 48), 61),
)
def test_what_the_checks_accept_never_overlaps(
    edges: list[tuple[str, int]], ipv4: dict[str, Any], ipv6: dict[str, Any]
) -> None:
    province = with_edges(edges, ipv4=ipv4, ipv6=ipv6)
    declaration, records = province.declaration, province.functions
    hosts = tuple(placed_hosts(declaration, records))
    world = World(declaration, province.units, records, declaration.name, hosts)
    assume(not any(finding for rule in RULES for finding in rule(world)))
    sites = plan_sites(province)
    assert overlaps(sites) == []
    assert misplaced(sites, Dual(ipv4["block"], ipv6["block"])) == []


PLANS = [worlds.plan_with_two_districts(), *map(worlds.declared_plan, ("lab", "binh_phuoc"))]
plans = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.environment)


@plans
def test_every_host_stands_in_its_zones_site_and_block(plan: Plan) -> None:
    assert misplaced(plan.sites, plan.blocks) == []


@plans
def test_no_address_is_given_twice(plan: Plan) -> None:
    legs = [leg for host in plan.hosts() for leg in host.interfaces]
    points = [
        link
        for probe in (*plan.backbone.probe_points, *(p for s in plan.sites for p in s.probe_points))
        for link in probe.links
    ]
    everyone = [address for place in (*legs, *points) for address in place.addresses.both()]
    shared = {
        (share.group, leg.network, address)
        for leg in legs
        for share in leg.shared
        for address in share.addresses.both()
    }
    everyone += [address for _, _, address in shared]
    assert len(everyone) == len(set(everyone))


@plans
def test_gateways_carry_the_first_address_of_every_zone(plan: Plan) -> None:
    for site in plan.sites:
        carried = {
            leg.network: share.addresses
            for host in site.hosts
            for leg in host.inner
            if (share := leg.shared_in(GATEWAY)) is not None
        }
        assert carried == {
            network.name: addresses.address(network.prefix, 1) for network in site.networks
        }


def test_a_host_is_read_alike_in_both_families() -> None:
    edge1 = worlds.plan_with_two_districts().host("edge1-692")
    assert edge1.primary.addresses == Dual("10.15.3.2", "fdb7:70c0:15:3::2")
    svc1 = worlds.plan_with_two_districts().host("svc1-70")
    assert svc1.primary.addresses == Dual("10.1.3.11", "fdb7:70c0:1:3::11")


def test_a_host_answers_where_it_was_asked() -> None:
    """With two legs, answers from the primary address go back by its gateway (policy rule)."""
    primary, management = worlds.plan_with_two_districts().host("svc1-70").interfaces
    assert primary.answer_table == 111
    assert (
        primary.default_gateways == primary.answer_gateways == Dual("10.1.3.1", "fdb7:70c0:1:3::1")
    )
    assert management.default_gateways is management.answer_table is None
    assert management.isolated


def test_a_gateway_has_no_default_route_of_its_own() -> None:
    legs = worlds.plan_with_two_districts().host("gw1-70").interfaces
    assert [leg for leg in legs if leg.default_gateways or leg.answer_table or leg.isolated] == []
    assert [leg.name for leg in legs if leg.kind == "uplink"] == ["dedicated", "internet"]


def test_an_address_in_an_uplink_may_be_given() -> None:
    data = worlds.sample_declaration_data()
    leg = {"circuit": "TSLCD-692", "ipv4": "198.51.100.99", "ipv6": "2001:db8:100::99"}
    data["sites"][1]["uplinks"]["dedicated"] = leg
    (site,) = [one for one in plan_sites(worlds.province_from(data)) if one.code == "692"]
    (uplink,) = [one for one in site.hosts[0].interfaces if one.kind == "uplink"]
    assert uplink.addresses == Dual("198.51.100.99", "2001:db8:100::99")


@pytest.mark.parametrize(
    ("prefix", "zone", "address", "name"),
    [
        ("10.0.0.0/8", "10.in-addr.arpa", "10.15.3.2", "2.3.15"),
        ("172.16.0.0/16", "16.172.in-addr.arpa", "172.16.3.2", "2.3"),
        (
            "fdb7:70c0::/32",
            "0.c.0.7.7.b.d.f.ip6.arpa",
            "fdb7:70c0:15:3::2",
            "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.5.1.0.0",
        ),
        ("fd00::/12", "0.d.f.ip6.arpa", "fd0f::1", ".".join("1" + "0" * 27 + "f")),
    ],
)
def test_reverse_names_stand_under_their_zone(
    prefix: str, zone: str, address: str, name: str
) -> None:
    assert addresses.reverse_zone(prefix) == zone
    assert addresses.reverse_name(address, zone) == name


@given(st.integers(1, 20), st.sampled_from([4, 6]))
def test_the_largest_number_is_the_last_that_fits(bits: int, version: int) -> None:
    def fits(number: int) -> bool:
        return (numbering.digits(number) if version == 6 else number) < 1 << bits

    largest = numbering.largest_number(bits, version)
    assert fits(largest)
    assert not any(fits(larger) for larger in range(largest + 1, largest + 300))


def test_a_plan_on_another_block_keeps_its_numbers() -> None:
    """What a block changes is the block: the digits of site, zone and host stay."""
    before = plan_sites(with_edges([("692", 15)]))
    after = plan_sites(
        with_edges([("692", 15)], ipv6={"block": "fd12:3456::/32", "site_prefix": 48})
    )
    moved = {
        leg: replace(where, ipv6=where.ipv6.replace("fdb7:70c0:", "fd12:3456:"))
        for leg, where in all_addresses(before).items()
    }
    assert moved == all_addresses(after)
