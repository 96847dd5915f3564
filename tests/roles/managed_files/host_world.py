"""One lab host with the smallest Python, sudo and nftables, and the ssh way to it."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.lab import apt_sources, image
from infra.lab.driver import Machine
from infra.lab.lab import Lab
from infra.lab.specs import HostSpec, Link, NetworkSpec, ProbePointSpec
from infra.tools.cache import build_once

# No dbus and not the whole of Python: what managed_files and its guard need must be enough.
PACKAGES = (*image.PACKAGES, "python3-minimal", "sudo", "nftables")
ADDRESS = "192.0.2.10"


@dataclass(frozen=True, slots=True)
class World:
    """The host, and the inventory that leads to it."""

    machine: Machine
    inventory: Path
    ssh_config: Path


def host_image() -> Path:
    """The base image of this test, built once into the cache (45 s)."""

    def build(folder: Path) -> None:
        root = folder / "root"
        source = f"deb [signed-by={apt_sources.KEYRING}] "
        source += f"{apt_sources.read_main_archives()[0]} {image.SUITE} main"
        include = f"--include={','.join(PACKAGES)}"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", include, image.SUITE, root, source],
            check=True,
        )
        image._finish(root)

    inputs = {**image.image_inputs(), "packages": " ".join(PACKAGES)}
    return build_once("managed_files_image", inputs, build) / "root"


@contextmanager
def a_host(folder: Path) -> Iterator[World]:
    """Boot the host, let the account `ansible` in, and remove all of it in the end."""
    keys = {name: new_key(folder / name) for name in ("admin", "host")}
    lab = Lab(folder / "state")
    try:
        lab.ensure_network(NetworkSpec("test"))
        lab.create_probe_point(
            ProbePointSpec("controller", (Link("lan0", "test", ("192.0.2.1/24",)),))
        )
        links = (Link("lan0", "test", (f"{ADDRESS}/24",)),)
        private = (folder / "host").read_text()
        lab.create_host(HostSpec("node1", links, private, (keys["admin"],)), host_image())
        machine = Machine(lab, "node1")
        for step in (
            "useradd --create-home --shell /bin/sh ansible",
            "install -d -o ansible -g ansible -m 0700 /home/ansible/.ssh",
            "install -o ansible -m 0600 /root/.ssh/authorized_keys /home/ansible/.ssh",
            "echo 'ansible ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ansible",
        ):
            machine.run_expect([0], step)
        lab.wait_for_ssh("node1", "controller")
        yield World(machine, *write_way(folder, lab, keys["host"]))
    finally:
        lab.destroy()


def new_key(path: Path) -> str:
    """Make an ed25519 key; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def write_way(folder: Path, lab: Lab, host_key: str) -> tuple[Path, Path]:
    """Inventory and ssh configuration, with the host's key pinned."""
    known_hosts, config, inventory = (
        folder / n for n in ("known_hosts", "ssh_config", "hosts.yml")
    )
    known_hosts.write_text(f"node1 {host_key}\n")
    config.write_text(
        f"Host node1\n  HostName {ADDRESS}\n  HostKeyAlias node1\n  User ansible\n"
        f"  IdentityFile {folder}/admin\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {known_hosts}\n  StrictHostKeyChecking yes\n"
        f"  ProxyCommand {shlex.join(lab.ssh_proxy_command('controller'))}\n"
    )
    inventory.write_text(
        "all:\n  hosts:\n    node1:\n"
        f"      ansible_ssh_common_args: -F {config}\n"
        f"      ansible_control_path_dir: {folder}/cp\n"
    )
    return inventory, config
