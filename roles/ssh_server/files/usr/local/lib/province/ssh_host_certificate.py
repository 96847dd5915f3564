#!/usr/bin/python3
"""Keeps the certificate of this host's ssh key.

    ssh_host_certificate.py look       JSON of the request that is needed; changes nothing
    ssh_host_certificate.py install    installs the certificate given as JSON on standard input
    ssh_host_certificate.py renew      renews the certificate when it is due

The key never leaves the host. Every failure is a sentence and a failed exit.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/province/ssh_host_certificate.json")
KEY = Path("/etc/ssh/ssh_host_ed25519_key")
PUBLIC = KEY.with_name(KEY.name + ".pub")
CERTIFICATE = KEY.with_name(KEY.name + "-cert.pub")
ROOT = Path("/etc/province/pki/root.pem")
LIMIT_SECONDS = 60
NOT_DUE = 1


def run(command: list[str | Path], answers: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess:
    """Runs a program; ends with its complaint unless its exit code is one of the answers."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode not in answers:
        words = " ".join(str(word) for word in command[:3])
        sys.exit(
            f"ssh host certificate: '{words}' exited {done.returncode}: {done.stderr.strip()}; "
            "the host keeps the certificate that it has; have it signed anew by configuring it"
        )
    return done


def principals_in_force() -> list[str]:
    """Names that the certificate in force is for; none when it is missing or for another key."""
    if not CERTIFICATE.exists():
        return []
    lines = run(["ssh-keygen", "-L", "-f", CERTIFICATE]).stdout.splitlines()
    own = run(["ssh-keygen", "-l", "-f", PUBLIC]).stdout.split()[1]
    if not any(line.strip().startswith("Public key:") and own in line for line in lines):
        return []
    names = []
    listing = False
    for line in lines:
        if line.strip().startswith("Principals:"):
            listing = True
        elif line.strip().startswith("Critical Options:"):
            listing = False
        elif listing:
            names.append(line.strip())
    return names


def is_due() -> bool:
    """Whether two thirds of the lifetime have passed."""
    command: list[str | Path] = ["step", "ssh", "needs-renewal", CERTIFICATE]
    return run(command, (0, NOT_DUE)).returncode == 0


def look(settings: dict[str, Any]) -> None:
    """Prints the request for a certificate, unless the one in force does."""
    wanted = settings["principals"]
    requests = []
    if principals_in_force() != wanted or is_due():
        requests.append({"principals": wanted, "public_key": PUBLIC.read_text()})
    json.dump({"requests": requests}, sys.stdout)


def install(settings: dict[str, Any]) -> None:
    """Installs the certificate that came back; the daemon reads it when it is reloaded."""
    del settings
    fresh = CERTIFICATE.with_name(f".{CERTIFICATE.name}")
    fresh.write_text(json.load(sys.stdin)["certificates"][0])
    fresh.chmod(0o644)
    run(["ssh-keygen", "-L", "-f", fresh])
    fresh.replace(CERTIFICATE)
    run(["systemctl", "try-reload-or-restart", "ssh.service"])


def renew(settings: dict[str, Any]) -> None:
    """Renews the certificate when it is due."""
    if not is_due():
        return
    where = [f"--ca-url={settings['authority_url']}", f"--root={ROOT}", "--force"]
    run(["step", "ssh", "renew", CERTIFICATE, KEY, *where])
    run(["systemctl", "reload", "ssh.service"])


def main(arguments: list[str]) -> None:
    """Runs one verb."""
    verbs = {"look": look, "install": install, "renew": renew}
    if len(arguments) != 1 or arguments[0] not in verbs:
        sys.exit(__doc__)
    os.umask(0o022)
    verbs[arguments[0]](json.loads(SETTINGS.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
