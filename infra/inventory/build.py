"""From plan, records, secrets and material to finished values for each host. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import InventoryError
from infra.model import FunctionRecord
from infra.model.functions import SecretRecord
from infra.plan import Host, Plan
from infra.plan.facts import Context, contexts, fact
from infra.secrets import identifiers, public_part, tenants_of, typed_value

AUTOMATION_USER = "ansible"


@dataclass(frozen=True, slots=True)
class Material:
    """What the controller made for the environment, by name; secret names go to the vault."""

    public: Mapping[str, str]
    secret: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What Ansible reads: groups, and for each host its facts and its secrets."""

    groups: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Mapping[str, Any]]
    secrets: Mapping[str, Mapping[str, Any]]


def derive_groups(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Groups are functions and sites, derived and never listed."""
    groups: dict[str, list[str]] = {}
    for host in plan.hosts():
        for function in host.functions:
            groups.setdefault(function, []).append(host.name)
        groups.setdefault(f"site_{host.site.lower()}", []).append(host.name)
    return {name: tuple(groups[name]) for name in sorted(groups)}


def _material(host: Host, name: object, material: Material) -> tuple[Any, bool]:
    if name in material.secret:
        return material.secret[str(name)], True
    if name in material.public:
        return material.public[str(name)], False
    known = ", ".join(sorted((*material.public, *material.secret)))
    raise InventoryError(
        f"{host.name}: a record asks for the material {name!r}; the controller makes {known}"
    )


@dataclass(frozen=True, slots=True)
class _Vault:
    """Where secrets are found: their records, their values, and whose tenants they are."""

    records: Mapping[str, FunctionRecord]
    values: Mapping[str, str]
    tenants: tuple[str, ...]


def _secret(host: Host, function: str, name: object, vault: _Vault) -> tuple[SecretRecord, Any]:
    """A secret of the function itself, or of another as `<function>/<name>`.

    Its value is text, or text by tenant where the record says so.
    """
    owner, _, short = str(name).rpartition("/")
    owner = owner or function
    declared = vault.records[owner].secrets if owner in vault.records else ()
    record = next((one for one in declared if one.name == short), None)
    keys = identifiers(owner, record, host.name, vault.tenants) if record else {}
    if record is None or not set(keys.values()) <= vault.values.keys():
        raise InventoryError(
            f"{host.name}: {function} asks for the secret {name!r}, which no placed function "
            "declares for this host; declare it under secrets, shared when others read it"
        )
    if record.each is None:
        return record, vault.values[keys[""]]
    return record, {tenant: vault.values[key] for tenant, key in keys.items()}


def _host_values(
    context: Context, vault: _Vault, material: Material
) -> tuple[dict[str, Any], dict[str, Any]]:
    host = context.host
    open_values: dict[str, Any] = {}
    secret_values: dict[str, Any] = {}
    for function in host.functions:
        for variable, request in vault.records[function].inputs.items():
            arguments = request.arguments()
            if request.fact == "secret":
                record, value = _secret(host, function, arguments.get("name"), vault)
                secret_values[variable] = typed_value(record.kind, value)
            elif request.fact == "public_part":
                record, value = _secret(host, function, arguments.get("name"), vault)
                open_values[variable] = public_part(record.kind, value)
            elif request.fact == "material":
                value, is_secret = _material(host, arguments.get("name"), material)
                (secret_values if is_secret else open_values)[variable] = value
            else:
                open_values[variable] = fact(context, request.fact, arguments)
    return open_values, secret_values


def build_inventory(
    plan: Plan,
    records: Mapping[str, FunctionRecord],
    secrets: Mapping[str, str],
    material: Material,
) -> Inventory:
    """The inventory of a plan.

    Raises:
        InventoryError: a record asks for a fact, secret or material that does not exist.
    """
    facts: dict[str, Mapping[str, Any]] = {}
    hidden: dict[str, Mapping[str, Any]] = {}
    vault = _Vault(records, secrets, tenants_of(plan))
    for name, context in contexts(plan).items():
        facts[name], hidden[name] = _host_values(context, vault, material)
    return Inventory(derive_groups(plan), facts, hidden)
