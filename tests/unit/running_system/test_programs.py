"""Programs on hosts read and write what the wire has; a wrong reading would look like proof."""

import datetime as dt
import hashlib
import json
import secrets
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asking import Question, ask, get, post
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import program
from probing import Place


def parts_of(name: str) -> dict[str, Any]:
    """A program's functions, without running it."""
    text = program(name)
    assert text.endswith("\nmain()\n")
    found: dict[str, Any] = {"__name__": name}
    exec(compile(text.removesuffix("main()\n"), name, "exec"), found)  # noqa: S102 - our own text
    return found


def run_here(argv: Any) -> str:  # noqa: ANN401 - any sequence
    command = [sys.executable, *argv[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


HERE = Place("here", run_here)


@dataclass(frozen=True)
class Authority:
    """Files of an authority and of a server that it certified."""

    root: str
    certificate: Path
    key: Path


def certified(name: str, issuer: Any = None) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:  # noqa: ANN401
    """A certificate for a name, by an issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by, signer = issuer or (None, key)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256()), key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    root = certified("root.example")
    leaf, key = certified("service.example", root)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    text = root[0].public_bytes(serialization.Encoding.PEM).decode()
    return Authority(text, certificate, private)


def serve(authority: Authority, *, wants_certificate: bool) -> tuple[socket.socket, int]:
    """A service that answers every request with 403, to those whom it lets in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(authority.certificate, authority.key)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.root)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as one:
                    one.recv(4096)
                    body = b'{"refused": true}'
                    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\n\r\n"
                    one.sendall(head.encode() + body)
                    one.recv(4096)
            except (ssl.SSLError, ConnectionError):
                plain.close()

    threading.Thread(target=answer, daemon=True).start()
    return listener, listener.getsockname()[1]


@pytest.fixture(scope="module")
def for_everybody(authority: Authority) -> Iterator[int]:
    listener, port = serve(authority, wants_certificate=False)
    yield port
    listener.close()


@pytest.fixture(scope="module")
def for_members(authority: Authority) -> Iterator[int]:
    listener, port = serve(authority, wants_certificate=True)
    yield port
    listener.close()


def test_a_status_and_a_body_come_back(authority: Authority, for_everybody: int) -> None:
    request = get("service.example", "/health")
    question = Question("127.0.0.1", for_everybody, "service.example", authority.root, request)

    (answer,) = ask(HERE, [question])

    assert (answer.answer, answer.status, answer.json()) == ("answered", 403, {"refused": True})


def test_a_certificate_of_another_name_is_no_answer(
    authority: Authority, for_everybody: int
) -> None:
    request = get("other.example", "/")
    question = Question("127.0.0.1", for_everybody, "other.example", authority.root, request)

    (answer,) = ask(HERE, [question])

    assert (answer.answer, answer.status) == ("refused", 0)


def test_whoever_shows_no_certificate_is_told_apart_from_a_member(
    authority: Authority, for_members: int
) -> None:
    """In TLS 1.3 the refusal comes only after a client has sent its request."""
    request = get("service.example", "/health")
    shown = str(authority.certificate), str(authority.key)
    stranger = Question("127.0.0.1", for_members, "service.example", authority.root, request)
    member = Question("127.0.0.1", for_members, "service.example", authority.root, request, *shown)

    answers = ask(HERE, [member, stranger])

    assert [one.answer for one in answers] == ["answered", "refused"]


def test_a_service_without_tls_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(5)

        def hang_up() -> None:
            one, _ = mute.accept()
            one.sendall(b"220 plain text\r\n")
            one.close()

        threading.Thread(target=hang_up, daemon=True).start()
        port = mute.getsockname()[1]
        (answer,) = ask(HERE, [Question("127.0.0.1", port, "x.example", "", get("x", "/"))])

    assert answer.answer == "refused"


def test_a_record_is_sent_with_its_length() -> None:
    said = post("service.example", "/records", {"text": "Ánh"})
    head, _, body = said.partition(b"\r\n\r\n")

    assert head.startswith(b"POST /records HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"text": "Ánh"}


@pytest.mark.parametrize(
    ("source", "destination"), [("10.64.3.2", "10.1.3.2"), ("fd00:64::2", "fd00:1::2")]
)
def test_a_forged_packet_is_whole_and_heard(source: str, destination: str) -> None:
    forge, hear = parts_of("forge"), parts_of("hear_sources")
    version, packet = forge["packet"](source, destination, 33434)
    kind = forge["ETHERTYPES"][version]

    assert hear["sender"](packet, kind, 33434) == source
    assert hear["sender"](packet, kind, 33435) is None
    # The sum over what a correct sum covers is zero (RFC 1071).
    if version == 4:
        assert forge["checksum"](packet[:20]) == 0
        pseudo, datagram = packet[12:20] + struct.pack("!BBH", 0, 17, len(packet) - 20), packet[20:]
    else:
        pseudo, datagram = packet[8:40] + struct.pack("!IxxxB", len(packet) - 40, 17), packet[40:]
    assert forge["checksum"](pseudo + datagram) == 0


def advert(family: str, protocol: int = 112) -> bytes:
    body = bytes([0x31, 10, 150, 2, 0, 20, 0, 0])
    if family == "ipv4":
        head = struct.pack("!BBHHHBBH", 0x46, 0, 32, 0, 0, 255, protocol, 0)
        return (
            head + socket.inet_aton("10.1.3.2") + socket.inet_aton("224.0.0.18") + bytes(4) + body
        )
    head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 255)
    ends = [socket.inet_pton(socket.AF_INET6, one) for one in ("fe80::2", "ff02::12")]
    return head + b"".join(ends) + body


@pytest.mark.parametrize(
    ("family", "kind", "sender"), [("ipv4", 0x0800, "10.1.3.2"), ("ipv6", 0x86DD, "fe80::2")]
)
def test_an_advert_is_read_with_its_sender_version_and_router(
    family: str, kind: int, sender: str
) -> None:
    read = parts_of("hear_adverts")["advert"]

    assert read(advert(family), kind) == [family, sender, 3, 10, 150]
    assert read(advert(family, protocol=17), kind) is None


def test_what_can_be_read_is_told_from_what_cannot(tmp_path: Path) -> None:
    looks = parts_of("raw_copies")
    table = bytes(range(256)) * 4
    scrambled = secrets.token_bytes(4096)
    (tmp_path / "plain").write_bytes(b"Nguyen Van An; 12 Tran Hung Dao\n" * 40)
    (tmp_path / "table").write_bytes(table)
    (tmp_path / "sealed").write_bytes(b"Salted__" + scrambled)

    found = looks["copies"](str(tmp_path))

    assert (found["files"], found["plain"]) == (3, ["plain", "table"])
    assert b"Salted__".hex() in found["heads"]


def test_a_key_is_found_wherever_it_stands(tmp_path: Path) -> None:
    digest = parts_of("raw_copies")["digests"]
    sha256 = hashlib.sha256
    (tmp_path / "settings").write_text("name=x\nabc123\n")
    (tmp_path / "key").write_text("def456\n")

    found = digest([str(tmp_path)])

    assert sha256(b"abc123").hexdigest() in found
    assert sha256(b"def456").hexdigest() in found
    assert sha256(b"ghi789").hexdigest() not in found
