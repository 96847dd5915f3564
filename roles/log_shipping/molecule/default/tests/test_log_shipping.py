"""What becomes of a line: the machine itself stands in for the collector."""

import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

COLLECTOR = """
global(workDirectory="/root/proof")
module(load="imrelp" tls.tlslib="openssl")
input(type="imrelp" port="6514" tls="on" tls.caCert="/root/proof/root.pem"
    tls.myCert="/root/proof/NAME.pem" tls.myPrivKey="/root/proof/NAME.key"
    tls.authMode="name" tls.permittedPeer=["*.binhphuoc.internal"])
action(type="omfile" file="/root/proof/received")
"""


@pytest.fixture
def collector(host: Host) -> Iterator[Callable[[str], None]]:
    """Starts a collector with a certificate of that name; stops it in the end."""

    def start(name: str) -> None:
        host.check_output(
            "sh -c %s",
            f"echo '{COLLECTOR.replace('NAME', name)}' >/root/proof/rsyslog.conf; "
            "rm -f /root/proof/received",
        )
        host.check_output(
            "systemd-run --quiet --unit=collector rsyslogd -n -i NONE -f /root/proof/rsyslog.conf"
        )

    yield start
    host.run("systemctl stop collector.service")


def received(host: Host, mark: str) -> int:
    """How many different lines with a mark the collector has."""
    lines = host.run("grep --only-matching --extended-regexp %s /root/proof/received", mark)
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


def test_a_full_queue_of_one_collector_keeps_nothing_from_the_other(
    host: Host, collector: Callable[[str], None]
) -> None:
    """The second collector is away for ever; its megabyte holds half of these lines."""
    collector("collector")
    filler = "x" * 1000
    for batch in range(0, 2000, 100):
        seq = f"seq --format=full%g-{filler} {batch + 1} {batch + 100}"
        host.check_output("sh -c %s", f"{seq} | systemd-cat --identifier=proof")
        assert until(60, lambda sent=batch + 100: received(host, "full[0-9]+") == sent)
    sizes = host.check_output("du --total --bytes /var/spool/rsyslog/bak1-70.0*").split()
    assert 500_000 < int(sizes[-2]) < 1_500_000
    log(host, "afterwards", 20)
    assert until(20, lambda: received(host, "afterwards[0-9]+") == 20)


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
