#!/usr/bin/python3
"""Certifies ssh host keys that arrived over the configuration channel.

Reads JSON on standard input: {"requests": [{"principals": [name, ...], "public_key": line}, ...]}.
Writes {"certificates": [line, ...]} in the same order. One-time tokens never stand on a command
line.
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
    """Certifies everything or nothing: exits with a sentence at the first that is refused."""
    settings = json.loads((FOLDER / "ca.json").read_text())
    wanted = json.load(sys.stdin)["requests"]
    with tempfile.TemporaryDirectory(prefix="sign_ssh_host_keys-") as folder:
        environment = {
            "PATH": "/usr/bin:/bin",
            "STEPPATH": folder,
            "STEP_CA_URL": f"https://{settings['dnsNames'][0]}",
            "STEP_ROOT": str(FOLDER / "root.pem"),
        }
        certificates = [sign(one, Path(folder), environment) for one in wanted]
    json.dump({"certificates": certificates}, sys.stdout)


def sign(wanted: dict[str, Any], place: Path, environment: dict[str, str]) -> str:
    """Answers the certificate of one key."""
    public = place / "host_key.pub"
    public.write_text(wanted["public_key"])
    names = wanted["principals"]
    principals = [f"--principal={name}" for name in names]
    token = step(
        [
            *("ca", "token", names[0], "--ssh", "--host", *principals),
            *("--provisioner=controller", f"--key={FOLDER / 'provisioner_key.pem'}"),
            f"--password-file={FOLDER / 'issuing_passphrase'}",
        ],
        environment,
    ).strip()
    order = ["ssh", "certificate", names[0], str(public), "--host", "--sign", "--force"]
    step([*order, *principals], {**environment, "STEP_TOKEN": token})
    return (place / "host_key-cert.pub").read_text()


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
            f"ssh authority: 'step {' '.join(arguments[:3])}' exited {done.returncode}: "
            f"{done.stderr.strip()}; the authority must be running and the name one of the "
            "province's; see journalctl --unit certificate_authority"
        )
    return done.stdout


if __name__ == "__main__":
    os.umask(0o077)
    main()
