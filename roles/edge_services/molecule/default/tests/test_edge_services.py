"""What a site has while its link is cut: nobody above this machine answers, but for the mirror."""

import re

import pytest
from testinfra.host import Host

# A copy of a zone, as the name service would have handed it out before the cut.
MAKE_COPY = r"""
set -eu
cd /root
cat >signing_key.private <<'KEY'
Private-key-format: v1.2
Algorithm: 13 (ECDSAP256SHA256)
PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=
KEY
cat >copy.zone <<'ZONE'
$ORIGIN binhphuoc.internal.
$TTL 3600
@ IN SOA svc1-70 hostmaster 1 600 120 5184000 300
@ IN NS svc1-70
@ IN DNSKEY 257 3 13 (
    GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== )
svc1-70 IN A 192.0.2.101
ZONE
ldns-signzone -z sha384 -f signed.zone copy.zone signing_key
"""

PUT_COPY = r"""
set -eu
systemctl stop unbound.service
sed 's/192\.0\.2\.101/{address}/' /root/signed.zone >/var/lib/unbound/binhphuoc.internal.zone
chown unbound /var/lib/unbound/binhphuoc.internal.zone
systemctl start unbound.service
"""

# Asks as any client would: mode 3, version 4; prints leap, mode and stratum of the answer.
ASK_TIME = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(3)
    client.sendto(bytes([0x23]) + bytes(47), (sys.argv[1], 123))
    answer = client.recv(48)
print(answer[0] >> 6, answer[0] & 7, answer[1])
"""

# Fetches and prints the status and what the cache did.
FETCH = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=30)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.headers["X-Cache-Status"])
"""
LIST = "dists/province/InRelease"


@pytest.fixture(scope="module", autouse=True)
def copy_of_the_zone(host: Host) -> None:
    host.check_output("sh -c %s", MAKE_COPY)


def put_copy(host: Host, address: str) -> None:
    host.check_output("sh -c %s", PUT_COPY.format(address=address))


def ask(host: Host, name: str, server: str = "192.0.2.10") -> tuple[str, str]:
    """Asks for an address; answers the status and what was said."""
    seen = host.run(f"drill -D {name} A @{server}")
    status = re.search(r"rcode: (\w+)", seen.stdout)
    assert status, seen.stdout + seen.stderr
    return status[1], seen.stdout


def fetch(host: Host, path: str, server: str = "192.0.2.10") -> list[str]:
    return host.check_output("python3 -c %s %s", FETCH, f"http://{server}:8080/{path}").split()


def test_names_of_the_province_resolve_from_the_copy_and_are_validated(host: Host) -> None:
    put_copy(host, "192.0.2.101")
    status, said = ask(host, "svc1-70.binhphuoc.internal")
    assert status == "NOERROR"
    assert "192.0.2.101" in said
    assert re.search(r"flags: [a-z ]*\bad\b", said)


def test_an_unknown_name_is_proved_not_to_exist(host: Host) -> None:
    put_copy(host, "192.0.2.101")
    assert ask(host, "nobody.binhphuoc.internal")[0] == "NXDOMAIN"


def test_a_forged_copy_is_refused(host: Host) -> None:
    put_copy(host, "192.0.2.66")
    status, said = ask(host, "svc1-70.binhphuoc.internal")
    assert status == "SERVFAIL"
    assert "192.0.2.66" not in said


def test_who_is_no_client_of_names_is_refused(host: Host) -> None:
    assert ask(host, "svc1-70.binhphuoc.internal", "2001:db8:0:2::10")[0] == "REFUSED"


def test_the_machine_asks_its_own_resolver(host: Host) -> None:
    put_copy(host, "192.0.2.101")
    assert "192.0.2.101" in host.check_output("getent hosts svc1-70")


def test_the_site_gets_the_time_from_the_edge_alone(host: Host) -> None:
    assert host.check_output("python3 -c %s %s", ASK_TIME, "192.0.2.10") == "0 4 12"


def test_who_is_no_client_of_time_gets_no_answer(host: Host) -> None:
    assert host.run("python3 -c %s %s", ASK_TIME, "2001:db8:0:2::10").rc != 0


def test_packages_are_kept_and_served_without_the_mirror(host: Host) -> None:
    package = host.check_output(
        "sh -c %s", "apt-cache show nginx-common | sed -n 's/^Filename: //p'"
    )
    assert fetch(host, package) == ["200", "MISS"]
    assert fetch(host, LIST)[0] == "200"
    cut = "ipproto tcp dport 80 unreachable"
    host.check_output(
        f"sh -c 'ip -4 rule add to 192.0.2.1 {cut}; ip -6 rule add to 2001:db8:0:2::1 {cut}'"
    )
    try:
        assert fetch(host, package) == ["200", "HIT"]
        assert fetch(host, LIST)[0] == "200"
        assert fetch(host, "dists/province/nothing") == ["502", "MISS"]
    finally:
        host.check_output(
            f"sh -c 'ip -4 rule del to 192.0.2.1 {cut}; ip -6 rule del to 2001:db8:0:2::1 {cut}'"
        )


def test_who_is_no_client_gets_no_packages(host: Host) -> None:
    assert fetch(host, LIST, "[2001:db8:0:2::10]")[0] == "403"


def test_nobody_writes_to_the_cache(host: Host) -> None:
    put = "urllib.request.Request(sys.argv[1], method='PUT')"
    seen = host.check_output(
        "python3 -c %s %s", FETCH.replace("sys.argv[1]", put, 1), f"http://192.0.2.10:8080/{LIST}"
    )
    assert seen.split()[0] == "403"


@pytest.mark.parametrize("service", ["unbound", "chrony", "nginx"])
def test_every_daemon_comes_back_after_a_reboot(host: Host, service: str) -> None:
    assert host.service(service).is_enabled
    assert host.service(service).is_running
