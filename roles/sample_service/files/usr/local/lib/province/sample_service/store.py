"""Records in the tenant's database, asked through the pooler and whoever leads behind it."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from application import Record, StoreAwayError
from psycopg import sql

Found = TypeVar("Found")
Connection = psycopg.Connection[tuple[Any, ...]]

WAIT_SECONDS = 5
"""How long a request waits for one of the connections, and for a new one to open."""

# In one transaction with a lock of its own: two hosts may start at the same time, and the pooler
# keeps nothing for longer. The lock's number is the table's, by agreement among us alone.
_LOCK = "select pg_advisory_xact_lock(5432001)"
_EXISTS = "select to_regclass('records') is not null"
_CREATE = """
create table records (
    application text not null,
    sender text not null,
    reference text not null,
    recipient text not null,
    body text not null,
    received_at timestamptz not null default now(),
    number bigint generated always as identity,
    primary key (application, sender, reference)
)"""
_ADD = """
insert into records (application, sender, reference, recipient, body) values (%s, %s, %s, %s, %s)
on conflict do nothing returning true"""
_COLUMNS = "select reference, body, sender, recipient from records where application = %s"
_BEFORE = f"{_COLUMNS} and sender = %s and reference = %s"
_FIND = f"{_COLUMNS} and recipient = %s and reference = %s"
_NEWEST = f"{_COLUMNS} and recipient = %s order by number desc limit %s"


class PostgresStore:
    """The store of one application; safe to use from several threads."""

    def __init__(self, application: str, parameters: dict[str, Any], owner: str, size: int) -> None:
        self._application = application
        self._parameters = parameters
        self._owner = owner
        self._prepared = False
        self._places: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._places.put(None)

    def add(self, record: Record) -> Record | None:
        """Stores a record, or answers what its sender stored under the reference before."""
        own = (self._application, record.sender, record.reference)

        def ask(connection: Connection) -> Record | None:
            added = connection.execute(_ADD, (*own, record.recipient, record.text)).fetchone()
            row = None if added else connection.execute(_BEFORE, own).fetchone()
            return Record(*row) if row else None

        return self._asked(ask)

    def find(self, reference: str, recipient: str) -> Record | None:
        """Answers the record of a reference for a recipient."""
        which = (self._application, recipient, reference)
        row = self._asked(lambda connection: connection.execute(_FIND, which).fetchone())
        return Record(*row) if row else None

    def newest(self, limit: int, recipient: str) -> list[Record]:
        """Answers the newest records for a recipient, newest first."""
        which = (self._application, recipient, limit)
        rows = self._asked(lambda connection: connection.execute(_NEWEST, which).fetchall())
        return [Record(*row) for row in rows]

    def ping(self) -> None:
        """Asks the database for an answer."""
        self._asked(lambda connection: connection.execute("select 1").fetchone())

    def _asked(self, ask: Callable[[Connection], Found]) -> Found:
        """Asks, and once more over a fresh connection: the first may have died unnoticed.

        Asking twice is harmless, because a reference is stored once.
        """
        failure: psycopg.Error | None = None
        for fresh in (False, True):
            try:
                return self._ask_once(ask, fresh=fresh)
            except psycopg.Error as error:
                failure = error
        raise StoreAwayError(" ".join(str(failure).split())) from failure

    def _ask_once(self, ask: Callable[[Connection], Found], *, fresh: bool) -> Found:
        with self._place(fresh=fresh) as connection:
            if not self._prepared:
                self._prepare(connection)
                self._prepared = True
            return ask(connection)

    @contextmanager
    def _place(self, *, fresh: bool) -> Iterator[Connection]:
        """Lends a connection; one on which anything went wrong is closed and not used again."""
        try:
            kept = self._places.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise StoreAwayError("every connection is in use") from None
        connection = kept
        kept = None
        try:
            if connection is not None and (fresh or connection.closed):
                connection.close()
                connection = None
            if connection is None:
                connection = psycopg.connect(**self._parameters)
            yield connection
            kept, connection = connection, None
        finally:
            if connection is not None:
                connection.close()
            self._places.put(kept)

    def _prepare(self, connection: Connection) -> None:
        """Creates the table where it is not there yet, as its owner."""
        with connection.transaction():
            connection.execute(_LOCK)
            row = connection.execute(_EXISTS).fetchone()
            if row == (False,):
                connection.execute(sql.SQL("set local role {}").format(sql.Identifier(self._owner)))
                connection.execute(_CREATE)
