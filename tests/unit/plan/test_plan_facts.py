"""Facts: finished values in the promised shape, for every host, equal bytes for equal plans."""

import json
import re
from typing import Any

import pytest
import worlds
from fact_shapes import ADAPTERS

from infra.errors import InventoryError
from infra.plan import Plan
from infra.plan.facts import FACTS, contexts, fact

PLANS = [worlds.plan_with_two_districts(), worlds.declared_plan("lab")]
plans = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.environment)

NOT_EVERYWHERE = {"database_cluster", "own_endpoint", "tunnels"}
"""Facts that only some hosts, or provinces, have."""
WITH_SERVICE = {"client_prefixes", "clients", "endpoints"}
ASKED_SERVICES = ("dns", "ntp", "ssh", "nowhere")


def arguments(name: str) -> list[dict[str, str]]:
    if name in WITH_SERVICE:
        return [{"service": service} for service in ASKED_SERVICES]
    if name == "members":
        return [{"function": "log_collection"}, {"function": "nowhere"}]
    return [{"name": "log_retention_days"}] if name == "parameter" else [{}]


def value(plan: Plan, host: str, name: str, **asked: str) -> Any:  # noqa: ANN401 - JSON-like
    return fact(contexts(plan)[host], name, asked)


def test_every_fact_has_a_shape_and_stands_in_the_contract() -> None:
    assert FACTS.keys() == ADAPTERS.keys()
    contract = (worlds.CHECKOUT / "infra" / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in contract.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert sorted({*FACTS, "secret", "public_part", "material"} - named) == []


@plans
@pytest.mark.parametrize("name", sorted(FACTS.keys() - NOT_EVERYWHERE))
def test_a_fact_has_its_shape_on_every_host(plan: Plan, name: str) -> None:
    for context in contexts(plan).values():
        for asked in arguments(name):
            ADAPTERS[name].validate_python(fact(context, name, asked))


@plans
def test_what_a_host_offers_has_its_shape(plan: Plan) -> None:
    offered = 0
    for context in contexts(plan).values():
        for offering in context.host.offerings:
            if offering.protocol == "vrrp":  # has no port, so nobody is told one
                continue
            own = fact(context, "own_endpoint", {"service": offering.service})
            ADAPTERS["own_endpoint"].validate_python(own)
            offered += 1
    assert offered > len(plan.hosts())


@plans
def test_tunnels_have_their_shape_on_every_end(plan: Plan) -> None:
    ends = {name for tunnel in plan.tunnels for name in (*tunnel.hub.hosts, *tunnel.spoke.hosts)}
    assert ends == {host.name for host in plan.hosts() if host.is_router}
    for name in ends:
        ADAPTERS["tunnels"].validate_python(value(plan, name, "tunnels"))


def test_a_shape_refuses_what_is_not_promised() -> None:
    plan = worlds.plan_with_two_districts()
    wrong = value(plan, "svc1-70", "interfaces")
    wrong[0]["colour"] = "red"
    with pytest.raises(ValueError, match="colour"):
        ADAPTERS["interfaces"].validate_python(wrong)


@plans
def test_facts_are_json_and_the_same_each_time(plan: Plan) -> None:
    def everything() -> str:
        return json.dumps(
            {
                host: {
                    name: [fact(context, name, asked) for asked in arguments(name)]
                    for name in sorted(FACTS.keys() - NOT_EVERYWHERE)
                }
                for host, context in contexts(plan).items()
            }
        )

    assert everything() == everything()


def test_the_edge_starts_its_tunnel_and_the_hub_waits() -> None:
    plan = worlds.plan_with_two_districts()
    hub, spoke = value(plan, "gw1-70", "tunnels"), value(plan, "edge1-692", "tunnels")
    assert [(peer["name"], peer["initiates"]) for peer in hub["peers"]] == [
        ("692", False),
        ("689", False),
    ]
    (peer,) = spoke["peers"]
    assert peer["initiates"]
    assert peer["identity"] == hub["identity"] == "gw-70.sample.internal"
    assert peer["addresses"] == hub["local_addresses"] == ["198.51.100.1", "2001:db8:100::1"]


def test_only_a_zones_own_addresses_may_come_from_it_and_none_of_ours_from_outside() -> None:
    plan = worlds.plan_with_two_districts()
    guard = {one["interface"]: one for one in value(plan, "gw1-70", "spoof_guard")}
    assert guard["dmz"] == {
        "interface": "dmz",
        "ipv4": ["10.1.4.0/24"],
        "ipv6": ["fdb7:70c0:1:4::/64"],
    }
    assert guard["tunnel"]["ipv4"] == ["10.15.0.0/16", "10.12.0.0/16"]
    for uplink in ("dedicated", "internet"):
        assert guard[uplink] == {
            "interface": uplink,
            "refused_ipv4": ["10.0.0.0/8"],
            "refused_ipv6": ["fdb7:70c0::/32"],
        }
    assert value(plan, "svc1-70", "spoof_guard") == []


def test_a_hosts_endpoints_are_those_of_its_flows_and_never_itself() -> None:
    plan = worlds.plan_with_two_districts()
    for context in contexts(plan).values():
        hosts = [one["host"] for one in fact(context, "endpoints", {"service": "ntp"})]
        assert hosts
        assert context.host.name not in hosts
        assert len(hosts) == len(set(hosts))
    (server,) = value(plan, "mgt1-70", "endpoints", service="dns")
    assert server == {
        "host": "svc1-70",
        "name": "svc1-70.sample.internal",
        "ipv4": "10.1.3.11",
        "ipv6": "fdb7:70c0:1:3::11",
        "port": 53,
        "protocol": "udp",
    }


def test_an_edge_serves_its_offices_and_nobody_else() -> None:
    plan = worlds.plan_with_two_districts()
    assert value(plan, "edge1-692", "client_prefixes", service="dns") == [
        "10.15.2.0/24",
        "10.15.3.0/24",
        "fdb7:70c0:15:2::/64",
        "fdb7:70c0:15:3::/64",
    ]


def test_administration_comes_from_the_controller_alone() -> None:
    plan = worlds.plan_with_two_districts()
    assert value(plan, "svc1-70", "administration") == {
        "listen": ["10.1.6.11", "fdb7:70c0:1:6::11"],
        "sources": ["10.1.6.250/32", "fdb7:70c0:1:6::250/128"],
    }
    edge = value(plan, "edge1-692", "administration")
    assert edge["listen"][-2:] == ["198.51.100.15", "2001:db8:100::15"]
    assert edge["sources"] == [
        "10.1.6.250/32",
        "198.51.100.250/32",
        "2001:db8:100::250/128",
        "fdb7:70c0:1:6::250/128",
    ]


def test_what_must_be_found_before_names_are_served_stands_in_the_hosts_file() -> None:
    plan = worlds.plan_with_two_districts()
    found = {one["address"]: one["names"] for one in value(plan, "edge1-692", "essential_hosts")}
    assert found["10.15.3.2"] == ["edge1-692.sample.internal"]
    assert found["10.1.6.41"] == [
        "mgt1-70.sample.internal",
        "ca.sample.internal",
        "log.sample.internal",
    ]


@pytest.mark.parametrize(
    ("host", "name", "asked", "sentence"),
    [
        (
            "mgt1-70",
            "tunnels",
            {},
            (
                "mgt1-70: has no tunnel, but a function asks for one; place the function on a "
                "site's border host, or take it away"
            ),
        ),
        (
            "mgt1-70",
            "own_endpoint",
            {"service": "dns"},
            (
                "mgt1-70: offers no service 'dns'; a record asks for its own endpoint, "
                "so it must offer it"
            ),
        ),
        (
            "mgt1-70",
            "parameter",
            {"name": "colour"},
            (
                "mgt1-70: a function asks for the parameter 'colour', which is not declared; "
                "add it under parameters "
                "(known: esp, kernel_parameters, log_retention_days, own_clock)"
            ),
        ),
        (
            "mgt1-70",
            "name",
            {"service": "dns"},
            ("mgt1-70: the fact 'name' does not take {'service': 'dns'}; see infra/README.md"),
        ),
    ],
)
def test_what_cannot_be_answered_is_said(
    host: str, name: str, asked: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InventoryError) as refused:
        fact(contexts(worlds.plan_with_two_districts())[host], name, asked)
    assert refused.value.sentence == sentence


def test_an_unknown_fact_is_said_with_all_that_are_known() -> None:
    with pytest.raises(InventoryError) as refused:
        value(worlds.plan_with_two_districts(), "svc1-70", "colour")
    assert refused.value.sentence == (
        "svc1-70: a record asks for the fact 'colour'; known are " + ", ".join(sorted(FACTS))
    )


def test_without_an_authority_its_absence_is_said() -> None:
    data = worlds.sample_declaration_data()
    data["blueprints"]["data_centre"]["hosts"]["mgt1"]["functions"] = ["log_collection"]
    plan = worlds.derive_plan(worlds.province_from(data))
    with pytest.raises(InventoryError) as refused:
        value(plan, "svc1-70", "authority")
    assert refused.value.sentence == (
        "svc1-70: asks for the certificate authority, and no host of the hub offers the alias "
        "'ca'; place the function that does"
    )
