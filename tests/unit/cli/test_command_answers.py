"""What the command answers to people and to programs."""

import json
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import worlds
import yaml
from command_world import Checkout

from infra.cli.starting import declaration_schema
from infra.model import load_province

SCHEMA = jsonschema.Draft202012Validator(declaration_schema())


def test_a_good_declaration_is_counted_and_nothing_is_touched(sample_checkout: Checkout) -> None:
    before = sample_checkout.files()
    answer = sample_checkout.province("check", "base")
    assert (answer.code, answer.out, answer.err) == (
        0,
        "base: 3 sites, 9 hosts, no findings\n",
        "",
    )
    assert sample_checkout.files() == before
    data = sample_checkout.province("check", "base", "--json").data
    assert data == {"environment": "base", "findings": [], "sites": 3}


def test_the_plan_has_the_keys_that_programs_read(sample_checkout: Checkout) -> None:
    data = sample_checkout.province("plan", "base", "--json").data
    assert {"sites", "hosts", "flows"} <= data.keys()
    assert [site["code"] for site in data["sites"]] == ["70", "692", "689"]
    (svc1,) = [host for host in data["hosts"] if host["name"] == "svc1-70"]
    assert svc1 == {
        "name": "svc1-70",
        "fqdn": "svc1-70.sample.internal",
        "site": "70",
        "functions": [
            "base_system",
            "firewall",
            "ssh_server",
            "host_certificate",
            "log_shipping",
            "name_service",
            "time_service",
        ],
        "addresses": {
            "servers": {"ipv4": "10.1.3.11", "ipv6": "fdb7:70c0:1:3::11"},
            "management": {"ipv4": "10.1.6.11", "ipv6": "fdb7:70c0:1:6::11"},
        },
    }
    assert {
        "from": "edge1-692",
        "to": "mgt1-70",
        "service": "syslog_tls",
        "protocol": "tcp",
        "port": 6514,
        "why": "log_shipping",
        "origin": "roles/log_shipping/meta/function.yml",
    } in data["flows"]


def test_every_flow_of_the_plan_names_one_port(sample_checkout: Checkout) -> None:
    flows = sample_checkout.province("plan", "base", "--json").data["flows"]
    keys = {"from", "to", "service", "protocol", "port", "why", "origin"}
    assert {frozenset(flow) for flow in flows} == {frozenset(keys)}
    ports = {flow["port"] for flow in flows if flow["service"] == "ike"}
    assert ports == {500, 4500}


def test_the_plan_for_people_names_sites_totals_and_shares(sample_checkout: Checkout) -> None:
    out = sample_checkout.province("plan", "base").out
    assert "huyện Lộc Ninh" in out
    plan = worlds.plan_with_two_districts()
    assert (
        f"3 sites, 9 hosts, {len(plan.flows)} flows, {len(plan.rules)} firewall rules, tunnels: 2\n"
    ) in out
    assert "one_stop: 2 of 2" in out


def test_a_host_is_explained_with_who_reaches_it_and_why(sample_checkout: Checkout) -> None:
    lines = sample_checkout.province("explain", "base", "mgt1-70").out.splitlines()
    assert lines[0] == "mgt1-70 (mgt1-70.sample.internal): Quản trị"
    assert "declared in blueprints.data_centre.hosts.mgt1" in lines[1]
    assert (
        "  edge1-692 (servers) -> mgt1-70 (management) syslog_tls tcp 6514: log_shipping "
        "(roles/log_shipping/meta/function.yml)"
    ) in lines
    assert lines.index("reached by:") < lines.index("reaches:")


def test_a_full_name_is_explained_like_the_host(sample_checkout: Checkout) -> None:
    short = sample_checkout.province("explain", "base", "mgt1-70").out
    assert sample_checkout.province("explain", "base", "mgt1-70.sample.internal").out == short


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("10.1.3.11", "10.1.3.11: an address on servers of svc1-70"),
        ("fdb7:70c0:15:3::2", "fdb7:70c0:15:3::2: an address on servers of edge1-692"),
        ("10.1.3.1", "10.1.3.1: the gateway's address on servers of gw1-70"),
        (
            "10.15.2.77",
            (
                "10.15.2.77: free, in the zone internal of site 692 huyện Lộc Ninh "
                "(10.15.2.0/24, fdb7:70c0:15:2::/64)"
            ),
        ),
        ("192.0.2.1", "192.0.2.1: in no network of the province"),
    ],
)
def test_an_address_is_explained(sample_checkout: Checkout, address: str, first: str) -> None:
    assert sample_checkout.province("explain", "base", address).out.splitlines()[0] == first


def test_a_port_is_explained_by_the_flows_that_open_it(sample_checkout: Checkout) -> None:
    lines = sample_checkout.province("explain", "base", "6514").out.splitlines()
    assert lines[0] == "port 6514:"
    assert all("syslog_tls tcp 6514: log_shipping" in line for line in lines[1:])
    assert len(lines) > 5
    closed = sample_checkout.province("explain", "base", "23").out
    assert closed == "port 23: no flow opens it anywhere; it is closed\n"


def test_diagrams_are_drawn_in_both_forms(sample_checkout: Checkout) -> None:
    drawn = sample_checkout.province("diagram", "base").out
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    chart = sample_checkout.province("diagram", "base", "--format", "mermaid").out
    assert chart.startswith("flowchart TB\n")


def test_the_schema_is_printed_for_editors(checkout: Checkout) -> None:
    assert checkout.province("schema").data == SCHEMA.schema
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


def as_json(text: str) -> object:
    """Read YAML as an editor's schema sees it: dates are text."""
    return json.loads(json.dumps(yaml.load(text, Loader=yaml.CSafeLoader), default=str))


@pytest.mark.parametrize("environment", ["lab", "binh_phuoc"])
def test_the_schema_accepts_what_is_declared(environment: str) -> None:
    path = worlds.CHECKOUT / "inventories" / environment / "province.yml"
    SCHEMA.validate(as_json(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "changes",
    [
        {"hubb": "70"},
        {"sites.692.number": "15"},
        {"sites.692.number": 0},
        {"addressing": None},
        {"domain": "sample.vn"},
        {"blueprints.data_centre.hosts.svc1.colour": "red"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_command_refuses(changes: dict[str, object]) -> None:
    data = worlds.changed(worlds.sample_declaration_data(), changes)
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(json.loads(json.dumps(data, default=str)))


@pytest.mark.parametrize("source", ["lab", "two_tier"])
def test_a_started_declaration_validates_and_is_left_to_people(
    checkout: Checkout, source: str
) -> None:
    folder = worlds.CASES if source == "two_tier" else worlds.CHECKOUT / "inventories"
    units = folder / source / "units.csv"
    answer = checkout.province("init", "dong_nai", "--units", str(units))
    assert (answer.code, answer.err) == (0, "")
    own = checkout.root / "inventories" / "dong_nai"
    assert answer.out == f"wrote {own / 'province.yml'}\nwrote {own / 'units.csv'}\n"
    assert load_province(own, worlds.ROLES).declaration.name == "dong_nai"
    assert "#" in (own / "province.yml").read_text(encoding="utf-8")
    assert checkout.province("check", "dong_nai").code == 0
    before = (own / "province.yml").read_bytes()
    again = checkout.province("init", "dong_nai", "--units", str(units))
    assert again.code == 2
    assert again.err == (
        f"{own / 'province.yml'}: exists already; edit it, or choose another name for the new one\n"
    )
    assert (own / "province.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read (No such file or directory); name the CSV of official units"),
        (
            (
                "tier,code,parent,kind,name,valid_from,valid_to,successor\n"
                "province,70,,tỉnh,A,,,\nprovince,75,,tỉnh,B,,,\n"
            ),
            (
                "has 2 units without a parent; a province has exactly one: "
                "give every other unit its parent's code"
            ),
        ),
        ("a,b\n", "units.csv: 'a,b': has other columns than a unit list"),
    ],
    ids=["absent", "two_provinces", "other_columns"],
)
def test_a_start_from_a_bad_list_writes_nothing(
    checkout: Checkout, text: str | None, said: str
) -> None:
    units = checkout.root / "units.csv"
    if text is not None:
        units.write_text(text, encoding="utf-8")
    before = checkout.files()
    answer = checkout.province("init", "dong_nai", "--units", str(units))
    assert answer.code == 2
    assert said in answer.err
    assert checkout.files() == before


def test_help_names_every_verb(checkout: Checkout) -> None:
    out = checkout.province("--help").out
    verbs = "check plan preview provision configure verify report status diagram destroy"
    for verb in [*verbs.split(), "init", "schema", "explain", "lab"]:
        assert f" {verb} " in out
