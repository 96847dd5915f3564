"""PKI: certificates, revocation and keys, asked of services, files and the authority."""

import datetime as dt
import functools
import json
import re
import subprocess
from typing import cast

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from harness import ROOT, CouldNotCheck, Machine, NotApplicable, Seen, World, listed
from pairs import held_by
from probing import Places
from publications import published_services

from infra.plan import Host, Site

PKI = "/etc/province/pki"
STRONG_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
LEAST_RSA_BITS = 2048
LEAST_SHARE_LEFT = 0.25
"""Renewal begins when a third is left; below a quarter it has failed for a while."""
KEY_PLACES = ("/etc", "/root", "/home", "/var/lib", "/usr/local", "/srv")
PASSPHRASE = "/etc/province/authority/issuing_passphrase"  # noqa: S105 - a path
OLDEST_LIST = dt.timedelta(hours=24)
"""The authority makes one every hour; from a day on a host raises an alarm by itself."""
CLOCKS_DIFFER = dt.timedelta(minutes=5)
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
REVOCATION_STATE = "/var/lib/province/revocation/state.json"
KEY_MODES = frozenset({"0600", "0640", "0400", "0440"})


def certificates(machine: Machine, path: str) -> list[x509.Certificate]:
    """The certificates in a file of the host."""
    return x509.load_pem_x509_certificates(machine.ask("cat", path).encode())


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.mark.control("PKI-01")
def test_services_speak_modern_tls_only(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    # A shared address that the twin carries now is asked there.
    here = {"*", "::", "0.0.0.0", *held_by(machine)}  # noqa: S104 - what ss prints
    names = {
        one.published.port: one.published.name
        for one in published_services(world.plan, target.name)
        if one.published
    }
    places = sorted(
        {
            (address.strip("[]").replace("*", "::1").replace("0.0.0.0", "127.0.0.1"), port)  # noqa: S104 - what ss prints
            for protocol, address, port, name in machine.listeners()
            if protocol == "tcp" and name != "sshd" and address.strip("[]") in here
        }
    )
    asked = [[address, port, names.get(port, "")] for address, port in places]
    found = machine.ask_program("tls_hello", json.dumps(asked))
    speaking = [one for one in found if one["answers"]["tls1.2"] == "accepted"]

    for one in found:
        seen(f"{one['address']} {one['port']}: {one['answers']}")
    silent = set(names) - {one["port"] for one in speaking}
    assert not silent, f"{machine.name}: publishes on {listed(sorted(silent))} without TLS"
    if not speaking:
        raise NotApplicable(f"{machine.name}: no listener of {len(found)} speaks TLS")
    for one in speaking:
        for old in ("tls1.1", "tls1.0", "weak ciphers"):
            assert one["answers"][old] == "refused", (
                f"{machine.name}: port {one['port']} answers {old} with "
                f"{one['answers'][old]!r}; it must refuse"
            )


@pytest.mark.control("PKI-02")
def test_certificates_say_the_planned_names(machine: Machine, target: Host, seen: Seen) -> None:
    if not target.certificates:
        raise NotApplicable(f"{target.name}: the plan gives it no certificate")
    for wanted in target.certificates:
        (leaf,) = certificates(machine, f"{PKI}/{wanted.name}/certificate.pem")
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = set(names.get_values_for_type(x509.DNSName))
        addresses = {str(one) for one in names.get_values_for_type(x509.IPAddress)}
        seen(f"{wanted.name}: {leaf.subject.rfc4514_string()}, {listed(sorted(dns_names))}")
        assert [one.value for one in common] == [wanted.common_name], (
            f"{machine.name}: certificate {wanted.name} is for {leaf.subject.rfc4514_string()}; "
            f"planned is {wanted.common_name}"
        )
        assert dns_names == set(wanted.dns_names), (
            f"{machine.name}: certificate {wanted.name} says {sorted(dns_names)}; "
            f"planned: {sorted(wanted.dns_names)}"
        )
        assert addresses == set(wanted.addresses), (
            f"{machine.name}: certificate {wanted.name} says {sorted(addresses)}; "
            f"planned: {sorted(wanted.addresses)}"
        )


@pytest.mark.control("PKI-02")
def test_certificates_are_strong_and_ours(machine: Machine, target: Host, seen: Seen) -> None:
    (root,) = certificates(machine, f"{PKI}/root.pem")
    for wanted in target.certificates:
        chain = certificates(machine, f"{PKI}/{wanted.name}/chain.pem")
        assert len(chain) >= 2, f"{machine.name}: chain of {wanted.name} has {len(chain)} links"
        for one in (*chain, root):
            digest = one.signature_hash_algorithm
            seen(f"{one.subject.rfc4514_string()}: {_key_of(one)}, {digest and digest.name}")
            assert digest is not None, f"{one.subject.rfc4514_string()}: its digest is unknown"
            assert digest.name in {"sha256", "sha384", "sha512"}, (
                f"{one.subject.rfc4514_string()}: is signed with {digest.name}; SHA-2 is required"
            )
            assert _is_strong(one), f"{one.subject.rfc4514_string()}: {_key_of(one)} is too weak"
        for signed, signer in zip(chain, [*chain[1:], root], strict=True):
            assert _is_signed_by(signed, signer), (
                f"{machine.name}: {signed.subject.rfc4514_string()} is not signed by "
                f"{signer.subject.rfc4514_string()}"
            )


def _key_of(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__


def _is_strong(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in STRONG_CURVES
    return isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS


def _is_signed_by(signed: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.control("PKI-02")
def test_certificates_last_long_enough(machine: Machine, target: Host, seen: Seen) -> None:
    for wanted in target.certificates:
        (leaf,) = certificates(machine, f"{PKI}/{wanted.name}/certificate.pem")
        lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        left = leaf.not_valid_after_utc - now()
        seen(f"{wanted.name}: {left} of {lifetime} left, until {leaf.not_valid_after_utc}")
        assert left > LEAST_SHARE_LEFT * lifetime, (
            f"{machine.name}: certificate {wanted.name} has {left} of {lifetime} left; "
            "its renewal has failed for a while"
        )


@pytest.mark.control("PKI-02")
def test_renewal_runs_by_itself(machine: Machine, seen: Seen) -> None:
    timer = machine.unit("host_certificate.timer", "ActiveState", "UnitFileState", "Result")
    name, properties = "host_certificate.service", ("Result", "ExecMainExitTimestamp")
    last = machine.unit(name, *properties)
    if not last["ExecMainExitTimestamp"]:
        # Young machines: the timer has not come round yet, so the same run is made now.
        machine.reply("systemctl", "start", name, live=True)
        last = machine.unit(name, *properties, live=True)

    seen(f"timer: {timer}", f"last run: {last}")
    assert timer["ActiveState"] == "active", f"{machine.name}: renewal timer is {timer}"
    assert timer["UnitFileState"] == "enabled", f"{machine.name}: renewal timer is {timer}"
    assert last["ExecMainExitTimestamp"], f"{machine.name}: renewal never ran, not even now"
    assert last["Result"] == "success", f"{machine.name}: the last renewal ended with {last}"


@pytest.mark.control("PKI-03")
def test_issuing_authority_is_limited(machine: Machine, world: World, seen: Seen) -> None:
    (issuing,) = certificates(machine, f"{PKI}/issuing.pem")
    (root,) = certificates(machine, f"{PKI}/root.pem")
    basic = issuing.extensions.get_extension_for_class(x509.BasicConstraints).value
    limits = issuing.extensions.get_extension_for_class(x509.NameConstraints)
    permitted = [str(one.value) for one in limits.value.permitted_subtrees or ()]

    seen(f"issuing authority: {issuing.subject.rfc4514_string()}, path length {basic.path_length}")
    seen(f"permitted: {listed(permitted)}")
    assert _is_signed_by(issuing, root), f"{machine.name}: the root did not sign its authority"
    assert basic.ca, f"{machine.name}: the issuing certificate is none of an authority"
    assert basic.path_length == 0, f"{machine.name}: path length {basic.path_length}; 0 is required"
    assert {one.lstrip(".") for one in permitted if not re.match(r"[\d:a-f]+[.:/]", one)} == {
        world.plan.domain
    }, f"{machine.name}: may certify {listed(permitted)}; only {world.plan.domain} is ours"


@pytest.mark.control("PKI-03")
def test_running_authority_is_not_the_root(machine: Machine, target: Host, seen: Seen) -> None:
    (issuing,) = certificates(machine, f"{PKI}/issuing.pem")
    shown = machine.ask(
        "openssl", "s_client", "-showcerts", "-connect", f"{target.primary.addresses.ipv4}:443"
    )
    served = x509.load_pem_x509_certificates(
        "".join(re.findall(r"-----BEGIN CERT.*?END CERTIFICATE-----\n", shown, re.DOTALL)).encode()
    )

    seen(*(f"served: {one.subject.rfc4514_string()}" for one in served))
    assert _is_signed_by(served[0], issuing), (
        f"{machine.name}: its own certificate is signed by "
        f"{served[0].issuer.rfc4514_string()}; the issuing authority signs leaves, never the root"
    )


@pytest.mark.control("PKI-03")
def test_root_key_is_not_online(machine: Machine, seen: Seen) -> None:
    (root,) = certificates(machine, f"{PKI}/root.pem")
    wanted = root.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    paths = [one["path"] for one in machine.ask_program("key_files", *KEY_PLACES)]
    assert paths, f"{machine.name}: no key at all was found; an authority has one"
    for path in paths:
        read = ["openssl", "pkey", "-pubout", "-passin", f"file:{PASSPHRASE}", "-in", path]
        reply = machine.reply(*read)
        if reply.code == 0:
            seen(f"{path}: another key than the root's")
            assert reply.output.encode() != wanted, (
                f"{machine.name}: {path} is the root's key; it belongs off line"
            )
        elif "OPENSSH" in machine.ask("head", "--lines=1", path):
            seen(f"{path}: a key of secure shell")
        elif "Private-key-format" in machine.ask("head", "--lines=1", path):
            seen(f"{path}: a key that signs names")
        else:
            raise CouldNotCheck(f"{machine.name}: {path} cannot be read: {reply.complaint[:100]}")


@pytest.mark.control("PKI-04")
def test_revocation_list_is_reachable(site: Site, world: World, places: Places, seen: Seen) -> None:
    flows = [f for f in world.plan.flows if f.service == "crl" and f.source_site == site.code]
    if not flows:
        raise NotApplicable(f"site {site.code}: no host of it checks certificates of others")
    fetch = (
        "import sys, urllib.request\n"
        "print(urllib.request.urlopen(sys.argv[1], timeout=5).read().hex())"
    )
    for flow in flows:
        url = f"http://ca.{world.plan.domain}/1.0/crl"
        body = bytes.fromhex(places.at(flow.source).run(["python3", "-c", fetch, url]).strip())
        revocations = x509.load_der_x509_crl(body)
        until = revocations.next_update_utc
        seen(f"{flow.source}: {url}: {len(list(revocations))} revoked, next list by {until}")
        assert until is not None, f"{flow.source}: the list from {url} does not say until when"
        assert until > now(), f"{flow.source}: the list from {url} expired at {until}"


@pytest.mark.control("PKI-04")
def test_revocation_list_is_signed_by_our_authority(site: Site, places: Places, seen: Seen) -> None:
    for host in (h for h in site.hosts if h.certificates):
        at = places.at(host.name)
        text = at.run(["cat", f"{PKI}/issuing.pem", f"{PKI}/issuing.crl"])
        issuing = x509.load_pem_x509_certificates(text.encode())[0]
        revocations = x509.load_pem_x509_crl(text[text.index("-----BEGIN X509 CRL") :].encode())
        key = cast("ec.EllipticCurvePublicKey", issuing.public_key())
        until = revocations.next_update_utc
        seen(f"{host.name}: list in use is good until {until}")
        assert revocations.is_signature_valid(key), f"{host.name}: somebody else signed its list"
        assert until is not None, f"{host.name}: its list does not say until when it is good"
        assert until > now(), f"{host.name}: its revocation list expired at {until}"


@pytest.mark.control("PKI-07")
def test_list_of_revoked_certificates_is_young(machine: Machine, target: Host, seen: Seen) -> None:
    """The file that daemons read, signed by our authority; and the tunnel daemon has read it."""
    (issuing,) = certificates(machine, f"{PKI}/issuing.pem")
    revocations = x509.load_pem_x509_crl(machine.ask("cat", f"{PKI}/issuing.crl").encode())
    key = cast("ec.EllipticCurvePublicKey", issuing.public_key())
    age, until = now() - revocations.last_update_utc, revocations.next_update_utc

    seen(f"{len(list(revocations))} revoked, made {age} ago, good until {until}")
    assert revocations.is_signature_valid(key), f"{machine.name}: somebody else signed its list"
    assert until is not None, f"{machine.name}: its list does not say until when it is good"
    assert until > now(), f"{machine.name}: its list of revoked certificates expired at {until}"
    assert dt.timedelta(0) - CLOCKS_DIFFER < age < OLDEST_LIST, (
        f"{machine.name}: its list of revoked certificates is {age} old; {OLDEST_LIST} at most"
    )
    if "site_tunnel" in target.functions:
        read = machine.ask("swanctl", "--list-certs", "--type", "x509_crl", live=True)
        seen(" ".join(read.split())[:200])
        assert "issuer:" in read, f"{machine.name}: the tunnel daemon has read no list"


@pytest.mark.control("PKI-07")
def test_list_of_revoked_keys_is_young(machine: Machine, seen: Seen) -> None:
    """What sshd itself says that it reads; when the authority made it stands beside it."""
    settings = machine.ask("/usr/sbin/sshd", "-T")
    named = re.search(r"^revokedkeys (.+)$", settings, re.MULTILINE)
    path = named[1] if named else "none"
    assert path.startswith("/"), f"{machine.name}: sshd refuses no key: revokedkeys {path}"
    listed_ = machine.reply("ssh-keygen", "-Q", "-l", "-f", path, live=True)
    own = machine.reply("ssh-keygen", "-Q", "-f", path, HOST_KEY, live=True)
    state = machine.ask_json("cat", REVOCATION_STATE, live=True)
    made = dt.datetime.fromisoformat(state["ssh_this_update"])
    until = dt.datetime.fromisoformat(state["ssh_next_update"])

    seen(
        f"sshd reads {path}: {' '.join(listed_.output.split())[:160]}", f"{HOST_KEY}: {own.output}"
    )
    seen(f"the authority made it at {made}, good until {until}, {state['ssh_revoked']} revoked")
    assert listed_.code == 0, f"{machine.name}: {path} is no list of keys: {listed_.complaint}"
    assert own.code == 0, f"{machine.name}: its own key is revoked, or the list cannot be read"
    assert now() - made < OLDEST_LIST, (
        f"{machine.name}: its list of revoked keys is {now() - made} old; {OLDEST_LIST} at most"
    )
    assert until > now(), f"{machine.name}: its list of revoked keys expired at {until}"


@pytest.mark.control("PKI-05")
def test_keys_are_readable_by_their_owner_only(machine: Machine, seen: Seen) -> None:
    keys = machine.ask_program("key_files", *KEY_PLACES)
    assert keys, f"{machine.name}: no key was found; a host has at least its secure shell key"
    for one in keys:
        seen(f"{one['path']}: {one['mode']} {one['owner']}:{one['group']}")
        assert one["mode"] in KEY_MODES, (
            f"{machine.name}: {one['path']} has mode {one['mode']}; 0600 or 0640 is required"
        )
        is_service = one["owner_shell"].endswith(("nologin", "false"))
        assert one["owner"] == "root" or is_service, (
            f"{machine.name}: {one['path']} belongs to {one['owner']}, who can log in"
        )


@functools.cache
def keys_in(folder: str) -> tuple[str, ...]:
    """Files below a folder that hold a private key in clear."""
    mark = r"^-----BEGIN ((RSA|EC|DSA|OPENSSH) )?PRIVATE KEY-----$"
    command = ["grep", "--recursive", "--files-with-matches", "--binary-files=without-match"]
    done = subprocess.run(
        [*command, "--extended-regexp", mark, folder], capture_output=True, text=True, check=False
    )
    if done.returncode > 1:
        raise CouldNotCheck(f"{folder}: could not be searched: {done.stderr.strip()}")
    return tuple(done.stdout.splitlines())


@functools.cache
def keys_in_repository() -> tuple[str, ...]:
    """Committed files that hold a private key in clear."""
    mark = r"^-----BEGIN ((RSA|EC|DSA|OPENSSH) )?PRIVATE KEY-----$"
    done = subprocess.run(
        ["git", "grep", "--files-with-matches", "--extended-regexp", mark],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode > 1:
        raise CouldNotCheck(f"the repository could not be searched: {done.stderr.strip()}")
    return tuple(done.stdout.splitlines())


@pytest.mark.control("PKI-05")
def test_no_key_lies_in_repository_or_stack_state(
    machine: Machine, world: World, seen: Seen
) -> None:
    stacks = world.state / "pulumi"
    found = (*keys_in_repository(), *keys_in(str(stacks)))

    seen(f"{machine.name}: repository and {stacks} searched, keys found: {listed(found)}")
    assert not found, f"{listed(found)}: holds a private key; keys stay on their host"
