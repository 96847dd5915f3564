"""Secrets as records: generated per environment by what functions declare, kept in a vault."""

from infra.secrets.generate import public_part, typed_value
from infra.secrets.records import Wanted, identifiers, tenants_of, wanted_secrets
from infra.secrets.vault import (
    ensure_key,
    ensure_secrets,
    key_path,
    read_vault,
    write_private,
    write_vault,
)

__all__ = [
    "Wanted",
    "ensure_key",
    "ensure_secrets",
    "identifiers",
    "key_path",
    "public_part",
    "read_vault",
    "tenants_of",
    "typed_value",
    "wanted_secrets",
    "write_private",
    "write_vault",
]
