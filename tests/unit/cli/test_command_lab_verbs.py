"""What `province lab` refuses, before it touches anything."""

import pytest
from command_world import Checkout

VERBS = (
    ["stop", "base", "svc1-70"],
    ["start", "base", "svc1-70"],
    ["restart", "base", "svc1-70"],
    ["restart", "base", "--all"],
    ["cut", "base", "svc1-70"],
    ["heal", "base", "svc1-70"],
    ["capture", "base", "svc1-70", "servers"],
    ["list", "base"],
)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_an_environment_without_machines_of_the_lab_is_refused(
    sample_checkout: Checkout, words: list[str]
) -> None:
    answer = sample_checkout.province("lab", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "environment 'base': has no machine of the lab here; these verbs are for substrate lab, "
        "whose machines province provision base makes\n"
    )


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_an_unknown_environment_is_answered_with_the_nearest(
    sample_checkout: Checkout, words: list[str]
) -> None:
    verb, _, *rest = words
    answer = sample_checkout.province("lab", verb, "bsae", *rest)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith("did you mean 'base'?\n")


@pytest.mark.parametrize("words", [["restart", "base"], ["restart", "base", "svc1-70", "--all"]])
def test_a_restart_wants_hosts_or_all(sample_checkout: Checkout, words: list[str]) -> None:
    answer = sample_checkout.province("lab", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "restart: name hosts, or say --all\n"


def test_data_is_told_of_one_lab(sample_checkout: Checkout) -> None:
    answer = sample_checkout.province("lab", "list", "--json")
    assert (answer.code, answer.err) == (2, "list --json: tells of one lab; name it\n")
