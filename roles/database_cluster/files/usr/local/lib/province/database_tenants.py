"""What tenants must find in the database, compared with what is there. Used by the leader only.

Rule 1: a tenant's roles reach the tenant's database and no other.
Rule 2: a password arrives as a verifier; nobody here knows its text.
Rule 3: nothing is ever dropped. What is no longer declared loses its access lines, and is named.

`changes` and what it calls are pure: what is there goes in, sentences with statements come out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Grants = frozenset[tuple[str, str]]
"""Who may do what: pairs of a role (`public` is everybody) and a privilege."""

SUPERUSER = "postgres"
REWIND = "rewind"
PUBLIC = "public"
OWN_DATABASES = {"postgres", "template0", "template1"}

TABLE_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS"}
"""What default privileges are kept for: the catalogue's letter, the statement's word."""


@dataclass(frozen=True, slots=True)
class Change:
    """One statement, the database that it is for, and what it means in words."""

    sentence: str
    database: str
    statement: str


@dataclass(frozen=True, slots=True)
class Place:
    """What privileges are about: where the statement runs, on what, and its first words."""

    whose: str
    database: str
    what: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """A role: what it is and what holds for its sessions."""

    login: bool = False
    connections: int = -1
    verifier: str | None = None
    settings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Database:
    """A database as everybody sees it."""

    owner: str
    connections: int
    grants: Grants


@dataclass(frozen=True, slots=True)
class Inside:
    """What is kept inside a tenant's database: its schema, and what new objects allow."""

    schema_owner: str
    schema_grants: Grants
    defaults: Mapping[str, Grants]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that this file compares."""

    roles: Mapping[str, Role]
    deputies: frozenset[tuple[str, str]]
    databases: Mapping[str, Database]
    inside: Mapping[str, Inside]


def wanted(tenants: Sequence[Mapping[str, Any]], verifiers: Mapping[str, str]) -> Cluster:
    """What the declaration asks for; the accounts of the cluster itself have a password only."""
    roles: dict[str, Role] = {}
    databases = {
        "postgres": Database(SUPERUSER, -1, _everything(SUPERUSER) | {(REWIND, "CONNECT")}),
        "template1": Database(SUPERUSER, -1, _everything(SUPERUSER)),
    }
    inside = {}
    for tenant in tenants:
        name, limit = tenant["database"], tenant["connections"]
        owner, write, read = (f"{name}_{part}" for part in ("owner", "write", "read"))
        timeout = f"statement_timeout={tenant['statement_timeout_seconds']}s"
        roles[owner] = Role()
        roles[write] = _login(limit, verifiers[write], timeout)
        roles[read] = _login(limit, verifiers[read], timeout, "default_transaction_read_only=on")
        databases[name] = Database(
            owner,
            limit,
            _everything(owner) | {(write, "CONNECT"), (write, "TEMPORARY"), (read, "CONNECT")},
        )
        inside[name] = Inside(
            owner,
            frozenset({(owner, "CREATE")} | {(role, "USAGE") for role in (owner, write, read)}),
            {
                "r": frozenset({(write, one) for one in TABLE_PRIVILEGES} | {(read, "SELECT")}),
                "S": frozenset({(write, "USAGE"), (write, "SELECT"), (read, "SELECT")}),
                "f": frozenset({(write, "EXECUTE"), (read, "EXECUTE")}),
            },
        )
    deputies = frozenset((f"{name}_owner", f"{name}_write") for name in inside)
    return Cluster(roles, deputies, databases, inside)


def _login(connections: int, verifier: str, *settings: str) -> Role:
    return Role(
        login=True, connections=connections, verifier=verifier, settings=frozenset(settings)
    )


def _everything(owner: str) -> Grants:
    return frozenset((owner, one) for one in ("CONNECT", "CREATE", "TEMPORARY"))


def changes(seen: Cluster, ought: Cluster, verifiers: Mapping[str, str]) -> Iterator[Change]:
    """What to do, in the order in which it can be done."""
    for name, role in ought.roles.items():
        yield from _role_changes(name, seen.roles.get(name), role)
    for name in (SUPERUSER, "replicator", REWIND):
        account = seen.roles.get(name)
        if account is not None and account.verifier != verifiers[name]:
            yield _password(name, verifiers[name])
    for owner, deputy in sorted(ought.deputies - seen.deputies):
        # It may become the owner, to make its tables, and is not the owner until it says so.
        yield Change(
            f"role {deputy}: may become {owner}",
            "postgres",
            f'GRANT "{owner}" TO "{deputy}" WITH INHERIT FALSE, SET TRUE',
        )
    for name, database in ought.databases.items():
        yield from _database_changes(name, seen.databases.get(name), database)
    for name, part in ought.inside.items():
        yield from _inside_changes(name, seen.inside.get(name), part)


def _role_changes(name: str, seen: Role | None, ought: Role) -> Iterator[Change]:
    login = "LOGIN" if ought.login else "NOLOGIN"
    if seen is None:
        yield Change(f"role {name}: made", "postgres", f'CREATE ROLE "{name}"')
        seen = Role()
    if (seen.login, seen.connections) != (ought.login, ought.connections):
        yield Change(
            f"role {name}: {login.lower()}, {ought.connections} connections",
            "postgres",
            f'ALTER ROLE "{name}" {login} CONNECTION LIMIT {ought.connections}',
        )
    if ought.verifier is not None and seen.verifier != ought.verifier:
        yield _password(name, ought.verifier)
    for setting in sorted(ought.settings - seen.settings):
        key, value = setting.split("=", 1)
        yield Change(
            f"role {name}: {key} {value}",
            "postgres",
            f"ALTER ROLE \"{name}\" SET {key} = '{value}'",
        )


def _password(name: str, verifier: str) -> Change:
    return Change(
        f"role {name}: another password", "postgres", f"ALTER ROLE \"{name}\" PASSWORD '{verifier}'"
    )


def _database_changes(name: str, seen: Database | None, ought: Database) -> Iterator[Change]:
    if seen is None:
        yield Change(
            f"database {name}: made",
            "postgres",
            f'CREATE DATABASE "{name}" OWNER "{ought.owner}" TEMPLATE template0 ENCODING UTF8 '
            "LOCALE_PROVIDER icu ICU_LOCALE 'vi-VN' LOCALE 'C.UTF-8'",
        )
        fresh = _everything(ought.owner) | {(PUBLIC, "CONNECT"), (PUBLIC, "TEMPORARY")}
        seen = Database(ought.owner, -1, fresh)
    if seen.owner != ought.owner:
        yield Change(
            f"database {name}: belongs to {ought.owner}",
            "postgres",
            f'ALTER DATABASE "{name}" OWNER TO "{ought.owner}"',
        )
    if seen.connections != ought.connections:
        yield Change(
            f"database {name}: {ought.connections} connections",
            "postgres",
            f'ALTER DATABASE "{name}" CONNECTION LIMIT {ought.connections}',
        )
    place = Place("cluster", "postgres", f'DATABASE "{name}"')
    yield from _grant_changes(place, seen.grants, ought.grants)


def _inside_changes(name: str, seen: Inside | None, ought: Inside) -> Iterator[Change]:
    if seen is None:
        pg_owner = "pg_database_owner"
        schema = {(pg_owner, "CREATE"), (pg_owner, "USAGE"), (PUBLIC, "USAGE")}
        defaults = {"r": frozenset(), "S": frozenset(), "f": frozenset({(PUBLIC, "EXECUTE")})}
        seen = Inside(pg_owner, frozenset(schema), defaults)
    grants = seen.schema_grants
    if seen.schema_owner != ought.schema_owner:
        yield Change(
            f"database {name}: its schema belongs to {ought.schema_owner}",
            name,
            f'ALTER SCHEMA public OWNER TO "{ought.schema_owner}"',
        )
        # What the former owner held goes to the new one.
        grants = frozenset(
            (ought.schema_owner if role == seen.schema_owner else role, privilege)
            for role, privilege in grants
        )
    whose = f"database {name}"
    yield from _grant_changes(Place(whose, name, "SCHEMA public"), grants, ought.schema_grants)
    for letter, kind in KINDS.items():
        before = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{ought.schema_owner}" '
        place = Place(whose, name, kind, before)
        yield from _grant_changes(place, seen.defaults[letter], ought.defaults[letter])


def _grant_changes(where: Place, seen: Grants, ought: Grants) -> Iterator[Change]:
    plain = where.what.replace('"', "").lower()
    for role, privilege in sorted(seen - ought):
        yield Change(
            f"{where.whose}: {plain}: {role} has no {privilege.lower()} any more",
            where.database,
            f"{where.before}REVOKE {privilege} ON {where.what} FROM {_quoted(role)}",
        )
    for role, privilege in sorted(ought - seen):
        yield Change(
            f"{where.whose}: {plain}: {role} has {privilege.lower()}",
            where.database,
            f"{where.before}GRANT {privilege} ON {where.what} TO {_quoted(role)}",
        )


def _quoted(role: str) -> str:
    return "PUBLIC" if role == PUBLIC else f'"{role}"'


def undeclared(seen: Cluster, ought: Cluster) -> list[str]:
    """Databases that stay although no tenant has them any more."""
    return sorted(set(seen.databases) - set(ought.databases) - OWN_DATABASES)
