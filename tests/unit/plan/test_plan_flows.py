"""Flows and rules: everything permitted passes everywhere on its way, and nothing else does."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from packet_walk import OUTSIDE, TUNNEL, Hop, Packet, Walker, packets_of

from infra.model import Province
from infra.plan import Flow, Plan, Rule, derive_plan

LAB_AND_SAMPLES = [
    worlds.plan_with_two_districts(),
    worlds.declared_plan("lab"),
    derive_plan(worlds.province_without_districts()),
]
plans = pytest.mark.parametrize("plan", LAB_AND_SAMPLES, ids=lambda plan: plan.environment)

HOSTS = [("70", name) for name in ("gw1", "svc1", "mgt1", "pub1", "db1")]
HOSTS += [("692", "edge1"), ("689", "edge1")]
ZONES = {"70": ("internal", "servers", "dmz"), "692": ("internal", "servers"), "689": ("internal",)}


@st.composite
def shared_services(draw: st.DrawFn) -> dict[str, Any]:
    """Draw services on any host, consumed by zones of any sites."""
    site, host = draw(st.sampled_from(HOSTS))
    sites = draw(st.lists(st.sampled_from(sorted(ZONES)), min_size=1, max_size=3, unique=True))
    return {
        "title": {"en": "drawn", "vi": "rút thăm"},
        "level": 1,
        "site": site,
        "hosts": [host],
        "protocol": draw(st.sampled_from(["tcp", "udp"])),
        "ports": draw(st.lists(st.integers(1, 65535), min_size=1, max_size=2, unique=True)),
        "active_from": worlds.sample_declaration_data()["as_of"],
        "published": draw(
            st.sampled_from([None, {"host": "pub1", "name": "drawn"}] if site == "70" else [None])
        ),
        "consumers": [
            {"sites": {"codes": [code]}, "zone": draw(st.sampled_from(ZONES[code]))}
            for code in sites
        ],
    }


@st.composite
def drawn_plans(draw: st.DrawFn) -> Plan:
    """Draw the sample province with other services."""
    data = worlds.sample_declaration_data()
    services = draw(st.lists(shared_services(), min_size=1, max_size=4))
    data["shared_services"] |= {f"drawn_{index}": one for index, one in enumerate(services)}
    return derive_plan(worlds.province_from(data))


def stopped(plan: Plan) -> list[str]:
    walker = Walker(plan)
    return [
        f"{flow.source} -> {flow.target} {packet.family} {packet.port}: stopped at {hop}"
        for flow in plan.flows
        for packet in packets_of(flow)
        for hop in walker.refusals(flow.source, packet)
    ]


def rules_without_flow(plan: Plan) -> set[Rule]:
    walker = Walker(plan)
    used: set[Rule] = {
        rule
        for flow in plan.flows
        for packet in packets_of(flow)
        for hop in walker.path(flow.source, packet)
        for rule in walker.admitting(hop, packet)
        if rule.why == flow.why and rule.service == flow.service
    }
    return set(plan.rules) - used


@plans
def test_every_flow_passes_every_firewall_on_its_way(plan: Plan) -> None:
    assert stopped(plan) == []


@plans
def test_no_rule_stands_without_a_flow(plan: Plan) -> None:
    assert rules_without_flow(plan) == set()


@settings(max_examples=10)
@given(drawn_plans())
def test_every_drawn_flow_passes_and_no_rule_stands_without_one(plan: Plan) -> None:
    assert stopped(plan) == []
    assert rules_without_flow(plan) == set()


def both_ways(rules: tuple[Rule, ...], family: str) -> set[tuple[object, ...]]:
    return {
        (
            rule.host,
            rule.chain,
            rule.protocol,
            rule.ports,
            rule.interface_in,
            rule.interface_out,
            rule.service,
            rule.why,
            len(rule.sources),
            len(rule.destinations),
        )
        for rule in rules
        if rule.family == family
    }


@plans
def test_both_families_have_the_same_rules(plan: Plan) -> None:
    assert both_ways(plan.rules, "ipv4") == both_ways(plan.rules, "ipv6")
    assert len([rule for rule in plan.rules if rule.family == "ipv4"]) * 2 == len(plan.rules)


def undeclared(plan: Plan) -> Iterator[tuple[str, Packet]]:
    """Think of everything that could be tried from a place where people are, and is no flow."""
    walker = Walker(plan)
    services = {(flow.protocol, port) for flow in plan.flows for port in flow.ports}
    places = [
        (f"zone:{network.site}/{network.zone}", network.prefix)
        for site in plan.sites
        for network in site.networks
    ]
    legs = [leg for host in walker.hosts.values() for leg in host.inner]
    permitted = {
        (source, packet.destination, packet.protocol, packet.port)
        for flow in plan.flows
        for packet in packets_of(flow)
        # What is published for everybody is open to its own neighbours too.
        for source in (flow.source, f"zone:{flow.target_site}/{flow.target_zone}")
        if source == flow.source or not flow.sources
    }
    for (name, prefix), leg, (protocol, port) in product(places, legs, sorted(services)):
        tried = Packet(
            "ipv4", protocol, port, prefix.ipv4.replace(".0/24", ".99"), leg.addresses.ipv4
        )
        if (name, tried.destination, protocol, port) not in permitted:
            yield name, tried
    for leg, (protocol, port) in product(legs, sorted(services)):
        tried = Packet("ipv6", protocol, port, OUTSIDE["ipv6"], leg.addresses.ipv6)
        if ("uplink:internet", tried.destination, protocol, port) not in permitted:
            yield "uplink:internet", tried


@plans
def test_what_no_flow_declares_is_stopped_on_its_way(plan: Plan) -> None:
    walker = Walker(plan)
    attempts = list(undeclared(plan))
    assert len(attempts) > 1000
    assert [attempt for attempt in attempts if not walker.refusals(*attempt)] == []


def test_a_missing_rule_is_found_by_the_walk() -> None:
    plan = worlds.plan_with_two_districts()
    walker = Walker(plan)
    flow = next(one for one in plan.flows if one.service == "one_stop")
    packet = next(packets_of(flow))
    last = list(walker.path(flow.source, packet))[-1]
    assert last == Hop("svc1-70", "input", "servers", None)
    walker.rules[last].clear()
    assert walker.refusals(flow.source, packet) == [last]


def flow_between(plan: Plan, source: str, target: str, service: str) -> Flow:
    return next(
        flow
        for flow in plan.flows
        if (flow.source, flow.target, flow.service) == (source, target, service)
    )


def rules_of(plan: Plan, flow: Flow) -> set[tuple[str, str, str | None, str | None]]:
    return {
        (rule.host, rule.chain, rule.interface_in, rule.interface_out)
        for rule in plan.rules
        if rule.service == flow.service
        and rule.why == flow.why
        and set(rule.sources) <= set(flow.sources)
        and set(rule.destinations) <= set(flow.destinations)
    }


def test_a_districts_logs_take_the_tunnel_and_the_hubs_gateway() -> None:
    plan = worlds.plan_with_two_districts()
    flow = flow_between(plan, "edge1-692", "mgt1-70", "syslog_tls")
    assert (flow.why, flow.origin) == ("log_shipping", "roles/log_shipping/meta/function.yml")
    assert rules_of(plan, flow) == {
        ("edge1-692", "output", None, TUNNEL),
        ("gw1-70", "forward", TUNNEL, "management"),
        ("mgt1-70", "input", "management", None),
    }


def test_neighbours_in_one_zone_need_no_gateway() -> None:
    plan = worlds.plan_with_two_districts()
    flow = flow_between(plan, "svc1-70", "mgt1-70", "syslog_tls")
    assert flow.direct
    assert rules_of(plan, flow) == {
        ("svc1-70", "output", None, "management"),
        ("mgt1-70", "input", "management", None),
    }


@plans
def test_a_direct_flow_is_forwarded_by_nobody(plan: Plan) -> None:
    direct = [flow for flow in plan.flows if flow.direct]
    assert direct
    assert [
        flow for flow in direct if any(one[1] == "forward" for one in rules_of(plan, flow))
    ] == []


@plans
def test_a_routers_own_traffic_to_other_sites_leaves_by_the_tunnel(plan: Plan) -> None:
    hosts = {host.name: host for host in plan.hosts()}
    own = [
        flow
        for flow in plan.flows
        if flow.source in hosts
        and hosts[flow.source].is_router
        and flow.source_site != flow.target_site
        and not flow.direct
    ]
    assert own
    for flow in own:
        sides = {one[3] for one in rules_of(plan, flow) if one[:2] == (flow.source, "output")}
        assert sides == {TUNNEL}, flow


def test_offices_of_one_district_pass_through_the_hub_to_another() -> None:
    data = worlds.sample_declaration_data()
    data["flows"] = [
        {
            "source": {"sites": {"codes": ["692"]}, "zone": "internal"},
            "service": "at_689",
            "why": "chung hồ sơ",
        }
    ]
    data["shared_services"]["at_689"] = data["shared_services"]["one_stop"] | {
        "site": "689",
        "hosts": ["edge1"],
        "level": 2,
        "consumers": [],
    }
    plan = derive_plan(worlds.province_from(data))
    flow = flow_between(plan, "zone:692/internal", "edge1-689", "at_689")
    assert rules_of(plan, flow) == {
        ("edge1-692", "forward", "internal", TUNNEL),
        ("gw1-70", "forward", TUNNEL, TUNNEL),
        ("edge1-689", "input", TUNNEL, None),
    }


def test_what_is_published_is_reached_from_the_internet_through_the_gateway_only() -> None:
    plan = worlds.plan_with_two_districts()
    flow = flow_between(plan, "uplink:internet", "pub1-70", "https")
    assert flow.sources == ()
    assert rules_of(plan, flow) == {
        ("gw1-70", "forward", "internet", "dmz"),
        ("pub1-70", "input", "dmz", None),
    }


def test_a_published_service_is_reached_through_its_proxy_from_its_day_on() -> None:
    data = worlds.sample_declaration_data()
    service = data["shared_services"]["online_services"]
    service["published"] = {"host": "pub1", "name": "online"}
    service |= {"hosts": ["svc1"], "consumers": []}
    assert not sources_of(worlds.province_from(data), 8445)
    data["as_of"] = service["active_from"]
    assert sources_of(worlds.province_from(data), 8445) == {("pub1-70", "svc1-70")}


def sources_of(province: Province, port: int) -> set[tuple[str, str]]:
    flows = derive_plan(province).flows
    return {(flow.source, flow.target) for flow in flows if port in flow.ports}


def test_nothing_listens_to_the_internet_but_what_is_published() -> None:
    plan = worlds.plan_with_two_districts()
    assert {rule.why for rule in plan.rules if rule.interface_in == "internet"} == {
        "publishing_proxy"
    }


def test_a_service_opens_when_its_day_has_come() -> None:
    data = worlds.sample_declaration_data()
    services = {flow.service for flow in worlds.plan_with_two_districts().flows}
    assert "one_stop" in services
    assert "online_services" not in services
    data["as_of"] = data["shared_services"]["online_services"]["active_from"]
    later = {flow.service for flow in derive_plan(worlds.province_from(data)).flows}
    assert "online_services" in later


def test_every_flow_says_which_record_or_line_asked_for_it() -> None:
    plan = worlds.plan_with_two_districts()
    functions = worlds.sample_functions()
    for flow in plan.flows:
        place, _, rest = flow.origin.partition("/")
        if place == "roles":
            assert rest == f"{flow.why}/meta/function.yml"
            assert flow.why in functions
        else:
            assert flow.origin.split(".")[0] in {"shared_services", "tenants", "flows"}
        assert flow.why


def test_the_nearest_service_is_used_and_every_time_source_of_the_hub() -> None:
    data = worlds.sample_declaration_data()
    edge = data["blueprints"]["district_edge"]["hosts"]["edge1"]
    data["blueprints"]["district_edge"]["hosts"]["srv1"] = edge | {
        "slot": 5,
        "zones": ["servers"],
        "functions": ["coordination_store"],
    }
    plan = derive_plan(worlds.province_from(data))
    asked = {
        service: {
            flow.target
            for flow in plan.flows
            if flow.source == "srv1-692" and flow.service == service
        }
        for service in ("dns", "ntp")
    }
    assert asked == {"dns": {"edge1-692"}, "ntp": {"gw1-70", "svc1-70"}}
