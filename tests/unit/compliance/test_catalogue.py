"""The real catalogue is complete and honest; a bad one is refused with every finding at once."""

import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from compliance_world import World

from infra.compliance.controls import Catalogue, build_catalogue
from infra.compliance.load import CatalogueError, load_catalogue
from infra.compliance.outcomes import Knowledge, Scope, Status

CONTROLS_PER_FAMILY = {
    "MOD": 7,
    "NET": 18,
    "HA": 5,
    "WAN": 7,
    "SVC": 6,
    "PKI": 7,
    "IAM": 9,
    "HRD": 6,
    "PAT": 3,
    "MAL": 2,
    "LOG": 7,
    "MON": 4,
    "BAK": 7,
    "DBC": 4,
    "INT": 5,
    "PHY": 2,
    "LIF": 5,
}
TIER_NAMES = re.compile(r"district|commune|huyen|xa\b|ward|town", re.IGNORECASE)
VIETNAMESE = re.compile(r"[ăâđêôơưàáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ]")
BASELINE, CURRENT = "tcvn_11930_2017", "tcvn_14423_2026"


def test_every_control_of_the_technology_layer_is_there(repository_catalogue: Catalogue) -> None:
    expected = [
        f"{family}-{number:02}"
        for family, count in CONTROLS_PER_FAMILY.items()
        for number in range(1, count + 1)
    ]

    assert list(repository_catalogue.controls) == expected
    assert len(expected) == 104


def test_every_title_and_statement_is_written_in_both_languages(
    repository_catalogue: Catalogue,
) -> None:
    for control in repository_catalogue.controls.values():
        for text in (control.title, control.statement):
            assert VIETNAMESE.search(text.vi.lower()), control.id
            assert not VIETNAMESE.search(text.en.lower()), control.id


def test_titles_are_not_repeated(repository_catalogue: Catalogue) -> None:
    titles = Counter(control.title.vi for control in repository_catalogue.controls.values())

    assert [title for title, count in titles.items() if count > 1] == []


def test_a_control_that_a_level_asks_for_names_both_editions(
    repository_catalogue: Catalogue,
) -> None:
    incomplete = {
        control.id
        for control in repository_catalogue.controls.values()
        if control.level_from != "standard"
        and not {BASELINE, CURRENT} <= {source.document for source in control.sources}
    }

    # How a level is chosen is no matter of the newer standard; the decree says it.
    assert incomplete == {"INT-03"}


def test_clauses_of_the_two_editions_are_marked_as_not_read(
    repository_catalogue: Catalogue,
) -> None:
    """Only a paraphrase of the newer and the memory of the older were at hand."""
    known = {BASELINE: Knowledge.RECALLED, CURRENT: Knowledge.PARAPHRASE}
    references = [
        source
        for control in repository_catalogue.controls.values()
        for source in control.sources
        if source.document in known
    ]

    assert len(references) > 150
    assert all(source.knowledge is known[source.document] for source in references)
    assert all(source.clause for source in references)


def test_no_control_depends_on_a_tier_of_government(repository_catalogue: Catalogue) -> None:
    for control in repository_catalogue.controls.values():
        rule = control.applies_to
        for word in (*rule.site_kinds, *rule.functions):
            assert not TIER_NAMES.search(word), control.id


def test_only_named_controls_are_held_below_the_level_that_asks(
    repository_catalogue: Catalogue,
) -> None:
    """Default deny outwards, the one package source and central logs are promised everywhere."""
    stricter = {
        control.id
        for control in repository_catalogue.controls.values()
        # A control of the whole province is not chosen by the level of one site.
        if control.level_from != "standard"
        and control.applies_to.scope is not Scope.PROVINCE
        and control.applies_to.minimum_level < control.level_from
    }

    assert stricter == {"NET-08", "PAT-01", "LOG-03"}


def test_every_document_and_capability_is_used(repository_catalogue: Catalogue) -> None:
    controls = repository_catalogue.controls.values()
    cited = {source.document for control in controls for source in control.sources}
    needed = {name for control in controls for name in control.needs}

    assert cited == set(repository_catalogue.documents)
    assert needed | {"compliance_test"} == set(repository_catalogue.capabilities)


def test_what_the_next_phase_brings_has_a_due_date(repository_catalogue: Catalogue) -> None:
    for name in ("monitoring", "rehearsals"):
        assert repository_catalogue.capabilities[name].due == date(2027, 3, 31)


def test_no_control_waits_for_a_function_that_is_there(repository_catalogue: Catalogue) -> None:
    roles = {path.name for path in (Path(__file__).parents[3] / "roles").iterdir()}

    assert len(roles) > 20
    assert roles & set(repository_catalogue.capabilities) == set()
    named = {
        name for one in repository_catalogue.controls.values() for name in one.applies_to.functions
    }
    assert named <= roles


def test_a_control_is_due_when_the_last_thing_it_needs_is(world: type[World]) -> None:
    catalogue = world.catalogue_of(
        world.untested("NET-01", needs=["backup", "mail"]), world.untested("NET-02", needs=["mail"])
    )

    assert catalogue.due(catalogue.controls["NET-01"]) == date(2027, 3, 31)
    assert catalogue.due(catalogue.controls["NET-02"]) is None


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        (
            {"proved_by": []},
            (
                "network.yml: NET-01.status: automated without a test in proved_by; "
                "name the test, or set the status to not_yet with what it needs"
            ),
        ),
        (
            {"status": "not_yet", "needs": ["backup"]},
            (
                "network.yml: NET-01.status: not_yet, yet proved_by names 1 tests; "
                "set it to automated, or to partly_automated with the reason"
            ),
        ),
        (
            {"status": "manual", "proved_by": []},
            "network.yml: NET-01.reason: manual without a reason; say why, in both languages",
        ),
        (
            {"status": "partly_automated"},
            (
                "network.yml: NET-01.reason: partly_automated without a reason; "
                "say why, in both languages"
            ),
        ),
        (
            {"needs": ["mail"]},
            (
                "network.yml: NET-01.needs: an automated control still needs mail; "
                "remove it from needs, or set the status to partly_automated"
            ),
        ),
        (
            {"status": "not_yet", "proved_by": [], "needs": ["tape"]},
            (
                "network.yml: NET-01.needs: no capability has the id 'tape'; "
                "add it to capabilities.yml or name one that is there"
            ),
        ),
        (
            {"sources": [{"document": "standard_b", "knowledge": "read"}]},
            (
                "network.yml: NET-01.sources: no document has the id 'standard_b'; "
                "add it to documents.yml or name one that is there"
            ),
        ),
        (
            {"id": "WAN-01"},
            "network.yml: WAN-01: the file's family is 'NET'; move the control or rename it",
        ),
        (
            {"title": {"vi": "Chặn mặc định"}},
            (
                "network.yml: controls.NET-01.title.en: field required; "
                "write what policies/README.md describes"
            ),
        ),
        (
            {"owner": "somebody"},
            (
                "network.yml: controls.NET-01.owner: extra inputs are not permitted; "
                "write what policies/README.md describes"
            ),
        ),
        (
            {"proved_by": ["test_network.py::test_it[gw1-70]"]},
            (
                "network.yml: controls.NET-01.proved_by.0: string should match pattern "
                r"'^test_[a-z0-9_]+\.py::test_[a-z0-9_]+$'; write what policies/README.md describes"
            ),
        ),
    ],
)
def test_a_record_that_claims_or_lacks_something_is_refused(
    world: type[World], changes: dict[str, object], finding: str
) -> None:
    catalogue, findings = build_catalogue(
        world.catalogue_contents(world.control_record("NET-01", **changes))
    )

    assert [str(one) for one in findings] == [finding]
    assert catalogue is None


def test_a_control_that_stands_twice_is_refused(world: type[World]) -> None:
    _, findings = build_catalogue(
        world.catalogue_contents(world.control_record("NET-01"), world.control_record("NET-01"))
    )

    assert [str(one) for one in findings] == [
        "*.yml: control 'NET-01' stands 2 times; keep one of them"
    ]


def test_a_family_whose_file_is_lost_is_noticed(world: type[World]) -> None:
    contents = world.catalogue_contents(world.control_record("NET-01"))
    del contents["network.yml"]

    _, findings = build_catalogue(contents)

    assert [str(one) for one in findings] == [
        "documents.yml: families: no file has the family 'NET'; bring the file back"
    ]


def test_all_findings_of_all_files_come_at_once(world: type[World]) -> None:
    contents = world.catalogue_contents(
        world.control_record("NET-01", level_from=6), world.control_record("NET-2")
    )
    del contents["capabilities.yml"]

    _, findings = build_catalogue(contents)

    places = {str(finding).partition(";")[0].rpartition(": ")[0] for finding in findings}
    assert "capabilities.yml" in places
    assert any("NET-01.level_from" in place for place in places)
    assert any("NET-2.id" in place for place in places)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a: 1\na: 2\n", "network.yml: a key stands twice in this mapping"),
        ("a: [1\n", "network.yml: while parsing a flow sequence"),
    ],
)
def test_a_file_that_is_no_clean_yaml_is_named(tmp_path: Path, text: str, seen: str) -> None:
    (tmp_path / "network.yml").write_text(text)

    with pytest.raises(CatalogueError) as raised:
        load_catalogue(tmp_path)

    assert str(raised.value.findings[0]).startswith(seen)


def test_an_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=re.escape("documents.yml: the file is missing")):
        load_catalogue(tmp_path)


def test_what_is_not_proved_says_why(repository_catalogue: Catalogue) -> None:
    for control in repository_catalogue.controls.values():
        if control.status in (Status.MANUAL, Status.NOT_YET):
            assert control.reason or control.needs, control.id
