"""The running rule set is read as the kernel means it: what is missed here would look proved."""

from dataclasses import replace
from typing import Any

import pytest
from ruleset import default_policies, folded, permissions, planned, translations, unexplained

from infra.plan.types import Rule


def match(left: dict[str, Any], right: object) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def meta(key: str, right: object) -> dict[str, Any]:
    return match({"meta": {"key": key}}, right)


def field(protocol: str, name: str, right: object) -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": name}}, right)


def rule(*expressions: dict[str, Any], chain: str = "input") -> dict[str, Any]:
    return {"rule": {"chain": chain, "table": "province", "handle": 7, "expr": [*expressions]}}


ACCEPT = {"accept": None}
NEW = match({"ct": {"key": "state"}}, "new")
DECLARED = Rule(
    host="svc1",
    chain="input",
    family="ipv4",
    protocol="tcp",
    ports=(53, 853),
    sources=("10.1.2.0/25", "10.1.2.128/25"),
    destinations=("10.1.3.11/32",),
    interface_in="servers",
    interface_out=None,
    service="dns",
    why="name_resolution",
)
SAME = rule(
    meta("iifname", "servers"),
    field("ip", "saddr", {"prefix": {"addr": "10.1.2.0", "len": 24}}),
    field("ip", "daddr", "10.1.3.11"),
    field("tcp", "dport", {"set": [53, 853]}),
    NEW,
    ACCEPT,
)


def test_a_permission_equals_the_flow_that_it_comes_from() -> None:
    assert permissions([SAME]) == planned([DECLARED], "svc1")


def test_a_set_that_a_rule_names_is_looked_up() -> None:
    named = {"set": {"name": "prefixes_1", "elem": [{"prefix": {"addr": "10.1.2.0", "len": 24}}]}}
    rule_with_name = rule(
        meta("iifname", "servers"),
        field("ip", "saddr", "@prefixes_1"),
        field("ip", "daddr", "10.1.3.11"),
        field("tcp", "dport", {"set": [53, 853]}),
        NEW,
        ACCEPT,
    )

    assert permissions([named, rule_with_name]) == permissions([SAME])


def test_folding_admits_what_was_admitted_and_no_more() -> None:
    (one,) = planned([DECLARED], "svc1")
    other = replace(one, sources=frozenset({"10.9.0.0/16"}))
    elsewhere = replace(one, destinations=frozenset({"10.1.3.12/32"}))
    anybody = replace(one, sources=frozenset())

    both = replace(one, sources=one.sources | other.sources)
    assert folded([one, other]) == {both}
    assert folded([one, other, elsewhere]) == {both, elsewhere}
    assert folded([one, anybody]) == {one, anybody}


@pytest.mark.parametrize(
    "changed",
    [
        rule(field("tcp", "dport", {"set": [53, 853]}), NEW, ACCEPT),
        rule(field("tcp", "dport", {"range": [50, 900]}), ACCEPT),
        rule(*SAME["rule"]["expr"][:3], field("udp", "dport", {"set": [53, 853]}), ACCEPT),
        rule(*SAME["rule"]["expr"], chain="forward"),
        rule(*SAME["rule"]["expr"][1:]),
    ],
    ids=["from_anywhere", "more_ports", "another_protocol", "another_chain", "any_interface"],
)
def test_whatever_admits_something_else_differs(changed: dict[str, Any]) -> None:
    assert permissions([changed])
    assert permissions([changed]) - planned([DECLARED], "svc1")


def test_a_range_of_addresses_is_the_prefixes_that_it_covers() -> None:
    (one,) = permissions(
        [
            rule(
                field("ip6", "saddr", {"set": [{"range": ["fd00::", "fd00::ff"]}, "fd01::1"]}),
                field("udp", "dport", 123),
                ACCEPT,
            )
        ]
    )

    assert one.family == "ipv6"
    assert one.sources == {"fd00::/120", "fd01::1/128"}


@pytest.mark.parametrize("side", ["iifname", "oifname"])
def test_the_tunnel_is_one_side_whatever_carries_it(side: str) -> None:
    leg = {"iifname": "arrives", "oifname": "leaves"}[side]
    (user_space,) = permissions(
        [rule(meta(side, "ipsec0"), field("tcp", "dport", 443), ACCEPT, chain="forward")]
    )

    assert getattr(user_space, leg) == "tunnel"


@pytest.mark.parametrize(
    "open_rule",
    [
        rule(ACCEPT),
        rule(meta("iifname", "internet"), ACCEPT),
        rule(field("ip", "saddr", "203.0.113.7"), ACCEPT),
        rule(match({"ct": {"key": "state"}}, {"set": ["established", "new"]}), ACCEPT),
        rule(meta("l4proto", "tcp"), ACCEPT, chain="output"),
    ],
    ids=["everything", "a_leg", "a_source", "new_connections", "a_protocol"],
)
def test_a_rule_that_opens_without_a_port_is_unexplained(open_rule: dict[str, Any]) -> None:
    assert len(unexplained([open_rule])) == 1


@pytest.mark.parametrize(
    "basic",
    [
        SAME,
        rule(meta("iifname", "lo"), ACCEPT),
        rule(match({"ct": {"key": "state"}}, ["established", "related"]), ACCEPT),
        rule(match({"ct": {"key": "state"}}, {"set": ["established", "related"]}), ACCEPT),
        rule(field("icmpv6", "type", {"set": ["nd-neighbor-solicit"]}), ACCEPT),
        rule(ACCEPT, chain="anti_spoofing"),
        rule({"drop": None}),
    ],
)
def test_what_every_host_needs_is_explained(basic: dict[str, Any]) -> None:
    assert unexplained([basic]) == ()


def test_policies_are_those_of_filters_of_both_families() -> None:
    def chain(hook: str, **other: str) -> dict[str, Any]:
        usual = {"family": "inet", "type": "filter", "policy": "drop"}
        return {"chain": {**usual, "hook": hook, **other}}

    ruleset = [
        chain("input"),
        chain("forward", policy="accept"),
        chain("output", family="ip"),
        chain("prerouting"),
        {"chain": {"family": "inet", "name": "not_a_base_chain"}},
    ]

    assert default_policies(ruleset) == {"input": "drop", "forward": "accept"}


def test_a_translation_of_addresses_is_found() -> None:
    assert translations([rule({"masquerade": None}, chain="postrouting")])
    assert translations([SAME]) == ()


ADVERTS = Rule(
    host="gw1",
    chain="input",
    family="ipv6",
    protocol="vrrp",
    ports=(),
    sources=("fe80::/10",),
    destinations=("ff02::12/128",),
    interface_in="servers",
    interface_out=None,
    service="vrrp",
    why="virtual_address",
)


def adverts(number: object, limit: int = 255) -> dict[str, Any]:
    return rule(
        meta("iifname", "servers"),
        field("ip6", "saddr", {"prefix": {"addr": "fe80::", "len": 10}}),
        field("ip6", "daddr", "ff02::12"),
        meta("l4proto", number),
        field("ip6", "hoplimit", limit),
        ACCEPT,
    )


@pytest.mark.parametrize("number", [112, "vrrp"])
def test_adverts_of_twins_have_no_port_and_equal_their_flow(number: object) -> None:
    assert permissions([adverts(number)]) == planned([ADVERTS], "gw1")
    assert unexplained([adverts(number)]) == ()


@pytest.mark.parametrize("changed", [adverts(112, limit=64), adverts(47)])
def test_what_only_looks_like_adverts_is_not_explained(changed: dict[str, Any]) -> None:
    assert permissions([changed]) == frozenset()
    assert len(unexplained([changed])) == 1
