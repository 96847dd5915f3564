"""What a table holds, in a few numbers that two servers compute alike. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.errors import ProvinceError

DIGEST_SQL = r"""
SET search_path = pg_catalog;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET statement_timeout = 0;
SET lock_timeout = '30s';
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT format(
    $row$SELECT json_build_object(
        'table', %L,
        'rows', count(*),
        'checksum', coalesce(
            sum(('x' || left(md5((province_row.*)::text), 16))::bit(64)::bigint::numeric), 0)::text,
        'newest', %s) FROM ONLY %I.%I AS province_row$row$,
    nspname || '.' || relname,
    coalesce(
        (SELECT format('greatest(%s)::text',
            string_agg(format('max(%I)::timestamptz', attname), ', '))
         FROM pg_attribute
         WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
           AND atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
         HAVING count(*) > 0),
        'NULL'),
    nspname,
    relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND relispopulated
  AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY nspname, relname
\gexec
COMMIT;
"""
"""For psql, in one database: a line of JSON for each table, under settings that do not differ.

A checksum is the sum over all rows of 64 bits of the MD5 of the row's text: it needs no order and
no memory, and says nothing against an adversary, who is not meant here. `newest` is the newest
value of all date and time columns. Unlogged and temporary tables are in no copy and not looked at.
"""


@dataclass(frozen=True, slots=True)
class Digest:
    """One table."""

    rows: int
    checksum: str
    newest: str | None


Digests = Mapping[tuple[str, str], Digest]
"""By database and table."""


def parse_digests(databases: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Digest]:
    """Read what `DIGEST_SQL` answered in each database.

    Raises:
        ProvinceError: a line is not what the SQL writes.
    """
    found = {}
    for database, lines in databases.items():
        for line in lines:
            if not line.strip():
                continue
            try:
                raw = json.loads(line)
                table = Digest(int(raw["rows"]), str(raw["checksum"]), raw["newest"])
            except (ValueError, KeyError, TypeError) as error:
                raise ProvinceError(
                    f"database {database}: answered {line!r} where one table's digest was expected"
                ) from error
            found[database, str(raw["table"])] = table
    return found
