"""From records and facts to each host's values: the open ones and the secret ones apart."""

from typing import Any

import pytest
import worlds

from infra.errors import InventoryError
from infra.inventory import Inventory, Material, build_inventory
from infra.model import FunctionRecord
from infra.secrets import wanted_secrets
from infra.secrets.generate import generate

PLAN = worlds.plan_with_two_districts()
MATERIAL = Material(
    public={"ssh_user_authority": "ssh-ed25519 AAAA"}, secret={"issuing_key": "kín: khóa"}
)


def functions_with(name: str, **changes: Any) -> dict[str, FunctionRecord]:  # noqa: ANN401 - YAML data
    record = worlds.sample_functions_data()[name] | changes
    return {**worlds.sample_functions(), name: FunctionRecord.model_validate(record)}


def secrets_of(functions: dict[str, FunctionRecord]) -> dict[str, str]:
    return {
        wanted.identifier: generate(wanted.kind, wanted.length_bytes)
        for wanted in wanted_secrets(PLAN, functions)
    }


def build(functions: dict[str, FunctionRecord] | None = None) -> Inventory:
    records = functions or dict(worlds.sample_functions())
    return build_inventory(PLAN, records, secrets_of(records), MATERIAL)


def refused(functions: dict[str, FunctionRecord], **changes: Any) -> str:  # noqa: ANN401 - any part
    parts = {"secrets": secrets_of(functions), "material": MATERIAL} | changes
    with pytest.raises(InventoryError) as refusal:
        build_inventory(PLAN, functions, parts["secrets"], parts["material"])
    return refusal.value.sentence


def test_groups_are_functions_and_sites_and_nothing_else() -> None:
    groups = build().groups
    placed = {name for host in PLAN.hosts() for name in host.functions}
    assert set(groups) == placed | {"site_70", "site_692", "site_689"}
    assert list(groups) == sorted(groups)
    assert groups["site_692"] == ("edge1-692",)
    assert groups["time_service"] == ("gw1-70", "svc1-70")
    assert groups["base_system"] == tuple(host.name for host in PLAN.hosts())


def test_every_input_of_every_function_of_a_host_has_a_value() -> None:
    inventory, records = build(), worlds.sample_functions()
    for host in PLAN.hosts():
        asked = {name for function in host.functions for name in records[function].inputs}
        got = {**inventory.facts[host.name], **inventory.secrets[host.name]}
        assert got.keys() == asked


def test_secrets_stand_with_the_secrets_and_nowhere_else() -> None:
    records = dict(worlds.sample_functions())
    kept = secrets_of(records)
    inventory = build_inventory(PLAN, records, kept, MATERIAL)
    assert set(inventory.secrets["mgt1-70"]) == {
        "certificate_authority_issuing_key",
        "log_collection_seal",
    }
    assert (
        inventory.secrets["mgt1-70"]["log_collection_seal"] == kept["log_collection/seal/mgt1-70"]
    )
    assert inventory.secrets["edge1-692"] == {}
    for values in inventory.facts.values():
        for hidden in (*kept.values(), *MATERIAL.secret.values()):
            assert hidden not in str(values)


def test_a_key_pair_arrives_in_halves_and_its_public_half_is_open() -> None:
    inventory = build()
    pair = inventory.secrets["svc1-70"]["name_service_signing_key"]
    assert pair.keys() == {"private_key", "public_key"}
    anchor = inventory.facts["svc1-70"]["name_service_trust_anchor"]
    assert anchor == f"257 3 13 {pair['public_key']}"


def test_a_function_may_know_the_public_half_of_anothers_secret() -> None:
    asked = {"edge_services_anchor": {"fact": "public_part", "name": "name_service/signing_key"}}
    inventory = build(functions_with("edge_services", inputs=asked))
    anchors = {inventory.facts[name]["edge_services_anchor"] for name in ("edge1-692", "edge1-689")}
    assert len(anchors) == 1


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            {"fact": "secret", "name": "sael"},
            (
                "mgt1-70: log_collection asks for the secret 'sael', which no placed function "
                "declares for this host; declare it under secrets, shared when others read it"
            ),
        ),
        (
            {"fact": "secret", "name": "nobody/seal"},
            (
                "mgt1-70: log_collection asks for the secret 'nobody/seal', which no placed "
                "function declares for this host; declare it under secrets, shared when others "
                "read it"
            ),
        ),
        (
            {"fact": "material", "name": "root_kye"},
            (
                "mgt1-70: a record asks for the material 'root_kye'; "
                "the controller makes issuing_key, ssh_user_authority"
            ),
        ),
    ],
)
def test_what_nobody_makes_is_said(request_: dict[str, str], sentence: str) -> None:
    records = functions_with("log_collection", inputs={"log_collection_x": request_})
    assert refused(records) == sentence


def test_an_unknown_fact_is_said() -> None:
    records = functions_with("gateway", inputs={"gateway_x": {"fact": "colour"}})
    assert refused(records).startswith("gw1-70: a record asks for the fact 'colour'; known are ")


def test_a_secret_that_is_not_kept_yet_is_said() -> None:
    assert "asks for the secret 'signing_key'" in refused(
        dict(worlds.sample_functions()), secrets={}
    )
