"""What the applications answer, with a real database that goes away and comes back."""

import json
import secrets

import pytest

ONE_STOP, EXCHANGE, LEAFLET = 8443, 8444, 8446
RUN = secrets.token_hex(4)
"""Part of every reference: what an earlier run stored is still there."""
NAME = "svc1-70.binhphuoc.internal"
TEXT = "Đơn xin cấp đổi của bà Nguyễn Thị Ánh Dương, ấp 3 xã Lộc Thạnh"


def ask(host, port, path, body=None, bearer="", *, address="[2001:db8:0:2::10]"):
    """Status and JSON of one request."""
    command = ["curl", "--silent", "--cacert", "/root/proof/root.pem", "--max-time", "30"]
    command += ["--resolve", f"{NAME}:{port}:{address}", "--write-out", "\\n%{http_code}"]
    if body is not None:
        command += ["--json", json.dumps(body, ensure_ascii=False)]
    if bearer:
        command += ["--header", f"Authorization: Bearer {bearer}"]
    command += [f"https://{NAME}:{port}{path}"]
    said = host.check_output(" ".join(["%s"] * len(command)), *command)
    body, _, status = said.rpartition("\n")
    return int(status), json.loads(body)


def message(reference, sender, recipient):
    return {"reference": reference, "text": TEXT, "from": sender, "to": recipient}


def database(host, verb):
    host.check_output("systemctl %s postgresql@17-main", verb)


def test_every_declared_application_runs_and_starts_at_boot(host):
    assert host.service("sample_service").is_enabled
    for name in ("one_stop", "data_exchange", "leaflet"):
        assert host.service(f"sample_service@{name}").is_running


@pytest.mark.parametrize("address", ["192.0.2.10", "[2001:db8:0:2::10]"])
def test_health_is_answered_in_both_families(host, address):
    status, said = ask(host, ONE_STOP, "/health", address=address)
    assert (status, said["title"]) == (200, "Một cửa")


def test_what_is_stored_comes_back_as_it_was_sent(host):
    record = {"reference": f"H10.19-{RUN}", "text": TEXT}
    assert ask(host, ONE_STOP, "/records", record) == (201, record)
    assert ask(host, ONE_STOP, f"/records/H10.19-{RUN}") == (200, record)
    assert record in ask(host, ONE_STOP, "/records?limit=5")[1]["records"]


def test_who_repeats_doubles_nothing(host):
    record = {"reference": f"repeated-{RUN}", "text": TEXT}
    statuses = [ask(host, ONE_STOP, "/records", record)[0] for _ in range(3)]
    assert statuses == [201, 200, 200]
    assert ask(host, ONE_STOP, "/records", {**record, "text": "another"})[0] == 409


def test_while_the_database_is_away_it_says_so_and_recovers(host):
    record = {"reference": f"outage-{RUN}", "text": TEXT}
    database(host, "stop")
    try:
        status, said = ask(host, ONE_STOP, "/records", record)
        assert (status, ask(host, ONE_STOP, "/health")[0]) == (503, 503)
        assert "send the same request again" in said["error"]
        lines = host.check_output("journalctl --unit=sample_service@one_stop --no-pager")
        assert "the database is away: connection" in lines
    finally:
        database(host, "start")
    assert ask(host, ONE_STOP, "/records", record)[0] == 201
    assert ask(host, ONE_STOP, "/health")[0] == 200


def test_a_restart_of_the_database_is_not_noticed(host):
    assert ask(host, ONE_STOP, "/health")[0] == 200
    database(host, "restart")
    assert ask(host, ONE_STOP, "/health")[0] == 200


def show_certificate(host, name):
    """Lets the database show another certificate of our own authority."""
    place = "/etc/postgresql/17/main/server"
    host.check_output("cp /root/proof/%s.pem %s.pem", name, place)
    host.check_output("install -o postgres -m 0600 /root/proof/%s.key %s.key", name, place)
    database(host, "restart")


def test_a_database_with_another_name_is_not_trusted(host):
    show_certificate(host, "stranger")
    try:
        assert ask(host, ONE_STOP, "/health")[0] == 503
    finally:
        show_certificate(host, "database")


def test_an_application_without_a_tenant_stores_nothing(host):
    assert ask(host, LEAFLET, "/health")[0] == 200
    assert ask(host, LEAFLET, "/records", {"reference": "1", "text": TEXT})[0] == 404


def test_party_and_state_meet_in_the_exchange(host):
    sent = message(f"P-1-{RUN}", "party", "state")
    assert ask(host, EXCHANGE, "/records", sent, "token party")[0] == 201
    assert ask(host, EXCHANGE, f"/records/P-1-{RUN}", bearer="token state") == (200, sent)
    assert sent in ask(host, EXCHANGE, "/records", bearer="token state")[1]["records"]


def test_each_side_reads_only_what_is_addressed_to_it(host):
    ask(host, EXCHANGE, "/records", message(f"P-2-{RUN}", "party", "state"), "token party")
    assert ask(host, EXCHANGE, f"/records/P-2-{RUN}", bearer="token party")[0] == 404
    assert ask(host, EXCHANGE, "/records", bearer="token party")[1] == {"records": []}


@pytest.mark.parametrize(("token", "status"), [("", 401), ("other", 401), ("token party", 403)])
def test_nobody_sends_in_anothers_name(host, token, status):
    sent = message(f"S-1-{RUN}", "state", "party")
    assert ask(host, EXCHANGE, "/records", sent, token)[0] == status


@pytest.mark.parametrize("option", ["-tls1_1", "-tls1_2", "-tls1_3"])
def test_tls_before_1_2_is_refused(host, option):
    seen = host.run(
        "openssl s_client -connect 192.0.2.10:8443 -cipher DEFAULT@SECLEVEL=0 %s </dev/null", option
    )
    assert seen.succeeded is (option != "-tls1_1")


def test_a_renewed_certificate_is_shown_after_a_reload(host):
    def shown():
        return host.check_output(
            "openssl s_client -connect 192.0.2.10:8443 </dev/null 2>/dev/null"
            " | openssl x509 -noout -serial"
        )

    before = shown()
    process = host.check_output("systemctl show -P MainPID sample_service@one_stop")
    host.check_output(
        "cd /root/proof && openssl x509 -req -in application.csr -copy_extensions copy "
        "-CA root.pem -CAkey root.key -days 2 -out /etc/province/pki/application/chain.pem"
    )
    host.check_output("systemctl reload sample_service && sleep 1")
    assert shown() != before
    assert process == host.check_output("systemctl show -P MainPID sample_service@one_stop")


def test_no_secret_can_be_read_by_others_or_stands_on_a_command_line(host):
    assert host.file("/etc/province/sample_service/one_stop.password").mode == 0o600
    assert host.file("/run/sample_service/one_stop/key.pem").mode == 0o440
    assert host.file("/run/sample_service/one_stop").mode == 0o750
    assert not host.run("grep --recursive 'token s' /etc/province/sample_service/").succeeded
    assert "proof state" not in host.check_output("ps -eo args")
    assert "proof state" not in host.check_output("journalctl --no-pager --output=cat")


def test_lines_say_what_was_asked_without_what_stood_behind_the_question_mark(host):
    ask(host, ONE_STOP, "/records?limit=7")
    lines = host.check_output("journalctl --unit=sample_service@one_stop --output=cat --no-pager")
    assert "2001:db8:0:2::10 'GET /records' 200" in lines
    assert "limit=7" not in lines


def wait_for(host, name):
    """Waits until an application says that it serves, for half a minute at most."""
    running = f"systemctl is-active --quiet sample_service@{name}"
    host.check_output(f"for _ in $(seq 30); do {running} && exit; sleep 1; done; exit 1")


def test_an_application_that_fails_comes_back(host):
    host.check_output("systemctl kill --signal=KILL sample_service@one_stop && sleep 1")
    wait_for(host, "one_stop")
    assert ask(host, ONE_STOP, "/health")[0] == 200


def test_an_application_that_is_no_longer_declared_stops(host):
    settings = "/etc/province/sample_service/leaflet.json"
    host.check_output("mv %s %s.away && systemctl restart sample_service", settings, settings)
    try:
        wait_for(host, "one_stop")
        assert not host.service("sample_service@leaflet").is_running
    finally:
        host.check_output("mv %s.away %s && systemctl restart sample_service", settings, settings)
        wait_for(host, "leaflet")
