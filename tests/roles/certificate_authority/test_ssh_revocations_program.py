"""The program that keeps and signs what opens nothing any more, with keys as the ceremony's."""

import importlib.util
import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROGRAM = Path(__file__).parents[3] / (
    "roles/certificate_authority/files/usr/local/lib/province/ssh_revocations.py"
)
PASSPHRASE = b"a phrase that nobody types"
MARK = "-----BEGIN SSH SIGNATURE-----"


@pytest.fixture
def program(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ssh_revocations", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.KEY, module.PASSPHRASE = tmp_path / "key.pem", tmp_path / "passphrase"
    module.SETTINGS = tmp_path / "settings.json"
    module.RECORDS = tmp_path / "records.json"
    module.PUBLISHED = tmp_path / "list"
    module.AUTOMATION_KEYS = tmp_path / "authorized_keys"
    key = ec.generate_private_key(ec.SECP384R1())
    module.KEY.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE),
        )
    )
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    allowed = f'authority namespaces="ssh_revocations" {line.decode()}\n'
    (tmp_path / "allowed").write_text(allowed)
    module.PASSPHRASE.write_bytes(PASSPHRASE)
    module.SETTINGS.write_text('{"valid_hours": 24}')
    return module


def published(program: ModuleType) -> dict:
    """What the list says, when its signature holds."""
    place = program.PUBLISHED.parent
    said, mark, rest = program.PUBLISHED.read_text().partition(MARK)
    (place / "signature").write_text(mark + rest)
    command = ["ssh-keygen", "-Y", "verify", "-f", place / "allowed", "-I", "authority"]
    command += ["-n", "ssh_revocations", "-s", place / "signature"]
    subprocess.run(command, input=said.encode(), check=True, capture_output=True)
    return json.loads(said)


def public_key(place: Path) -> str:
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lost", "-f", str(place / "lost")]
    subprocess.run(made, check=True)
    return (place / "lost.pub").read_text().strip()


def test_an_empty_list_is_signed_too(program: ModuleType) -> None:
    program.main(["publish"])
    said = published(program)
    made, until = (datetime.fromisoformat(said[key]) for key in ("this_update", "next_update"))
    assert said["revoked"] == []
    assert timedelta(hours=23) < until - made < timedelta(hours=25)
    assert program.PUBLISHED.stat().st_mode & 0o777 == 0o644


def test_what_is_revoked_is_published_at_once_and_stays(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = public_key(tmp_path)
    program.main(["revoke", "serial", "0123", "signed", "by", "mistake"])
    program.main(["revoke", "key", line, "laptop lost"])
    program.main(["revoke", "name", "an_nguyen", "left"])
    expected = ["serial: 123", f"key: {' '.join(line.split()[:2])}", "id: an_nguyen"]
    assert published(program)["revoked"] == expected
    program.main(["publish"])
    assert published(program)["revoked"] == expected
    capsys.readouterr()
    program.main(["list"])
    assert "serial: 123 (signed by mistake)" in capsys.readouterr().out


def test_the_same_twice_stands_once(program: ModuleType) -> None:
    program.main(["revoke", "serial", "5", "once"])
    program.main(["revoke", "serial", "5", "twice"])
    assert published(program)["revoked"] == ["serial: 5"]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("serial", "0", "is not a number"),
        ("serial", "-4", "is not a number"),
        ("serial", "18446744073709551616", "is not a number"),
        ("key", "ssh-ed25519 AAAA", "is not a public key"),
        ("key", "", "is not a public key"),
        ("name", "a b\nserial: 1", "is no name"),
    ],
)
def test_what_hosts_could_not_read_is_refused(
    program: ModuleType, kind: str, value: str, said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        program.main(["revoke", kind, value, "reason"])
    assert not program.RECORDS.exists()


def test_the_key_by_which_hosts_are_configured_is_refused(
    program: ModuleType, tmp_path: Path
) -> None:
    line = public_key(tmp_path)
    program.AUTOMATION_KEYS.write_text(f"{line}\n")
    with pytest.raises(SystemExit, match="lock the controller out"):
        program.main(["revoke", "key", line, "stolen"])
    assert not program.RECORDS.exists()


def test_a_reason_is_required(program: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"ssh_revocations\.py revoke"):
        program.main(["revoke", "serial", "5"])
