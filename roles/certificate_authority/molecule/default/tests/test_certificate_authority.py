"""What the authority certifies and what it refuses: asked of the running one."""

import json

import pytest

FOLDER = "/etc/province/authority"
REQUEST = (
    "umask 077; openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    " -keyout /root/{name}.key -subj /CN={name} -addext subjectAltName={alternatives} 2>/dev/null"
)


@pytest.fixture(scope="module", autouse=True)
def openssl(host):
    """The tests' own tool: the authority needs none but its own."""
    host.check_output("apt-get install --yes --quiet --quiet openssl")


def request(host, name="node1", addresses=("192.0.2.10", "2001:db8:0:2::10")):
    alternatives = ",".join([f"DNS:{name}", *(f"IP:{address}" for address in addresses)])
    return {
        "name": "test",
        "common_name": name,
        "dns_names": [name],
        "addresses": list(addresses),
        "request": host.check_output(REQUEST.format(name=name, alternatives=alternatives)),
    }


def sign(host, *requests):
    return host.run(
        "printf %s %s | /usr/local/lib/province/sign_requests.py",
        "%s",
        json.dumps({"requests": requests}),
    )


@pytest.fixture(scope="module")
def signed(host):
    answer = sign(host, request(host))
    assert answer.rc == 0, answer.stderr
    return json.loads(answer.stdout)


def shown(host, pem, *what):
    return host.check_output(
        f"printf %s %s | openssl x509 -noout -nameopt RFC2253 {' '.join(what)}", "%s", pem
    )


def test_request_over_the_configuration_channel_is_signed(host, signed):
    certificate = signed["certificates"]["test"]
    said = shown(host, certificate, "-subject", "-ext subjectAltName,extendedKeyUsage")
    assert "subject=CN=node1" in said
    assert "DNS:node1, IP Address:192.0.2.10" in said
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in said


def test_certificate_is_trusted_and_found_on_no_revocation_list(host, signed):
    for name, text in (
        ("leaf.pem", signed["certificates"]["test"]),
        ("list.pem", signed["revocation_list"]),
    ):
        host.check_output(f"printf %s %s >/root/{name}", "%s", text)
    verified = host.check_output(
        f"openssl verify -crl_check -CRLfile /root/list.pem -CAfile {FOLDER}/root.pem "
        f"-untrusted {FOLDER}/issuing.pem /root/leaf.pem"
    )
    assert verified == "/root/leaf.pem: OK"


def test_names_and_addresses_of_others_are_refused(host):
    for refused in (request(host, name="example.org"), request(host, addresses=("203.0.113.9",))):
        answer = sign(host, refused)
        assert answer.rc != 0
        assert "the request must be for names and addresses of the province" in answer.stderr


def test_nobody_gets_a_certificate_over_the_network_without_a_token(host):
    settings = json.loads(host.file(f"{FOLDER}/ca.json").content_string)
    kinds = [one["type"] for one in settings["authority"]["provisioners"]]
    assert kinds == ["JWK", "SSHPOP"]
    assert "encryptedKey" not in settings["authority"]["provisioners"][0]


def test_keys_are_encrypted_and_the_authoritys_alone(host):
    for name in ("issuing_key.pem", "ssh_host_authority_key.pem", "ssh_user_authority_key.pem"):
        key = host.file(f"{FOLDER}/{name}")
        assert (key.user, key.mode) == ("certificate_authority", 0o600)
        assert key.content_string.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    vouching = host.file(f"{FOLDER}/provisioner_key.pem")
    assert (vouching.user, vouching.mode) == ("root", 0o600)


def test_authority_runs_without_rights_of_root(host):
    assert host.service("certificate_authority").is_running
    assert host.service("certificate_authority").is_enabled
    [process] = host.process.filter(comm="step-ca")
    # ps shortens a long name.
    assert process.user in {"certifi+", "certificate_authority"}


def test_only_the_two_ports_are_open(host):
    listening = host.check_output("ss --no-header --listening --tcp --numeric --processes")
    ports = {
        line.split()[3].rpartition(":")[2] for line in listening.splitlines() if "step-ca" in line
    }
    assert ports == {"80", "443"}


@pytest.mark.parametrize("address", ["192.0.2.10", "[2001:db8:0:2::10]"])
def test_revoked_keys_of_people_are_served_signed_at_once(host, address):
    program = "/usr/local/lib/province/ssh_revocations.py"
    host.check_output(f"{program} revoke serial 4711 lost")
    fetch = f"import urllib.request as u; print(u.urlopen('http://{address}:8480/list').read())"
    said = host.check_output("python3 -c %s", fetch)
    assert '"serial: 4711"' in said
    assert "BEGIN SSH SIGNATURE" in said
    assert host.service("ssh_revocations.timer").is_running
    [line] = host.check_output(f"{program} list").splitlines()
    assert "serial: 4711 (lost)" in line


def test_whoever_serves_the_list_reads_nothing_else(host):
    served = host.check_output(
        "systemctl show --property=DynamicUser,ProtectSystem --value ssh_revocations_server"
    )
    assert served.split() == ["yes", "strict"]
    fetch = (
        "import urllib.request as u;"
        "u.urlopen('http://192.0.2.10:8480/%2e%2e/%2e%2e/etc/passwd').read()"
    )
    assert "404" in host.run("python3 -c %s", fetch).stderr
