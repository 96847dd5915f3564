"""Captures packets on a machine's interface, from outside of it: nothing is installed there."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from infra.errors import LabError, RefusedError
from infra.lab import names, networks, packets
from infra.lab.commands import run_json, wait_until
from infra.lab.lab import Lab

TCPDUMP = "tcpdump"
_BEGIN_LIMIT = timedelta(seconds=10)
_END_SECONDS = 10


def interfaces(lab: Lab, machine: str) -> tuple[str, ...]:
    """Answers the interfaces that a machine has now, those of its daemons among them.

    Raises:
        LabError: it is not running.
    """
    namespace = names.machine_name(lab.identifier, machine)
    if not networks.namespace_exists(namespace):
        raise LabError(f"{machine}: has no network namespace now; start it first")
    found = run_json(["ip", "-n", namespace, "-j", "link", "show"])
    return tuple(link["ifname"] for link in found)


def capture(
    lab: Lab,
    machine: str,
    interface: str,
    path: Path,
    *,
    duration: timedelta,
    expression: str = "",
) -> int:
    """Captures for a while, or until Ctrl-C; answers how many packets the file holds.

    tcpdump does it where this machine has one, else a writer of ours that knows fewer filters.

    Args:
        lab: where the machine is.
        machine: a running host or a probe point.
        interface: one of its interfaces.
        path: the pcap file, which only its owner may read: traffic may hold secrets.
        duration: how long.
        expression: a filter in tcpdump's words; empty takes everything.

    Raises:
        RefusedError: the filter is not understood.
        LabError: nothing could be captured.
    """
    namespace = networks.enter(names.machine_name(lab.identifier, machine))
    program = shutil.which(TCPDUMP)
    if program is None:
        packets.parse_filter(expression)
        words = [sys.executable, "-m", packets.__name__, interface, str(path), expression]
    else:
        # -Z: it would otherwise give up root and could not write into our folder.
        options = ["-i", interface, "-w", str(path), "-U", "-n", "-s", "0", "-Z", "root"]
        words = [program, *options, *([expression] if expression else [])]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    said = path.with_suffix(".log")
    with said.open("wb") as errors:
        code = _run([*namespace, *words], path, duration, errors.fileno())
    told = said.read_text(encoding="utf-8", errors="replace").strip()
    said.unlink()
    if code != 0:
        path.unlink()
        if "expression" in told:
            raise RefusedError(f"filter {expression!r}: {told}; see pcap-filter(7)")
        raise LabError(
            f"{machine} {interface}: the capture ended with {code} and said {told!r}; "
            "look at the interface and try again"
        )
    return packets.count_packets(path)


def _run(command: list[str], path: Path, duration: timedelta, errors: int) -> int:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
    ) as process:
        try:
            wait_until(
                f"{path}: the capture has begun",
                lambda: path.stat().st_size > 0 or process.poll() is not None,
                _BEGIN_LIMIT,
            )
            with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                return process.wait(duration.total_seconds())
            process.send_signal(signal.SIGINT)
            return process.wait(_END_SECONDS)
        finally:
            process.kill()
