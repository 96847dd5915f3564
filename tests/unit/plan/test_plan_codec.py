"""A stored plan is read back as it was, or refused with a sentence; a picture is a picture."""

import json
from dataclasses import fields, replace
from xml.etree import ElementTree as ET

import pytest
import worlds

from infra.errors import JournalError
from infra.plan import Plan, derive_plan, digest, from_json, to_json
from infra.plan.diagram import mermaid, svg

PLANS = [
    worlds.plan_with_two_districts(),
    worlds.declared_plan("lab"),
    derive_plan(worlds.province_without_districts()),
]
plans = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.environment)
SVG = "{http://www.w3.org/2000/svg}"


@plans
def test_a_plan_is_read_back_as_it_was_written(plan: Plan) -> None:
    assert from_json(to_json(plan), "plan.json") == plan


def test_the_same_declaration_gives_the_same_bytes() -> None:
    again = derive_plan(worlds.province_from(worlds.sample_declaration_data()))
    assert to_json(again) == to_json(worlds.plan_with_two_districts())
    assert digest(again) == digest(worlds.plan_with_two_districts())


def test_a_digest_names_one_plan() -> None:
    plan = worlds.plan_with_two_districts()
    assert digest(replace(plan, title="Tỉnh khác")) != digest(plan)


def test_the_form_of_the_plan_is_the_one_that_its_version_names() -> None:
    """A field more or less is another form: raise SCHEMA_VERSION, then write it here."""
    assert worlds.plan_with_two_districts().schema_version == 2
    assert [field.name for field in fields(Plan)] == [
        "schema_version",
        "environment",
        "title",
        "province",
        "as_of",
        "domain",
        "blocks",
        "backbone",
        "sites",
        "controller",
        "flows",
        "rules",
        "tunnels",
        "zones_of_names",
        "services",
        "clusters",
        "shares",
        "expectations",
        "administrators",
        "packages",
        "first_contact_packages",
    ]


def other_version() -> str:
    return json.dumps(json.loads(to_json(worlds.plan_with_two_districts())) | {"schema_version": 0})


def damaged() -> str:
    raw = json.loads(to_json(worlds.plan_with_two_districts()))
    return json.dumps(raw | {"sites": "none", "domain": 7})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            other_version(),
            (
                "plan.json: has schema version 0, this checkout reads 2; "
                "use the checkout that wrote it, or provision anew"
            ),
        ),
        (
            "[]",
            (
                "plan.json: has schema version None, this checkout reads 2; "
                "use the checkout that wrote it, or provision anew"
            ),
        ),
        (
            "{",
            (
                "plan.json: is not JSON (Expecting property name enclosed in double quotes: "
                "line 1 column 2 (char 1)); run province provision to write it anew"
            ),
        ),
        (damaged(), "plan.json: is no plan (2 findings); provision anew"),
    ],
    ids=["other_version", "list", "cut_off", "damaged"],
)
def test_what_is_no_plan_of_ours_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(JournalError) as refused:
        from_json(text, "plan.json")
    assert refused.value.sentence == sentence


def read(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own picture


def words(picture: str) -> str:
    return " ".join(text.text or "" for text in read(picture).iter(f"{SVG}text"))


@plans
def test_the_picture_is_xml_and_names_every_site_and_zone(plan: Plan) -> None:
    said = words(svg(plan))
    assert [site.code for site in plan.sites if f"({site.code})" not in said] == []
    assert [one.name for one in plan.backbone.networks if one.name not in said] == []
    shown = {network.zone for site in plan.sites for network in site.networks}
    assert [zone for zone in shown if zone not in said] == []


def test_the_picture_of_the_whole_province_shows_every_site_inside_its_frame() -> None:
    plan = worlds.declared_plan("binh_phuoc")
    picture = read(svg(plan))
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes = list(picture.iter(f"{SVG}rect"))
    assert len(boxes) > len(plan.sites)
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])
    said = words(svg(plan))
    assert [site.code for site in plan.sites if site.code not in said] == []


def test_a_picture_escapes_what_people_wrote() -> None:
    plan = worlds.plan_with_two_districts()
    hub = replace(plan.sites[0], title='A & B <"C">')
    drawn = svg(replace(plan, title="<script>", sites=(hub, *plan.sites[1:])))
    assert "<script>" not in drawn
    assert 'A & B <"C">' in words(drawn)


@plans
def test_the_chart_names_every_host_and_closes_what_it_opens(plan: Plan) -> None:
    lines = mermaid(plan).splitlines()
    assert lines[0] == "flowchart TB"
    opened = [line for line in lines if line.startswith("  subgraph ")]
    assert len(opened) == lines.count("  end") == len(plan.sites)
    for host in plan.hosts():
        assert any(f'["{host.name}<br/>' in line for line in lines)
    assert len([line for line in lines if "IPsec" in line]) == sum(
        len(tunnel.hub.hosts) * len(tunnel.spoke.hosts) for tunnel in plan.tunnels
    )
