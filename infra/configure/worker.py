"""The process that runs Ansible: a job in, its events out as JSON lines.

ansible-runner forks, and a fork of a process in which gRPC (Pulumi's) has threads can crash its
child before Ansible starts. This process holds neither: it is started fresh, and ends with its job.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import ansible_runner

Watch = Callable[[Mapping[str, Any]], None]


def run_in_worker(job: Mapping[str, Any], folder: Path, watch: Watch) -> str:
    """Run ansible-runner in a process of its own.

    Args:
        job: the keyword arguments of `ansible_runner.run`, as far as JSON can hold them.
        folder: where the job is written down for the worker; private to this run.
        watch: takes each event as it arrives.

    Returns:
        how the run ended: ansible-runner's status, or the exit code of a worker that said none.
    """
    order = folder / "job.json"
    order.write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "infra.configure.worker", str(order)]
    root = Path(__file__).parents[2]
    status = ""
    with Popen(command, cwd=root, stdin=DEVNULL, stdout=PIPE, text=True) as worker:
        for line in worker.stdout or ():
            message = json.loads(line)
            if "event" in message:
                watch(message)
            else:
                status = str(message["status"])
    return status or f"exit {worker.returncode}"


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
