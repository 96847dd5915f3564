"""A repository on disk: signed, the same for the same input, and not touched without need.

The packages are of a few bytes and made here, with the tools that make the real ones.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.errors import MirrorError
from infra.mirror.pack import OwnPackage, pack
from infra.mirror.plan import SUITE
from infra.mirror.publish import (
    FLAT,
    Layout,
    PoolFile,
    Publication,
    Publisher,
    file_sha256,
    newest_build,
    suite_layout,
)
from infra.mirror.sign import opened_keyring

NEWEST = datetime(2026, 11, 21, 9, 15, 44, tzinfo=UTC)
SUITE_LAYOUT = suite_layout("amd64")


def packed(folder: Path, name: str, version: str = "1", content: bytes = b"program") -> PoolFile:
    program = folder / f"{name}.program"
    program.write_bytes(content)
    package = OwnPackage(name, version, "amd64", name, program, "a sample", "For tests only.")
    path = pack(package, lambda _line: None)
    return PoolFile(path.name, path, file_sha256(path))


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVINCE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def signing_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Longer than the kernel takes for a socket, as a checkout can be.
    return tmp_path_factory.mktemp("secrets") / ("deep" * 30) / "archive"


@pytest.fixture
def publisher(signing_home: Path, tmp_path: Path) -> Iterator[Publisher]:
    with opened_keyring(signing_home) as keyring:
        yield Publisher(keyring, "amd64", tmp_path / "hashes.db")


def publish(
    publisher: Publisher, output: Path, *files: PoolFile, layout: Layout = SUITE_LAYOUT
) -> Publication:
    return publisher.publish(output, layout, files, NEWEST)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_package_is_the_same_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packed(tmp_path, "one")
    monkeypatch.setenv("PROVINCE_CACHE", str(tmp_path / "another"))

    again = packed(tmp_path, "one")

    assert again.source != first.source
    assert again.sha256 == first.sha256


def test_a_package_says_itself_when_it_was_built(tmp_path: Path) -> None:
    assert newest_build((packed(tmp_path, "one"),)) == datetime(2025, 1, 1, tzinfo=UTC)


def test_a_package_holds_its_program_and_starts_nothing(tmp_path: Path) -> None:
    deb = packed(tmp_path, "one").source

    listed = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True)
    control = subprocess.run(
        ["dpkg-deb", "--ctrl-tarfile", deb], capture_output=True, check=True
    ).stdout
    scripts = subprocess.run(["tar", "-t"], input=control, capture_output=True, check=True).stdout

    files = [line.split()[-1] for line in listed.stdout.splitlines() if line.startswith("-")]
    assert files == ["./usr/bin/one", "./usr/share/doc/one/copyright"]
    assert scripts.decode().split() == ["./", "./control"]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, publisher: Publisher) -> None:
    one, two = packed(tmp_path, "one"), packed(tmp_path, "two")

    publish(publisher, tmp_path / "a", one, two)
    publish(publisher, tmp_path / "b", two, one)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_with_nothing_new_nothing_is_written(tmp_path: Path, publisher: Publisher) -> None:
    one, output = packed(tmp_path, "one"), tmp_path / "mirror"
    first = publish(publisher, output, one)
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("*")}

    again = publish(publisher, output, one)

    assert first.changed
    assert not again.changed
    assert again.digest == first.digest
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == stamps


def test_a_new_program_under_an_old_version_is_seen(tmp_path: Path, publisher: Publisher) -> None:
    output = tmp_path / "mirror"
    first = publish(publisher, output, packed(tmp_path, "one"))

    again = publish(publisher, output, packed(tmp_path, "one", content=b"another program"))

    assert again.changed
    assert again.digest != first.digest
    assert again.date > first.date


def test_what_is_no_longer_wanted_goes_and_the_index_of_before_stays(
    tmp_path: Path, publisher: Publisher
) -> None:
    one, two, output = packed(tmp_path, "one"), packed(tmp_path, "two"), tmp_path / "mirror"
    by_hash = output / "dists" / SUITE / "main/binary-amd64/by-hash/SHA256"
    publish(publisher, output, one, two)
    before = {path.name for path in by_hash.iterdir()}

    publish(publisher, output, one)
    kept = {path.name for path in by_hash.iterdir()}
    publish(publisher, output, two)

    assert [path.name for path in (output / "pool/main").iterdir()] == [two.name]
    assert before < kept
    assert len(kept) == 4
    assert before.isdisjoint(path.name for path in by_hash.iterdir())


def test_a_killed_publication_is_finished_by_the_next(tmp_path: Path, publisher: Publisher) -> None:
    one, two, output = packed(tmp_path, "one"), packed(tmp_path, "two"), tmp_path / "mirror"
    whole = publish(publisher, output, one, two)
    (output / "dists" / SUITE / "InRelease").unlink()
    (output / "pool/main" / two.name).unlink()

    again = publish(publisher, output, one, two)

    assert again.changed
    assert again.digest == whole.digest


def test_a_damaged_package_is_not_published(tmp_path: Path, publisher: Publisher) -> None:
    one, output = packed(tmp_path, "one"), tmp_path / "mirror"
    wrong = PoolFile(one.name, one.source, "00" * 32)

    with pytest.raises(MirrorError, match=r"/one_1_amd64\.deb: the content is not what"):
        publish(publisher, output, wrong)

    assert not (output / "dists").exists()


@pytest.mark.parametrize("layout", [SUITE_LAYOUT, FLAT], ids=["suite", "flat"])
def test_apt_accepts_the_signature_and_refuses_a_changed_letter(
    tmp_path: Path, publisher: Publisher, layout: Layout
) -> None:
    output = tmp_path / "mirror"
    made = publish(publisher, output, packed(tmp_path, "one"), layout=layout)
    suites = "./" if layout.flat else f"{SUITE} main"
    for folder in ("etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
        (tmp_path / "apt" / folder).mkdir(parents=True)
    source = f"deb [arch=amd64 signed-by={made.key}] file:{output} {suites}\n"
    (tmp_path / "apt/etc/sources.list").write_text(source)
    (tmp_path / "status").touch()

    def update() -> subprocess.CompletedProcess[str]:
        options = {
            "Dir": f"{tmp_path}/apt/",
            "Dir::Etc": "etc",
            "Dir::State": "state",
            "Dir::Cache": "cache",
            "Dir::State::status": str(tmp_path / "status"),
            "APT::Sandbox::User": "root",
        }
        command = ["apt-get", "update", "--error-on=any"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    accepted = update()
    signed = output / layout.release / "InRelease"
    signed.write_text(signed.read_text().replace("Label: Province", "Label: Provinz"))
    refused = update()

    assert accepted.returncode == 0, accepted.stderr
    assert refused.returncode != 0
    assert "file:" in refused.stderr


def test_the_key_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "archive"
    with opened_keyring(home) as keyring:
        made = keyring.key
    with opened_keyring(home) as keyring:
        found = keyring.key

    assert found == made
    assert (home / "archive_signing_key.asc").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_keys_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with (
        pytest.raises(MirrorError, match="others than its owner may enter"),
        opened_keyring(tmp_path),
    ):
        pass


def test_an_agent_does_not_outlive_the_signature(tmp_path: Path) -> None:
    home = tmp_path / "archive"
    with opened_keyring(home) as keyring:
        keyring.clear_sign("text", NEWEST)

    assert [path.name for path in home.iterdir()] == ["archive_signing_key.asc"]
    arguments = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _alive(path)]
    assert not any(b"gpg-agent" in one and str(home).encode() in one for one in arguments)


def _alive(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False
