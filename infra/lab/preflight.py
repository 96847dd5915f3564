"""What this machine must have before a lab is made on it, all said at once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from infra.errors import PreflightError
from infra.lab import cgroups

TOOLS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "socat": "socat",
    "ssh-keyscan": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
"""Every program that the lab starts, with the Debian package that brings it."""

_TUN = Path("/dev/net/tun")


def check_machine() -> None:
    """Says whether this machine can carry a lab.

    Raises:
        PreflightError: it cannot, with every reason.
    """
    findings = tuple(_findings())
    if findings:
        raise PreflightError(
            f"this machine: cannot carry the container lab; {'; '.join(findings)}", findings
        )


def _findings() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "you are not root, and containers and namespaces need root: run it with sudo"
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        yield f"programs are missing: apt-get install {' '.join(missing)}"
    mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    if cgroups.hierarchy(mounts) is None:
        yield (
            "no cgroup version 2 is mounted: mkdir -p /sys/fs/cgroup/unified && "
            "mount -t cgroup2 none /sys/fs/cgroup/unified"
        )
    if "\toverlay\n" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        yield "the kernel has no overlay file system: modprobe overlay"
    if not _TUN.is_char_device():
        yield f"{_TUN} is missing, and tunnels in the lab need it: modprobe tun"
