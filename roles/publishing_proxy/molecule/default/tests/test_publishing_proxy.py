"""What citizens get from the proxy and what attackers do not: asked as they would ask."""

import json

import pytest

NAME = "dichvucong.binhphuoc.internal"
ADDRESSES = {"IPv4": "192.0.2.10", "IPv6": "2001:db8:0:2::10"}
APPLICATIONS = {"svc1": ("127.0.0.1", "8445"), "svc2": ("127.0.0.2", "8446")}


def ask(host, path, *options, family="IPv6"):
    """The whole answer of one request, with its status on the last line."""
    address = ADDRESSES[family]
    where = f"{NAME}:443:[{address}]" if family == "IPv6" else f"{NAME}:443:{address}"
    command = ["curl", "--silent", "--cacert", "/root/proof/root.pem", "--max-time", "20"]
    command += ["--resolve", where, "--write-out", "\\n%{http_code}", *options]
    command += [f"https://{NAME}{path}"]
    return host.run(" ".join(["%s"] * len(command)), *command)


def status(host, path, *options, family="IPv6"):
    return ask(host, path, *options, family=family).stdout.splitlines()[-1]


def answer(host, path, *options):
    return json.loads(ask(host, path, *options).stdout.splitlines()[-2])


def start(host, name, identity=None):
    """Starts an application, showing its own certificate or another one's."""
    address, port = APPLICATIONS[name]
    host.run("systemctl stop %s; systemctl reset-failed %s", name, name)
    host.check_output(
        "systemd-run --quiet --unit=%s --remain-after-exit proof_application %s %s %s %s",
        name,
        name,
        address,
        port,
        f"/root/proof/{identity or name}",
    )
    host.check_output(
        "curl --silent --insecure --retry 20 --retry-connrefused --retry-delay 1 %s",
        f"https://{address}:{port}/",
    )


@pytest.fixture
def svc1_down(host):
    host.check_output("systemctl stop svc1")
    yield
    start(host, "svc1")


@pytest.mark.parametrize("family", ADDRESSES)
def test_a_citizen_reaches_the_application(host, family):
    assert status(host, "/", family=family) == "200"


def test_vietnamese_names_pass(host):
    said = answer(host, "/?ten=Nguy%E1%BB%85n%20Th%E1%BB%8B%20%C3%81nh%20D%C6%B0%C6%A1ng")
    assert "D%C6%B0%C6%A1ng" in said["path"]
    text = json.dumps({"reference": "H10-1", "text": "Đơn của bà Trần Thị Mỹ, ấp 3"})
    sent = answer(host, "/records", "--json", text)
    assert json.loads(sent["body"])["text"] == "Đơn của bà Trần Thị Mỹ, ấp 3"


@pytest.mark.parametrize("family", ADDRESSES)
@pytest.mark.parametrize(
    "path",
    [
        "/?q=%3Cscript%3E",
        "/?id=1%27%20or%201=1",
        "/?f=../../etc/passwd",
        "/?a=1;cat%20/etc/passwd",
    ],
)
def test_known_attacks_are_refused(host, path, family):
    assert status(host, path, family=family) == "403"


def test_an_attack_in_a_body_is_refused(host):
    body = json.dumps({"reference": "1", "text": "x' union select password from users --"})
    assert status(host, "/records", "--json", body) == "403"


def test_a_refusal_is_in_the_journal_with_its_rule(host):
    status(host, "/?mark=refused-and-logged&q=%3Cscript%3Ealert(1)%3C/script%3E")
    lines = host.check_output("journalctl --unit=nginx --output=cat --no-pager")
    assert '[id "941100"]' in lines
    assert "Access denied with code 403" in lines


def test_an_exception_holds_for_its_path_alone(host):
    script = "?q=%3Cscript%3Ealert(1)%3C/script%3E"
    assert status(host, f"/editor{script}") == "200"
    assert status(host, f"/{script}") == "403"
    assert status(host, "/editor?id=1%27%20or%201=1") == "403"


def test_requests_are_logged_without_what_was_typed(host):
    status(host, "/logged-path?cccd=070123456789")
    lines = host.check_output("journalctl --unit=nginx --output=cat --no-pager --grep=/logged-path")
    assert f"GET {NAME}/logged-path 200" in lines
    assert not host.run("grep --recursive --quiet logged-path /var/log/nginx").succeeded


def test_no_log_file_can_be_read_by_everybody(host):
    assert host.check_output("find /var/log/nginx -type f -perm /o=r") == ""


@pytest.mark.parametrize(
    ("option", "works"),
    [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)],
)
@pytest.mark.parametrize("address", ["192.0.2.10", "[2001:db8:0:2::10]"])
def test_tls_before_1_2_is_refused(host, address, option, works):
    seen = host.run(
        "openssl s_client -connect %s -servername %s -CAfile /root/proof/root.pem "
        "-verify_return_error -cipher DEFAULT@SECLEVEL=0 %s </dev/null",
        f"{address}:443",
        NAME,
        option,
    )
    assert seen.succeeded is works


@pytest.mark.parametrize("address", ["192.0.2.10", "[2001:db8:0:2::10]"])
@pytest.mark.parametrize("name", ["", "-servername other.example"])
def test_who_names_nothing_published_gets_no_certificate(host, address, name):
    seen = host.run(f"openssl s_client -connect {address}:443 {name or '-noservername'} </dev/null")
    assert seen.failed
    assert "BEGIN CERTIFICATE" not in seen.stdout
    assert "unrecognized name" in seen.stderr


def test_a_name_in_the_header_does_not_pass_for_the_one_in_the_handshake(host):
    assert status(host, "/", "--header", "Host: other.example") == "421"


def test_http_2_is_spoken(host):
    assert ask(host, "/", "--write-out", "\n%{http_version}").stdout.endswith("\n2")


def test_answers_carry_what_browsers_need_and_nothing_about_us(host):
    headers = ask(host, "/", "--include").stdout.lower()
    for header in (
        "strict-transport-security: max-age=31536000",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: ",
    ):
        assert header in headers
    assert "x-powered-by" not in headers
    assert "server: nginx\r\n" in headers.replace("\n", "\r\n").replace("\r\r", "\r")


def test_the_application_learns_the_real_source(host):
    forged = ("--header", "X-Forwarded-For: 10.70.4.11")
    assert answer(host, "/", *forged)["source"] == ADDRESSES["IPv6"]


def test_a_request_too_large_is_refused(host):
    host.check_output("head --bytes=22020096 /dev/zero > /root/proof/large")
    sent = ("--data-binary", "@/root/proof/large")
    assert status(host, "/", *sent) == "413"


def flood(host, requests, source):
    """The different answers to many requests of one source, as fast as it can."""
    seen = host.check_output(
        "curl --silent --parallel --parallel-max 20 --cacert /root/proof/root.pem --resolve %s "
        "--interface %s --output /dev/null --write-out '%%{http_code}\\n' %s",
        f"{NAME}:443:[{ADDRESSES['IPv6']}]",
        source,
        f"https://{NAME}/?flood=[1-{requests}]",
    )
    return set(seen.split())


@pytest.fixture
def sources(host):
    """A neighbour in the same network of 64 bits, and somebody in another one."""
    addresses = ["2001:db8:0:2:ffff::11", "2001:db8:0:9::11"]
    for address in addresses:
        host.check_output("ip address add %s dev management nodad", f"{address}/64")
    yield addresses
    for address in addresses:
        host.check_output("ip address del %s dev management", f"{address}/64")
    host.check_output("sleep 4")


def test_a_source_that_asks_too_often_is_slowed_and_others_are_not(host, sources):
    neighbour, stranger = sources
    assert flood(host, 300, ADDRESSES["IPv6"]) == {"200", "429"}
    assert flood(host, 50, neighbour) == {"200", "429"}
    assert flood(host, 50, stranger) == {"200"}
    assert status(host, "/", family="IPv4") == "200"


def test_who_is_slowed_learns_when_to_come_back(host):
    seen = host.check_output(
        "curl --silent --include --parallel --cacert /root/proof/root.pem --resolve %s %s",
        f"{NAME}:443:192.0.2.10",
        f"https://{NAME}/?flood=[1-200]",
    )
    host.check_output("sleep 4")
    assert "retry-after: 5" in seen


def test_a_source_with_too_many_requests_at_work_is_slowed(host):
    seen = host.check_output(
        "curl --silent --parallel --parallel-max 60 --parallel-immediate --http1.1 "
        "--cacert /root/proof/root.pem --resolve %s --output /dev/null "
        "--write-out '%%{http_code}\\n' %s",
        f"{NAME}:443:192.0.2.10",
        f"https://{NAME}/slow?[1-55]",
    ).split()
    host.check_output("sleep 4")
    assert 0 < seen.count("429") < 55


def test_both_applications_answer(host):
    seen = {answer(host, "/")["application"] for _ in range(8)}
    assert seen == {"svc1", "svc2"}


@pytest.mark.usefixtures("svc1_down")
def test_one_application_is_enough(host):
    for _ in range(8):
        assert answer(host, "/")["application"] == "svc2"
        assert status(host, "/records", "--json", '{"reference": "1", "text": "x"}') == "200"


def test_an_application_with_a_foreign_certificate_is_not_asked(host):
    start(host, "svc1", identity="svc2")
    # Until the proxy asks an application again that was down before.
    host.check_output("sleep 6")
    try:
        assert {answer(host, "/")["application"] for _ in range(8)} == {"svc2"}
    finally:
        start(host, "svc1")
    lines = host.check_output("journalctl --unit=nginx --output=cat --no-pager")
    assert "upstream SSL certificate does not match" in lines


def test_a_renewed_certificate_is_shown_after_a_reload(host):
    def shown():
        return host.check_output(
            "openssl s_client -connect 192.0.2.10:443 -servername %s </dev/null 2>/dev/null"
            " | openssl x509 -noout -serial",
            NAME,
        )

    before, process = shown(), host.check_output("systemctl show -P MainPID nginx")
    host.check_output(
        "cd /root/proof && openssl x509 -req -in publication.csr -copy_extensions copy "
        "-CA root.pem -CAkey root.key -days 2 -out /etc/province/pki/publication/chain.pem"
    )
    host.check_output("systemctl reload nginx; sleep 1")
    assert shown() != before
    assert host.check_output("systemctl show -P MainPID nginx") == process


def test_the_proxy_starts_at_boot_and_is_confined(host):
    assert host.service("nginx").is_enabled
    shown = host.check_output("systemctl show nginx")
    assert "ProtectSystem=strict" in shown
    assert "Restart=on-failure" in shown
    assert "StartLimitIntervalUSec=0" in shown
