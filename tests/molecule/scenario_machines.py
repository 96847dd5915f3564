"""Boots, prepares and removes the machines of one Molecule scenario: a lab of its own each.

Started by the playbooks beside this file. A scenario has one network with a probe point that serves
a signed mirror of exactly what the role's record names; so a package that the record forgets is
missed here first. The mirror is kept in the cache, keyed by those names and the base image.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from infra.bootstrap.plan import PACKAGES as BOOTSTRAP_PACKAGES
from infra.errors import LabError, ProvinceError
from infra.lab import names, networks
from infra.lab.image import BaseImage, base_image
from infra.lab.lab import Lab
from infra.lab.specs import HostSpec, Link, ProbePointSpec
from infra.mirror.build import build_mirror
from infra.tools.cache import build_once

CHECKOUT = Path(__file__).resolve().parents[2]
NETWORK = "scenario"
CONTROLLER = ProbePointSpec(
    "controller", (Link("management", NETWORK, ("192.0.2.1/24", "2001:db8:0:2::1/64")),)
)
FIRST_HOST_NUMBER = 10
"""node1 is 192.0.2.10 and 2001:db8:0:2::10, node2 the next."""

INSTALL_LIMIT = timedelta(minutes=5)
SOURCE = """\
Types: deb
URIs: http://192.0.2.1/
Suites: province
Components: main
Signed-By: /etc/apt/keyrings/scenario.asc
"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A role's scenario: where its machines, keys and sockets are.

    Molecule's own folder is named after the role only, so that two checkouts share it: nothing that
    leads to a machine may lie there.
    """

    role: Path
    ssh_config: Path

    @property
    def folder(self) -> Path:
        return CHECKOUT / ".province/molecule" / self.role.name

    @property
    def lab(self) -> Lab:
        return Lab(self.folder)

    @property
    def sockets(self) -> Path:
        """A short path: a socket's name ends at 108 characters, and this folder is deep."""
        return Path(tempfile.gettempdir()) / f"{names.lab_prefix(self.lab.identifier)}-ssh"


def create(scenario: Scenario, hosts: Sequence[str], packages: Iterable[str]) -> None:
    """Boots the machines and writes the ssh configuration that leads to them.

    Raises:
        LabError: the scenario has no test; Molecule itself would count it as verified.
    """
    tests = scenario.ssh_config.parent / "tests"
    if not any(tests.glob("test_*.py")):
        raise LabError(f"{tests}: holds no test, so nothing would be verified; add a test_*.py")
    image = base_image()
    mirror = package_mirror(scenario.role, image, packages)
    lab = scenario.lab
    destroy(scenario)
    scenario.folder.mkdir(mode=0o700, parents=True)
    private, public = new_key()
    write_secret(scenario.folder / "id", private)
    pins = []
    for number, name in enumerate(hosts, FIRST_HOST_NUMBER):
        host_key, host_public = new_key()
        pins.append(f"{name} {host_public}\n")
        lab.create_host(HostSpec(name, host_links(number), host_key, (public,)), image.path)
    lab.create_probe_point(CONTROLLER)
    serve(lab, mirror, scenario.folder / "mirror.log")
    (scenario.folder / "known_hosts").write_text("".join(pins), encoding="utf-8")
    scenario.ssh_config.write_text(ssh_config(scenario, hosts), encoding="utf-8")
    make_private_folder(scenario.sockets)
    for name in hosts:
        lab.wait_for_ssh(name, CONTROLLER.name)


def prepare(scenario: Scenario, hosts: Sequence[str]) -> None:
    """Gives each machine the mirror as its only package source, and Python."""
    lab = scenario.lab
    key = (scenario.folder / "archive.asc").read_text(encoding="utf-8")
    for name in hosts:
        write_file(lab, name, "/etc/apt/keyrings/scenario.asc", key)
        write_file(lab, name, "/etc/apt/sources.list.d/scenario.sources", SOURCE)
        inside(lab, name, ["apt-get", "--quiet", "--quiet", "update"])
        install = ["apt-get", "--quiet", "--quiet", "--yes", "--no-install-recommends", "install"]
        inside(lab, name, ["env", "DEBIAN_FRONTEND=noninteractive", *install, *BOOTSTRAP_PACKAGES])


def destroy(scenario: Scenario) -> None:
    """Removes all that the scenario had."""
    scenario.lab.destroy()
    scenario.ssh_config.unlink(missing_ok=True)
    for folder in (scenario.sockets, scenario.folder):
        if folder.is_dir():
            shutil.rmtree(folder)


def package_mirror(role: Path, image: BaseImage, packages: Iterable[str]) -> Path:
    """Answers the mirror of the packages of the role's record, of bootstrap and of the tests."""
    record = yaml.safe_load((role / "meta/function.yml").read_text(encoding="utf-8"))
    wanted = sorted({*record["packages"], *BOOTSTRAP_PACKAGES, *packages})

    def build(folder: Path) -> None:
        signing = folder / "signing"
        made = build_mirror(wanted, image.dpkg_status, folder / "repository", signing)
        shutil.copy(made.key, folder / "archive.asc")
        # Nothing is ever added to this mirror: its private key has done its work.
        shutil.rmtree(signing)

    inputs: dict[str, str | bytes] = {
        "packages": " ".join(wanted),
        "base": image.dpkg_status.read_bytes(),
    }
    return build_once("scenario_mirror", inputs, build)


def serve(lab: Lab, mirror: Path, log: Path) -> None:
    """Serves the mirror from the probe point, whose removal also ends the server."""
    place = networks.enter(names.machine_name(lab.identifier, CONTROLLER.name))
    server = [sys.executable, "-m", "http.server", "--bind", "::", "80"]
    with log.open("wb") as output:
        subprocess.run(
            ["setsid", "--fork", *place, *server, "--directory", str(mirror / "repository")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )
    shutil.copy(mirror / "archive.asc", log.with_name("archive.asc"))


def host_links(number: int) -> tuple[Link, ...]:
    """Answers a machine's interfaces: one for the first contact, one that a role may configure."""
    addresses = (f"192.0.2.{number}/24", f"2001:db8:0:2::{number}/64")
    return (Link("management", NETWORK, addresses), Link("servers", "servers"))


def ssh_config(scenario: Scenario, hosts: Sequence[str]) -> str:
    """Answers the configuration with which ``ssh -F`` reaches every machine."""
    proxy = shlex.join(scenario.lab.ssh_proxy_command(CONTROLLER.name))
    own = "".join(
        f"Host {name}\n    HostName 192.0.2.{number}\n    HostKeyAlias {name}\n"
        for number, name in enumerate(hosts, FIRST_HOST_NUMBER)
    )
    return (
        f"{own}Host *\n    User root\n    IdentityFile {scenario.folder}/id\n"
        "    IdentitiesOnly yes\n    StrictHostKeyChecking yes\n"
        f"    UserKnownHostsFile {scenario.folder}/known_hosts\n    ProxyCommand {proxy}\n"
        f"    ControlMaster auto\n    ControlPersist 60\n    ControlPath {scenario.sockets}/%C\n"
    )


def new_key() -> tuple[str, str]:
    """Answers a new SSH key pair, private and public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, from its first moment."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)


def make_private_folder(path: Path) -> None:
    """Makes a folder of ours in a place where everybody may make some."""
    path.mkdir(mode=0o700, exist_ok=True)
    seen = path.lstat()
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise LabError(f"{path}: belongs to somebody else or is open to others; remove it")


def write_file(lab: Lab, name: str, path: str, text: str) -> None:
    """Writes a file of a machine that has no Python yet."""
    done = lab.execute(name, ["sh", "-euc", 'umask 022; cat >"$1"', "write", path], input=text)
    if done.returncode != 0:
        raise LabError(f"{name}: {path} could not be written: {done.stderr.strip()!r}")


def inside(lab: Lab, name: str, argv: Sequence[str]) -> None:
    """Runs a program in a machine that must succeed."""
    done = lab.execute(name, argv, INSTALL_LIMIT)
    if done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}".strip()
        raise LabError(f"{name}: {shlex.join(argv)} ended with {done.returncode}: {said}")


def main() -> int:
    """Does what a playbook asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["create", "prepare", "destroy"])
    parser.add_argument("hosts", nargs="*")
    parser.add_argument("--role", type=Path, required=True)
    parser.add_argument("--ssh-config", type=Path, required=True)
    parser.add_argument("--package", action="append", default=[])
    asked = parser.parse_args()
    scenario = Scenario(asked.role, asked.ssh_config)
    try:
        match asked.verb:
            case "create":
                create(scenario, asked.hosts, asked.package)
            case "prepare":
                prepare(scenario, asked.hosts)
            case "destroy":
                destroy(scenario)
    except ProvinceError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
