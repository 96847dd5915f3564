"""What a time source does while no other clock is heard: asked by a client of time."""

import pytest
from testinfra.host import Host

# Asks as any client would: mode 3, version 4; prints leap, mode and stratum of the answer.
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(3)
    client.sendto(bytes([0x23]) + bytes(47), (sys.argv[1], 123))
    answer = client.recv(48)
print(answer[0] >> 6, answer[0] & 7, answer[1])
"""


@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8:0:2::10"])
def test_a_declared_client_gets_the_time(host: Host, address: str) -> None:
    assert host.check_output("python3 -c %s %s", ASK, address) == "0 4 10"


def test_a_stranger_gets_no_answer(host: Host) -> None:
    asked = host.run("python3 -c %s %s", ASK, "127.0.0.1")
    assert asked.rc != 0
    assert "TimeoutError" in asked.stderr


def test_the_other_sources_are_asked(host: Host) -> None:
    lines = host.check_output("chronyc -n -c sources").splitlines()
    assert [line.split(",")[2] for line in lines] == ["192.0.2.101", "192.0.2.102"]


def test_no_commands_are_taken_from_the_network(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --udp --numeric")
    assert ":323 " not in listening
