"""Files encrypted by ansible-vault; the key lies outside the checkout, one per controller.

The same files are read by plain `ansible-playbook`: `playbooks/plugins/vault_key` prints the key.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import yaml
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret

from infra.errors import SecretsError
from infra.secrets.generate import generate
from infra.secrets.records import Stored, Wanted, inputs_digest, is_stale

KEY_VARIABLE = "PROVINCE_VAULT_KEY"
VAULT_ID = "default"


def key_path() -> Path:
    """Where the vault's key lies: `$PROVINCE_VAULT_KEY`, else the user's configuration folder."""
    named = os.environ.get(KEY_VARIABLE)
    if named:
        return Path(named)
    configuration = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configuration) / "province" / "vault_key"


def ensure_key() -> Path:
    """The vault's key, made at first use, readable by its owner only."""
    path = key_path()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, secrets.token_urlsafe(48) + "\n")
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _library() -> VaultLib:
    secret = ensure_key().read_text(encoding="utf-8").strip().encode()
    return VaultLib([(VAULT_ID, VaultSecret(secret))])


def read_vault(path: Path) -> str:
    """The content of an encrypted file; empty when there is none.

    Raises:
        SecretsError: it cannot be decrypted with this controller's key.
    """
    if not path.exists():
        return ""
    try:
        content: bytes = _library().decrypt(path.read_bytes())
    except AnsibleVaultError as error:
        raise SecretsError(
            f"{path}: cannot be decrypted with the key {key_path()}; bring the key that it was "
            "encrypted with, or remove the file to have new secrets made"
        ) from error
    return content.decode()


def write_vault(path: Path, text: str) -> bool:
    """Encrypt into a file unless it says the same already; tells whether it was written."""
    if path.exists() and read_vault(path) == text:
        return False
    write_private(path, _library().encrypt(text).decode())
    return True


def ensure_secrets(path: Path, wanted: tuple[Wanted, ...]) -> dict[str, str]:
    """Every wanted secret by identifier; missing and stale ones are made, in their order.

    Values that nothing wants any more stay in the file: a host that comes back keeps its own.
    """
    raw = yaml.safe_load(read_vault(path)) or {}
    store = {name: Stored(**entry) for name, entry in raw.items()}
    for item in wanted:
        if is_stale(item, store):
            store[item.identifier] = Stored(
                generate(item.kind, item.length_bytes), inputs_digest(item, store)
            )
    entries = {name: {"value": one.value, "inputs": one.inputs} for name, one in store.items()}
    write_vault(path, yaml.safe_dump(entries, sort_keys=True))
    return {item.identifier: store[item.identifier].value for item in wanted}
