"""The ceremony: what it makes, what it reads again, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from infra.authority import Material, Profile, hold_ceremony, read_material
from infra.authority.keys import read_key
from infra.errors import AuthorityError

NOW = datetime(2019, 7, 1, 8, 30, tzinfo=UTC)
PROFILE = Profile(
    organisation="Bình Phước",
    domains=("binhphuoc.internal",),
    prefixes=("10.0.0.0/8", "fd70::/32"),
)


class Ceremony:
    """A place to hold the ceremony in."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "authority"
        self.store = place / "removable_store"
        self.passphrase_file = place / "keys" / "root_passphrase"

    def hold(self, profile: Profile = PROFILE, now: datetime = NOW) -> Material:
        return hold_ceremony(
            profile,
            folder=self.folder,
            store=self.store,
            passphrase_file=self.passphrase_file,
            now=now,
        )

    def content(self) -> dict[str, bytes]:
        folders = (self.folder, self.store, self.passphrase_file.parent)
        return {
            str(path): path.read_bytes() for folder in folders for path in sorted(folder.iterdir())
        }


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(tmp_path)


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_root_allows_one_authority_below_it(ceremony: Ceremony) -> None:
    root = certificate(ceremony.hold().root_certificate)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=1)
    public_key = root.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp384r1"
    root.verify_directly_issued_by(root)


def test_issuing_authority_allows_none_below_it_and_our_own_names_only(
    ceremony: Ceremony,
) -> None:
    material = ceremony.hold()
    issuing = certificate(material.issuing_certificate)
    issuing.verify_directly_issued_by(certificate(material.root_certificate))
    basic = issuing.extensions.get_extension_for_class(x509.BasicConstraints)
    names = issuing.extensions.get_extension_for_class(x509.NameConstraints)
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    assert names.critical
    assert [str(name.value) for name in names.value.permitted_subtrees or ()] == [
        "binhphuoc.internal",
        "10.0.0.0/8",
        "fd70::/32",
    ]


def test_validity_counts_from_the_given_moment(ceremony: Ceremony) -> None:
    root = certificate(ceremony.hold().root_certificate)
    assert root.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert root.not_valid_after_utc == NOW - timedelta(minutes=5) + timedelta(days=7300)


def test_root_key_is_on_the_removable_store_alone(ceremony: Ceremony) -> None:
    material = ceremony.hold()
    pem = (ceremony.store / "root_key.pem").read_text()
    root_key = read_key(pem, ceremony.passphrase_file.read_text(), "root key")
    assert root_key.public_key() == certificate(material.root_certificate).public_key()
    assert not [path for path in ceremony.folder.iterdir() if pem in path.read_text()]


def test_every_key_is_encrypted_and_every_file_private(ceremony: Ceremony) -> None:
    material = ceremony.hold()
    keys = [
        material.issuing_key,
        material.ssh_host_authority_key,
        material.ssh_user_authority_key,
        material.provisioner_key,
        (ceremony.store / "root_key.pem").read_text(),
    ]
    assert all(key.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----") for key in keys)
    for path in (*ceremony.folder.iterdir(), *ceremony.store.iterdir(), ceremony.passphrase_file):
        assert path.stat().st_mode & 0o777 == 0o600
    assert ceremony.folder.stat().st_mode & 0o777 == 0o700
    assert ceremony.store.stat().st_mode & 0o777 == 0o700


def test_secrets_do_not_show_when_the_material_is_printed(ceremony: Ceremony) -> None:
    material = ceremony.hold()
    assert "PRIVATE" not in repr(material)
    assert material.issuing_passphrase not in repr(material)


def test_ssh_authorities_are_public_key_lines(ceremony: Ceremony) -> None:
    material = ceremony.hold()
    for line, pem in (
        (material.ssh_host_authority, material.ssh_host_authority_key),
        (material.ssh_user_authority, material.ssh_user_authority_key),
    ):
        assert "\n" not in line
        key = read_key(pem, material.issuing_passphrase, "ssh authority")
        assert load_ssh_public_key(line.encode()) == key.public_key()


def test_provisioner_is_a_public_key_named_by_its_thumbprint(ceremony: Ceremony) -> None:
    provisioner = json.loads(ceremony.hold().provisioner)
    assert sorted(provisioner) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
    assert len(provisioner["kid"]) == 43


def test_second_ceremony_changes_not_a_byte(ceremony: Ceremony) -> None:
    first = ceremony.hold()
    before = ceremony.content()
    assert ceremony.hold(now=NOW + timedelta(days=30)) == first
    assert ceremony.content() == before


def test_material_is_read_without_the_removable_store(ceremony: Ceremony) -> None:
    first = ceremony.hold()
    shutil.rmtree(ceremony.store)
    ceremony.passphrase_file.unlink()
    assert ceremony.hold() == first
    assert read_material(PROFILE, folder=ceremony.folder, now=NOW) == first


def test_killed_ceremony_goes_on_with_the_keys_it_made(ceremony: Ceremony) -> None:
    ceremony.hold()
    before = ceremony.content()
    (ceremony.folder / "issuing.pem").unlink()
    (ceremony.folder / "root.pem").unlink()
    (ceremony.folder / "ssh_user_authority_key.pem").unlink()
    (ceremony.folder / ".issuing.pem.new").write_text("half a certifi")
    ceremony.hold()
    after = ceremony.content()
    kept = [path for path in before if after[path] == before[path]]
    made = {Path(path).name for path in before if path not in kept}
    assert made == {"issuing.pem", "ssh_user_authority_key.pem"}
    assert sorted(after) == sorted(before)


def remove_store(ceremony: Ceremony) -> None:
    (ceremony.folder / "issuing.pem").unlink()
    shutil.rmtree(ceremony.store)


def remove_root_passphrase(ceremony: Ceremony) -> None:
    (ceremony.folder / "issuing.pem").unlink()
    ceremony.passphrase_file.unlink()


def open_key_to_others(ceremony: Ceremony) -> None:
    (ceremony.folder / "issuing_key.pem").chmod(0o640)


def exchange_passphrase(ceremony: Ceremony) -> None:
    (ceremony.folder / "issuing_passphrase").write_text("another")


def exchange_issuing_key(ceremony: Ceremony) -> None:
    shutil.copy(ceremony.folder / "ssh_host_authority_key.pem", ceremony.folder / "issuing_key.pem")


def exchange_root(ceremony: Ceremony) -> None:
    other = Ceremony(ceremony.folder.parent / "other")
    other.hold()
    shutil.copy(other.folder / "root.pem", ceremony.folder / "root.pem")


def spoil_certificate(ceremony: Ceremony) -> None:
    (ceremony.folder / "root.pem").write_text("no certificate")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove_store, "needs the root key; bring the removable store of this environment"),
        (remove_root_passphrase, "is not; both are needed; bring the passphrase from where it is"),
        (open_key_to_others, "has mode 0640, so others than its owner may enter"),
        (exchange_passphrase, "encrypted with the passphrase that was made in the same ceremony"),
        (exchange_issuing_key, "belongs to another key than the issuing key beside it"),
        (exchange_root, "is not signed by this environment's root"),
        (spoil_certificate, "root certificate: is no certificate"),
    ],
)
def test_spoilt_material_is_refused(
    ceremony: Ceremony, spoil: Callable[[Ceremony], None], sentence: str
) -> None:
    ceremony.hold()
    spoil(ceremony)
    with pytest.raises(AuthorityError) as caught:
        ceremony.hold()
    assert sentence in caught.value.sentence


def test_missing_parts_are_all_named(ceremony: Ceremony) -> None:
    ceremony.hold()
    (ceremony.folder / "issuing_key.pem").unlink()
    (ceremony.folder / "root.pem").unlink()
    with pytest.raises(AuthorityError, match=r"has no root\.pem, issuing_key\.pem; all parts"):
        ceremony.hold()


def test_other_blocks_than_those_that_were_signed_are_refused(ceremony: Ceremony) -> None:
    ceremony.hold()
    wider = Profile("Bình Phước", ("binhphuoc.internal",), ("10.0.0.0/8", "fd71::/32"))
    with pytest.raises(AuthorityError) as caught:
        ceremony.hold(wider)
    assert caught.value.sentence == (
        "issuing certificate: permits binhphuoc.internal, 10.0.0.0/8, fd70::/32; the declaration "
        "asks for binhphuoc.internal, 10.0.0.0/8, fd71::/32; move issuing.pem and issuing_key.pem "
        "away and hold the ceremony again with the removable store at hand"
    )


def test_expired_authority_is_refused(ceremony: Ceremony) -> None:
    ceremony.hold()
    with pytest.raises(AuthorityError, match="issuing certificate: is valid from 2019-07-01 to"):
        ceremony.hold(now=NOW + timedelta(days=4000))


def test_passphrase_on_the_store_is_refused_before_anything_is_made(ceremony: Ceremony) -> None:
    ceremony.passphrase_file = ceremony.store / "passphrase"
    with pytest.raises(AuthorityError, match="lies on the removable store"):
        ceremony.hold()
    assert not ceremony.store.exists()
    assert not ceremony.folder.exists()


def test_store_that_others_may_enter_is_refused(ceremony: Ceremony) -> None:
    ceremony.store.mkdir(mode=0o755)
    with pytest.raises(AuthorityError, match=r'has mode 0755.*run "chmod 0700'):
        ceremony.hold()


@pytest.mark.parametrize(
    ("domains", "prefixes"),
    [((), ("10.0.0.0/8", "fd70::/32")), (("a.internal",), ("10.0.0.0/8",)), (("a.internal",), ())],
)
def test_profile_that_leaves_a_kind_of_name_free_is_refused(
    domains: tuple[str, ...], prefixes: tuple[str, ...]
) -> None:
    with pytest.raises(AuthorityError, match="else that kind of name is free"):
        Profile("Bình Phước", domains, prefixes)


def test_prefix_that_is_none_is_refused() -> None:
    with pytest.raises(AuthorityError, match=r"10\.0\.0\.1/8 has host bits set; write prefixes as"):
        Profile("Bình Phước", ("a.internal",), ("10.0.0.1/8", "fd70::/32"))


def test_issuing_authority_cannot_outlive_the_root() -> None:
    with pytest.raises(AuthorityError, match="give it at most the root's lifetime"):
        Profile(
            "Bình Phước", ("a.internal",), ("10.0.0.0/8", "fd70::/32"), root_days=1, issuing_days=2
        )
