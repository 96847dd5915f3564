"""How findings read: one line each, sorted, each hint once, the nearest name for an unknown one."""

import pytest

from infra.model import Finding, nearest, render


def test_a_finding_names_place_value_rule_and_remedy() -> None:
    finding = Finding("sites.692.number", "15", "is taken", "take another")
    assert str(finding) == "sites.692.number: '15': is taken; take another"
    assert str(Finding("hub", "", "is missing", "add it")) == "hub: is missing; add it"


def test_findings_are_sorted_told_once_and_hinted_once() -> None:
    findings = [
        Finding("b", "2", "is wrong", "correct it"),
        Finding("a", "1", "is wrong", "correct it"),
        Finding("b", "2", "is wrong", "correct it"),
        Finding("c", "", "is missing", "add it"),
    ]
    assert render(findings).splitlines() == [
        "a: '1': is wrong; correct it",
        "b: '2': is wrong",
        "c: is missing; add it",
    ]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("name_servise", ["name_service", "time_service"], "did you mean 'name_service'?"),
        ("xyz", ["b", "a"], "known are: a, b"),
        ("xyz", [], "none is declared yet"),
        (
            "xyz",
            [f"q{number:02}" for number in range(14)],
            "known are: " + ", ".join(f"q{number:02}" for number in range(12)) + " ...",
        ),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_known(
    name: str, known: list[str], hint: str
) -> None:
    assert nearest(name, known) == hint
