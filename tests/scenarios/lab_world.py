"""A small lab of its own for the tests of the substrate: three hosts, two networks, a probe point.

Run as a program it makes that lab and kills itself before its N-th step:
``python lab_world.py STATE_DIRECTORY N``.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.lab import cgroups, names, networks, records, registry
from infra.lab.first_contact import public_key
from infra.lab.image import base_image
from infra.lab.lab import Lab
from infra.lab.specs import HostSpec, Link, ProbePointSpec

ADMINISTRATOR_KEY = bytes(range(32))
CONTROLLER = ProbePointSpec(
    "controller", (Link("management", "management", ("10.70.7.2/24", "fd70:0:70:7::2/64")),)
)
NUMBERS = {"gw1-70": 11, "svc1-70": 12, "mgt1-70": 13}


def openssh_key(seed: bytes) -> str:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def host(name: str) -> HostSpec:
    """Answers a host; only the gateway's management port is not isolated."""
    number = NUMBERS[name]
    management = Link(
        "management",
        "management",
        (f"10.70.7.{number}/24", f"fd70:0:70:7::{number}/64"),
        isolated=name != "gw1-70",
    )
    seed = bytes([number]) * 32
    authorized = public_key(HostSpec(name, (), openssh_key(ADMINISTRATOR_KEY), ("none",)))
    links = (management, Link("servers", "site-70-servers"))
    return HostSpec(name, links, openssh_key(seed), (authorized,))


def leftovers(lab: Lab) -> tuple[str, ...]:
    """Answers whatever the machine still has of a lab, one line each."""
    prefix = names.lab_prefix(lab.identifier)
    folders = {Path("/run/netns"), registry.FOLDER / "labs", Path("/run/systemd/nspawn/propagate")}
    base = cgroups.mounted_hierarchy()
    twins = {path.parent for path in cgroups.mirrors(base / "any", _text("/proc/mounts"))}
    found = [
        str(path)
        for folder in {*folders, *twins, base}
        for path in folder.glob(f"*{lab.identifier}*")
    ]
    mounts = records.mounts_below(lab.state_directory)
    commands = (_text(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    running = (command for command in commands if prefix in command)
    return tuple(sorted([*found, *map(str, mounts), *running]))


def make(state: Path) -> None:
    """Makes one host and the probe point."""
    lab = Lab(state)
    lab.create_probe_point(CONTROLLER)
    lab.create_host(host("svc1-70"), base_image().path)


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _count_steps(dies_before: int) -> Callable[[], int]:
    taken = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            nonlocal taken
            if taken == dies_before:
                os.kill(os.getpid(), signal.SIGKILL)
            taken += 1
            return real(*arguments, **named)

        return step

    subprocess.run = counting(subprocess.run)
    records._write = counting(records._write)
    registry._write = counting(registry._write)
    networks.write_parameters = counting(networks.write_parameters)
    return lambda: taken


if __name__ == "__main__":
    steps = _count_steps(int(sys.argv[2]))
    make(Path(sys.argv[1]))
    sys.stdout.write(f"{steps()}\n")
