#!/usr/bin/python3
"""Keeps this host's certificates: makes keys and requests, installs and renews.

    host_certificate.py look       JSON of what is missing or says the wrong thing; changes nothing
    host_certificate.py request    the same with a request for each, made with a new key
    host_certificate.py install    installs the signed certificates given as JSON on standard input
    host_certificate.py renew      renews what has passed two thirds of its lifetime, with a new key

A certificate lies in a folder with its key; /etc/province/pki/<name> is a link to the folder in
force, exchanged in one step, so nobody ever sees a key beside another key's certificate.
Keys are made here and never leave. Every failure is a sentence and a failed exit.
"""

import grp
import ipaddress
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/host_certificate.json")
PKI = Path("/etc/province/pki")
ROOT, ISSUING, REVOCATIONS = PKI / "root.pem", PKI / "issuing.pem", PKI / "issuing.crl"
VERSIONS = PKI / ".versions"
DUE = "66%"
LIMIT_SECONDS = 30

Settings = dict[str, Any]
Wanted = dict[str, Any]
Command = Sequence[str | Path]


class RefusedError(Exception):
    """A sentence that says what could not be done."""


def main(arguments: list[str]) -> None:
    """Runs one verb; several failures are all reported before it ends."""
    verbs = {"look": look, "request": request, "install": install, "renew": renew}
    if len(arguments) != 1 or arguments[0] not in verbs:
        sys.exit(__doc__)
    settings = json.loads(SETTINGS.read_text())
    os.umask(0o022)
    failures = verbs[arguments[0]](settings)
    if failures:
        sys.exit("\n".join(failures))


def look(settings: Settings) -> list[str]:
    """Prints which certificates do not do, and why."""
    return ask_for(settings, subject)


def request(settings: Settings) -> list[str]:
    """Prints a request for each certificate that does not do, and brings owners in line."""
    failures = attempt_all(settings["certificates"], give_away)
    return failures + ask_for(
        settings, lambda wanted: {**subject(wanted), "request": new_request(wanted)}
    )


def ask_for(settings: Settings, ask: Callable[[Wanted], Wanted]) -> list[str]:
    """Prints what `ask` answers for each certificate that does not do, with the reason."""
    requests: list[Wanted] = []

    def ask_one(wanted: Wanted) -> None:
        if reason := why_not(wanted):
            requests.append({**ask(wanted), "why": reason})

    failures = attempt_all(settings["certificates"], ask_one)
    json.dump({"requests": requests}, sys.stdout)
    return failures


def install(settings: Settings) -> list[str]:
    """Installs what was signed for the waiting keys, and the revocation list that came with it."""
    signed = json.load(sys.stdin)
    failures = attempt_all(
        [one for one in settings["certificates"] if one["name"] in signed["certificates"]],
        lambda wanted: put_in_force(
            wanted, waiting(wanted), signed["certificates"][wanted["name"]]
        ),
    )
    write_revocations(signed["revocation_list"])
    return failures


def renew(settings: Settings) -> list[str]:
    """Renews what is due."""

    def renew_one(wanted: Wanted) -> None:
        if not is_due(wanted):
            return
        folder, fresh = PKI / wanted["name"], waiting(wanted)
        empty(fresh)
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        where = [f"--ca-url={settings['authority']['url']}", f"--root={ROOT}", "--force"]
        if expired(certificate):
            # No connection is possible with an expired certificate, so the request carries it
            # instead, with its chain; the authority lets that renew, but not change the key.
            shutil.copy2(key, fresh / "key.pem")
            out = [f"--out={fresh / 'chain.pem'}", "--mtls=false"]
            run(["step", "ca", "renew", *where, *out, folder / "chain.pem", key])
        else:
            out = [f"--out-cert={fresh / 'chain.pem'}", f"--out-key={fresh / 'key.pem'}"]
            curve = ["--kty=EC", "--curve=P-256"]
            run(["step", "ca", "rekey", *where, *out, *curve, certificate, key])
        put_in_force(wanted, fresh, (fresh / "chain.pem").read_text())

    return attempt_all(settings["certificates"], renew_one)


def attempt_all(certificates: list[Wanted], act: Callable[[Wanted], None]) -> list[str]:
    """Answers the sentences of those that failed; one failure does not stop the others."""
    failures = []
    for wanted in certificates:
        try:
            act(wanted)
        except RefusedError as refusal:
            failures.append(f"certificate {wanted['name']!r}: {refusal}")
    return failures


def subject(wanted: Wanted) -> Wanted:
    """Answers what a certificate must say, without what concerns this host alone."""
    return {key: wanted[key] for key in ("name", "common_name", "dns_names", "addresses")}


def why_not(wanted: Wanted) -> str:
    """Answers why the certificate in force does not do, empty where it does."""
    folder = PKI / wanted["name"]
    certificate = folder / "certificate.pem"
    if not certificate.is_file() or not (folder / "key.pem").is_file():
        return "there is none"
    faults: dict[str, Callable[[], bool]] = {
        "it has expired": lambda: expired(certificate),
        "it belongs to another key": lambda: not fits(certificate, folder / "key.pem"),
        "it says other names": lambda: names(certificate) != wanted_names(wanted),
        "another authority has signed it": lambda: not trusted(certificate),
        "it has been revoked": lambda: serial(certificate) in revoked(),
    }
    return next((reason for reason, is_so in faults.items() if is_so()), "")


def names(certificate: Path) -> set[str]:
    """Answers the names and addresses in a certificate, and its common name."""
    text = run(
        [
            *("openssl", "x509", "-noout", "-subject", "-nameopt", "multiline"),
            *("-ext", "subjectAltName", "-in", certificate),
        ]
    )
    common = re.search(r"commonName\s*= (.*)", text)
    found = {f"CN:{common[1]}" if common else "CN:"}
    found |= {f"DNS:{name}" for name in re.findall(r"DNS:([^,\s]+)", text)}
    addresses = re.findall(r"IP Address:([^,\s]+)", text)
    return found | {f"IP:{ipaddress.ip_address(address)}" for address in addresses}


def wanted_names(wanted: Wanted) -> set[str]:
    """Answers the same of what is wanted."""
    return (
        {f"CN:{wanted['common_name']}"}
        | {f"DNS:{name}" for name in wanted["dns_names"]}
        | {f"IP:{ipaddress.ip_address(address)}" for address in wanted["addresses"]}
    )


def is_due(wanted: Wanted) -> bool:
    """Answers whether a certificate has passed two thirds of its lifetime."""
    certificate = PKI / wanted["name"] / "certificate.pem"
    if not certificate.is_file():
        raise RefusedError(
            f"there is none at {certificate}; the first one comes over the configuration channel; "
            "run the role host_certificate"
        )
    # Exit codes of needs-renewal: 0 due, 1 not due, anything else is a failure.
    return (
        run_for_code(
            ["step", "certificate", "needs-renewal", f"--expires-in={DUE}", certificate], (0, 1)
        )
        == 0
    )


def expired(certificate: Path) -> bool:
    """Answers whether a certificate's end has passed."""
    command: Command = ["openssl", "x509", "-noout", "-checkend", "0", "-in", certificate]
    return run_for_code(command, (0, 1)) == 1


def trusted(certificate: Path) -> bool:
    """Answers whether our own authority has signed a certificate."""
    authorities: Command = ["-no_check_time", "-CAfile", ROOT, "-untrusted", ISSUING]
    return run_for_code(["openssl", "verify", *authorities, certificate], (0, 2)) == 0


def serial(certificate: Path) -> str:
    """Answers a certificate's serial number, in capital hexadecimal digits."""
    shown = run(["openssl", "x509", "-noout", "-serial", "-in", certificate])
    return shown.strip().rpartition("=")[2]


def revoked() -> set[str]:
    """Answers the serial numbers on the revocation list that is here; it may be an old one."""
    if not REVOCATIONS.is_file():
        return set()
    text = run(["openssl", "crl", "-noout", "-text", "-in", REVOCATIONS])
    return set(re.findall(r"Serial Number: ([0-9A-F]+)", text))


def fits(certificate: Path, key: Path) -> bool:
    """Answers whether a certificate is that of a key."""
    return run(["openssl", "x509", "-noout", "-pubkey", "-in", certificate]) == run(
        ["openssl", "pkey", "-pubout", "-in", key]
    )


def waiting(wanted: Wanted) -> Path:
    """Answers the folder of a key that has no certificate yet."""
    return VERSIONS / f"{wanted['name']}.waiting"


def empty(folder: Path) -> None:
    """Makes a folder that holds nothing of an earlier, killed attempt."""
    VERSIONS.mkdir(mode=0o755, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def new_request(wanted: Wanted) -> str:
    """Makes a key, and answers the request for it."""
    folder = waiting(wanted)
    empty(folder)
    key = folder / "key.pem"
    run(
        [
            *("openssl", "genpkey", "-algorithm", "EC"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-out", key),
        ]
    )
    alternatives = [f"DNS:{name}" for name in wanted["dns_names"]]
    alternatives += [f"IP:{address}" for address in wanted["addresses"]]
    return run(
        [
            *("openssl", "req", "-new", "-key", key, "-subj", f"/CN={wanted['common_name']}"),
            *("-addext", f"subjectAltName={','.join(alternatives)}"),
        ]
    )


def put_in_force(wanted: Wanted, folder: Path, chain: str) -> None:
    """Checks key and certificate against each other and puts their folder in force."""
    leaf = chain[: chain.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    certificate = folder / "certificate.pem"
    certificate.write_text(leaf)
    (folder / "chain.pem").write_text(leaf + ISSUING.read_text())
    if not fits(certificate, folder / "key.pem"):
        raise RefusedError(
            "what came back belongs to another key; run the role host_certificate again"
        )
    if names(certificate) != wanted_names(wanted) or not trusted(certificate):
        raise RefusedError(
            f"what came back says {sorted(names(certificate))} and not "
            f"{sorted(wanted_names(wanted))}, or another authority has signed it; run the role "
            "host_certificate again"
        )
    hand_over(wanted, folder)
    version = VERSIONS / f"{wanted['name']}.{serial(certificate).lower()[:16]}"
    shutil.rmtree(version, ignore_errors=True)
    folder.rename(version)
    link = PKI / wanted["name"]
    beside = VERSIONS / f"{wanted['name']}.link"
    beside.unlink(missing_ok=True)
    beside.symlink_to(version.relative_to(PKI))
    beside.replace(link)
    reload_units(wanted)
    for old in VERSIONS.glob(f"{wanted['name']}.*"):
        if old != version:
            shutil.rmtree(old)


def give_away(wanted: Wanted) -> None:
    """Brings the owner of a key in force in line with what is declared."""
    folder = PKI / wanted["name"]
    if (folder / "key.pem").is_file():
        hand_over(wanted, folder)


def hand_over(wanted: Wanted, folder: Path) -> None:
    """Gives a folder its declared owner and modes: the key to owner and group, the rest to all."""
    try:
        owner, group = pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError as missing:
        raise RefusedError(
            f"its key belongs to {wanted['owner']}:{wanted['group']}, and {missing}; the account "
            "must exist first; install the daemon that it belongs to, then run the role "
            "host_certificate"
        ) from missing
    folder.chmod(0o755)
    for name, mode in (("key.pem", 0o640), ("certificate.pem", 0o644), ("chain.pem", 0o644)):
        path = folder / name
        os.chown(path, owner, group)
        path.chmod(mode)


def reload_units(wanted: Wanted) -> None:
    """Has the daemons that run read their certificate again."""
    for unit in wanted["reload"]:
        # 3 and 4: it is not running, or not there yet; then there is nothing to tell it.
        if run_for_code(["systemctl", "is-active", "--quiet", unit], (0, 3, 4)) == 0:
            run(["systemctl", "reload", unit])


def write_revocations(text: str) -> None:
    """Exchanges the revocation list in one step, and says how old the new one is."""
    beside = VERSIONS / "issuing.crl"
    VERSIONS.mkdir(mode=0o755, exist_ok=True)
    beside.write_text(text)
    dates = run(["openssl", "crl", "-noout", "-lastupdate", "-nextupdate", "-in", beside])
    if not REVOCATIONS.is_file() or REVOCATIONS.read_text() != text:
        beside.replace(REVOCATIONS)
    else:
        beside.unlink()
    print("revocation list:", ", ".join(dates.splitlines()), file=sys.stderr)


def run(command: Command) -> str:
    """Answers what a command printed; refuses with what it complained about."""
    done = call(command)
    if done.returncode != 0:
        raise RefusedError(
            f"{' '.join(map(str, command[:3]))!r} exited {done.returncode}: "
            f"{done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def run_for_code(command: Command, expected: tuple[int, ...]) -> int:
    """Answers a command's exit code; refuses codes that have no meaning here."""
    done = call(command)
    if done.returncode not in expected:
        raise RefusedError(
            f"{' '.join(map(str, command[:3]))!r} exited {done.returncode}: {done.stderr.strip()}"
        )
    return done.returncode


def call(command: Command) -> subprocess.CompletedProcess[str]:
    """Runs a command without input and with a limit."""
    # step wants a home for its settings, of which we give it none.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STEPPATH": "/run/host_certificate"}
    try:
        return subprocess.run(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise RefusedError(
            f"{' '.join(map(str, command[:3]))!r} did not end within {LIMIT_SECONDS} s; the "
            "authority must be reachable"
        ) from late


if __name__ == "__main__":
    main(sys.argv[1:])
