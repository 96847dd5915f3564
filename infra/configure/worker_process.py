"""The process that `worker` starts: fresh, without threads, and ended with its one job."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible_runner


def _serve(order: Path) -> None:
    def say(message: Mapping[str, Any]) -> bool:
        sys.stdout.write(json.dumps(message, default=str) + "\n")
        sys.stdout.flush()
        return False  # nothing of it is kept in the runner's own artifacts

    job = json.loads(order.read_text(encoding="utf-8"))
    runner = ansible_runner.run(**job, event_handler=say)
    say({"status": runner.status})


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
