"""The files of an environment's engine: state, passphrase, work folder, locks.

Below ``.province/<environment>``:

    secrets/pulumi_passphrase   made once; the key of the state's secrets provider
    pulumi/.pulumi/             the file backend: stacks, locks, history
    pulumi/work/                Pulumi.yaml and one settings file per stack, with the key's salt
    pulumi/home/                the engine's own folder, kept from making logs
    pulumi/failed/              what the engine printed when an operation failed
"""

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.errors import StackError
from infra.providers.server import STATE_DIRECTORY_VARIABLE
from infra.stacks.names import PROJECT

STATE_VERSION = 3
"""The version of the engine's state files that is written and read here."""

_PROJECT_SETTINGS = f"""\
name: {PROJECT}
description: Machines and networks of a province, made by the command `province`
runtime: python
"""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that the engine holds, or held when it was killed."""

    process: int
    host: str
    user: str
    since: str

    @property
    def is_held(self) -> bool:
        """Says whether its engine lives. Nobody can tell for another machine, so there it does."""
        if self.host != socket.gethostname():
            return True
        try:
            name = Path(f"/proc/{self.process}/comm").read_text(encoding="utf-8").strip()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return name == "pulumi"


@dataclass(frozen=True, slots=True)
class Backend:
    """The engine's files of one environment.

    Attributes:
        state_directory: the absolute ``.province/<environment>``.
    """

    state_directory: Path

    @property
    def folder(self) -> Path:
        """The file backend."""
        return self.state_directory / "pulumi"

    @property
    def work(self) -> Path:
        """Where project and stack settings lie."""
        return self.folder / "work"

    @property
    def passphrase_file(self) -> Path:
        """The file with the passphrase."""
        return self.state_directory / "secrets" / "pulumi_passphrase"

    def prepare(self) -> None:
        """Makes what is missing; keeps what is there.

        Raises:
            StackError: there is a state but no passphrase any more.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        for left_over in (*self.folder.glob("plans-*"), *self.folder.glob("policies-*")):
            shutil.rmtree(left_over)
        if not self.passphrase_file.exists():
            if self.stacks():
                raise StackError(
                    f"{self.passphrase_file}: is missing, and the state in {self.folder} was made "
                    "with it; restore the file from its backup, or remove the state with the "
                    "machines that it knows"
                )
            write_once(self.passphrase_file, secrets.token_urlsafe(32) + "\n", mode=0o600)
        write_once(self.work / "Pulumi.yaml", _PROJECT_SETTINGS, mode=0o644)
        # A file where the engine wants a folder: it then keeps no log of its own, which would be
        # encrypted, read by nobody, a tenth of its time and 100 kB for every stack and run.
        write_once(self.folder / "home" / "logs", "", mode=0o600)

    def environment(self) -> Mapping[str, str]:
        """Answers the variables that lead the engine to these files and nowhere else."""
        return {
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase_file),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # The history keeps every state already.
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            STATE_DIRECTORY_VARIABLE: str(self.state_directory),
        }

    def stacks(self) -> tuple[str, ...]:
        """Answers the stacks that exist."""
        found = (self.folder / ".pulumi" / "stacks" / PROJECT).glob("*.json")
        return tuple(sorted(path.stem for path in found))

    def ensure_settings(self, stack: str) -> None:
        """Writes the settings of a stack anew if they are gone: the state knows the salt too.

        Without them the engine makes a second key on every run.
        """
        settings = self.work / f"Pulumi.{stack}.yaml"
        if not settings.exists():
            salt = self._latest(stack)["secrets_providers"]["state"]["salt"]
            write_once(settings, f"encryptionsalt: {salt}\n", mode=0o600)

    def add_like(self, example: str, stack: str) -> None:
        """Makes an empty stack like an existing one, and with its key.

        The engine's own ``stack init`` derives a key and starts a program for each: with 124 stacks
        that is 20 seconds on two processors. A test holds this against what the engine makes.
        """
        latest = self._latest(example)
        kept = {name: latest[name] for name in ("manifest", "secrets_providers", "metadata")}
        checkpoint = {"stack": f"organization/{PROJECT}/{stack}", "latest": kept}
        content = json.dumps({"version": STATE_VERSION, "checkpoint": checkpoint})
        write_once(self._state_file(stack), content, mode=0o600)

    def locks(self, stack: str) -> tuple[Lock, ...]:
        """Answers the locks on a stack, those that a killed engine left among them."""
        folder = self.folder / ".pulumi" / "locks" / "organization" / PROJECT / stack
        return tuple(_lock(path) for path in sorted(folder.glob("*.json")))

    def has_pending_operations(self, stack: str) -> bool:
        """Says whether a killed engine left a step of which it never learned the end."""
        return stack in self.stacks() and bool(self._latest(stack).get("pending_operations"))

    def keep_log(self, stack: str, verb: str, text: str) -> Path:
        """Keeps what the engine printed, for the person who reads the failure's sentence."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = self.folder / "failed" / f"{stack}-{verb}-{moment}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def _latest(self, stack: str) -> dict[str, Any]:
        state = json.loads(self._state_file(stack).read_text(encoding="utf-8"))
        return state["checkpoint"].get("latest") or {}

    def _state_file(self, stack: str) -> Path:
        return self.folder / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"


def write_once(path: Path, content: str, mode: int) -> None:
    """Writes a file that must never be written twice, complete or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        Path(temporary).chmod(mode)
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        Path(temporary).unlink()


def _lock(path: Path) -> Lock:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Lock(record["pid"], record["hostname"], record["username"], record["timestamp"])
