"""A play gives one role to one group; the declaration decides who is in it."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import worlds
from checkout_files import CHECKOUT, files, name, role_names, text, yaml_of

ENTRY = CHECKOUT / "playbooks" / "configure_province.yml"
CHECK = "check_inventory"
PLAY_KEYS = {
    "any_errors_fatal",
    "become",
    "gather_facts",
    "hosts",
    "max_fail_percentage",
    "name",
    "order",
    "roles",
    "serial",
    "vars",
}
LONGEST_HEADER = 10

PLAYBOOKS = files("playbooks", suffixes=(".yml",))


def imports(path: Path) -> list[str]:
    return [
        play["ansible.builtin.import_playbook"]
        for play in yaml_of(path)
        if "ansible.builtin.import_playbook" in play
    ]


PLAYS = [
    (path.stem, play)
    for path in PLAYBOOKS
    if path.stem != CHECK
    for play in yaml_of(path)
    if "ansible.builtin.import_playbook" not in play
]


@pytest.mark.parametrize("play", [play for _, play in PLAYS], ids=lambda play: play["name"])
def test_a_play_is_one_role_with_its_name_as_only_tag(play: Mapping[str, Any]) -> None:
    assert set(play) <= PLAY_KEYS
    (role,) = play["roles"]
    assert role == {"role": role["role"], "tags": [role["role"]]}
    assert {role["role"], play["hosts"]} <= set(role_names())


def test_every_function_has_one_play_over_its_own_group() -> None:
    """Another play may give a role to a part of its group earlier; it cannot replace this one."""
    own = [play["hosts"] for _, play in PLAYS if play["roles"][0]["role"] == play["hosts"]]
    assert sorted(own) == sorted(role_names())


@pytest.mark.parametrize("environment", ["lab", "binh_phuoc"])
def test_every_function_of_a_declaration_has_a_play(environment: str) -> None:
    played = {play["hosts"] for _, play in PLAYS}
    placed = set(
        chain.from_iterable(host.functions for host in worlds.declared_plan(environment).hosts())
    )
    assert sorted(placed - played) == []


def test_the_whole_province_is_every_playbook_and_the_check_first() -> None:
    imported = imports(ENTRY)
    assert imported[0] == f"{CHECK}.yml"
    others = {path.name for path in PLAYBOOKS} - {ENTRY.name}
    assert sorted(imported) == sorted(others)


def test_a_required_function_is_configured_before_the_one_that_requires_it() -> None:
    """Unless it is only asked to stand there: then the order is the playbook's affair."""
    order = [
        play["hosts"]
        for file in imports(ENTRY)
        for play in yaml_of(CHECKOUT / "playbooks" / file)
        if file != f"{CHECK}.yml"
    ]
    assert order.index("certificate_authority") < order.index("host_certificate")
    assert order.index("host_certificate") < order.index("site_tunnel")
    assert order.index("package_mirror") < order.index("package_source")
    assert order.index("base_system") == 0


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_says_what_it_does_and_how_it_is_called(path: Path) -> None:
    lines = text(path).splitlines()
    header = [line for line in lines[1 : LONGEST_HEADER + 2] if line.startswith("#")]
    assert lines[0] == "---"
    assert 1 < len(header) <= LONGEST_HEADER
    assert any(
        f"ansible-playbook -i inventories/lab playbooks/{path.name}" in line for line in header
    )
