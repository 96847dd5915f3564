"""Which secrets an environment needs, and which of those that it has are missing or stale. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.errors import SecretsError
from infra.model import FunctionRecord
from infra.model.functions import SecretRecord
from infra.plan import Plan


@dataclass(frozen=True, slots=True)
class Wanted:
    """A secret that a function declares, for one host or shared by all its instances."""

    identifier: str
    """`<function>/<name>`, with `/<host>` behind it unless it is shared, then `/<tenant>`."""
    kind: str
    length_bytes: int
    made_from: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A secret's value and the digest of what it was made from."""

    value: str
    inputs: str


def identifier(function: str, record: SecretRecord, host: str) -> str:
    """The name under which a host's secret is kept."""
    return f"{function}/{record.name}" if record.shared else f"{function}/{record.name}/{host}"


def identifiers(
    function: str, record: SecretRecord, host: str, tenants: tuple[str, ...]
) -> dict[str, str]:
    """The names under which a host's secret is kept, by tenant; one without a tenant elsewhere."""
    name = identifier(function, record, host)
    if record.each is None:
        return {"": name}
    return {tenant: f"{name}/{tenant}" for tenant in tenants}


def tenants_of(plan: Plan) -> tuple[str, ...]:
    """Every tenant that has a database."""
    return tuple(tenant.name for cluster in plan.clusters for tenant in cluster.tenants)


def wanted_secrets(plan: Plan, functions: Mapping[str, FunctionRecord]) -> tuple[Wanted, ...]:
    """Every secret that the placed functions declare, each after those that it is made from.

    Raises:
        SecretsError: a secret is made from one that its function does not declare, or from itself.
    """
    found: dict[str, Wanted] = {}
    tenants = tenants_of(plan)
    for host in plan.hosts():
        for function in host.functions:
            for record in _in_order(function, functions[function].secrets):
                by_name = {other.name: other for other in functions[function].secrets}
                sources = tuple(
                    identifier(function, by_name[source], host.name) for source in record.made_from
                )
                for name in identifiers(function, record, host.name, tenants).values():
                    found[name] = Wanted(name, record.kind, record.length_bytes, sources)
    return tuple(found.values())


def _in_order(function: str, records: tuple[SecretRecord, ...]) -> Iterator[SecretRecord]:
    done: set[str] = set()
    left = list(records)
    while left:
        ready = [record for record in left if set(record.made_from) <= done]
        if not ready:
            names = ", ".join(record.name for record in left)
            raise SecretsError(
                f"roles/{function}/meta/function.yml: the secrets {names} are made from secrets "
                "that the function does not declare, or from one another; correct made_from"
            )
        for record in ready:
            yield record
            done.add(record.name)
            left.remove(record)


def inputs_digest(wanted: Wanted, store: Mapping[str, Stored]) -> str:
    """What a value depends on: its kind, its length and the values that it is made from."""
    parts = [wanted.kind, str(wanted.length_bytes)]
    parts += [store[source].value for source in wanted.made_from]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_stale(wanted: Wanted, store: Mapping[str, Stored]) -> bool:
    """Whether a value is missing or was made from older inputs."""
    stored = store.get(wanted.identifier)
    return stored is None or stored.inputs != inputs_digest(wanted, store)
