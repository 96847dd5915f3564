"""Runs Ansible in a process of its own: a job in, its events out as JSON lines.

ansible-runner forks, and a fork of a process in which gRPC (Pulumi's) has threads can crash its
child before Ansible starts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

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
    command = [sys.executable, "-m", "infra.configure.worker_process", str(order)]
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
