"""Answered, refused and silent are told apart; silence beside a dead control proves nothing."""

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest
from harness import CouldNotCheck, Seen
from probing import STRONG_PROPOSAL, WEAK_PROPOSAL, Answer, Place, Probe, dns, ike, tcp


def run_here(argv: Sequence[str]) -> str:
    command = [sys.executable, *argv[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


HERE = Place("here", run_here)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def mute() -> Iterator[int]:
    """A service that takes what comes and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def test_answers_come_back_in_the_order_of_the_probes(
    listener: int, closed_port: int, mute: int
) -> None:
    answers = HERE.probe_for_silence(
        Probe("udp", "127.0.0.1", mute, b"?"),
        tcp("127.0.0.1", listener),
        tcp("127.0.0.1", closed_port),
    )

    assert [one.answer for one in answers] == ["silent", "answered", "reset"]


def test_what_came_back_is_kept() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def echo() -> None:
            data, sender = server.recvfrom(100)
            server.sendto(data[::-1], sender)

        threading.Thread(target=echo, daemon=True).start()
        (answer,) = HERE.probe(Probe("udp", "127.0.0.1", server.getsockname()[1], b"abc"))

    assert answer.answered
    assert answer.data == b"cba"


def test_refusals_are_judged_only_beside_a_control_that_answers(
    listener: int, closed_port: int
) -> None:
    seen = Seen()
    (answer,) = HERE.probe_with_control(
        seen, [tcp("127.0.0.1", listener)], [tcp("127.0.0.1", closed_port)]
    )
    assert answer.answer == "reset"
    assert len(seen.observations) == 2

    with pytest.raises(CouldNotCheck, match="silence proves nothing"):
        HERE.probe_with_control(
            Seen(), [tcp("127.0.0.1", closed_port)], [tcp("127.0.0.1", listener)]
        )


def test_a_probe_that_cannot_run_is_no_refusal() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        HERE.probe(Probe("tcp", "no address", 1))


def answer_with(data: bytes) -> Answer:
    return Answer("here", dns("192.0.2.1", "example.internal"), "answered", "", data)


@pytest.mark.parametrize(
    ("flags", "code", "authentic"),
    [(0x81A0, "NOERROR", True), (0x8180, "NOERROR", False), (0x8182, "SERVFAIL", False)],
)
def test_name_answers_are_read(flags: int, code: str, *, authentic: bool) -> None:
    answer = answer_with(struct.pack("!HHHHHH", 1, flags, 1, 2, 0, 0))

    assert (answer.dns_code, answer.dns_authentic, answer.dns_answers) == (code, authentic, 2)


@pytest.mark.parametrize("proposal", [STRONG_PROPOSAL, WEAK_PROPOSAL])
def test_offers_of_algorithms_are_whole_messages(
    proposal: tuple[tuple[int, int, int], ...],
) -> None:
    message = ike("192.0.2.1", proposal).payload
    assert int.from_bytes(message[24:28], "big") == len(message)

    place, kind = 28, message[16]
    found = []
    while kind:
        found.append(kind)
        kind, size = message[place], int.from_bytes(message[place + 2 : place + 4], "big")
        place += size
    assert found == [33, 34, 40]
    assert place == len(message)


def test_requests_are_plain_json() -> None:
    asked: list[Sequence[str]] = []

    def record(argv: Sequence[str]) -> str:
        asked.append(argv)
        return json.dumps([{"answer": "silent", "words": "", "data": ""}])

    Place("there", record).probe(tcp("2001:db8::1", 443))
    assert json.loads(asked[0][3]) == [
        {
            "kind": "tcp",
            "address": "2001:db8::1",
            "port": 443,
            "payload": "",
            "source": "",
            "seconds": 5.0,
        }
    ]
