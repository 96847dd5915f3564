"""Shares of connected units: as declared, and as measured on the tunnels that stand."""

from dataclasses import replace

import pytest
import worlds
from compliance_world import World

from infra.compliance.connections import LIVE_TUNNEL, Share, measure
from infra.compliance.evidence import EvidenceRecord
from infra.compliance.from_plan import declared_shares
from infra.compliance.load import load_catalogue
from infra.compliance.outcomes import Outcome, Words
from infra.compliance.verdict import judge

PROVED, FAILED = Outcome.PROVED, Outcome.FAILED
COULD_NOT, STANDS_BY = Outcome.COULD_NOT_CHECK, Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("connected", "total", "required", "is_met"),
    [(11, 11, 1.0, True), (10, 11, 1.0, False), (56, 111, 0.5, True), (55, 111, 0.5, False),
     (0, 0, 0.5, False)],
)  # fmt: skip
def test_a_share_is_met_when_enough_units_are_connected(
    connected: int, total: int, required: float, is_met: bool
) -> None:
    assert Share(Words("Đơn vị", "Units"), connected, total, required).is_met is is_met


@pytest.mark.parametrize(
    ("outcomes", "connected", "unseen"),
    [
        ({"a1": PROVED, "b1": PROVED}, 2, 0),
        ({"a1": PROVED, "b1": FAILED}, 1, 0),
        ({"a1": PROVED, "b1": COULD_NOT}, 1, 1),
        ({"a1": PROVED}, 1, 1),
        ({"a1": PROVED, "b1": STANDS_BY, "b2": PROVED}, 2, 0),
        ({"a1": PROVED, "b1": STANDS_BY, "b2": FAILED}, 1, 0),
        ({"a1": PROVED, "b1": STANDS_BY, "b2": COULD_NOT}, 1, 1),
        ({"a1": PROVED, "b1": FAILED, "b2": PROVED}, 2, 0),
        ({"other": PROVED}, 0, 2),
    ],
)
def test_a_unit_is_connected_when_a_tunnel_of_its_own_was_seen_standing(
    outcomes: dict[str, Outcome], connected: int, unseen: int
) -> None:
    share = Share(Words("Huyện", "Districts"), 2, 11, 0.1, (("a1",), ("b1", "b2")))
    [measured] = measure([share], outcomes)
    assert (measured.connected, measured.unseen) == (connected, unseen)
    assert measured.is_met is (connected >= 2)


def test_a_declared_unit_whose_flows_are_not_open_is_not_seen() -> None:
    [measured] = measure([Share(Words("Xã", "Communes"), 3, 111, 0.0, (("a1",),))], {"a1": PROVED})
    assert (measured.connected, measured.unseen) == (1, 2)


def test_the_verdict_measures_by_the_checks_that_it_judged() -> None:
    catalogue = World.catalogue_of(World.control_record("NET-01", proved_by=[LIVE_TUNNEL]))
    planned = [World.host_check(host=host, test=LIVE_TUNNEL) for host in ("a1", "b1")]
    evidence = [
        World.host_evidence(outcome, host=host, test=LIVE_TUNNEL)
        for host, outcome in (("a1", PROVED), ("b1", FAILED))
    ]
    share = Share(Words("Huyện", "Districts"), 2, 2, 0.5, (("a1",), ("b1",)))
    context = replace(World.context_on("lab"), shares=(share,))
    verdict = judge(catalogue, planned, EvidenceRecord(tuple(evidence)), context)
    assert [(one.connected, one.unseen, one.is_met) for one in verdict.shares] == [(1, 0, True)]


def test_shares_name_the_gateways_of_every_unit_with_open_flows() -> None:
    shares = declared_shares(worlds.plan_with_two_districts())
    assert [(share.what.en, share.connected, share.total) for share in shares] == [
        ("one_stop: district connected", 2, 2),
        ("one_stop: commune connected", 0, 2),
    ]
    assert [share.gateways for share in shares] == [(("edge1-692",), ("edge1-689",)), ()]


def test_the_catalogue_has_the_test_that_measures() -> None:
    catalogue = load_catalogue(worlds.CHECKOUT / "policies" / "controls")
    named = [name for name, one in catalogue.controls.items() if LIVE_TUNNEL in one.proved_by]
    assert named == ["WAN-02"]
