"""Runs Ansible itself on the sample role, on this machine and below a folder."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one task answered, and everything that Ansible said."""

    result: dict[str, Any]
    output: str

    @property
    def actions(self) -> dict[str, str]:
        """What was done at each path."""
        return {change["path"]: change["action"] for change in self.result["changes"]}

    @property
    def differences(self) -> str:
        """All differences as one text."""
        return "".join(one["prepared"] for one in self.result.get("diff", []))


def play(variables: Mapping[str, object], *options: str) -> Answer:
    """Run the play and read what its last task answered."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(HERE / "sample/roles"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        # This machine's own Python: /usr/bin/python3 is that of a managed host.
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [str(program), str(HERE / "sample/play.yml")]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as inputs:
        # As a file of variables in YAML, because only there keys may be templates.
        yaml.safe_dump(dict(variables), inputs)
        inputs.flush()
        done = subprocess.run(
            [*command, "--inventory=localhost,", f"--extra-vars=@{inputs.name}", *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
        )
    start = done.stdout.find("{")
    assert start >= 0, done.stdout + done.stderr
    record = json.loads(done.stdout[start:])
    task = record["plays"][-1]["tasks"][-1]
    return Answer(task["hosts"]["localhost"], done.stdout + done.stderr)


def sample(root: Path, files: Mapping[str, object], *options: str, **variables: object) -> Answer:
    """Run the sample role below a folder."""
    inputs = {
        "managed_files_root": str(root),
        "names": ["a", "b"],
        "sample_files": files,
        **variables,
    }
    return play(inputs, *options)
