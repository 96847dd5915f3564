"""Manifest and package records: what is read from and written to a host."""

import hashlib
from pathlib import Path

import pytest
from managed_files import manifest, packages
from managed_files.manifest import Entry


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A host with one file of each of the three kinds that packages vouch for."""
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    (tmp_path / "var/lib/ucf").mkdir()
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: nftables\nStatus: install ok installed\nConffiles:\n"
        f" /etc/nftables.conf {md5(b'flush')}\n /etc/old.conf {md5(b'old')} obsolete\n"
        "Description: rules\n\n"
        "Package: other\nDescription: text\n /etc/nftables.conf is mentioned here\n"
    )
    (tmp_path / "var/lib/ucf/registry").write_text("openssh-server \t /etc/ssh/sshd_config\n")
    (tmp_path / "var/lib/ucf/hashfile").write_text(f"{md5(b'sshd')}  /etc/ssh/sshd_config\n")
    (tmp_path / "var/lib/dpkg/info/libc6:amd64.md5sums").write_text(
        f"{md5(b'unit')}  usr/lib/systemd/system/x.service\n"
    )
    return tmp_path


def test_a_packages_own_file_is_known_in_three_records(debian: Path) -> None:
    contents = {
        "/etc/nftables.conf": b"flush",
        "/etc/old.conf": b"old",
        "/etc/ssh/sshd_config": b"sshd",
        "/usr/lib/systemd/system/x.service": b"unit",
    }
    assert packages.unmodified(debian, contents) == {
        "/etc/nftables.conf": "nftables",
        "/etc/old.conf": "nftables",
        "/etc/ssh/sshd_config": "openssh-server",
        "/usr/lib/systemd/system/x.service": "libc6",
    }


def test_a_changed_file_of_a_package_is_not_vouched_for(debian: Path) -> None:
    assert packages.unmodified(debian, {"/etc/nftables.conf": b"changed"}) == {}


def test_a_host_without_dpkg_vouches_for_nothing(tmp_path: Path) -> None:
    assert packages.unmodified(tmp_path, {"/etc/x": b""}) == {}


MANIFEST = {
    "/etc/a.conf": Entry(
        "file", "0640", "root", "root", "ab" * 32, secret=True, origin={"kind": "nothing"}
    ),
    "/etc/a.d": Entry("directory", "0755", "root", "root", origin={"kind": "parent"}),
    "/etc/link": Entry("link", target="a.conf", origin={"kind": "nothing"}),
}


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    place = tmp_path / "time_sync.json"
    manifest.save(place, "time_sync", MANIFEST)
    assert manifest.load(place) == MANIFEST
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_manifest_is_the_same_bytes_in_any_order() -> None:
    turned = dict(reversed(MANIFEST.items()))
    assert manifest.render("a", MANIFEST) == manifest.render("a", turned)
    assert manifest.render("a", MANIFEST).endswith(b"}\n")


def test_the_digest_speaks_of_what_is_wanted_alone() -> None:
    wanted = manifest.desired_digest("a", MANIFEST)
    file = MANIFEST["/etc/a.conf"]
    same = {**MANIFEST, "/etc/a.conf": file._replace(origin={"kind": "package", "backup": "x"})}
    other = {**MANIFEST, "/etc/a.conf": file._replace(mode="0600")}
    without_parent = {path: entry for path, entry in MANIFEST.items() if path != "/etc/a.d"}
    assert manifest.desired_digest("a", same) == wanted
    assert manifest.desired_digest("a", without_parent) == wanted
    assert manifest.desired_digest("a", other) != wanted


def test_an_empty_manifest_is_no_file(tmp_path: Path) -> None:
    place = tmp_path / "time_sync.json"
    manifest.save(place, "time_sync", MANIFEST)
    manifest.save(place, "time_sync", {})
    assert not place.exists()
    assert manifest.load(place) == {}


def test_a_manifest_of_another_schema_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "time_sync.json"
    place.write_text('{"schema": 2}')
    with pytest.raises(ValueError, match="has schema 2; this program knows 1") as refused:
        manifest.load(place)
    assert str(refused.value) == (
        f"{place}: has schema 2; this program knows 1; "
        "use the checkout that configured this host last, or a newer one"
    )


def test_a_path_of_another_role_is_found(tmp_path: Path) -> None:
    manifest.save(tmp_path / "time_sync.json", "time_sync", MANIFEST)
    asked = {"/etc/a.conf", "/etc/a.d", "/etc/new"}
    assert manifest.owners_elsewhere(tmp_path, "firewall", asked) == {"/etc/a.conf": "time_sync"}
    assert manifest.owners_elsewhere(tmp_path, "time_sync", asked) == {}
