"""What a picture says of pairs, clusters and what is published, and how it shows what runs."""

import re
from xml.etree import ElementTree as ET

import pytest
import worlds

from infra.plan.diagram import mermaid, svg
from infra.plan.shapes import LOOKS, Chip, Live, chip_lines

SVG = "{http://www.w3.org/2000/svg}"
PLAN = worlds.plan_of_a_whole_data_centre()
LIVE = Live(
    hosts={"gw1-70": "up", "gw2-70": "down", "db1-70": "up"},
    tunnels={"692": "up", "689": "down"},
    seen_at="25/11/2026 11:04:00",
)


def read(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - our own


def words(drawn: str) -> list[str]:
    return ["".join(element.itertext()) for element in read(drawn).iter(f"{SVG}text")]


def test_a_pair_shows_both_members_and_what_they_share() -> None:
    said = words(svg(PLAN))
    assert {"gw1 .2", "gw2 .3", "⇄ .1", "⇄ .20 database"} <= set(said)
    assert said.count("70: gw1 .2, gw2 .3 ⇄ .1") == 2  # both uplinks
    single = words(svg(worlds.plan_with_two_districts()))
    assert [word for word in single if word.startswith("⇄")] == []


def test_a_cluster_names_members_endpoint_and_tenants() -> None:
    said = words(svg(PLAN))
    assert "cụm main" in said
    assert "db1, db2, db3 ⇄ .20:6432 (svc1, svc2) · state · party" in said


def test_what_is_published_is_shown_with_its_way_in() -> None:
    [line] = [one for one in words(svg(PLAN)) if "dichvucong" in one]
    assert line.endswith("pub1 → svc1, svc2 · Dịch vụ công trực tuyến")
    assert ":443" in line


def test_tunnels_are_named_with_both_ends() -> None:
    assert "IPsec 692 ⇄ 70 (edge1 ⇄ gw1, gw2)" in words(svg(PLAN))


def test_a_live_picture_marks_every_state_and_counts_them() -> None:
    said = words(svg(PLAN, LIVE))
    assert {"● gw1 .2", "✕ gw2 .3", "? mgt1 .41"} <= set(said)
    assert "● IPsec 692 ⇄ 70 (edge1 ⇄ gw1, gw2): đang chạy" in said
    assert "✕ IPsec 689 ⇄ 70 (edge1 ⇄ gw1, gw2): không chạy" in said
    hosts = len(PLAN.hosts())
    assert said[-1] == (
        f"● đang chạy: 2 máy, 1 kênh · ✕ không chạy: 1 máy, 1 kênh · "
        f"? chưa biết: {hosts - 3} máy, 0 kênh · nhìn lúc 25/11/2026 11:04:00"
    )


def test_who_was_not_seen_is_unknown_and_never_looks_like_running() -> None:
    drawn = svg(PLAN, Live())
    assert LOOKS["up"].fill not in drawn
    assert LOOKS["up"].ink not in drawn
    assert "chưa biết: 12 máy, 2 kênh" in " ".join(words(drawn))
    assert len({(look.mark, look.fill, look.ink) for look in LOOKS.values()}) == len(LOOKS)
    assert [state for state, look in LOOKS.items() if look.dash] == ["unknown"]


def test_a_declared_picture_shows_no_state() -> None:
    drawn = svg(PLAN)
    assert not [look for look in LOOKS.values() if look.fill in drawn or look.word in drawn]


def test_nothing_leaves_the_frame() -> None:
    for plan in (PLAN, worlds.plan_with_two_districts()):
        picture = read(svg(plan, LIVE))
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for box in picture.iter(f"{SVG}rect"):
            assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
            assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])


def test_chips_go_on_in_a_new_line() -> None:
    chips = [Chip("gw1 .2")] * 5
    lines = chip_lines(chips, chips[0].width * 2 + 6)
    assert [len(line) for line in lines] == [2, 2, 1]
    assert chip_lines([], 100) == [[]]
    assert chip_lines(chips[:1], 1) == [chips[:1]]


@pytest.mark.parametrize("live", [None, LIVE])
def test_a_chart_has_the_same_pairs_cluster_and_way_in(live: Live | None) -> None:
    lines = [line.strip() for line in mermaid(PLAN, live).splitlines()]
    assert 'shared_70_database{{"database<br/>10.1.3.20"}}' in lines
    assert {"gw1_70 --- shared_70_gateway", "gw2_70 --- shared_70_gateway"} <= set(lines)
    assert 'cluster_main[("main<br/>state, party")]' in lines
    assert {"published_online_services --> pub1_70", "pub1_70 --> svc2_70"} <= set(lines)
    tunnels = [line for line in lines if "IPsec" in line]
    assert len(tunnels) == 4


def test_a_live_chart_gives_every_host_a_class_that_is_defined() -> None:
    chart = mermaid(PLAN, LIVE)
    used = re.findall(r":::(\w+)$", chart, flags=re.MULTILINE)
    assert len(used) == len(PLAN.hosts())
    assert set(used) == set(re.findall(r"classDef (\w+) ", chart)) == set(LOOKS)
    assert 'edge1_692 -. "IPsec ●" .-> gw1_70' in chart
    assert ":::" not in mermaid(PLAN)
