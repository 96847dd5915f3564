"""Brings or builds every tool that the distribution does not have: ``python -m infra.tools``."""

import sys
import time

from infra.errors import ToolError
from infra.tools.engine import ensure_engine
from infra.tools.step import ensure_step


def main() -> int:
    """Answers the exit code; says on the way what is built and how far it is."""
    begin = time.monotonic()

    def report(line: str) -> None:
        sys.stdout.write(f"tools: {time.monotonic() - begin:4.0f} s  {line}\n")
        sys.stdout.flush()

    try:
        ensure_engine(report)
        ensure_step(report)
    except ToolError as error:
        sys.stderr.write(f"tools: {error.sentence}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
