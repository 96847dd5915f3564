"""The program that fetches revocation lists: real lists and signatures, over a real connection."""

import importlib.util
import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.authority import Profile
from infra.authority.certificates import issuing_certificate, root_certificate

ROLES = Path(__file__).parents[3] / "roles"
PROGRAM = ROLES / "revocation_lists/files/usr/local/lib/province/revocation_lists.py"
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


class Authority:
    """An issuing authority and one for people's keys, and a server of what they signed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        profile = Profile("Bình Phước", ("binhphuoc.internal",), ("10.0.0.0/8", "fd70::/32"))
        root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP384R1())
        root = root_certificate(profile, root_key, NOW)
        self.issuing = issuing_certificate(profile, self.key.public_key(), root, root_key, NOW)
        keygen = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(place / "people")]
        subprocess.run(keygen, check=True)
        self.people = " ".join((place / "people.pub").read_text().split()[:2])
        self.bodies: dict[str, bytes] = {}

    def publish_certificates(self, *serials: int, made: datetime = NOW, hours: int = 24) -> None:
        name = x509.load_pem_x509_certificate(self.issuing.encode()).subject
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name)
            .last_update(made)
            .next_update(made + hours * HOUR)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
            builder = builder.add_revoked_certificate(revoked.build())
        signed = builder.sign(self.key, hashes.SHA384())
        self.bodies["/crl"] = signed.public_bytes(serialization.Encoding.DER)

    def publish_ssh(self, *lines: str, made: datetime = NOW, hours: int = 24) -> None:
        said = {
            "this_update": made.isoformat(),
            "next_update": (made + hours * HOUR).isoformat(),
            "revoked": lines,
        }
        text = json.dumps(said)
        sign = ["ssh-keygen", "-Y", "sign", "-n", "ssh_revocations", "-f", self.place / "people"]
        done = subprocess.run(sign, input=text, capture_output=True, text=True, check=True)
        self.bodies["/list"] = text.encode() + done.stdout.encode()


class Host:
    """The program below a temporary folder."""

    def __init__(self, place: Path, authority: Authority, port: int) -> None:
        place.mkdir()
        spec = importlib.util.spec_from_file_location("revocation_lists", PROGRAM)
        assert spec is not None
        assert spec.loader is not None
        self.program: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        self.program.SETTINGS = place / "settings.json"
        self.program.ISSUING = place / "issuing.pem"
        self.program.CERTIFICATES = self.certificates = place / "issuing.crl"
        self.program.STATE_FOLDER = place / "revocation"
        self.ssh = place / "revocation/ssh_revoked"
        self.settings = {
            "crl_url": f"http://127.0.0.1:{port}/crl",
            "ssh_url": f"http://127.0.0.1:{port}/list",
            "ssh_authority": authority.people,
            "limit_hours": 24,
        }
        self.program.ISSUING.write_text(authority.issuing)

    def fetch(self, now: datetime = NOW) -> list[str]:
        failures: list[str] = self.program.fetch(self.settings, now)
        return failures

    def check(self, now: datetime) -> list[str]:
        failures: list[str] = self.program.check(self.settings, now)
        return failures

    def state(self) -> dict[str, object]:
        state: dict[str, object] = self.program.read_state()
        return state


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "authority")
    made.publish_certificates()
    made.publish_ssh()
    return made


@pytest.fixture
def host(tmp_path: Path, authority: Authority) -> Iterator[Host]:
    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = authority.bodies.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Host(tmp_path / "host", authority, server.server_port)
    server.shutdown()
    server.server_close()


def test_both_lists_come_and_their_age_can_be_asked(host: Host, authority: Authority) -> None:
    authority.publish_certificates(17, 18)
    authority.publish_ssh("serial: 5", f"key: {authority.people}", "id: an_nguyen")

    assert host.fetch() == []

    revoked = x509.load_pem_x509_crl(host.certificates.read_bytes())
    assert sorted(one.serial_number for one in revoked) == [17, 18]
    assert host.ssh.read_text() == f"serial: 5\nkey: {authority.people}\nid: an_nguyen\n"
    state = host.state()
    assert state["crl_next_update"] == (NOW + 24 * HOUR).isoformat()
    assert (state["crl_revoked"], state["ssh_revoked"]) == (2, 3)
    assert state["fetched_at"] == NOW.isoformat()
    assert host.check(NOW + HOUR) == []


def test_an_unchanged_list_is_not_written_again(host: Host) -> None:
    host.fetch()
    before = host.certificates.stat().st_ino, host.ssh.stat().st_ino
    assert host.fetch(NOW + HOUR) == []
    assert before == (host.certificates.stat().st_ino, host.ssh.stat().st_ino)
    assert host.state()["fetched_at"] == (NOW + HOUR).isoformat()


def test_an_older_list_is_refused_and_the_one_in_place_stays(
    host: Host, authority: Authority
) -> None:
    authority.publish_certificates(17)
    authority.publish_ssh("serial: 5")
    host.fetch()
    authority.publish_certificates(made=NOW - HOUR)
    authority.publish_ssh(made=NOW - HOUR)

    failures = host.fetch()

    assert [("older list is refused" in failure) for failure in failures] == [True, True]
    assert len(list(x509.load_pem_x509_crl(host.certificates.read_bytes()))) == 1
    assert host.ssh.read_text() == "serial: 5\n"


def test_a_list_that_another_authority_signed_is_refused(
    host: Host, authority: Authority, tmp_path: Path
) -> None:
    host.fetch()
    other = Authority(tmp_path / "other")
    other.publish_certificates(99, made=NOW + timedelta(minutes=1))
    other.publish_ssh("serial: 99", made=NOW + timedelta(minutes=1))
    before = host.certificates.read_text(), host.ssh.read_text()
    authority.bodies = other.bodies

    failures = host.fetch()

    assert [("our authority signed" in failure) for failure in failures] == [True, True]
    assert (host.certificates.read_text(), host.ssh.read_text()) == before


def test_a_word_changed_after_signing_is_found(host: Host, authority: Authority) -> None:
    authority.publish_ssh("serial: 5")
    authority.bodies["/list"] = authority.bodies["/list"].replace(b"serial: 5", b"serial: 6")
    (failure,) = host.fetch()
    assert "our authority signed" in failure
    assert not host.ssh.exists()


def test_a_line_that_is_not_understood_keeps_the_whole_list_out(
    host: Host, authority: Authority
) -> None:
    authority.publish_ssh("serial: 5", "hash: SHA256:abc")
    (failure,) = host.fetch()
    assert "hash: SHA256:abc" in failure
    assert not host.ssh.exists()


def test_a_list_from_the_future_is_refused(host: Host, authority: Authority) -> None:
    authority.publish_certificates(made=NOW + HOUR)
    (failure,) = host.fetch()
    assert "compare the clocks" in failure
    assert not host.certificates.exists()


def test_one_list_fails_and_the_other_comes(host: Host, authority: Authority) -> None:
    del authority.bodies["/list"]
    (failure,) = host.fetch()
    assert "answered with 404" in failure
    assert host.certificates.is_file()
    assert "404" in str(host.state()["ssh_failure"])
    assert host.state()["fetched_at"] is None


def test_an_authority_that_is_away_leaves_the_lists_in_place(host: Host) -> None:
    host.fetch()
    host.settings["crl_url"] = host.settings["ssh_url"] = "http://127.0.0.1:9/list"
    failures = host.fetch(NOW + HOUR)
    assert [("cannot be fetched" in failure) for failure in failures] == [True, True]
    assert host.certificates.is_file()
    assert host.state()["fetched_at"] == NOW.isoformat()


@pytest.mark.parametrize(
    ("hours_later", "valid_hours", "alarms"),
    [(23, 48, 0), (25, 48, 2), (23, 22, 2)],
    ids=["fresh", "older than the limit", "past its own end"],
)
def test_a_list_that_is_too_old_raises_an_alarm(
    host: Host, authority: Authority, hours_later: int, valid_hours: int, alarms: int
) -> None:
    authority.publish_certificates(hours=valid_hours)
    authority.publish_ssh(hours=valid_hours)
    host.fetch()
    failures = host.check(NOW + hours_later * HOUR)
    assert len(failures) == alarms
    assert all(f"is {hours_later}.0 hours old" in failure for failure in failures)


def test_a_list_that_never_came_raises_an_alarm(host: Host) -> None:
    failures = host.check(NOW)
    assert [("never came" in failure) for failure in failures] == [True, True]
