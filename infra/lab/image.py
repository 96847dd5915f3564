"""The base image: the least of Debian that boots and takes an SSH connection.

It is shared by all hosts as the lower layer of their roots, and never changes once built. It holds
no package source, no host key and no password: hosts get what is theirs in a layer of their own.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.errors import LabError
from infra.lab import apt_sources
from infra.lab.commands import last_lines
from infra.tools.cache import Report, build_once, silent

SUITE = "trixie"
PACKAGES = ("systemd-sysv", "openssh-server", "iproute2")
"""No Python, no dbus: what a host needs beyond this is brought by bootstrap and roles."""

_FORMAT = "1"
"""Raised whenever this file makes another image from the same packages."""

_ENABLED = ("systemd-networkd.service", "ssh.service")
_MASKED = (
    # Would hold up every boot for two minutes where an interface has no carrier.
    "systemd-networkd-wait-online.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
)
_CONFIGURATION = {
    "etc/ssh/sshd_config.d/90-first_contact.conf": (
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    ),
}
_EMPTIED = ("etc/machine-id", "etc/resolv.conf", "etc/hostname", "etc/apt/sources.list")


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base image in the cache."""

    path: Path

    @property
    def dpkg_status(self) -> Path:
        """Answers the list of its packages; a mirror carries what is missing beyond them."""
        return self.path / "var/lib/dpkg/status"

    @property
    def os(self) -> str:
        """Answers the name that the image gives itself, ``Debian GNU/Linux 13 (trixie)``."""
        return os_name((self.path / "usr/lib/os-release").read_text(encoding="utf-8"))


def base_image(report: Report = silent, cache: Path | None = None) -> BaseImage:
    """Answers the base image, building it (half a minute) when the cache has none.

    Raises:
        PreflightError: this machine's apt names no archive of Debian.
        LabError: it could not be built; the sentence ends with the builder's last words.
    """

    def build(folder: Path) -> None:
        report(f"base image: building Debian {SUITE} with {', '.join(PACKAGES)}")
        _bootstrap(folder / "root", apt_sources.read_main_archives()[0])
        _finish(folder / "root")

    return BaseImage(
        build_once("base_image", image_inputs(), build, report=report, root=cache) / "root"
    )


def image_inputs() -> Mapping[str, str]:
    """Answers what the image is made from, and so what its place in the cache is named after."""
    configuration = "\n".join(f"{path}:{text}" for path, text in sorted(_CONFIGURATION.items()))
    return {
        "suite": SUITE,
        "packages": " ".join(sorted(PACKAGES)),
        "units": " ".join((*_ENABLED, "/", *_MASKED)),
        "configuration": configuration,
        "format": _FORMAT,
    }


def os_name(os_release: str) -> str:
    """Answers PRETTY_NAME of an os-release file."""
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip().strip('"')
    return "unknown"


def _bootstrap(root: Path, archive: str) -> None:
    source = f"deb [signed-by={apt_sources.KEYRING}] {archive} {SUITE} main"
    include = f"--include={','.join(PACKAGES)}"
    log = root.with_name("build.log")
    command = ["mmdebstrap", "--variant=minbase", "--format=directory", include]
    with log.open("wb") as output:
        done = subprocess.run(
            [*command, SUITE, str(root), source],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise LabError(
            f"base image: mmdebstrap ended with {done.returncode}; it must build Debian {SUITE} "
            f"from this machine's own archive; {last_lines(log)}"
        )
    # It names the archive's host, and the image is kept by what it contains.
    log.unlink()


def _finish(root: Path) -> None:
    systemctl = ["systemctl", f"--root={root}"]
    for verb, units in (("enable", _ENABLED), ("mask", _MASKED)):
        done = subprocess.run(
            [*systemctl, verb, *units], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"base image: systemctl {verb} failed: {done.stderr.strip()!r}")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in _EMPTIED:
        (root / name).write_text("", encoding="utf-8")
    for name, text in _CONFIGURATION.items():
        (root / name).write_text(text, encoding="utf-8")
    _lock_root(root / "etc/shadow")


def _lock_root(shadow: Path) -> None:
    lines = shadow.read_text(encoding="utf-8").splitlines()
    locked = [
        f"root:*:{line.split(':', 2)[2]}" if line.startswith("root:") else line for line in lines
    ]
    shadow.write_text("".join(f"{line}\n" for line in locked), encoding="utf-8")
