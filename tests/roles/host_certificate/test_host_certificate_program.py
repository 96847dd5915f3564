"""The program that keeps a host's certificates: real keys and openssl, a pretended `step`."""

import importlib.util
import io
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.authority import Profile
from infra.authority.certificates import issuing_certificate, root_certificate

PROGRAM = Path(__file__).parents[3] / (
    "roles/host_certificate/files/usr/local/lib/province/host_certificate.py"
)
NOW = datetime.now(UTC)
Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
WANTED = {
    "name": "syslog",
    "common_name": "mgt1-70.binhphuoc.internal",
    "dns_names": ["mgt1-70.binhphuoc.internal", "log.binhphuoc.internal"],
    "addresses": ["10.70.6.12", "fd70:0:70:6::12"],
    "owner": "root",
    "group": "root",
    "reload": [],
}


class Authority:
    """A root and an issuing authority, and what they sign."""

    def __init__(self) -> None:
        profile = Profile("Bình Phước", ("binhphuoc.internal",), ("10.0.0.0/8", "fd70::/32"))
        root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.root = root_certificate(profile, root_key, NOW)
        self.issuing = issuing_certificate(profile, self.key.public_key(), self.root, root_key, NOW)
        self.issuer = x509.load_pem_x509_certificate(self.issuing.encode()).subject

    def certify(
        self, key: ec.EllipticCurvePublicKey, wanted: dict, end: datetime = NOW + timedelta(days=3)
    ) -> str:
        names = [*map(x509.DNSName, wanted["dns_names"])]
        names += [x509.IPAddress(ip_address(address)) for address in wanted["addresses"]]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted["common_name"])])
            )
            .issuer_name(self.issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=4))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode() + self.issuing

    def sign(self, request: dict, **changes: object) -> str:
        key = x509.load_pem_x509_csr(request["request"].encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return self.certify(key, {**request, **changes})

    def revocation_list(self, *serials: int) -> str:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuer)
            .last_update(NOW)
            .next_update(NOW + timedelta(days=1))
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
            )
        signed = builder.sign(self.key, hashes.SHA384())
        return signed.public_bytes(serialization.Encoding.PEM).decode()


class Host:
    """The program below a temporary folder, with what it was told and printed."""

    def __init__(self, place: Path, authority: Authority) -> None:
        self.authority = authority
        self.pki = place / "pki"
        self.pki.mkdir()
        self.commands: list[list[str]] = []
        self.is_due = False
        spec = importlib.util.spec_from_file_location("host_certificate", PROGRAM)
        assert spec is not None
        assert spec.loader is not None
        self.program: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        self.program.SETTINGS = place / "settings.json"
        self.program.PKI = self.pki
        self.program.VERSIONS = self.pki / ".versions"
        self.program.ROOT = self.pki / "root.pem"
        self.program.ISSUING = self.pki / "issuing.pem"
        self.program.REVOCATIONS = self.pki / "issuing.crl"
        self.program.ROOT.write_text(authority.root)
        self.program.ISSUING.write_text(authority.issuing)
        self._really_call = self.program.call
        self.program.call = self._call
        self.declare(WANTED)

    def declare(self, *certificates: dict) -> None:
        settings = {
            "authority": {"url": "https://ca.test"},
            "certificates": certificates,
        }
        self.program.SETTINGS.write_text(json.dumps(settings))

    def _call(self, command: list) -> subprocess.CompletedProcess[str]:
        words = list(map(str, command))
        self.commands.append(words)
        if words[0] not in {"step", "systemctl"}:
            return self._really_call(command)
        if words[:3] == ["step", "certificate", "needs-renewal"]:
            return subprocess.CompletedProcess(words, 0 if self.is_due else 1, "", "")
        if words[:3] == ["step", "ca", "rekey"]:
            self._rekey(words)
        if words[:3] == ["step", "ca", "renew"]:
            return subprocess.CompletedProcess(words, 1, "", "connection refused")
        return subprocess.CompletedProcess(words, 0, "", "")

    def _rekey(self, words: list[str]) -> None:
        out = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
        key = ec.generate_private_key(ec.SECP256R1())
        Path(out["out-key"]).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        Path(out["out-cert"]).write_text(self.authority.certify(key.public_key(), WANTED))

    def ask(self, capsys: pytest.CaptureFixture[str], verb: str = "request") -> list[dict]:
        capsys.readouterr()
        self.program.main([verb])
        return json.loads(capsys.readouterr().out)["requests"]

    def install(self, monkeypatch: pytest.MonkeyPatch, **chains: str) -> None:
        answer = {"certificates": chains, "revocation_list": self.authority.revocation_list()}
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(answer)))
        self.program.main(["install"])

    def become_certified(self, capsys: Captured, monkeypatch: Patch, **changes: object) -> None:
        [asked] = self.ask(capsys)
        self.install(monkeypatch, syslog=self.authority.sign(asked, **changes))

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.pki / "syslog/certificate.pem").read_bytes())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def host(tmp_path: Path, authority: Authority) -> Host:
    return Host(tmp_path, authority)


def test_missing_certificate_is_asked_for_with_all_its_names(host: Host, capsys: Captured) -> None:
    [asked] = host.ask(capsys)
    request = x509.load_pem_x509_csr(asked["request"].encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert asked["why"] == "there is none"
    assert names.get_values_for_type(x509.DNSName) == WANTED["dns_names"]
    assert [*map(str, names.get_values_for_type(x509.IPAddress))] == WANTED["addresses"]
    assert "PRIVATE" not in json.dumps(asked)


def test_looking_makes_no_key(host: Host, capsys: Captured) -> None:
    [asked] = host.ask(capsys, "look")
    assert "request" not in asked
    assert not (host.pki / ".versions").exists()


def test_installed_certificate_does_and_only_owner_and_group_read_its_key(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    host.become_certified(capsys, monkeypatch)
    assert host.ask(capsys) == []
    assert (host.pki / "syslog/key.pem").stat().st_mode & 0o777 == 0o640
    assert (host.pki / "syslog/chain.pem").read_text().count("BEGIN CERTIFICATE") == 2
    assert "X509 CRL" in (host.pki / "issuing.crl").read_text()


def test_certificate_for_another_key_is_refused_and_the_old_one_stays(
    host: Host, capsys: Captured, monkeypatch: Patch, authority: Authority
) -> None:
    host.become_certified(capsys, monkeypatch)
    before = host.certificate
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    host.declare({**WANTED, "dns_names": WANTED["dns_names"][:1]})
    [asked] = host.ask(capsys)
    assert asked["why"] == "it says other names"
    with pytest.raises(SystemExit, match="what came back belongs to another key"):
        host.install(monkeypatch, syslog=authority.certify(other, asked))
    assert host.certificate == before


def test_certificate_that_says_other_names_is_refused(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    with pytest.raises(SystemExit, match="what came back says"):
        host.become_certified(capsys, monkeypatch, dns_names=["db1-70.binhphuoc.internal"])
    assert not (host.pki / "syslog").exists()


def test_revoked_certificate_is_asked_for_anew(
    host: Host, capsys: Captured, monkeypatch: Patch, authority: Authority
) -> None:
    host.become_certified(capsys, monkeypatch)
    revoked = authority.revocation_list(host.certificate.serial_number)
    (host.pki / "issuing.crl").write_text(revoked)
    assert [one["why"] for one in host.ask(capsys)] == ["it has been revoked"]


def test_certificate_of_another_authority_is_asked_for_anew(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    host.become_certified(capsys, monkeypatch)
    other = Authority()
    (host.pki / "root.pem").write_text(other.root)
    (host.pki / "issuing.pem").write_text(other.issuing)
    assert [one["why"] for one in host.ask(capsys)] == ["another authority has signed it"]


def test_renewal_does_nothing_before_it_is_due(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    host.become_certified(capsys, monkeypatch)
    before = host.certificate
    host.program.main(["renew"])
    assert host.certificate == before


def test_due_certificate_gets_a_new_key_and_running_daemons_read_it(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    host.declare({**WANTED, "reload": ["rsyslog.service"]})
    host.become_certified(capsys, monkeypatch)
    before = host.certificate
    host.is_due = True
    host.commands.clear()
    host.program.main(["renew"])
    assert host.certificate.public_key() != before.public_key()
    assert ["systemctl", "reload", "rsyslog.service"] in host.commands
    assert len([*(host.pki / ".versions").iterdir()]) == 1


def test_expired_certificate_is_renewed_without_a_connection_of_its_own(
    host: Host, capsys: Captured, monkeypatch: Patch, authority: Authority
) -> None:
    host.become_certified(capsys, monkeypatch)
    key = host.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    expired = authority.certify(key, WANTED, end=NOW - timedelta(days=1))
    (host.pki / "syslog/certificate.pem").write_text(expired)
    host.is_due = True
    with pytest.raises(SystemExit) as caught:
        host.program.main(["renew"])
    [renewal] = [words for words in host.commands if words[:3] == ["step", "ca", "renew"]]
    assert "--mtls=false" in renewal
    assert str(caught.value) == (
        "certificate 'syslog': 'step ca renew' exited 1: connection refused"
    )


def test_what_a_killed_run_left_is_no_hindrance(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    [asked] = host.ask(capsys)
    shutil.copytree(host.pki / ".versions/syslog.waiting", host.pki / ".versions/syslog.0123")
    (host.pki / ".versions/syslog.link").symlink_to("nowhere")
    host.become_certified(capsys, monkeypatch)
    assert host.ask(capsys) == []
    assert asked["why"] == "there is none"
    assert len([*(host.pki / ".versions").iterdir()]) == 1


def test_owner_that_does_not_exist_is_named(
    host: Host, capsys: Captured, monkeypatch: Patch
) -> None:
    host.declare({**WANTED, "group": "nobody_at_all"})
    [asked] = host.ask(capsys)
    with pytest.raises(SystemExit, match="install the daemon that it belongs to, then run"):
        host.install(monkeypatch, syslog=host.authority.sign(asked))


def test_renewal_without_a_first_certificate_fails(host: Host) -> None:
    with pytest.raises(SystemExit, match="comes over the configuration channel"):
        host.program.main(["renew"])
