"""Ansible does not apply a specification's default, so both must say the same: ours, by test."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from checkout_files import role_constants, role_names, role_options, role_yaml

STRUCTURED = {"list", "dict"}


def disagreements(
    options: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]
) -> Iterator[str]:
    """Say where a role's specification and its defaults differ."""
    for option, spec in options.items():
        if spec.get("required"):
            if option in defaults:
                yield f"{option}: is required, and has a default"
        elif "default" not in spec:
            yield f"{option}: is neither required nor has a default in the specification"
        elif option not in defaults:
            yield f"{option}: has no default in defaults/main.yml"
        elif spec["default"] != defaults[option] or type(spec["default"]) is not type(
            defaults[option]
        ):
            yield f"{option}: {spec['default']!r} in one, {defaults[option]!r} in the other"
    for variable in defaults:
        if variable not in options:
            yield f"{variable}: has a default, and is not in the specification"


def untyped(options: Mapping[str, Mapping[str, Any]], path: str = "") -> Iterator[str]:
    """Name every option, at any depth, that would accept anything or says nothing of itself."""
    for option, spec in options.items():
        own = f"{path}{option}"
        if "type" not in spec:
            yield f"{own}: has no type"
        if not spec.get("description"):
            yield f"{own}: has no description"
        if spec.get("type") == "list" and "elements" not in spec:
            yield f"{own}: is a list of anything"
        if "elements" in spec and spec["elements"] == "dict" and "options" not in spec:
            yield f"{own}: is a list of mappings with any key"
        yield from untyped(spec.get("options") or {}, f"{own}.")


@pytest.mark.parametrize("role", role_names())
def test_specification_and_defaults_say_the_same(role: str) -> None:
    options = role_options(role)
    assert options, f"roles/{role}/meta/argument_specs.yml specifies nothing"
    assert list(disagreements(options, role_yaml(role, "defaults/main.yml"))) == []


@pytest.mark.parametrize("role", role_names())
def test_every_option_is_typed_and_described(role: str) -> None:
    assert list(untyped(role_options(role))) == []


@pytest.mark.parametrize("role", role_names())
def test_variables_carry_their_roles_name(role: str) -> None:
    inputs = {*role_options(role), *role_yaml(role, "defaults/main.yml")}
    assert [one for one in sorted(inputs) if not one.startswith(f"{role}_")] == []
    assert [one for one in role_constants(role) if not one.startswith(f"__{role}_")] == []


def test_each_kind_of_disagreement_is_found() -> None:
    options = {
        "a": {"default": 77},
        "b": {"default": "77"},
        "c": {"required": True},
        "d": {},
        "e": {"default": 1},
        "f": {"default": True},
    }
    defaults = {"a": 77, "b": 77, "c": 1, "f": 1, "g": 2}
    found = [line.split(":")[0] for line in disagreements(options, defaults)]
    assert found == ["b", "c", "d", "e", "f", "g"]


def test_an_untyped_option_is_found_at_any_depth() -> None:
    inner = {"type": "list", "description": "x"}
    options = {"a": {"type": "dict", "description": "x", "options": {"b": inner}}}
    assert list(untyped(options)) == ["a.b: is a list of anything"]
