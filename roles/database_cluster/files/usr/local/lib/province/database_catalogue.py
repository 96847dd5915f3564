"""Reads a PostgreSQL server's catalogue into the values that `database_tenants` compares."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extensions
from database_tenants import SUPERUSER, Change, Cluster, Database, Inside, Role

Cursor = psycopg2.extensions.cursor

SOCKETS = "/var/run/postgresql"
LIMIT = "-c statement_timeout=60s"

ROLES = """
    SELECT rolname, rolcanlogin, rolconnlimit, rolpassword, setconfig
    FROM pg_authid LEFT JOIN pg_db_role_setting ON setrole = pg_authid.oid AND setdatabase = 0"""

DEPUTIES = """
    SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members
    WHERE set_option AND NOT inherit_option"""

GRANTS = (
    "SELECT CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee) END, privilege_type"
)

DATABASES = "SELECT datname, pg_get_userbyid(datdba), datconnlimit FROM pg_database"

DATABASE_GRANTS = f"""
    {GRANTS} FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE datname = %s"""

SCHEMA_OWNER = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'"

SCHEMA_GRANTS = f"""
    {GRANTS} FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
    WHERE nspname = 'public'"""

# The owner's own privileges are always there and say nothing. All parts are constants of this file.
DEFAULT_GRANTS = f"""
    WITH owner AS (SELECT oid FROM pg_roles WHERE rolname = %s)
    {GRANTS} FROM owner,
        aclexplode(coalesce(
            (SELECT defaclacl FROM pg_default_acl
             WHERE defaclrole = owner.oid AND defaclnamespace = 0 AND defaclobjtype = %s),
            acldefault(%s, owner.oid)))
    WHERE grantee <> owner.oid"""  # noqa: S608


@contextmanager
def connected(database: str) -> Iterator[Cursor]:
    """A cursor on a database of this host, over its socket, each statement on its own."""
    connection = psycopg2.connect(host=SOCKETS, user=SUPERUSER, dbname=database, options=LIMIT)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def observe(tenants: Iterable[str]) -> Cluster:
    """What is there, of the databases that are named and exist."""
    with connected("postgres") as cursor:
        roles = {
            name: Role(login, limit, verifier, frozenset(settings or ()))
            for name, login, limit, verifier, settings in rows(cursor, ROLES)
        }
        deputies = frozenset(rows(cursor, DEPUTIES))
        databases = {
            name: Database(owner, limit, frozenset(rows(cursor, DATABASE_GRANTS, name)))
            for name, owner, limit in rows(cursor, DATABASES)
        }
    inside = {name: look_inside(name) for name in tenants if name in databases}
    return Cluster(roles, deputies, databases, inside)


def look_inside(database: str) -> Inside:
    """What is there inside one tenant's database."""
    with connected(database) as cursor:
        owner = f"{database}_owner"
        return Inside(
            rows(cursor, SCHEMA_OWNER)[0][0],
            frozenset(rows(cursor, SCHEMA_GRANTS)),
            {
                letter: frozenset(
                    rows(cursor, DEFAULT_GRANTS, owner, letter, "s" if letter == "S" else letter)
                )
                for letter in ("r", "S", "f")
            },
        )


def rows(cursor: Cursor, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Answers a query's rows."""
    cursor.execute(query, values)
    return cursor.fetchall()


def carry_out(steps: Sequence[Change]) -> Iterator[str]:
    """Applies changes in order and answers each one's sentence when it is done."""
    for step in steps:
        with connected(step.database) as cursor:
            cursor.execute(step.statement)
        yield step.sentence
