"""Whose lines the collector takes, and where it keeps them: asked with a client of our own."""

import shlex
import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

SECOND = """
global(workDirectory="/root/proof")
module(load="imrelp" tls.tlslib="openssl")
input(type="imrelp" port="7514" tls="on" tls.caCert="/root/proof/root.pem"
    tls.myCert="/root/proof/second.pem" tls.myPrivKey="/root/proof/second.key"
    tls.authMode="name" tls.permittedPeer=["mgt1-70.binhphuoc.internal"])
action(type="omfile" file="/root/proof/received")
"""


@pytest.fixture
def second(host: Host) -> Iterator[Callable[[], None]]:
    """Starts a second collector; stops it in the end."""

    def start() -> None:
        host.check_output("sh -c %s", f"echo '{SECOND}' >/root/proof/rsyslog.conf")
        host.check_output(
            "systemd-run --quiet --unit=second rsyslogd -n -i NONE -f /root/proof/rsyslog.conf"
        )

    yield start
    host.run("systemctl stop second.service")


def received(host: Host, mark: str) -> bool:
    return host.run("grep --quiet %s /root/proof/received", mark).rc == 0


def until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Waits for a condition; answers whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(1)
    return condition()


def send(
    host: Host, text: str, *options: str, address: str = "[2001:db8:0:2::10]"
) -> CommandResult:
    """Sends one line by RELP, claiming to be `liar`; answers what the peer said."""
    line = f"<13>1 2026-01-02T03:04:05Z liar proof - - - {text}"
    opening = "relp_version=0\nrelp_software=proof\ncommands=syslog"
    talk = f"1 open {len(opening)} {opening}\n2 syslog {len(line)} {line}\n"
    trust = ["-CAfile", "/root/proof/root.pem"]
    peer = ["-connect", f"{address}:6514"]
    client = shlex.join(["openssl", "s_client", "-quiet", *trust, *options, *peer])
    return host.run(
        "sh -c %s", f"(printf %s {shlex.quote(talk)}; sleep 3) | timeout 8 {client} 2>&1"
    )


def sender(name: str) -> list[str]:
    return ["-cert", f"/root/proof/{name}.pem", "-key", f"/root/proof/{name}.key"]


def kept(host: Host, text: str) -> list[str]:
    """The files that hold a text."""
    return host.run(
        "grep --recursive --files-with-matches %s /var/log/province", text
    ).stdout.split()


def test_a_line_lies_with_the_address_it_came_from_not_the_name_it_claims(host: Host) -> None:
    assert "200 OK" in send(host, "honest-line", *sender("sender")).stdout
    assert kept(host, "honest-line") == ["/var/log/province/svc1-70/messages.log"]


def test_a_line_from_an_address_that_nobody_declared_is_kept_apart(host: Host) -> None:
    send(host, "lost-line", *sender("sender"), address="192.0.2.10")
    assert kept(host, "lost-line") == ["/var/log/province/unknown/messages.log"]


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("no certificate", []),
        ("another authority", sender("foreign")),
        ("a name outside the domain", sender("outsider")),
        ("TLS 1.1", [*sender("sender"), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]),
        ("no forward secrecy", [*sender("sender"), "-tls1_2", "-cipher", "AES256-GCM-SHA384"]),
    ],
)
def test_who_does_not_prove_himself_leaves_nothing(
    host: Host, case: str, options: list[str]
) -> None:
    mark = f"refused-{case.replace(' ', '-')}"
    assert "200 OK" not in send(host, mark, *options).stdout
    assert kept(host, mark) == []


def test_own_lines_are_kept_too(host: Host) -> None:
    host.check_output("logger --tag proof own-line; sleep 3")
    assert kept(host, "proof.*own-line") == ["/var/log/province/mgt1-70/messages.log"]


def test_own_lines_and_no_others_reach_the_second_collector(
    host: Host, second: Callable[[], None]
) -> None:
    """Away at first: it keeps nobody's lines from here, and gets ours when it is there."""
    host.check_output("logger --tag proof own-while-away")
    send(host, "foreign-while-away", *sender("sender"))
    assert kept(host, "foreign-while-away") == ["/var/log/province/svc1-70/messages.log"]
    second()
    assert until(90, lambda: received(host, "own-while-away"))
    host.check_output("logger --tag proof own-when-there")
    send(host, "foreign-when-there", *sender("sender"))
    assert until(20, lambda: received(host, "own-when-there"))
    assert kept(host, "foreign-when-there") == ["/var/log/province/svc1-70/messages.log"]
    assert not received(host, "foreign-")


def test_only_administrators_read_logs(host: Host) -> None:
    store = host.file("/var/log/province/mgt1-70/messages.log")
    assert (store.user, store.group, store.mode) == ("root", "adm", 0o640)
    assert host.file("/var/log/province").mode == 0o750


def test_rotated_lines_stay_and_new_ones_go_to_a_new_file(host: Host) -> None:
    send(host, "early-line", *sender("sender"))
    host.check_output("logrotate --force /etc/logrotate.d/province_logs")
    send(host, "late-line", *sender("sender"))
    early, late = kept(host, "early-line"), kept(host, "late-line")
    assert late == ["/var/log/province/svc1-70/messages.log"]
    assert early != late
    assert len(early) == 1


def test_rotation_keeps_as_many_days_as_declared(host: Host) -> None:
    seen = host.run("logrotate --debug /etc/logrotate.d/province_logs")
    assert "(365 rotations)" in seen.stderr
    assert host.service("logrotate.timer").is_enabled


def test_a_full_store_raises_an_alarm(host: Host) -> None:
    host.check_output("mount -t tmpfs -o size=1m store /var/log/province")
    try:
        assert host.run("systemctl start province_log_store.service").rc == 0
        host.check_output("dd if=/dev/zero of=/var/log/province/filler bs=1k count=900 status=none")
        assert host.run("systemctl start province_log_store.service").rc != 0
    finally:
        host.check_output("umount --lazy /var/log/province")
        host.run("systemctl reset-failed province_log_store.service")
    alarm = host.check_output(
        "journalctl --unit=province_log_store --priority=warning --output=cat --no-pager"
    )
    assert "% of pcent are used" in alarm
    assert host.service("province_log_store.timer").is_running
