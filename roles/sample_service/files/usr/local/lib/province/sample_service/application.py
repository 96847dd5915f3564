"""What an application answers: pure, without network, clock and database.

Rule 1: a reference is stored once. Who repeats a request after a broken connection doubles nothing.
Rule 2: in the exchange a sender is who his token says, never who the message says, and everybody
reads only what is addressed to his own side. So Party and State meet there and nowhere else.
Rule 3: every refusal is a sentence.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TEXT_CHARACTERS = 10_000
NEWEST = 20
MOST = 100
SIDES = ("party", "state")
EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored; sender and recipient are empty outside the exchange."""

    reference: str
    text: str
    sender: str = ""
    recipient: str = ""

    def shown(self) -> dict[str, str]:
        """Answers what a client sees of it."""
        sides = {"from": self.sender, "to": self.recipient} if self.recipient else {}
        return {"reference": self.reference, "text": self.text, **sides}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, without what concerns the transport."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON, and what only the log may say."""

    status: int
    body: Mapping[str, Any]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an application is. Without a tenant it stores nothing."""

    name: str
    title: str
    tenant_kind: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of a token, in hexadecimal digits: the side that it belongs to."""


class Store(Protocol):
    """Where records are; each call raises `StoreAwayError` while the database is away."""

    def add(self, record: Record) -> Record | None:
        """Stores a record, or answers what its sender stored under the reference before."""

    def find(self, reference: str, recipient: str) -> Record | None:
        """Answers the record of a reference for a recipient."""

    def newest(self, limit: int, recipient: str) -> list[Record]:
        """Answers the newest records for a recipient, newest first."""

    def ping(self) -> None:
        """Asks the database for an answer."""


class StoreAwayError(Exception):
    """The database cannot be asked now; the sentence says why."""


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def answer(request: Request, settings: Settings, store: Store) -> Answer:
    """Answers one request."""
    try:
        return _route(request, settings, store)
    except RefusedError as refusal:
        return Answer(refusal.status, {"error": str(refusal)})
    except StoreAwayError as away:
        sentence = "the database is away; nothing was lost; send the same request again in a moment"
        return Answer(503, {"application": settings.name, "error": sentence}, str(away))


def _route(request: Request, settings: Settings, store: Store) -> Answer:
    if (request.method, request.path) == ("GET", "/health"):
        if settings.tenant_kind:
            store.ping()
        return Answer(200, {"application": settings.name, "title": settings.title})
    if not settings.tenant_kind or not re.fullmatch(r"/records(/[^/]*)?", request.path):
        raise RefusedError(404, f"{request.path}: nothing is here; ask for /health or /records")
    side = _side(request, settings)
    reference = request.path.removeprefix("/records").removeprefix("/")
    if request.method == "POST" and not reference:
        return _add(request, side, store)
    if request.method != "GET":
        raise RefusedError(405, f"{request.method}: is not done here; use POST /records or GET")
    if not reference:
        records = store.newest(_limit(request.query), side)
        return Answer(200, {"records": [record.shown() for record in records]})
    found = store.find(reference, side) if REFERENCE.fullmatch(reference) else None
    if found is None:
        raise RefusedError(404, f"{reference}: there is no such record for you")
    return Answer(200, found.shown())


def _side(request: Request, settings: Settings) -> str:
    """Answers who asks: a side of the exchange by its token, nobody in particular elsewhere."""
    if settings.tenant_kind != EXCHANGE:
        return ""
    digest = hashlib.sha256(request.token.encode()).hexdigest()
    for known, side in settings.tokens.items():
        if hmac.compare_digest(known, digest):
            return side
    raise RefusedError(401, "the exchange knows no such token; send your tenant's own as a bearer")


def _add(request: Request, side: str, store: Store) -> Answer:
    record = _record(request.body, side)
    before = store.add(record)
    if before is None:
        return Answer(201, record.shown())
    if before != record:
        raise RefusedError(
            409, f"{record.reference}: another text has this reference; give yours a new one"
        )
    return Answer(200, record.shown())


def _record(body: bytes, side: str) -> Record:
    try:
        sent = json.loads(body)
    except ValueError:
        raise RefusedError(400, "the body is no JSON; send an object") from None
    wanted = {"reference", "text"} | ({"from", "to"} if side else set())
    if not isinstance(sent, dict) or set(sent) != wanted:
        raise RefusedError(400, f"the body must be an object with {', '.join(sorted(wanted))}")
    reference, text = sent["reference"], sent["text"]
    if not isinstance(reference, str) or not REFERENCE.fullmatch(reference):
        raise RefusedError(
            400, "reference: must be 1 to 64 letters without marks, digits, dots and hyphens"
        )
    if not isinstance(text, str) or not 0 < len(text) <= TEXT_CHARACTERS or not _storable(text):
        raise RefusedError(400, f"text: must be 1 to {TEXT_CHARACTERS} characters of Unicode")
    if not side:
        return Record(reference, text)
    if sent["from"] != side:
        raise RefusedError(403, f"from: your token is that of {side}; send in your own name")
    others = [one for one in SIDES if one != side]
    if sent["to"] not in others:
        raise RefusedError(400, f"to: must be {' or '.join(others)}")
    return Record(reference, text, side, sent["to"])


def _storable(text: str) -> bool:
    """Whether a text is whole Unicode without the one character that PostgreSQL does not take."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _limit(query: Mapping[str, str]) -> int:
    wanted = query.get("limit", str(NEWEST))
    if not re.fullmatch(r"[0-9]{1,3}", wanted) or not 1 <= int(wanted) <= MOST:
        raise RefusedError(400, f"limit: is {wanted[:20]}; must be 1 to {MOST}")
    return int(wanted)
