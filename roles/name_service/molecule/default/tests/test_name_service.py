"""What the name service answers: asked by a client beside it."""

import re

import pytest
from testinfra.host import Host


def ask(
    host: Host, name: str, *options: str, kind: str = "A", server: str = "192.0.2.10"
) -> tuple[str, list[str], list[str]]:
    """Asks for a name; answers its status, its flags and the values."""
    words = " ".join(["drill", "-D", *options, name, kind, f"@{server}"])
    seen = host.run(words)
    status = re.search(r"rcode: (\w+)", seen.stdout)
    flags = re.search(r"flags: ([a-z ]+)", seen.stdout)
    assert status, seen.stdout + seen.stderr
    assert flags, seen.stdout
    answer = seen.stdout.partition("ANSWER SECTION:")[2].partition(";;")[0]
    values = [
        line.split("\t")[-1] for line in answer.splitlines() if line and f"\t{kind}\t" in line
    ]
    return status[1], flags[1].split(), values


@pytest.mark.parametrize("transport", ["-u", "-t"])
def test_own_names_are_validated_over_both_transports(host: Host, transport: str) -> None:
    status, flags, values = ask(host, "svc1-70.binhphuoc.internal", transport)
    assert (status, values) == ("NOERROR", ["192.0.2.10"])
    assert "ad" in flags


def test_addresses_lead_back_to_names(host: Host) -> None:
    status, flags, values = ask(host, "10.2.0.192.in-addr.arpa", kind="PTR")
    assert (status, values) == ("NOERROR", ["svc1-70.binhphuoc.internal."])
    assert "ad" in flags


def test_an_unknown_name_is_proved_not_to_exist(host: Host) -> None:
    status, flags, _ = ask(host, "nobody.binhphuoc.internal")
    assert status == "NXDOMAIN"
    assert "ad" in flags


def test_what_cannot_be_validated_is_refused(host: Host) -> None:
    assert ask(host, "broken.binhphuoc.internal")[0] == "SERVFAIL"


def test_what_cannot_be_validated_is_there_for_who_does_not_check(host: Host) -> None:
    assert ask(host, "broken.binhphuoc.internal", "-o", "CD")[2] == ["192.0.2.1"]


@pytest.mark.parametrize(
    "name", ["blocked-test.binhphuoc.internal", "bad.example", "www.bad.example"]
)
def test_blocked_names_do_not_exist_for_clients(host: Host, name: str) -> None:
    assert ask(host, name)[0] == "NXDOMAIN"


def test_the_blocked_test_name_exists_behind_the_filter(host: Host) -> None:
    assert ask(host, "blocked-test.binhphuoc.internal", "-p", "5300")[2] == ["192.0.2.1"]


def test_a_refusal_of_the_filter_is_logged_with_the_client(host: Host) -> None:
    ask(host, "blocked-test.binhphuoc.internal")
    log = host.check_output("journalctl --unit=unbound --output=cat --no-pager")
    assert re.search(r"\[blocked\] blocked-test\.binhphuoc\.internal\. \S+ 192\.0\.2\.10@", log)


def test_names_outside_do_not_exist_and_nobody_waits(host: Host) -> None:
    assert ask(host, "www.example.org")[0] == "NXDOMAIN"


def test_who_is_no_client_is_refused(host: Host) -> None:
    assert ask(host, "svc1-70.binhphuoc.internal", server="2001:db8:0:2::10")[0] == "REFUSED"


def test_the_authority_does_not_look_up_for_others(host: Host) -> None:
    assert ask(host, "www.example.org", "-p", "5300")[0] == "REFUSED"


def test_whole_zones_go_to_their_clients_only(host: Host) -> None:
    zone = "drill -p 5300 AXFR binhphuoc.internal"
    assert "\tZONEMD\t" in host.check_output(f"{zone} @192.0.2.10")
    assert "\tSOA\t" not in host.run(f"{zone} @2001:db8:0:2::10").stdout


def test_signing_again_without_need_changes_nothing(host: Host) -> None:
    assert host.check_output("/usr/local/lib/province/sign_zones") == "current"


def test_old_signatures_are_renewed_by_the_timers_own_unit(host: Host) -> None:
    before = host.file("/var/lib/nsd/province/binhphuoc.internal.zone").content_string
    host.check_output("touch --date=%s /var/lib/nsd/province/inputs", "8 days ago")
    host.check_output("systemctl start province_sign_zones.service")
    after = host.file("/var/lib/nsd/province/binhphuoc.internal.zone").content_string
    assert before != after
    assert ask(host, "svc1-70.binhphuoc.internal")[0] == "NOERROR"
    assert host.service("province_sign_zones.timer").is_enabled


def test_the_key_is_for_the_signer_alone(host: Host) -> None:
    key = host.file("/etc/province/names/signing_key.private")
    assert (key.user, key.mode) == ("root", 0o600)
