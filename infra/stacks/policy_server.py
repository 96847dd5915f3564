"""One policy server for all stacks: the engine would start one per stack, half a second each."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import StackError

SHARED_VARIABLE = "PROVINCE_SHARED_POLICY_SERVER"
"""Tells the pack that it serves until its input ends, and not one engine."""

_STAND_IN = """\
#!/bin/sh
echo {port}
exec cat
"""
"""What the engines start instead: it names the server, and ends with its engine's pipe."""


@contextmanager
def shared_policy_server(pack: Path, folder: Path) -> Iterator[Path]:
    """Starts a policy pack once; gives the file that engines take for a policy pack.

    Args:
        pack: the executable pack.
        folder: where the stand-in may lie.

    Raises:
        StackError: the pack does not start.
    """
    with subprocess.Popen(
        [sys.executable, "-u", str(pack)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, SHARED_VARIABLE: "1"},
        encoding="utf-8",
        start_new_session=True,
    ) as server:
        assert server.stdin is not None  # noqa: S101 - asked for above
        assert server.stdout is not None  # noqa: S101 - asked for above
        port = server.stdout.readline().strip()
        if not port.isdigit():
            _output, errors = server.communicate()
            raise StackError(
                f"{pack}: the policy pack ended with {server.returncode} before it served "
                f"({errors.strip().rpartition(chr(10))[2]!r}); policies must run on every preview: "
                "start it by hand to see its errors"
            )
        with tempfile.TemporaryDirectory(prefix="policies-", dir=folder) as place:
            stand_in = Path(place) / "policy_pack"
            stand_in.write_text(_STAND_IN.format(port=port), encoding="utf-8")
            stand_in.chmod(0o755)
            try:
                yield stand_in
            finally:
                server.stdin.close()
