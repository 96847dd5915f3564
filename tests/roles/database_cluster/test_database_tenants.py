"""What tenants lack, found by comparing; and the verifier that a server keeps of a password."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

ROLE = Path(__file__).parents[3] / "roles/database_cluster"
sys.path[:0] = [str(ROLE / "files/usr/local/lib/province"), str(ROLE / "filter_plugins")]

from database_tenants import Change, Cluster, Role, changes, undeclared, wanted  # noqa: E402
from scram_verifiers import scram_verifier  # noqa: E402

TENANTS = [
    {"database": "land", "connections": 20, "statement_timeout_seconds": 30},
    {"database": "party_office", "connections": 10, "statement_timeout_seconds": 60},
]
ACCOUNTS = {"postgres": "own", "replicator": "follows", "rewind": "rewinds"}
VERIFIERS = ACCOUNTS | {
    f"{database}_{part}": f"{database} {part}"
    for database in ("land", "party_office")
    for part in ("write", "read")
}


def as_wanted() -> Cluster:
    """A cluster in which everything is as it ought to be, the cluster's own accounts included."""
    cluster = wanted(TENANTS, VERIFIERS)
    accounts = {name: Role(verifier=verifier) for name, verifier in ACCOUNTS.items()}
    return replace(cluster, roles={**cluster.roles, **accounts})


def statements(steps: Iterable[Change]) -> list[str]:
    return [step.statement for step in steps]


def steps_from(seen: Cluster) -> list[Change]:
    return list(changes(seen, wanted(TENANTS, VERIFIERS), VERIFIERS))


def test_what_is_in_line_is_left_alone() -> None:
    assert steps_from(as_wanted()) == []


def test_everybody_loses_what_a_new_database_allows() -> None:
    made = statements(steps_from(Cluster({}, frozenset(), {}, {})))
    assert 'REVOKE CONNECT ON DATABASE "land" FROM PUBLIC' in made
    assert 'REVOKE TEMPORARY ON DATABASE "party_office" FROM PUBLIC' in made
    assert "REVOKE USAGE ON SCHEMA public FROM PUBLIC" in made


def test_a_database_is_made_after_its_owner() -> None:
    made = statements(steps_from(Cluster({}, frozenset(), {}, {})))
    owner = made.index('CREATE ROLE "land_owner"')
    assert owner < next(i for i, one in enumerate(made) if one.startswith('CREATE DATABASE "land"'))


def test_what_another_tenant_was_given_by_hand_is_taken_back() -> None:
    seen = as_wanted()
    land = seen.databases["land"]
    opened = replace(land, grants=land.grants | {("party_office_read", "CONNECT")})
    steps = steps_from(replace(seen, databases={**seen.databases, "land": opened}))
    assert statements(steps) == ['REVOKE CONNECT ON DATABASE "land" FROM "party_office_read"']


def test_a_new_password_is_set_and_not_told() -> None:
    seen = as_wanted()
    older = replace(seen.roles["land_write"], verifier="older")
    (step,) = steps_from(replace(seen, roles={**seen.roles, "land_write": older}))
    assert step.statement == "ALTER ROLE \"land_write\" PASSWORD 'land write'"
    assert step.sentence == "role land_write: another password"


def test_the_passwords_of_the_clusters_own_accounts_follow_their_secrets() -> None:
    seen = as_wanted()
    older = replace(seen.roles["replicator"], verifier="older")
    (step,) = steps_from(replace(seen, roles={**seen.roles, "replicator": older}))
    assert step.sentence == "role replicator: another password"


def test_a_database_without_tenant_is_named_and_kept() -> None:
    seen = as_wanted()
    left = replace(seen, databases={**seen.databases, "former": seen.databases["land"]})
    assert undeclared(left, wanted(TENANTS, VERIFIERS)) == ["former"]
    assert steps_from(left) == []


def test_a_verifier_has_the_servers_form_and_follows_from_password_and_role() -> None:
    verifier = scram_verifier("secret", "land_write")
    assert verifier == scram_verifier("secret", "land_write")
    assert verifier != scram_verifier("secret", "land_read")
    assert verifier.startswith("SCRAM-SHA-256$4096:")
    salt, keys = verifier.removeprefix("SCRAM-SHA-256$4096:").split("$")
    assert (len(salt), [len(key) for key in keys.split(":")]) == (24, [44, 44])
