"""Who carries what follows from the plan; one carrier is told from none and from two."""

import pytest
from harness import CouldNotCheck, Machine, Reply
from pairs import Group, carrier, groups_of, the_one_voice
from worlds import declared_plan

from infra.plan.types import Dual

GROUP = Group(
    "database",
    ("svc1", "svc2"),
    {"servers": Dual("10.1.3.10", "fd00::10")},
    {"servers": 10},
)


class FakeMachine(Machine):
    """A host that has these addresses."""

    def __init__(self, name: str, *addresses: str) -> None:
        links = ", ".join(f'{{"local": "{one}"}}' for one in addresses)
        said = f'[{{"ifname": "servers", "addr_info": [{links}]}}]'
        super().__init__(name, None, replies={"ip -j address": Reply(0, said, "")})  # type: ignore[arg-type]


def hosts(**held: tuple[str, ...]) -> dict[str, Machine]:
    return {name: FakeMachine(name, *addresses) for name, addresses in held.items()}


def test_who_has_the_whole_group_carries_it() -> None:
    known = hosts(svc1=("10.1.3.11",), svc2=("10.1.3.12", "10.1.3.10", "fd00::10"))

    assert carrier(GROUP, known.__getitem__) == "svc2"


@pytest.mark.parametrize(
    "known",
    [
        hosts(svc1=(), svc2=("10.1.3.10",)),
        hosts(svc1=("10.1.3.10", "fd00::10"), svc2=("10.1.3.10", "fd00::10")),
        hosts(svc1=("fd00::10",), svc2=("10.1.3.10",)),
    ],
    ids=["one_family_only", "both", "one_family_each"],
)
def test_nobody_is_asked_when_the_carrier_is_in_doubt(known: dict[str, Machine]) -> None:
    with pytest.raises(CouldNotCheck):
        carrier(GROUP, known.__getitem__)


def test_gateways_share_every_leg_in_both_families() -> None:
    plan = declared_plan("lab")
    groups = {group.name: group for group in groups_of(plan.site("70"))}

    gateway = groups["gateway"]
    assert gateway.hosts == ("gw1-70", "gw2-70")
    assert set(gateway.addresses) == {leg.name for leg in plan.host("gw1-70").interfaces}
    assert len(gateway.all()) == 2 * len(gateway.addresses)
    assert groups["database"].hosts == ("svc1-70", "svc2-70")
    assert list(groups["database"].addresses) == ["servers"]


def test_an_address_that_nobody_else_may_carry_is_no_group() -> None:
    assert groups_of(declared_plan("lab").site("692")) == ()


HEARD = [
    ["ipv4", "10.1.3.2", 3, 1, 150],
    ["ipv4", "10.1.3.11", 3, 10, 150],
    ["ipv6", "fe80::2", 3, 1, 150],
]


def test_other_groups_on_a_leg_are_not_confused() -> None:
    assert the_one_voice("here", HEARD, 1) == "10.1.3.2"


@pytest.mark.parametrize(
    "heard",
    [
        HEARD[:2],
        [*HEARD, ["ipv4", "10.1.3.3", 3, 1, 140]],
        [["ipv4", "10.1.3.2", 2, 1, 150], HEARD[2]],
        [],
    ],
    ids=["one_family", "two_voices", "old_version", "silence"],
)
def test_anything_but_one_voice_in_both_families_fails(heard: list[list[object]]) -> None:
    with pytest.raises(AssertionError):
        the_one_voice("here", heard, 1)
