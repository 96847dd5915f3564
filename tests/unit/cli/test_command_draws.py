"""What runs, for a live picture: read from what gateways print, and never guessed."""

from collections.abc import Mapping

import pytest
import worlds
import yaml
from command_world import Checkout

from infra.cli.drawing import standing, tunnel_state
from infra.plan.shapes import State

LISTING = """\
site_692: #4, ESTABLISHED, IKEv2, 5d2b6f1a0c3e4d5f_i 8a9b0c1d2e3f4a5b_r*
  local  'gw-70.lab.internal' @ 198.51.100.1[4500]
  remote 'edge1-692.lab.internal' @ 198.51.100.15[4500]
  AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384
  established 61s ago, rekeying in 13571s
  site_692: #9, reqid 2, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256
    installed 61s ago, rekeying in 3201s, expires in 3899s
site_689: #5, ESTABLISHED, IKEv2, 1111111111111111_i* 2222222222222222_r
  local  'gw-70.lab.internal' @ 198.51.100.1[4500]
  site_689: #10, reqid 3, INSTALLING, TUNNEL-in-UDP, ESP:AES_GCM_16-256
site_688: #7, REKEYING, IKEv2, 4444444444444444_i* 5555555555555555_r
  site_688: #12, reqid 5, REKEYING, TUNNEL-in-UDP, ESP:AES_GCM_16-256
site_690: #6, CONNECTING, IKEv2, 3333333333333333_i* 0000000000000000_r
  site_690: #11, reqid 4, INSTALLED, TUNNEL, ESP:AES_GCM_16-256
"""
TUNNEL = worlds.plan_of_a_whole_data_centre().tunnels[0]
HERE, EMPTY = frozenset({"site_692"}), frozenset[str]()


def test_a_tunnel_stands_when_its_association_and_a_child_do() -> None:
    assert standing(LISTING) == {"site_692", "site_688"}
    assert standing("") == frozenset()


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (("up", HERE), ("up", EMPTY), "up"),
        (("up", EMPTY), ("up", HERE), "up"),
        (("up", EMPTY), ("up", EMPTY), "down"),
        (("up", EMPTY), ("down", None), "down"),
        (("down", None), ("down", None), "down"),
        (("up", EMPTY), ("up", None), "unknown"),
        (("up", EMPTY), ("unknown", None), "unknown"),
        (("unknown", None), ("up", HERE), "up"),
    ],
)
def test_one_gateway_that_has_it_is_enough_and_silence_proves_nothing(
    first: tuple[State, frozenset[str] | None],
    second: tuple[State, frozenset[str] | None],
    state: State,
) -> None:
    assert (TUNNEL.spoke.site, TUNNEL.hub.hosts) == ("692", ("gw1-70", "gw2-70"))
    hosts: Mapping[str, State] = {"gw1-70": first[0], "gw2-70": second[0]}
    listings = {"gw1-70": first[1], "gw2-70": second[1]}
    assert tunnel_state(TUNNEL, hosts, listings) == state


def test_machines_that_were_never_made_do_not_run(sample_checkout: Checkout) -> None:
    drawn = sample_checkout.province("diagram", "base", "--live")
    assert drawn.code == 0
    assert "● đang chạy: 0 máy, 0 kênh · ✕ không chạy: 9 máy, 2 kênh" in drawn.out
    chart = sample_checkout.province("diagram", "base", "--live", "--format", "mermaid").out
    assert "svc1_70" in chart
    assert ":::up" not in chart


def test_existing_machines_that_give_no_answer_are_unknown(sample_checkout: Checkout) -> None:
    path = sample_checkout.root / "inventories" / "base" / "province.yml"
    data = worlds.sample_declaration_data()
    data["substrate"] = "static"
    key = "ssh-ed25519 AAAA"
    for site in data["sites"]:
        blueprint = data["blueprints"][site["blueprint"]]
        site["hosts"] = {
            name: {"address": "198.51.100.77", "host_key": key} for name in blueprint["hosts"]
        }
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), "utf-8")
    drawn = sample_checkout.province("diagram", "base", "--live")
    assert drawn.code == 0
    assert "? chưa biết: 9 máy, 2 kênh" in drawn.out
