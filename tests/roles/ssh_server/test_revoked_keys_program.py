"""The program that makes the ssh daemon's list of refused keys: with the real ssh-keygen."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = (
    Path(__file__).parents[3] / "roles/ssh_server/files/usr/local/lib/province/revoked_keys.py"
)


@pytest.fixture
def program(tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("revoked_keys", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.DECLARED = tmp_path / "declared"
    module.FETCHED = tmp_path / "fetched"
    module.AUTHORITY = tmp_path / "authority.pub"
    module.IN_FORCE = tmp_path / "list.krl"
    for name in ("authority", "lost", "good"):
        keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name))
    for serial in ("7", "8"):
        sign = ["-q", "-s", str(tmp_path / "authority"), "-z", serial, "-I", "an_nguyen"]
        keygen(*sign, "-n", "an_nguyen", str(tmp_path / "good.pub"))
        (tmp_path / "good-cert.pub").rename(tmp_path / f"certificate_{serial}.pub")
    return module


def keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True)


def is_refused(program: ModuleType, name: str) -> bool:
    """What the daemon would say of a key or certificate."""
    path = program.IN_FORCE.with_name(f"{name}.pub")
    command = ["ssh-keygen", "-Q", "-f", str(program.IN_FORCE), str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_there_is_a_list_from_the_start(program: ModuleType) -> None:
    program.main()
    assert program.IN_FORCE.is_file()
    assert program.IN_FORCE.stat().st_mode & 0o777 == 0o644
    assert not is_refused(program, "lost")


def test_what_is_declared_and_what_the_authority_revoked_is_refused(
    program: ModuleType, tmp_path: Path
) -> None:
    program.DECLARED.write_text((tmp_path / "lost.pub").read_text())
    program.FETCHED.write_text("serial: 7\n")
    program.main()
    assert is_refused(program, "lost")
    assert is_refused(program, "certificate_7")
    assert not is_refused(program, "certificate_8")
    assert not is_refused(program, "good")


def test_a_name_revokes_every_certificate_that_says_it(program: ModuleType) -> None:
    program.FETCHED.write_text("id: an_nguyen\n")
    program.main()
    assert is_refused(program, "certificate_7")
    assert is_refused(program, "certificate_8")


def test_a_list_that_says_the_same_is_not_exchanged(program: ModuleType) -> None:
    program.FETCHED.write_text("serial: 7\n")
    program.main()
    before = program.IN_FORCE.stat().st_ino
    program.main()
    assert program.IN_FORCE.stat().st_ino == before
    program.FETCHED.write_text("serial: 7\nserial: 9\n")
    program.main()
    assert program.IN_FORCE.stat().st_ino != before


def test_what_cannot_be_read_replaces_nothing(program: ModuleType) -> None:
    program.FETCHED.write_text("serial: 7\n")
    program.main()
    program.FETCHED.write_text("serial: seven\n")
    with pytest.raises(SystemExit, match="the list in force stays"):
        program.main()
    assert is_refused(program, "certificate_7")


@pytest.mark.parametrize("in_force", [None, "no list"])
def test_nobody_is_locked_out_by_a_list_that_cannot_be_made(
    program: ModuleType, in_force: str | None
) -> None:
    if in_force:
        program.IN_FORCE.write_text(in_force)
    program.DECLARED.write_text("no key at all\n")
    with pytest.raises(SystemExit, match="an empty one is in force"):
        program.main()
    assert not is_refused(program, "good")


def test_nothing_is_left_beside_the_list(program: ModuleType) -> None:
    before = set(program.IN_FORCE.parent.iterdir())
    program.main()
    assert set(program.IN_FORCE.parent.iterdir()) - before == {program.IN_FORCE}
