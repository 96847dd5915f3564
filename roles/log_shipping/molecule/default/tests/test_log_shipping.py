"""What becomes of a line: the machine itself stands in for the collector."""

import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

# An authority of our own and two leaves: the host's, and the collector's.
MAKE_CERTIFICATES = r"""
set -eu
mkdir -p /etc/province/pki/syslog /root/collector
cd /root/collector
new() { openssl req -quiet -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$@"; }
new root.key -x509 -days 2 -subj /CN=root -out root.pem
leaf() {
    new "$1.key" -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -copy_extensions copy -CA root.pem -CAkey root.key \
        -days 2 -out "$1.pem" 2>&1
}
leaf host node1.binhphuoc.internal
leaf collector mgt1-70.binhphuoc.internal
leaf stranger other.binhphuoc.internal
cp root.pem /etc/province/pki/root.pem
cp host.pem /etc/province/pki/syslog/chain.pem
cp host.key /etc/province/pki/syslog/key.pem
grep -q mgt1-70 /etc/hosts || echo '192.0.2.10 mgt1-70.binhphuoc.internal' >>/etc/hosts
"""

COLLECTOR = """
global(workDirectory="/root/collector")
module(load="imrelp" tls.tlslib="openssl")
input(type="imrelp" port="6514" tls="on" tls.caCert="/root/collector/root.pem"
    tls.myCert="/root/collector/NAME.pem" tls.myPrivKey="/root/collector/NAME.key"
    tls.authMode="name" tls.permittedPeer=["*.binhphuoc.internal"])
action(type="omfile" file="/root/collector/received")
"""


@pytest.fixture(scope="module", autouse=True)
def certificates(host: Host) -> None:
    host.check_output("sh -c %s", MAKE_CERTIFICATES)
    host.check_output("systemctl restart rsyslog.service")


@pytest.fixture
def collector(host: Host) -> Iterator[Callable[[str], None]]:
    """Starts a collector with a certificate of that name; stops it in the end."""

    def start(name: str) -> None:
        host.check_output(
            "sh -c %s",
            f"echo '{COLLECTOR.replace('NAME', name)}' >/root/collector/rsyslog.conf; "
            "rm -f /root/collector/received",
        )
        host.check_output(
            "systemd-run --quiet --unit=collector rsyslogd -n -i NONE "
            "-f /root/collector/rsyslog.conf"
        )

    yield start
    host.run("systemctl stop collector.service")


def received(host: Host, mark: str) -> int:
    """How many different lines with a mark the collector has."""
    lines = host.run("grep --only-matching --extended-regexp %s /root/collector/received", mark)
    return len(set(lines.stdout.split()))


def until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Waits for a condition; answers whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(1)
    return condition()


def log(host: Host, mark: str, count: int) -> None:
    host.check_output("sh -c %s", f"seq --format={mark}%g {count} | systemd-cat --identifier=proof")


def test_lines_survive_a_collector_away_and_a_restart(
    host: Host, collector: Callable[[str], None]
) -> None:
    log(host, "away", 500)
    assert until(20, lambda: host.run("ls /var/spool/rsyslog/mgt1-70.qi").rc == 0)
    host.check_output("systemctl restart rsyslog.service")
    collector("collector")
    assert until(90, lambda: received(host, "away[0-9]+") == 500)


def test_a_reload_takes_the_new_certificate_and_loses_nothing(
    host: Host, collector: Callable[[str], None]
) -> None:
    collector("collector")
    before = host.check_output("systemctl show --property=MainPID --value rsyslog.service")
    log(host, "before", 50)
    host.check_output("systemctl reload rsyslog.service")
    log(host, "after", 50)
    assert until(90, lambda: received(host, "(before|after)[0-9]+") == 100)
    after = host.check_output("systemctl show --property=MainPID --value rsyslog.service")
    assert before != after


def test_a_collector_of_another_name_gets_nothing(
    host: Host, collector: Callable[[str], None]
) -> None:
    collector("stranger")
    log(host, "secret", 10)
    refused = "no permited name found"
    assert until(
        60,
        lambda: refused in host.check_output("journalctl --unit=rsyslog --output=cat --no-pager"),
    )
    assert received(host, "secret[0-9]+") == 0
