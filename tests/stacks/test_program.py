"""The programs ask for exactly what the plan says, under the names that policies know."""

from recording import Recording, record
from sample_plans import DOMAIN, HOST_KEY, HUB, large_province, small_province, static

from infra.plan.types import Plan
from infra.providers import tokens
from infra.stacks.arguments import Openings
from infra.stacks.program import backbone_program, site_program

KEY = f"{HOST_KEY} administrator"


def run(plan: Plan, site: str) -> Recording:
    return record(site_program(plan, site, Openings.of(plan), (KEY,)))


def test_a_lab_site_asks_for_its_networks_machines_and_probe_points() -> None:
    seen = run(small_province(), HUB)
    assert [(one.type, one.name) for one in seen.resources] == [
        (tokens.SITE, "70"),
        (tokens.LAB_NETWORK, "internal-70"),
        (tokens.LAB_NETWORK, "servers-70"),
        (tokens.LAB_NETWORK, "dmz-70"),
        (tokens.LAB_NETWORK, "database-70"),
        (tokens.LAB_NETWORK, "management-70"),
        (tokens.LAB_HOST, "gw1-70"),
        (tokens.LAB_HOST, "svc1-70"),
        (tokens.LAB_HOST, "db1-70"),
        (tokens.LAB_PROBE_POINT, "controller"),
    ]


def test_everything_of_a_site_is_its_child() -> None:
    seen = run(small_province(), HUB)
    children = [urn for urn in seen.urns if not urn.endswith("province:site:Site::70")]
    assert len(children) == 9
    assert all("province:site:Site$province:lab:" in urn for urn in children)


def test_a_machine_carries_the_values_of_the_plan() -> None:
    (host,) = (one for one in run(small_province(), "692").of_type(tokens.LAB_HOST))
    assert host.inputs["fqdn"] == f"edge1-692.{DOMAIN}"
    assert host.inputs["functions"] == ["gateway", "site_tunnel", "edge_services"]
    assert host.inputs["authorized_keys"] == [KEY]
    assert host.inputs["links"]["servers"] == {
        "network": "servers-692",
        "zone": "servers",
        "kind": "service",
        "addresses": ["10.15.3.2/24", "fdb7:70c0:f:3::2/64"],
        "gateways": [],
        "isolated": False,
    }


def test_no_input_carries_a_private_key() -> None:
    for one in run(small_province(), HUB).resources:
        assert "PRIVATE" not in str(one.inputs)


def test_a_machine_that_exists_already_is_only_recognised() -> None:
    seen = run(static(small_province()), "692")
    (host,) = seen.of_type(tokens.STATIC_HOST)
    assert host.inputs["host_key"] == HOST_KEY
    assert host.inputs["address_ways"] == ["10.15.2.2"]
    assert len(seen.of_type(tokens.STATIC_NETWORK)) == 3
    assert not [one for one in seen.resources if ":lab:" in one.type]


def test_places_to_look_from_exist_in_the_lab_only() -> None:
    assert run(small_province(), HUB).of_type(tokens.LAB_PROBE_POINT)
    assert not run(static(small_province()), HUB).of_type(tokens.LAB_PROBE_POINT)


def test_a_gateways_openings_name_the_flow_that_they_come_from() -> None:
    hosts = {one.name: one for one in run(small_province(), HUB).of_type(tokens.LAB_HOST)}
    assert hosts["svc1-70"].inputs["openings"] == {}
    assert hosts["gw1-70"].inputs["openings"]["https_tcp_ipv6_input"] == {
        "interface": "internet",
        "protocol": "tcp",
        "ports": [443],
        "leads_to": "",
        "flow": "roles/publishing_proxy/meta/function.yml",
    }


def test_the_backbone_registers_every_site_before_it_makes_anything() -> None:
    seen = record(backbone_program(large_province()))
    assert [one.type for one in seen.resources][:2] == [tokens.BACKBONE, tokens.REGISTER]
    register = seen.of_type(tokens.REGISTER)[0].inputs
    assert len(register["sites"]) == 123
    assert register["sites"]["70"] == {
        "number": 1,
        "level": 3,
        "prefix_ipv4": "10.1.0.0/16",
        "prefix_ipv6": "fdb7:70c0:1::/48",
    }
    assert register["quorum_members"]["database_cluster@db1-70"]["failure_domain"] == "rack_2"


def test_exports_say_what_nobody_could_know_before() -> None:
    assert run(small_province(), "692").exports == {
        "site": "692",
        "hosts": {
            "edge1-692": {
                "power": "running",
                "os": "Debian 13",
                "host_public_key": "ssh-ed25519 AAAA",
            }
        },
    }
