"""Every policy is about something in the sample, accepts it, and refuses its bad example."""

import copy
import importlib.machinery
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy
from recording import Registered, record
from sample_plans import HUB, small_province, static

from infra.plan.types import Plan
from infra.providers import tokens
from infra.stacks.arguments import Openings
from infra.stacks.automation import POLICY_PACK
from infra.stacks.program import backbone_program, site_program
from policies.pulumi.rule import Rule

CONTROLS = Path(__file__).parents[2] / "policies" / "controls"


def load_pack() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("policy_pack", str(POLICY_PACK))
    spec = importlib.util.spec_from_loader("policy_pack", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


PACK = load_pack()
RULES: dict[str, Rule] = {rule.name: rule for rule in PACK.RULES}


def resources(plan: Plan) -> Iterator[Registered]:
    yield from record(backbone_program(plan)).resources
    for site in plan.sites:
        yield from record(site_program(plan, site.code, Openings.of(plan), ("key",))).resources


@pytest.fixture(scope="module")
def sample() -> list[Registered]:
    """The small province twice: in the lab, and on machines that exist already."""
    return [*resources(small_province()), *resources(static(small_province()))]


def find(sample: list[Registered], token: str, name: str) -> dict[str, Any]:
    found = next(one for one in sample if (one.type, one.name) == (token, name))
    return copy.deepcopy(found.inputs)


def inside_another(register: dict[str, Any]) -> None:
    register["sites"]["692"]["prefix_ipv6"] = "fdb7:70c0:1:8000::/49"


Change = Callable[[dict[str, Any]], None]


def set_in(*path: str, to: object) -> Change:
    def change(inputs: dict[str, Any]) -> None:
        for key in path[:-1]:
            inputs = inputs[key]
        inputs[path[-1]] = to

    return change


def add_leg(zone: str, kind: str = "service") -> Change:
    leg = {"network": zone, "zone": zone, "kind": kind, "addresses": [], "gateways": []}
    return set_in("links", zone, to=leg)


def both_uplinks(site: dict[str, Any]) -> None:
    site["machines"]["edge1-692"]["uplinks"] = ["dedicated", "internet"]


def renamed(host: dict[str, Any]) -> None:
    host |= {"name": "edge1-loc_ninh", "fqdn": "edge1-loc_ninh.binhphuoc.internal"}


def second_voter(register: dict[str, Any]) -> None:
    voters = register["quorum_members"]
    voters["database_cluster@db2-70"] = dict(voters["database_cluster@db1-70"])


BAD: dict[str, tuple[str, str, Change, str]] = {
    "sites_share_no_prefix": (
        tokens.REGISTER,
        "register",
        inside_another,
        (
            "sites '70' and '692': share addresses of fdb7:70c0:1::/48 and "
            "fdb7:70c0:1:8000::/49; every site needs a prefix of its own"
        ),
    ),
    "site_numbers_are_unique": (
        tokens.REGISTER,
        "register",
        set_in("sites", "692", "number", to=1.0),
        (
            "sites '692' and '70': both have the number 1; addresses follow from it, so it is "
            "given once"
        ),
    ),
    "addresses_lie_in_their_site": (
        tokens.SITE,
        "692",
        set_in("machines", "edge1-692", "addresses", to=["10.16.3.2/24"]),
        "host 'edge1-692': 10.16.3.2/24 lies outside its site's 10.15.0.0/16 and fdb7:70c0:f::/48",
    ),
    "names_derive_from_codes": (
        tokens.LAB_HOST,
        "edge1-692",
        renamed,
        (
            "host 'edge1-loc_ninh': is not named <word><ordinal>-692; titles of units repeat and "
            "change, codes do not"
        ),
    ),
    "only_gateways_join_zones": (
        tokens.LAB_HOST,
        "svc1-70",
        add_leg("database"),
        (
            "host 'svc1-70': has legs in the zones database, servers; only a gateway may stand "
            "in two, everybody else would be a way around its rules"
        ),
    ),
    "databases_stay_inside": (
        tokens.LAB_HOST,
        "db1-70",
        add_leg("dmz"),
        (
            "host 'db1-70': carries database_cluster and has a leg in dmz; data is never one "
            "step from where strangers come"
        ),
    ),
    "uplinks_meet_at_the_hub_only": (
        tokens.SITE,
        "692",
        both_uplinks,
        (
            "host 'edge1-692': has legs in both the dedicated network and the Internet; only a "
            "gateway of the hub may, or the two networks meet where nobody watches"
        ),
    ),
    "quorum_members_stand_apart": (
        tokens.REGISTER,
        "register",
        second_voter,
        (
            "function 'database_cluster': 2 of its voters stand in the failure domain 'rack_2' "
            "of site '70'; each needs its own, or one failure takes two votes"
        ),
    ),
    "nothing_is_open_without_a_flow": (
        tokens.LAB_HOST,
        "gw1-70",
        set_in("openings", "https_tcp_ipv4_input", "flow", to=""),
        (
            "host 'gw1-70': tcp 443 on 'internet' is open to anybody and no flow declares it; "
            "what is published is declared with who needs it"
        ),
    ),
    "strangers_end_in_the_dmz": (
        tokens.LAB_HOST,
        "gw1-70",
        set_in("openings", "https_tcp_ipv4_input", "leads_to", to="database"),
        (
            "host 'gw1-70': tcp 443 on 'internet' leads anybody into the zone 'database'; "
            "strangers end in the DMZ"
        ),
    ),
    "machines_are_answered_for": (
        tokens.LAB_HOST,
        "svc1-70",
        set_in("owner", to=" "),
        (
            "host 'svc1-70': its asset record lacks owner; somebody must answer for every "
            "machine and know where it stands"
        ),
    ),
    "support_outlasts_the_declaration": (
        tokens.SITE,
        "692",
        set_in("machines", "edge1-692", "support_end", to="2021-01-13"),
        "host 'edge1-692': its support ended on 2021-01-13, the declaration is of 2021-01-13",
    ),
    "existing_machines_are_pinned": (
        tokens.STATIC_HOST,
        "edge1-692",
        set_in("host_key", to=""),
        (
            "host 'edge1-692': exists already and has no declared host key; a first contact that "
            "trusts any key trusts anybody"
        ),
    ),
    "levels_are_founded": (
        tokens.SITE,
        "692",
        set_in("approval", to=""),
        "site '692': level 2 has no approval; a level is given with a reason and by a document",
    ),
    "level_three_has_seven_zones": (
        tokens.SITE,
        "70",
        set_in("absent_zones", to={"wireless": " "}),
        (
            "site '70': is of level 3 and has no zone wireless; from level 3 on all seven stand, "
            "or are declared absent with a reason"
        ),
    ),
    "levels_cover_what_is_hosted": (
        tokens.REGISTER,
        "register",
        set_in("services", "one_stop@svc1-70", "site", to="692"),
        (
            "service 'one_stop@svc1-70': is of level 3 and stands at site '692' of level 2; a site "
            "is at least of the level of what it hosts"
        ),
    ),
}


def test_every_policy_has_a_bad_example_and_the_pack_has_enough() -> None:
    assert sorted(BAD) == sorted(RULES)
    assert len(RULES) >= 8
    assert len(PACK.RULES) == len(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_policy_is_about_something_in_the_sample_and_accepts_it(
    name: str, sample: list[Registered]
) -> None:
    matched = [one for one in sample if one.type in RULES[name].types]
    assert matched
    found = [text for one in matched for text in RULES[name].sentences(one.type, one.inputs)]
    assert found == []


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_policy_refuses_its_bad_example(name: str, sample: list[Registered]) -> None:
    token, resource, change, sentence = BAD[name]
    inputs = find(sample, token, resource)
    change(inputs)
    found = list(RULES[name].sentences(token, inputs))
    assert found == [f"{sentence} (control {RULES[name].control})"]


def test_the_gateway_of_the_hub_alone_may_join_both_uplinks(sample: list[Registered]) -> None:
    hub = find(sample, tokens.SITE, HUB)
    assert {"dedicated", "internet"} <= set(hub["machines"]["gw1-70"]["uplinks"])
    hub["machines"]["gw1-70"]["functions"] = ["publishing_proxy"]
    assert len(list(RULES["uplinks_meet_at_the_hub_only"].sentences(tokens.SITE, hub))) == 1


def test_every_policy_names_a_control_of_the_catalogue() -> None:
    catalogue = "".join(path.read_text(encoding="utf-8") for path in CONTROLS.glob("*.yml"))
    missing = [rule.name for rule in PACK.RULES if f"id: {rule.control}\n" not in catalogue]
    assert missing == []


def test_every_policy_is_mandatory_and_says_what_to_do() -> None:
    for rule in PACK.RULES:
        policy = PACK.policy(rule)
        assert isinstance(policy, ResourceValidationPolicy)
        assert policy.enforcement_level is EnforcementLevel.MANDATORY
        assert policy.remediation_steps.endswith(".")
        assert policy.framework.reference == rule.control


def test_the_pack_is_an_executable_file() -> None:
    assert POLICY_PACK.stat().st_mode & 0o111
    assert POLICY_PACK.read_text(encoding="utf-8").startswith("#!/usr/bin/env -S python -u\n")
