"""A function's record, its role's specification, its play and the plan's facts fit together."""

from collections.abc import Iterator
from typing import Any

import pytest
import worlds
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from checkout_files import role_names, role_options, role_yaml

from infra.authority import Material as AuthorityMaterial
from infra.cli.materials import SECRET_MATERIAL
from infra.inventory import Inventory, Material, build_inventory
from infra.plan import Plan, derive_plan
from infra.plan.facts import FACTS
from infra.secrets import wanted_secrets
from infra.secrets.generate import generate

OTHER_SOURCES = {"secret", "public_part", "material"}
"""What fills an input beside the facts of the plan."""

MADE = {"archive_key", "automation_key", "mirror_digest", "mirror_path"}
"""Material of the controller beside the authority's."""


def record(role: str) -> dict[str, Any]:
    return role_yaml(role, "meta/function.yml")


@pytest.mark.parametrize("role", role_names())
def test_every_input_is_an_option_of_the_role(role: str) -> None:
    assert sorted(set(record(role).get("inputs", {})) - set(role_options(role))) == []


@pytest.mark.parametrize("role", role_names())
def test_every_required_option_has_an_input(role: str) -> None:
    required = {name for name, spec in role_options(role).items() if spec.get("required")}
    assert sorted(required - set(record(role).get("inputs", {}))) == []


@pytest.mark.parametrize("role", role_names())
def test_every_input_asks_for_something_that_exists(role: str) -> None:
    asked = {request["fact"] for request in record(role).get("inputs", {}).values()}
    assert asked <= {*FACTS, *OTHER_SOURCES}


@pytest.mark.parametrize("role", role_names())
def test_functions_name_functions(role: str) -> None:
    named = [
        other
        for key in ("requires", "replaces", "not_beside")
        for other in record(role).get(key) or ()
    ]
    assert [other for other in named if other not in role_names()] == []
    assert role not in named


def test_secret_material_is_told_apart_by_name() -> None:
    names = set(AuthorityMaterial.__slots__)
    assert names > SECRET_MATERIAL
    telling = {name for name in names if name.endswith(("_key", "_passphrase"))}
    assert telling == SECRET_MATERIAL


def sample_material() -> Material:
    names = {*AuthorityMaterial.__slots__, *MADE}
    return Material(
        public={name: f"public {name}" for name in names - SECRET_MATERIAL},
        secret={name: f"secret {name}" for name in SECRET_MATERIAL},
    )


def inventory_of(plan: Plan) -> Inventory:
    records = worlds.real_functions()
    secrets = {
        wanted.identifier: generate(wanted.kind, wanted.length_bytes)
        for wanted in wanted_secrets(plan, records)
    }
    return build_inventory(plan, records, secrets, sample_material())


def misfits(inventory: Inventory, functions: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Judge what each host's roles receive by what they accept, with Ansible's own validator."""
    validators = {role: ArgumentSpecValidator(dict(role_options(role))) for role in role_names()}
    for host, values in inventory.facts.items():
        every = {**values, **inventory.secrets[host]}
        for role in functions[host]:
            own = {name: value for name, value in every.items() if name in role_options(role)}
            result = validators[role].validate(own)
            yield from (f"{host}: {role}: {message}" for message in result.error_messages)


@pytest.mark.parametrize(
    "plan",
    [worlds.declared_plan("lab"), derive_plan(worlds.province_without_districts())],
    ids=lambda plan: plan.environment,
)
def test_what_the_plan_gives_is_what_the_roles_accept(plan: Plan) -> None:
    functions = {host.name: host.functions for host in plan.hosts()}
    assert sorted(misfits(inventory_of(plan), functions)) == []


def test_what_a_role_does_not_accept_is_found() -> None:
    sample = Inventory({}, {"a1-1": {"time_sync_sources": "none"}}, {"a1-1": {}})
    assert "time_sync_sources" in " ".join(misfits(sample, {"a1-1": ("time_sync",)}))
