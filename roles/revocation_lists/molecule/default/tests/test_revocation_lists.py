"""How lists come to a host and how it notices that they do not: with real units and signatures."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from testinfra.host import Host

STATE = "/var/lib/province/revocation/state.json"
IN_PLACE = "/var/lib/province/revocation/ssh_revoked"
FETCH, AGE = "revocation_lists.service", "revocation_lists_age.service"


def until(seconds: float, condition: Callable[[], bool]) -> bool:
    """Waits for a condition; answers whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.5)
    return condition()


def publish(host: Host, *lines: str, hours: int = 24) -> None:
    """Signs both lists as of now."""
    now = datetime.now(UTC)
    said = {
        "this_update": now.isoformat(),
        "next_update": (now + timedelta(hours=hours)).isoformat(),
        "revoked": lines,
    }
    host.check_output("printf %s %s >/root/proof/said", "%s", json.dumps(said))
    host.check_output(
        "cd /root/proof && rm -f said.sig"
        " && ssh-keygen -q -Y sign -n ssh_revocations -f people said"
        " && cat said said.sig >served/list"
        " && openssl ca -config ca.conf -gencrl -keyfile key.pem -cert ca.pem"
        " -crlhours 24 -out crl.pem"
        " && openssl crl -in crl.pem -outform DER -out served/1.0/crl"
    )


@pytest.fixture(scope="module", autouse=True)
def served(host: Host) -> None:
    publish(host)
    for port in (80, 8480):
        host.check_output(
            f"systemd-run --quiet --unit=served{port} python3 -m http.server --bind ::"
            f" --directory /root/proof/served {port}"
        )
    host.check_output("systemctl reset-failed; systemctl restart revocation_lists.timer")


def test_lists_come_by_themselves(host: Host) -> None:
    assert until(60, lambda: host.file(IN_PLACE).exists)
    state = json.loads(host.file(STATE).content_string)
    assert state["crl_failure"] is None
    assert state["ssh_failure"] is None
    assert "BEGIN X509 CRL" in host.file("/etc/province/pki/issuing.crl").content_string
    for unit in ("revocation_lists.timer", "revocation_lists_age.timer"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled


def test_a_new_revocation_comes(host: Host) -> None:
    publish(host, "serial: 4711")
    host.check_output(f"systemctl start {FETCH}")
    assert host.file(IN_PLACE).content_string == "serial: 4711\n"


def test_an_authority_that_comes_back_is_asked_soon(host: Host) -> None:
    host.check_output("systemctl stop served8480")
    publish(host, "serial: 4712")
    assert host.run(f"systemctl start {FETCH}").rc != 0
    assert host.file(IN_PLACE).content_string == "serial: 4711\n"
    said = host.check_output(
        f"journalctl --unit={FETCH} --priority=warning --output=cat --no-pager"
    )
    assert "cannot be fetched" in said
    host.check_output(
        "systemd-run --quiet --unit=served8480 python3 -m http.server --bind ::"
        " --directory /root/proof/served 8480"
    )
    assert until(60, lambda: "4712" in host.file(IN_PLACE).content_string)


def test_a_list_that_is_too_old_fails_a_unit_and_says_so(host: Host) -> None:
    assert host.run(f"systemctl start {AGE}").rc == 0
    publish(host, "serial: 4712", hours=-1)
    host.check_output(f"systemctl start {FETCH}")
    assert host.run(f"systemctl start {AGE}").rc != 0
    said = host.check_output(f"journalctl --unit={AGE} --priority=warning --output=cat --no-pager")
    assert "revocation list 'ssh': is 0.0 hours old and good until" in said
    host.check_output(f"systemctl reset-failed {AGE}")
