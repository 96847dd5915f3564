"""Clients meet the member that leads, and only their own database: asked with psql, over TLS."""

import json
import shlex
import time
from collections.abc import Iterator
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

PROGRAM = "/usr/local/lib/province/database_endpoint.py"
SHARED = "192.0.2.99"
WHO = "select name from who"
WRITER = ("one_stop_write", "write-one")
READER = ("one_stop_read", "read-one")


def ask(
    host: Host,
    query: str = WHO,
    *,
    address: str = "192.0.2.10",
    database: str = "one_stop",
    role: tuple[str, str] = WRITER,
    tls: str = "sslmode=verify-full sslrootcert=/root/proof/root.pem",
) -> CommandResult:
    """Asks as a client would."""
    user, password = role
    where = f"host={address} port=6432 dbname={database} user={user} connect_timeout=8 {tls}"
    command = ["env", f"PGPASSWORD={password}", "psql", where, "--no-psqlrc", "-Atc", query]
    return host.run(shlex.join(command))


def lead(host: Host, member: str) -> None:
    host.check_output("echo %s > /root/proof/leader", member)


def look(host: Host) -> dict[str, Any]:
    return json.loads(host.check_output(f"{PROGRAM} look"))


def up(host: Host, part: str) -> list[str]:
    """Who is led to: also a member that is `UP 1/2`, of which the router has its first doubt."""
    servers = [one for one in look(host)["servers"] if one["part"] == part]
    return [one["member"] for one in servers if one["state"].startswith("UP")]


def wait_for(host: Host, part: str, members: list[str]) -> None:
    limit = time.monotonic() + 15
    while (seen := up(host, part)) != members:
        assert time.monotonic() < limit, f"{part}: {seen} and not {members}"
        time.sleep(0.3)


@pytest.fixture(autouse=True)
def first_member_leads(host: Host) -> Iterator[None]:
    lead(host, "db1-70")
    wait_for(host, "primary", ["db1-70"])
    wait_for(host, "replicas", ["db2-70"])
    yield
    host.check_output(f"{PROGRAM} resume")


@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8:0:2::10"])
@pytest.mark.parametrize("role", [WRITER, READER])
def test_a_client_meets_the_leader(host: Host, address: str, role: tuple[str, str]) -> None:
    assert ask(host, address=address, role=role).stdout == "db1-70\n"


def test_a_password_with_a_quote_is_a_password(host: Host) -> None:
    answer = ask(host, database="party_office", role=("party_office_write", 'write"two'))
    assert answer.stdout == "db1-70\n"


def test_readers_meet_a_replica(host: Host) -> None:
    assert ask(host, database="one_stop_read_only").stdout == "db2-70\n"


def test_the_way_follows_the_lead(host: Host) -> None:
    lead(host, "db2-70")
    wait_for(host, "primary", ["db2-70"])
    wait_for(host, "replicas", ["db1-70"])
    assert ask(host).stdout == "db2-70\n"
    assert ask(host, database="one_stop_read_only").stdout == "db1-70\n"


def test_a_member_is_believed_under_its_own_name_only(host: Host) -> None:
    servers = [one for one in look(host)["servers"] if one["member"] == "db3-70"]
    assert {(one["state"], one["check"]) for one in servers} == {("DOWN", "L6RSP")}


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("SSL required", {"tls": "sslmode=disable"}),
        ("SASL authentication failed", {"role": ("one_stop_write", "wrong")}),
        ("no authentication", {"database": "postgres"}),
        ("no authentication", {"database": "party_office"}),
        ("no authentication", {"database": "party_office_read_only"}),
        ("not allowed", {"database": "pgbouncer"}),
    ],
)
def test_who_may_not_is_refused(host: Host, case: str, options: dict[str, Any]) -> None:
    answer = ask(host, **options)
    assert (answer.rc, answer.stdout) == (2, "")
    assert case in answer.stderr


def test_an_old_protocol_is_refused(host: Host) -> None:
    old = "-starttls postgres -tls1_1 -cipher DEFAULT@SECLEVEL=0"
    shown = host.run(f"openssl s_client -connect 192.0.2.10:6432 {old} </dev/null 2>&1")
    assert "alert protocol version" in shown.stdout


def test_another_account_of_the_host_is_no_administrator(host: Host) -> None:
    console = "psql -h /run/pgbouncer -p 6432 -U pgbouncer pgbouncer -c RELOAD"
    command = f"setpriv --reuid=nobody --clear-groups {console}"
    assert "Permission denied" in host.run(command).stderr


def test_the_shared_address_is_served_as_soon_as_it_comes(host: Host) -> None:
    assert look(host)["carries"] == []
    host.check_output(f"ip address add {SHARED}/32 dev management")
    try:
        assert ask(host, address=SHARED).stdout == "db1-70\n"
        assert look(host)["carries"] == [SHARED]
    finally:
        host.check_output(f"ip address del {SHARED}/32 dev management")


def test_held_clients_wait_and_go_on(host: Host) -> None:
    host.check_output(f"{PROGRAM} pause 60")
    assert look(host)["held"]
    soon = "--on-active=2 --timer-property=AccuracySec=100ms"
    host.check_output(f"systemd-run --quiet {soon} {PROGRAM} resume")
    begin = time.monotonic()
    assert ask(host).stdout == "db1-70\n"
    assert time.monotonic() - begin > 1
    assert not look(host)["held"]


def test_clients_go_on_as_soon_as_the_expected_member_leads(host: Host) -> None:
    host.check_output(f"{PROGRAM} pause 60")
    soon = "--on-active=2 --timer-property=AccuracySec=100ms"
    host.check_output(f"systemd-run --quiet {soon} sh -c 'echo db2-70 >/root/proof/leader'")
    begin = time.monotonic()
    host.check_output(f"{PROGRAM} await db2-70")
    assert time.monotonic() - begin > 1
    assert ask(host).stdout == "db2-70\n"


def test_waiting_for_a_member_that_does_not_lead_ends_with_the_holding(host: Host) -> None:
    host.check_output(f"{PROGRAM} pause 2")
    waited = host.run(f"{PROGRAM} await db2-70")
    assert waited.rc == 1
    assert "db2-70 did not lead while the clients were held" in waited.stderr
    assert ask(host).stdout == "db1-70\n"


def test_nobody_is_held_for_ever(host: Host) -> None:
    host.check_output(f"{PROGRAM} pause 2")
    assert ask(host).stdout == "db1-70\n"
    assert not look(host)["held"]


def test_an_open_transaction_stops_the_holding_and_not_the_clients(host: Host) -> None:
    client = "host=192.0.2.10 port=6432 dbname=one_stop user=one_stop_write sslmode=require"
    script = f"(echo 'begin; select 1;'; sleep 14) | PGPASSWORD=write-one psql '{client}'"
    host.check_output(f"systemd-run --quiet sh -c {shlex.quote(script)}")
    time.sleep(1)
    held = host.run(f"{PROGRAM} pause 60")
    assert held.rc == 1
    assert "a transaction is open" in held.stderr
    assert not look(host)["held"]
    assert ask(host, role=READER).stdout == "db1-70\n"


def test_a_tenant_has_its_share_of_connections_and_no_more(host: Host) -> None:
    limits = {
        one["name"]: (one["most_connections"], one["most_clients"])
        for one in look(host)["databases"]
    }
    names = ["one_stop", "one_stop_read_only", "party_office", "party_office_read_only"]
    assert limits == dict.fromkeys(names, (2, 40))


def test_a_renewed_certificate_is_shown_after_a_reload(host: Host) -> None:
    place = "/etc/province/pki/database_endpoint"
    show = (
        "openssl s_client -starttls postgres -connect 192.0.2.10:6432 </dev/null 2>/dev/null"
        " | openssl x509 -noout -serial"
    )
    try:
        host.check_output(f"cp /root/proof/renewed.pem {place}/chain.pem")
        host.check_output(f"cp /root/proof/renewed.key {place}/key.pem")
        host.check_output("systemctl reload pgbouncer.service; sleep 1")
        wanted = host.check_output("openssl x509 -noout -serial -in /root/proof/renewed.pem")
        assert host.check_output(show) == wanted
        assert ask(host).stdout == "db1-70\n"
    finally:
        host.check_output(f"cp /root/proof/endpoint.pem {place}/chain.pem")
        host.check_output(f"cp /root/proof/endpoint.key {place}/key.pem")
        host.check_output("systemctl reload pgbouncer.service")


def test_the_endpoint_starts_before_any_member(host: Host) -> None:
    host.check_output("systemctl stop member_health.service")
    host.check_output("systemctl restart haproxy.service pgbouncer.service; sleep 2")
    assert host.service("pgbouncer").is_running
    assert ask(host).rc == 2
    host.check_output("systemd-run --quiet --unit=member_health /root/member_health.py")
    wait_for(host, "primary", ["db1-70"])
    assert ask(host).stdout == "db1-70\n"


@pytest.mark.parametrize(
    "path", ["/etc/pgbouncer/userlist.txt", "/run/province/database_endpoint/key.pem"]
)
def test_secrets_are_for_the_pooler_alone(host: Host, path: str) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == ("root", "postgres", 0o640)


@pytest.mark.parametrize("unit", ["haproxy", "pgbouncer"])
def test_the_daemons_come_back_at_boot(host: Host, unit: str) -> None:
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running
