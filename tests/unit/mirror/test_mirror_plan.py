"""What the mirror holds and says of itself, from texts as apt prints them."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import MirrorError
from infra.mirror import plan
from infra.mirror.plan import Archive, Published, Sources

SHA = "0f" * 32
ARCHIVE = Archive(
    uri="http://archive.example/debian/pool/main/b/bind9/bind9_9.20.1%2bdeb13u1_amd64.deb",
    filename="bind9_1%3a9.20.1+deb13u1_amd64.deb",
    size=300,
    sha256=SHA,
)
NEWER = datetime(2026, 11, 21, 9, 15, 44, tzinfo=UTC)
OLDER = NEWER - timedelta(days=30)


def test_names_are_asked_once_and_in_order() -> None:
    assert plan.checked_names(["nftables", "chrony", "nftables"]) == ("chrony", "nftables")


@pytest.mark.parametrize("name", ["-oDir=/", "chrony=4.6", "*", "Chrony", "a b", ""])
def test_what_apt_could_take_for_an_order_is_no_name(name: str) -> None:
    with pytest.raises(MirrorError) as refused:
        plan.checked_names(["chrony", name])

    assert refused.value.sentence == (
        f"package mirror: {name!r} is no package name; names have small letters, digits, '+', '.' "
        "and '-': mend 'packages' in the function.yml that names it"
    )


def test_only_the_way_to_an_archive_is_taken_from_the_controllers_apt() -> None:
    dump = (
        'APT::Default-Release "sid";\n'
        'DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";\n'
        'Acquire::Languages "vi";\n'
        'Acquire::http "";\n'
        'Acquire::http::Proxy "http://proxy.example:3128/";\n'
        'Acquire::https::Verify-Peer "true";\n'
        'Acquire::httpsomething "no";\n'
        'Acquire::ForceIPv4 "true";\n'
    )

    assert plan.transport_settings(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128/";',
        'Acquire::https::Verify-Peer "true";',
        'Acquire::ForceIPv4 "true";',
    )


def test_our_own_settings_come_after_the_transport_and_win() -> None:
    text = plan.render_configuration(Path("/cache/apt"), "amd64", ['Acquire::Retries "0";'])

    assert text.index('Acquire::Retries "0";') < text.index('Acquire::Retries "3";')
    assert 'Dir "/cache/apt/";' in text


@pytest.mark.parametrize("release", ["bookworm", "oldstable"])
def test_packages_come_from_where_this_machine_takes_its_own(release: str) -> None:
    targets = (
        "nodistro main http://other.example/node/\n"
        f"{release} stable http://other.example/docker/\n"
        f"{release} main http://archive.example/debian/\n"
        f"{release}-updates main http://archive.example/debian/\n"
        f"{release}-security main http://archive.example/security/\n"
    )

    assert plan.find_sources(targets, "bookworm") == Sources(
        "http://archive.example/debian/", "http://archive.example/security/"
    )


def test_a_machine_without_security_updates_carries_no_mirror() -> None:
    with pytest.raises(MirrorError) as refused:
        plan.find_sources("bookworm main http://archive.example/debian/\n", "bookworm")

    assert refused.value.sentence == (
        "package mirror: apt on this machine has no source for bookworm-security main; the mirror "
        "takes its packages from where this machine takes its own: add that source to "
        "/etc/apt/sources.list.d and run 'apt-get update'"
    )


def test_what_apt_prints_is_read_whole_and_written_back_the_same() -> None:
    printed = plan.render_uris([ARCHIVE])

    assert plan.parse_uris(printed + printed) == (ARCHIVE,)
    assert ARCHIVE.request == "bind9:amd64=1:9.20.1+deb13u1"
    assert ARCHIVE.pool_name == "bind9_9.20.1+deb13u1_amd64.deb"


def test_a_file_without_a_strong_digest_is_refused() -> None:
    line = "'http://archive.example/a_1_all.deb' a_1_all.deb 12 MD5Sum:0123"

    with pytest.raises(MirrorError, match="a file with its size and SHA-256 is needed"):
        plan.parse_uris(line)


def index(*names: str) -> str:
    return "\n".join(
        f"Package: {name}\nVersion: 1\nArchitecture: amd64\nFilename: ./pool/main/{name}.deb\n"
        f"Size: 10\nSHA256: {SHA}\nDescription: about {name}\n more: words\n"
        for name in names
    )


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_files_decides_nothing(names: list[str]) -> None:
    assert plan.render_index(plan.parse_index(index(*names))) == plan.render_index(
        plan.parse_index(index("a", "b", "c", "d"))
    )


def test_a_file_with_another_content_than_vouched_for_is_found() -> None:
    stanzas = plan.parse_index(index("a", "b"))

    assert plan.wrong_hashes(stanzas, {"pool/main/a.deb": SHA, "pool/main/b.deb": SHA}) == ()
    assert plan.wrong_hashes(stanzas, {"pool/main/b.deb": "00" * 32, "pool/main/c.deb": SHA}) == (
        "pool/main/b.deb",
        "pool/main/c.deb",
    )


@pytest.mark.parametrize(
    ("newest", "before", "date"),
    [
        (NEWER, None, NEWER),
        (NEWER, Published(OLDER, "old"), NEWER),
        (NEWER, Published(NEWER, "same"), NEWER),
        (NEWER, Published(NEWER, "old"), NEWER + timedelta(seconds=1)),
        (OLDER, Published(NEWER, "old"), NEWER + timedelta(seconds=1)),
        (OLDER, Published(NEWER, "same"), NEWER),
    ],
)
def test_a_publication_never_goes_back_in_time(
    newest: datetime, before: Published | None, date: datetime
) -> None:
    assert plan.publication_date(newest, "same", before) == date


def test_a_release_vouches_for_its_files_and_is_read_back() -> None:
    files = {"main/binary-amd64/Packages": b"text", "main/binary-amd64/Packages.xz": b"packed"}

    release = plan.render_release(NEWER, files, "amd64", flat=False)

    text, packed = (hashlib.sha256(content).hexdigest() for content in files.values())
    assert release == (
        "Origin: Province\nLabel: Province\nSuite: province\nCodename: province\n"
        "Date: Sat, 21 Nov 2026 09:15:44 GMT\nValid-Until: Sun, 26 Dec 2027 09:15:44 GMT\n"
        "Architectures: amd64\nAcquire-By-Hash: yes\nComponents: main\nSHA256:\n"
        f" {text} 4 main/binary-amd64/Packages\n {packed} 6 main/binary-amd64/Packages.xz\n"
    )
    assert plan.read_published(release) == Published(NEWER, text)


def test_a_flat_repository_has_neither_components_nor_names_by_hash() -> None:
    release = plan.render_release(NEWER, {"Packages": b""}, "amd64", flat=True)

    assert "Components" not in release
    assert "By-Hash" not in release
    assert plan.read_published(release).date == NEWER


def test_debians_own_dates_are_understood() -> None:
    assert plan.release_date("Origin: Debian\nDate: Sat, 21 Nov 2026 09:15:44 UTC\n") == NEWER
