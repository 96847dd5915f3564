"""The plan's JSON form: what is stored as applied, and what later verbs work from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache

import pydantic

from infra.errors import JournalError
from infra.plan.types import SCHEMA_VERSION, Plan


@cache
def _adapter() -> pydantic.TypeAdapter[Plan]:
    return pydantic.TypeAdapter(Plan)


def to_json(plan: Plan) -> str:
    """The plan as JSON with sorted keys: the same plan, the same bytes."""
    return json.dumps(asdict(plan), ensure_ascii=False, sort_keys=True, indent=1)


def from_json(text: str, source: str) -> Plan:
    """A stored plan.

    Args:
        text: what `to_json` wrote.
        source: where it was read, for the sentence.

    Raises:
        JournalError: it is no plan, or one of another schema version.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise JournalError(
            f"{source}: is not JSON ({error}); run province provision to write it anew"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise JournalError(
            f"{source}: has schema version {version!r}, this checkout reads {SCHEMA_VERSION}; "
            "use the checkout that wrote it, or provision anew"
        )
    try:
        return _adapter().validate_python(raw)
    except pydantic.ValidationError as error:
        raise JournalError(
            f"{source}: is no plan ({error.error_count()} findings); provision anew"
        ) from error


def digest(plan: Plan) -> str:
    """SHA-256 of the plan's JSON: names a plan in journals, manifests and reports."""
    return hashlib.sha256(to_json(plan).encode()).hexdigest()
