"""Runs Ansible itself: on the sample role below a folder of this machine, and on a lab host."""

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


def play(playbook: str, inventory: str, variables: Mapping[str, object], *options: str) -> Answer:
    """Run a playbook and read what its last task answered on its one host."""
    with tempfile.TemporaryDirectory() as folder:
        # As a file of variables in YAML, because only there keys may be templates.
        inputs = Path(folder) / "inputs.yml"
        inputs.write_text(yaml.safe_dump(dict(variables)))
        done = subprocess.run(
            [*command(playbook, inventory), f"--extra-vars=@{inputs}", *options],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
        )
    start = f"\n{done.stdout}".find("\n{\n")  # after what -vvv says
    assert start >= 0, done.stdout + done.stderr
    record = json.loads(done.stdout[start:])
    [result] = record["plays"][-1]["tasks"][-1]["hosts"].values()
    return Answer(result, done.stdout + done.stderr)


def command(playbook: str, inventory: str) -> list[str]:
    """The command that runs a playbook of the sample."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), f"--inventory={inventory}", str(HERE / "sample" / playbook)]


def environment() -> dict[str, str]:
    """The project's own settings, with answers that a program can read."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(HERE / "sample/roles"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }


def sample(root: Path, files: Mapping[str, object], *options: str, **variables: object) -> Answer:
    """Run the sample role below a folder."""
    inputs = {
        "managed_files_root": str(root),
        "names": ["a", "b"],
        "sample_files": files,
        # This machine's own Python: /usr/bin/python3 is that of a managed host.
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    return play("play.yml", "localhost,", inputs, *options)
