"""Ansible accepts a misspelt variable without a word; here no role declares it, so it fails."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checkout_files import (
    CHECKOUT,
    files,
    mappings,
    name,
    present,
    role_names,
    role_options,
    yaml_of,
)

CONNECTION = "ansible_"
"""Prefix of Ansible's own settings of a connection."""

EXTRA_VARIABLES = {"managed_files_take_over"}
"""What a run may say to our own action plugin, which is no role."""


KNOWN = {option for role in role_names() for option in role_options(role)} | EXTRA_VARIABLES


def group_variables() -> list[Path]:
    """Find what people choose; there may be none."""
    return [
        path
        for path in present()
        if path.suffix == ".yml" and "group_vars" in path.relative_to(CHECKOUT).parts
    ]


def unknown(variables: Mapping[str, Any], known: set[str]) -> list[str]:
    return sorted(
        one for one in variables if one not in known and not str(one).startswith(CONNECTION)
    )


def variables_of_plays(path: Path) -> Iterator[str]:
    """Name the variables that plays and imports set."""
    for mapping in mappings(yaml_of(path)):
        if isinstance(mapping.get("vars"), dict):
            yield from mapping["vars"]


def test_variables_that_people_choose_are_declared_by_a_role() -> None:
    wrong = {name(path): unknown(yaml_of(path) or {}, KNOWN) for path in group_variables()}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_variables_that_playbooks_set_are_declared_by_a_role() -> None:
    wrong = {
        name(path): unknown(dict.fromkeys(variables_of_plays(path)), KNOWN)
        for path in files("playbooks", suffixes=(".yml",))
    }
    assert {path: found for path, found in wrong.items() if found} == {}


def test_a_misspelt_variable_is_found() -> None:
    chosen = {"time_service_local_stratun": 9, "ansible_user": "x", "time_service_state": "absent"}
    assert unknown(chosen, KNOWN) == ["time_service_local_stratun"]
