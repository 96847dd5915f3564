"""The vault: read by plain Ansible, open to one key, never half written."""

import stat
import subprocess
from pathlib import Path

import pytest
import worlds
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret

from infra.errors import SecretsError
from infra.secrets import (
    Wanted,
    ensure_key,
    ensure_secrets,
    key_path,
    read_vault,
    write_private,
    write_vault,
)

TOKEN = Wanted("f/token", "random_base64", 32, ())
ACCESS = Wanted("f/access", "password", 24, ("f/token",))


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a key of the test's own."""
    path = tmp_path / "configuration" / "vault_key"
    monkeypatch.setenv("PROVINCE_VAULT_KEY", str(path))
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_is_made_once_and_open_to_its_owner_only(own_key: Path) -> None:
    assert ensure_key() == own_key
    first = own_key.read_text(encoding="utf-8")
    assert ensure_key().read_text(encoding="utf-8") == first
    assert len(first) > 60
    assert (mode(own_key), mode(own_key.parent)) == (0o600, 0o700)


def test_the_key_lies_outside_the_checkout_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVINCE_VAULT_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert key_path() == tmp_path / "province" / "vault_key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/an")
    assert key_path() == Path("/home/an/.config/province/vault_key")


def test_what_is_written_is_read_back_and_not_readable_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.yml"
    assert write_vault(path, "mật khẩu: kín\n")
    assert read_vault(path) == "mật khẩu: kín\n"
    assert path.read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert "kín" not in path.read_text(encoding="utf-8")
    assert mode(path) == 0o600


def test_the_same_content_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    write_vault(path, "a")
    before = path.read_bytes()
    assert not write_vault(path, "a")
    assert path.read_bytes() == before
    assert write_vault(path, "b")
    assert read_vault(path) == "b"


def test_nothing_is_in_a_vault_that_is_not_there(tmp_path: Path) -> None:
    assert read_vault(tmp_path / "none.yml") == ""


def test_plain_ansible_reads_the_file_with_the_key_that_the_plugin_prints(
    tmp_path: Path, own_key: Path
) -> None:
    path = tmp_path / "secrets.yml"
    write_vault(path, "f_token: kín\n")
    plugin = worlds.CHECKOUT / "playbooks" / "plugins" / "vault_key"
    printed = subprocess.run([plugin], check=True, capture_output=True).stdout.strip()
    assert printed == own_key.read_bytes().strip()
    loader = DataLoader()
    loader.set_vault_secrets([("default", VaultSecret(printed))])
    assert loader.load_from_file(str(path)) == {"f_token": "kín"}


def test_another_key_opens_nothing_and_the_sentence_names_both(
    tmp_path: Path, own_key: Path
) -> None:
    path = tmp_path / "secrets.yml"
    write_vault(path, "a")
    own_key.write_text("another\n", encoding="utf-8")
    with pytest.raises(SecretsError) as refused:
        read_vault(path)
    assert refused.value.sentence == (
        f"{path}: cannot be decrypted with the key {own_key}; bring the key that it was "
        "encrypted with, or remove the file to have new secrets made"
    )


def test_a_damaged_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    path.write_text("token: plain\n", encoding="utf-8")
    with pytest.raises(SecretsError, match="cannot be decrypted with the key"):
        read_vault(path)


def test_a_private_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert mode(path) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    first = ensure_secrets(path, (TOKEN, ACCESS))
    before = path.read_bytes()
    assert ensure_secrets(path, (TOKEN, ACCESS)) == first
    assert path.read_bytes() == before
    assert first.keys() == {"f/token", "f/access"}
    assert len(first["f/access"]) == 24


def test_a_secret_follows_what_it_is_made_from(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    first = ensure_secrets(path, (TOKEN, ACCESS))
    longer = Wanted("f/token", "random_base64", 64, ())
    second = ensure_secrets(path, (longer, ACCESS))
    assert second["f/token"] != first["f/token"]
    assert second["f/access"] != first["f/access"]


def test_a_host_that_comes_back_finds_its_own_secret(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    own = Wanted("f/seal/edge1-692", "password", 32, ())
    kept = ensure_secrets(path, (TOKEN, own))["f/seal/edge1-692"]
    assert ensure_secrets(path, (TOKEN,)).keys() == {"f/token"}
    assert "f/seal/edge1-692" in yaml.safe_load(read_vault(path))
    assert ensure_secrets(path, (TOKEN, own))["f/seal/edge1-692"] == kept
