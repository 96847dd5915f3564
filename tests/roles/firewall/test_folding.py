"""Folding permissions changes how many rules there are, and never what is admitted."""

import importlib.util
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

PLUGIN = Path(__file__).parents[3] / "roles/firewall/filter_plugins/firewall_merged.py"
NAMES = ["a", "b", "c", "d", "e"]
"""Prefixes that do not overlap stand for themselves here."""


def load_plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("firewall_merged", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


merged = load_plugin().firewall_merged


def rule(**changes: object) -> dict[str, Any]:
    return {
        "family": "ipv4",
        "protocol": "tcp",
        "ports": [443],
        "sources": ["10.92.1.2/32"],
        "destinations": ["10.70.6.12/32"],
        "interface_in": "tunnel",
        "interface_out": "management",
        "service": "certificates",
        "why": "host_certificate",
        **changes,
    }


def chains(*forwards: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"inputs": [], "outputs": [], "forwards": [*forwards]}


def test_permissions_of_many_sources_become_one_rule() -> None:
    answer = merged(chains(rule(), rule(sources=["10.93.1.2/32"])))
    assert answer["forwards"] == [rule(sources=["10.92.1.2/32", "10.93.1.2/32"])]


def test_permissions_to_many_destinations_become_one_rule() -> None:
    answer = merged(chains(rule(), rule(destinations=["10.70.6.13/32"])))
    assert answer["forwards"] == [rule(destinations=["10.70.6.12/32", "10.70.6.13/32"])]


@pytest.mark.parametrize(
    "other",
    [
        {"family": "ipv6"},
        {"protocol": "udp"},
        {"ports": [80]},
        {"interface_in": "internal"},
        {"why": "ssh_server"},
        {"sources": ["10.93.1.2/32"], "destinations": ["10.70.6.13/32"]},
        {"sources": []},
    ],
)
def test_what_differs_otherwise_stays_apart(other: dict[str, object]) -> None:
    assert merged(chains(rule(), rule(**other)))["forwards"] == [rule(), rule(**other)]


def test_long_list_that_is_used_twice_gets_a_name() -> None:
    many = [f"10.92.1.{number}/32" for number in range(2, 7)]
    answer = merged(chains(rule(sources=many), rule(sources=many, ports=[80])))
    assert answer["sets"] == [{"name": "prefixes_1", "family": "ipv4", "members": many}]
    assert [one["sources"] for one in answer["forwards"]] == ["@prefixes_1", "@prefixes_1"]


def test_long_list_that_is_used_once_stays_where_it_is() -> None:
    many = [f"10.92.1.{number}/32" for number in range(2, 7)]
    answer = merged(chains(rule(sources=many)))
    assert answer["sets"] == []
    assert answer["forwards"] == [rule(sources=many)]


def admitted(chain: list[dict[str, Any]], sets: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    named = {f"@{one['name']}": one["members"] for one in sets}

    def members(end: list[str] | str) -> list[str]:
        found = named[end] if isinstance(end, str) else end
        return found or NAMES

    found: set[tuple[Any, ...]] = set()
    for one in chain:
        ends = members(one["sources"]), members(one["destinations"])
        found |= set(product(*ends, one["ports"], [one["interface_in"]]))
    return found


prefixes = st.lists(st.sampled_from(NAMES), unique=True)
permissions = st.lists(
    st.builds(
        rule,
        sources=prefixes,
        destinations=prefixes,
        ports=st.sampled_from([[22], [80], [80, 443]]),
        interface_in=st.sampled_from(["internal", "tunnel", None]),
    ),
    max_size=12,
)


@given(permissions)
def test_folding_admits_exactly_the_same(forwards: list[dict[str, Any]]) -> None:
    answer = merged(chains(*forwards))
    assert admitted(answer["forwards"], answer["sets"]) == admitted(forwards, [])
