#!/usr/bin/python3
"""Signs certificate requests that arrived over the configuration channel.

Reads JSON on standard input: {"requests": [{"name", "common_name", "dns_names", "addresses",
"request"}, ...]}, each request in PEM. Writes {"certificates": {name: chain}, "revocation_list":
PEM}. The one-time tokens by which the authority admits a request never leave this process and its
children, and never stand on a command line.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/province/authority")
LIMIT_SECONDS = 30


def main() -> None:
    """Signs everything or nothing: exits with a sentence at the first request that is refused."""
    settings = json.loads((FOLDER / "ca.json").read_text())
    name = settings["dnsNames"][0]
    wanted = json.load(sys.stdin)["requests"]
    with tempfile.TemporaryDirectory(prefix="sign_requests-") as folder:
        place = Path(folder)
        environment = {
            "PATH": "/usr/bin:/bin",
            "STEPPATH": folder,
            "STEP_CA_URL": f"https://{name}",
            "STEP_ROOT": str(FOLDER / "root.pem"),
        }
        certificates = {one["name"]: sign(one, place, environment) for one in wanted}
        revocation_list = step(
            [
                *("crl", "inspect", f"--ca={FOLDER / 'issuing.pem'}", "--format=pem"),
                settings["crl"]["idpURL"],
            ],
            environment,
        )
    json.dump({"certificates": certificates, "revocation_list": revocation_list}, sys.stdout)


def sign(wanted: dict[str, Any], place: Path, environment: dict[str, str]) -> str:
    """Answers the certificate for one request, followed by the issuing authority's own."""
    request, certificate = place / "request.pem", place / "certificate.pem"
    request.write_text(wanted["request"])
    token = step(
        [
            *("ca", "token", wanted["common_name"]),
            *(f"--san={name}" for name in wanted["dns_names"] + wanted["addresses"]),
            *("--provisioner=controller", f"--key={FOLDER / 'provisioner_key.pem'}"),
            f"--password-file={FOLDER / 'issuing_passphrase'}",
        ],
        environment,
    ).strip()
    with_token = {**environment, "STEP_TOKEN": token}
    step(["ca", "sign", "--force", str(request), str(certificate)], with_token)
    return certificate.read_text()


def step(arguments: list[str], environment: dict[str, str]) -> str:
    """Answers what `step` printed, or ends the process with what it complained about."""
    done = subprocess.run(
        ["/usr/bin/step", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(
            f"certificate authority: 'step {' '.join(arguments[:3])}' exited {done.returncode}: "
            f"{done.stderr.strip()}; the request must be for names and addresses of the province, "
            "and the authority must be running; see journalctl --unit certificate_authority"
        )
    return done.stdout


if __name__ == "__main__":
    os.umask(0o077)
    main()
