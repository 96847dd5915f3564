"""The three forms of a verdict say the same, and nothing that was seen can break them."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from compliance_world import World

from infra.compliance.connections import MeasuredShare, Share
from infra.compliance.controls import Catalogue
from infra.compliance.evidence import Damage, EvidenceRecord
from infra.compliance.outcomes import OUTCOME_WORDS, Outcome, Words
from infra.compliance.render import junit_xml, report_html, verdict_json
from infra.compliance.verdict import Verdict, judge
from infra.compliance.view import build_view, readable_end, readable_test, readable_time
from infra.compliance.write import write_report
from infra.errors import ComplianceError

SVG = '<svg viewBox="0 0 10 10"><title>Sơ đồ</title></svg>'
HOSTILE = '<script>alert("x")</script> & \x1b[31mred\x1b[0m \x00'
VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """What a reader of the page would find: its text, ids, links, and whether tags match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.languages: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if "id" in named:
            self.ids.append(named["id"])
        if "lang" in named:
            self.languages.append(named["lang"])
        if named.get("href", "").startswith("#"):
            self.links.append(named["href"][1:])
        self.loaded += [named[name] for name in ("src", "srcset", "data") if name in named]
        if named.get("href") and not named["href"].startswith("#"):
            self.loaded.append(named["href"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data


def five_outcomes(world: type[World]) -> tuple[Verdict, Catalogue]:
    """Judge six controls: one for each outcome, and one that nothing checks."""
    names = [f"NET-{number:02}" for number in range(1, 6)]
    catalogue = world.catalogue_of(
        *(world.control_record(name) for name in names), world.untested("NET-06")
    )
    record = EvidenceRecord(
        tuple(
            world.host_evidence(outcome, control=name, seen=(HOSTILE,), reason=f"so {outcome}")
            for name, outcome in zip(names, Outcome, strict=True)
        )
    )
    context = replace(
        world.context_on("lab", "lab"),
        province="Bình <b>Phước</b>",
        shares=(Share(Words("Xã đã kết nối", "Connected"), 62, 111, 0.5),),
        notes=(Words("Ghi chú thêm.", "One more note."),),
    )
    planned = [world.host_check(name) for name in names]
    return judge(catalogue, planned, record, context), catalogue


def test_verdict_json_counts_what_was_planned(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)

    document = json.loads(verdict_json(verdict, catalogue))

    assert document["schema_version"] == 2
    assert document["counts"] == dict.fromkeys(map(str, Outcome), 1)
    assert sum(document["counts"].values()) == document["planned"] == len(document["checks"])
    assert document["every_planned_check_holds"] is False
    assert [one["id"] for one in document["unproven"]] == [f"NET-{n:02}" for n in range(2, 7)]
    assert [one["id"] for one in document["controls"]] == [f"NET-{n:02}" for n in range(1, 6)]
    assert document["shares"] == [
        {
            "what": {"vi": "Xã đã kết nối", "en": "Connected"},
            "total": 111,
            "required": 0.5,
            "declared": {"connected": 62, "is_met": True},
            "measured": {"connected": 0, "unseen": 62, "is_met": False},
        }
    ]


def test_the_same_verdict_gives_the_same_bytes(world: type[World]) -> None:
    first = verdict_json(*five_outcomes(world))

    assert first == verdict_json(*five_outcomes(world))
    assert (
        first == json.dumps(json.loads(first), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    )


def test_junit_maps_the_five_outcomes(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)

    root = ET.fromstring(junit_xml(verdict, catalogue))  # noqa: S314  we wrote it

    results = {
        case.get("classname"): [
            (part.tag, part.get("message")) for part in case if part.tag != "system-out"
        ]
        for case in root.iter("testcase")
    }
    assert results == {
        "NET-01": [],
        "NET-02": [("failure", "failed: so failed")],
        "NET-03": [("error", "could_not_check: so could_not_check")],
        "NET-04": [("skipped", "not_shown: so not_shown")],
        "NET-05": [("skipped", "not_applicable: so not_applicable")],
    }
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    assert [suite.get("name") for suite in root] == ["70"]
    assert root.find(".//testcase").get("name") == "default policy is drop [gw1-70]"
    assert root.find(".//testcase").get("time") == "1.000"


def test_junit_stays_readable_whatever_a_system_prints(world: type[World]) -> None:
    root = ET.fromstring(junit_xml(*five_outcomes(world)))  # noqa: S314  we wrote it

    printed = root.find(".//system-out").text
    assert printed.startswith('<script>alert("x")</script> & \ufffd[31mred')


def test_damaged_evidence_breaks_the_junit_run(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)
    damaged = replace(verdict, damage=(Damage("evidence.jsonl", 3, "cut"),))

    root = ET.fromstring(junit_xml(damaged, catalogue))  # noqa: S314  we wrote it

    assert (
        root.find(".//testsuite[@name='damaged evidence']//error").text == "evidence.jsonl:3: cut"
    )


def test_the_page_is_whole_and_loads_nothing(world: type[World]) -> None:
    html = report_html(*five_outcomes(world), SVG, "abc123")

    page = Page(html)

    assert page.open == []
    assert page.loaded == []
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert set(page.links) <= set(page.ids)
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    assert page.languages[0] == "vi"
    assert "en" in page.languages


def test_the_page_shows_what_is_declared_measured_and_required(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)
    declared = Share(Words("Huyện", "Districts"), 11, 11, 1.0)
    shares = (MeasuredShare(declared, connected=9, unseen=1),)

    page = report_html(replace(verdict, shares=shares), catalogue, "<svg/>", "abc123")

    section = page.partition('id="connected"')[2].partition("</section>")[0]
    row = re.sub(r"<[^>]+>", " ", section.partition("<tbody>")[2])
    assert " ".join(row.split()).startswith(
        "Huyện Districts 11 11 · 100 % 9 · 81,8 % "
        "1 chưa nhìn thấy 1 not seen ≥ 100 % "
        "✓ khai báo: đạt declared: met ✕ đo được: chưa đạt measured: not met"
    )


def test_the_page_escapes_what_was_seen_and_declared(world: type[World]) -> None:
    html = report_html(*five_outcomes(world), SVG, "abc123")

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "Bình <b>" not in html
    assert html.count("<script>") == 1
    assert r'content: "Bình \3c b\3e Phước' in html


def test_the_page_says_every_outcome_in_words_and_shape(world: type[World]) -> None:
    html = report_html(*five_outcomes(world), SVG, "abc123")

    for outcome in Outcome:
        words = OUTCOME_WORDS[outcome]
        row = re.search(rf'<tr data-outcome="{outcome}".*?</tr>', html, re.DOTALL).group()
        assert words.vi in row
        assert words.en in row
        assert f"#shape_{outcome}" in row


def test_the_page_says_what_a_reader_must_not_miss(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)

    text = " ".join(Page(report_html(verdict, catalogue, SVG, "abc123")).text.split())

    for part in (
        verdict.statement.vi,
        verdict.statement.en,
        "1 + 1 + 1 + 1 + 1 = 5",
        "Chưa đạt",
        "Bình <b>Phước</b>",
        "9f2c",
        "38e74f4",
        "25/11/2026 10:40:12 – 10:43:12",
        "55,9 %",
        "Chờ: sao lưu",
        "31/03/2027",
        "Ghi chú thêm.",
        "abc123",
        "so failed",
        "Sơ đồ",
    ):
        assert part in text, part


def test_the_page_shows_all_controls_of_the_catalogue(
    world: type[World], repository_catalogue: Catalogue
) -> None:
    proved = repository_catalogue.controls["NET-07"].model_copy(
        update={"proved_by": (world.test_id,)}
    )
    families = tuple(
        family.model_copy(
            update={
                "controls": tuple(
                    proved if control.id == proved.id else control for control in family.controls
                )
            }
        )
        for family in repository_catalogue.families
    )
    catalogue = replace(repository_catalogue, families=families)
    record = EvidenceRecord((world.host_evidence(Outcome.PROVED, control="NET-07"),))
    verdict = judge(catalogue, [world.host_check("NET-07")], record, world.context_on("lab"))

    page = Page(report_html(verdict, catalogue, SVG, "abc123"))

    # On the map once, and either in detail or among the unproven.
    for name, control in catalogue.controls.items():
        assert (name in page.ids) != (f"u_{name}" in page.ids)
        assert page.text.count(control.title.vi) >= 1
    assert len(verdict.unproven) == len(catalogue.controls) - 1 > 90


def test_a_control_that_is_proved_in_part_says_what_is_left(world: type[World]) -> None:
    record = world.control_record(
        "NET-01",
        status="partly_automated",
        needs=["backup"],
        reason={"vi": "Chưa có sao lưu.", "en": "Backups are missing."},
    )
    catalogue = world.catalogue_of(record)
    seen = EvidenceRecord((world.host_evidence(Outcome.PROVED),))
    verdict = judge(catalogue, [world.host_check()], seen, world.context_on("lab"))

    text = " ".join(Page(report_html(verdict, catalogue, SVG, "abc123")).text.split())

    assert "Chưa có sao lưu. Backups are missing. Phần còn lại đến hạn The rest is due" in text
    assert "NET-01*" in text


@pytest.mark.parametrize(
    "diagram", ["", "<p>none</p>", "<svg><script>alert(1)</script></svg>", "<svg><SCRIPT/></svg>"]
)
def test_a_diagram_that_is_no_plain_svg_is_refused(world: type[World], diagram: str) -> None:
    with pytest.raises(ComplianceError, match="must be an <svg> element without scripts"):
        report_html(*five_outcomes(world), diagram, "abc123")


def test_what_was_seen_alike_is_shown_once_and_the_worst_first(world: type[World]) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    hosts = ["a-70", "b-70", "c-70"]
    outcomes = [Outcome.PROVED, Outcome.PROVED, Outcome.FAILED]
    record = EvidenceRecord(
        tuple(
            world.host_evidence(outcome, host=host)
            for host, outcome in zip(hosts, outcomes, strict=True)
        )
    )
    verdict = judge(
        catalogue,
        [world.host_check(host=host) for host in hosts],
        record,
        world.context_on("lab"),
    )

    [family] = build_view(verdict, catalogue, "abc123").families

    assert [(o.places, o.outcome) for o in family.checked[0].observations] == [
        (("c-70",), Outcome.FAILED),
        (("a-70", "b-70"), Outcome.PROVED),
    ]


def test_a_hundred_places_are_counted_and_all_named(world: type[World]) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    hosts = [f"h{number}-70" for number in range(100)]
    record = EvidenceRecord(tuple(world.host_evidence(Outcome.PROVED, host=host) for host in hosts))
    planned = [world.host_check(host=host) for host in hosts]
    verdict = judge(catalogue, planned, record, world.context_on("lab"))

    text = Page(report_html(verdict, catalogue, SVG, "abc123")).text

    assert "100 nơi" in text
    assert all(host in text for host in hosts)


def test_failures_stand_before_what_could_not_be_checked(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)

    view = build_view(verdict, catalogue, "abc123")

    assert [one.outcome for one in view.attention] == [Outcome.FAILED, Outcome.COULD_NOT_CHECK]
    assert [control.id for control in view.attention_controls] == ["NET-02", "NET-03"]


def test_times_are_those_of_vietnam() -> None:
    start = datetime(2026, 11, 25, 16, 59, 58, tzinfo=UTC)

    assert readable_time(start) == "25/11/2026 23:59:58"
    assert readable_end(start.replace(second=59), start) == "23:59:59"
    assert readable_end(start.replace(hour=17, minute=0), start) == "26/11/2026 00:00:58"
    assert readable_test("test_network.py::test_root_cannot_log_in") == "root cannot log in"


def test_the_files_belong_together(tmp_path: Path, world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)

    files = write_report(tmp_path / "report", verdict, catalogue, SVG)

    written = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert written == ["junit.xml", "report.html", "verdict.json"]
    digest = hashlib.sha256(files.verdict.read_bytes()).hexdigest()
    assert digest in files.report.read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, world: type[World]) -> None:
    (tmp_path / "report").write_text("in the way")

    with pytest.raises(ComplianceError, match=r"report in .*report: File exists"):
        write_report(tmp_path / "report", *five_outcomes(world), SVG)


def test_a_report_of_the_day_prints_that_day(world: type[World]) -> None:
    verdict, catalogue = five_outcomes(world)
    later = replace(verdict, context=replace(verdict.context, as_of=date(2027, 1, 2)))

    assert "02/01/2027" in Page(report_html(later, catalogue, SVG, "abc123")).text
