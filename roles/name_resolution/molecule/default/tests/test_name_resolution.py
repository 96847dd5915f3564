"""Whom a host asks for names: watched from outside the C library."""

from testinfra.host import Host

# Stands where the first resolver would and prints the first question that arrives.
LISTEN = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("192.0.2.101", 53))
    server.settimeout(10)
    print(server.recv(512)[12:])
"""


def test_programs_ask_the_nearest_resolver_in_the_search_domain(host: Host) -> None:
    host.check_output("ip address replace 192.0.2.101/32 dev lo")
    question = host.check_output(
        "sh -c %s",
        f"python3 -c '{LISTEN}' & sleep 1; getent hosts somebody >/dev/null; wait",
    )
    host.check_output("ip address delete 192.0.2.101/32 dev lo")
    assert r"\x08somebody\tbinhphuoc\x08internal" in question


def test_no_more_servers_than_the_library_asks(host: Host) -> None:
    servers = [
        line.split()[1]
        for line in host.file("/etc/resolv.conf").content_string.splitlines()
        if line.startswith("nameserver")
    ]
    assert servers == ["192.0.2.101", "2001:db8:0:2::101", "192.0.2.102"]
