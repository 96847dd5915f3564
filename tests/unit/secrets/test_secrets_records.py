"""Which secrets are wanted, in which order, and when one is stale."""

import base64
import json
import re
from dataclasses import replace

import pytest
import worlds
from cryptography.hazmat.primitives.asymmetric import ec

from infra.errors import SecretsError
from infra.model import FunctionRecord
from infra.secrets import Wanted, public_part, typed_value, wanted_secrets
from infra.secrets.generate import KINDS, generate
from infra.secrets.records import Stored, inputs_digest, is_stale

PLAN = worlds.plan_with_two_districts()


def function_with(*secrets: dict[str, object]) -> dict[str, FunctionRecord]:
    """Build the sample functions with other secrets of the log collection."""
    record = worlds.sample_functions_data()["log_collection"] | {"secrets": list(secrets)}
    functions = worlds.sample_functions()
    return {**functions, "log_collection": FunctionRecord.model_validate(record)}


def test_secrets_are_wanted_where_their_function_stands_and_after_their_sources() -> None:
    wanted = wanted_secrets(PLAN, worlds.sample_functions())
    assert wanted == (
        Wanted("name_service/signing_key", "dnssec_key_pair", 32, ()),
        Wanted("log_collection/seal/mgt1-70", "random_base64", 32, ()),
        Wanted("log_collection/token", "random_base64", 32, ()),
        Wanted("log_collection/access", "password", 24, ("log_collection/token",)),
    )


def test_a_secret_of_each_host_is_wanted_for_each_host() -> None:
    functions = dict(worlds.sample_functions())
    seal = {"name": "seal", "kind": "password"}
    record = worlds.sample_functions_data()["base_system"] | {"secrets": [seal]}
    functions["base_system"] = FunctionRecord.model_validate(record)
    names = [
        one.identifier for one in wanted_secrets(PLAN, functions) if "/seal/" in one.identifier
    ]
    assert [name for name in names if name.startswith("base_system")] == [
        f"base_system/seal/{host.name}" for host in PLAN.hosts()
    ]


@pytest.mark.parametrize(
    "secrets",
    [
        [{"name": "a", "kind": "password", "made_from": ["b"]}],
        [{"name": "a", "kind": "password", "made_from": ["a"]}],
        [
            {"name": "a", "kind": "password", "made_from": ["b"]},
            {"name": "b", "kind": "password", "made_from": ["a"]},
        ],
    ],
    ids=["from_nothing", "from_itself", "in_a_circle"],
)
def test_secrets_that_cannot_be_ordered_are_refused(secrets: list[dict[str, object]]) -> None:
    with pytest.raises(SecretsError) as refused:
        wanted_secrets(PLAN, function_with(*secrets))
    names = ", ".join(str(one["name"]) for one in secrets)
    assert refused.value.sentence == (
        f"roles/log_collection/meta/function.yml: the secrets {names} are made from secrets "
        "that the function does not declare, or from one another; correct made_from"
    )


TOKEN = Wanted("f/token", "random_base64", 32, ())
ACCESS = Wanted("f/access", "password", 24, ("f/token",))


def store() -> dict[str, Stored]:
    kept: dict[str, Stored] = {}
    for wanted in (TOKEN, ACCESS):
        kept[wanted.identifier] = Stored(
            f"value of {wanted.identifier}", inputs_digest(wanted, kept)
        )
    return kept


def test_what_was_made_from_what_is_there_is_fresh() -> None:
    assert [one for one in (TOKEN, ACCESS) if is_stale(one, store())] == []


def test_what_is_missing_is_stale() -> None:
    assert is_stale(TOKEN, {})


@pytest.mark.parametrize("change", [{"kind": "password"}, {"length_bytes": 64}])
def test_another_kind_or_length_makes_a_secret_stale(change: dict[str, object]) -> None:
    assert is_stale(replace(TOKEN, **change), store())


def test_a_changed_source_makes_a_secret_stale() -> None:
    kept = store()
    kept["f/token"] = replace(kept["f/token"], value="another")
    assert not is_stale(TOKEN, kept)
    assert is_stale(ACCESS, kept)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_value_comes_twice(kind: str) -> None:
    assert len({generate(kind, 32) for _ in range(20)}) == 20


def test_values_are_as_long_as_asked() -> None:
    assert len(base64.b64decode(generate("random_base64", 48))) == 48
    assert re.fullmatch(r"[A-Za-z0-9]{24}", generate("password", 24))


def test_a_key_pair_is_a_point_on_the_curve_and_only_its_public_half_is_told() -> None:
    value = generate("dnssec_key_pair", 32)
    pair = typed_value("dnssec_key_pair", value)
    assert pair == json.loads(value)
    scalar = int.from_bytes(base64.b64decode(pair["private_key"]), "big")
    numbers = ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    assert base64.b64decode(pair["public_key"]) == point
    assert public_part("dnssec_key_pair", value) == f"257 3 13 {pair['public_key']}"


def test_other_secrets_have_no_part_that_may_be_told() -> None:
    assert public_part("password", "x") is None
    assert typed_value("password", "x") == "x"
