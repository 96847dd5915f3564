"""An environment on the lab of files, with the real engine. Run as a program: one update."""

import signal
import sys
from pathlib import Path

from fake_lab import IMAGE, FakeLab
from sample_plans import HOST_KEY, small_province

from infra.providers.host_keys import HostKeys
from infra.providers.server import resource_types
from infra.providers.static_client import SshClient
from infra.stacks.automation import Stacks
from infra.tools.engine import ensure_engine


def stacks_on(lab: FakeLab, state_directory: Path) -> Stacks:
    """The stacks of an environment whose lab is made of files."""
    keys = HostKeys(state_directory / "secrets" / "host_keys")
    return Stacks(
        state_directory,
        ensure_engine(),
        authorized_keys=(f"{HOST_KEY} administrator",),
        types=resource_types(lab, keys, lambda: IMAGE, SshClient()),
    )


if __name__ == "__main__":
    # A shell's background job ignores the interrupt, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    for one in stacks_on(FakeLab(folder / "lab"), folder).update(small_province(), ["692"]):
        sys.stdout.write(f"{one.site}: {one.failure or 'done'}\n")
