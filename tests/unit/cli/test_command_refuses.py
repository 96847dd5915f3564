"""What the command refuses, with which code, and that it then has touched nothing."""

from datetime import UTC, datetime

import pytest
import worlds
from command_world import Checkout

from infra.journal import hold_lock

READING = (["check"], ["plan"], ["diagram"], ["explain", "svc1-70"])
ACTING = (["preview"], ["provision"], ["configure"], ["configure", "--check"])


def call(verb: list[str], environment: str) -> list[str]:
    return [verb[0], environment, *verb[1:]]


@pytest.mark.parametrize("verb", [*READING, *ACTING], ids=" ".join)
def test_a_bad_declaration_ends_every_verb_with_all_findings_and_touches_nothing(
    sample_checkout: Checkout, verb: list[str]
) -> None:
    folder = sample_checkout.root / "inventories" / "base"
    text = (folder / "province.yml").read_text(encoding="utf-8")
    broken = text.replace("host: svc1-70", "host: svc9-70").replace("slot: 11", "slot: 2")
    (folder / "province.yml").write_text(broken, encoding="utf-8")
    before = sample_checkout.files()
    answer = sample_checkout.province(*call(verb, "base"))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "declaration 'base': 2 findings; nothing was touched\n"
        "  blueprints.data_centre.hosts.svc1.slot: '2': is the slot of gw1 already; "
        "take a free one\n"
        "  expectations.0.host: 'svc9-70': is not a host; did you mean 'svc1-70'?\n"
    )
    assert sample_checkout.files() == before


def test_the_commands_text_is_the_one_that_stands_beside_the_case(
    sample_checkout: Checkout,
) -> None:
    base = sample_checkout.root / "inventories" / "base"
    for path in base.iterdir():
        path.unlink()
    base.rmdir()
    text = sample_checkout.add_case("keys_and_types_are_wrong_at_once")
    sentence, *findings = text.splitlines()
    answer = sample_checkout.province("check", "base")
    assert answer.err.splitlines() == [sentence, *(f"  {finding}" for finding in findings)]
    assert answer.code == 2


def test_findings_come_as_data_too(sample_checkout: Checkout) -> None:
    path = sample_checkout.root / "inventories" / "base" / "province.yml"
    path.write_text(path.read_text(encoding="utf-8").replace('hub: "70"', 'hub: "71"'), "utf-8")
    answer = sample_checkout.province("check", "base", "--json")
    assert answer.code == 2
    assert answer.data == {
        "environment": "base",
        "findings": ["hub: '71': is not the code of a site; did you mean '70'?"],
        "sites": None,
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["check", "bases"],
            "environment 'bases': is not declared under inventories/; did you mean 'base'?",
        ),
        (
            ["plan", "../base"],
            (
                "environment '../base': is no name of a folder under inventories/; "
                "use lower-case letters, digits and underscores"
            ),
        ),
        (
            ["preview", "base", "--site", "629"],
            "--site 629: is not a site; did you mean '692'?",
        ),
        (
            ["diagram", "base", "--format", "png"],
            "--format png: is not known; use svg or mermaid",
        ),
        (
            ["explain", "base", "svc1-71"],
            "'svc1-71': is no host, address or port of this province; did you mean 'svc1-70'?",
        ),
        (
            ["explain", "base", "70000"],
            None,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_said_in_one_sentence(
    sample_checkout: Checkout, words: list[str], sentence: str | None
) -> None:
    before = sample_checkout.files()
    answer = sample_checkout.province(*words)
    assert answer.code == 2
    assert answer.out == ""
    if sentence is not None:
        assert answer.err == f"{sentence}\n"
    assert sample_checkout.files() == before


@pytest.mark.parametrize("words", [["chekc", "base"], ["check"], ["plan", "base", "--jsn"]])
def test_an_unknown_word_ends_with_usage(sample_checkout: Checkout, words: list[str]) -> None:
    answer = sample_checkout.province(*words)
    assert answer.code == 2
    assert "Usage: province" in answer.err


@pytest.mark.parametrize("verb", [["preview"], ["provision"], ["configure"], ["destroy", "--yes"]])
def test_a_second_run_is_told_of_the_first_and_ends_with_its_own_code(
    sample_checkout: Checkout, verb: list[str]
) -> None:
    state = sample_checkout.root / ".province" / "base"
    began = datetime(2026, 11, 25, 3, 40, tzinfo=UTC)
    with hold_lock(state, "provision", began):
        answer = sample_checkout.province(*call(verb, "base"))
    assert answer.code == 4
    last = answer.err.splitlines()[-1]
    assert last.startswith("environment 'base': 'provision' of ")
    assert last.endswith(
        "since 2026-11-25T03:40:00+00:00 holds the lock; wait for it to end, then run again"
    )


def test_configuring_needs_machines_first(sample_checkout: Checkout) -> None:
    answer = sample_checkout.province("configure", "base")
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        "environment 'base': has no machines yet; run province provision base first"
    )


def test_verifying_needs_an_applied_plan(sample_checkout: Checkout) -> None:
    answer = sample_checkout.province("verify", "base")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "environment 'base': nothing was applied yet; run province provision base\n"
    )


def test_an_unknown_site_is_refused_before_anything_is_made(sample_checkout: Checkout) -> None:
    answer = sample_checkout.province("provision", "base", "--site", "629")
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == "--site 629: is not a site; did you mean '692'?"
    made = [name for name in sample_checkout.files() if name.startswith(".province/")]
    assert [name for name in made if "/logs/" not in name and not name.endswith("/lock")] == []


def test_what_a_substrate_cannot_do_is_refused_with_its_reason(sample_checkout: Checkout) -> None:
    path = sample_checkout.root / "inventories" / "base" / "province.yml"
    text = path.read_text(encoding="utf-8").replace("esp: user_space", "esp: kernel")
    path.write_text(text, encoding="utf-8")
    answer = sample_checkout.province("check", "base")
    assert answer.code == 2
    assert "kernel" in answer.err
    assert [line for line in answer.err.splitlines() if "692" in line]


def test_destroying_asks_for_the_name(
    sample_checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.prompt", lambda _text: "bass")
    answer = sample_checkout.province("destroy", "base")
    assert answer.code == 2
    assert answer.err == "'bass' is not 'base'; nothing was touched\n"


def test_two_tiers_are_no_reason_to_refuse(checkout: Checkout) -> None:
    checkout.add(worlds.CASES / "two_tier")
    answer = checkout.province("check", "two_tier")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "two_tier: 4 sites, 6 hosts, no findings\n"
