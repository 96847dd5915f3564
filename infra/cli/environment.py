"""Where an environment's files are. Paths only."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from infra.errors import RefusedError
from infra.model import Province, load_province, nearest
from infra.plan import Plan

SOCKETS = Path("/run/province")


def checkout_root() -> Path:
    """The checkout that this code stands in."""
    return Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """One declared environment of one checkout."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """Declaration, people's choices and generated inventory."""
        return self.root / "inventories" / self.name

    @property
    def state(self) -> Path:
        """Everything that runs leave, ignored by git."""
        return self.root / ".province" / self.name

    @property
    def secrets(self) -> Path:
        """Keys and encrypted secrets, open to the owner only."""
        return self.state / "secrets"

    @property
    def removable_store(self) -> Path:
        """Where the root key lies; `$PROVINCE_REMOVABLE_STORE` names the mounted medium."""
        named = os.environ.get("PROVINCE_REMOVABLE_STORE")
        return Path(named) / self.name if named else self.state / "removable_store"

    @property
    def ssh_config(self) -> Path:
        """The ssh configuration that every tool uses: `ssh -F`, Ansible, testinfra."""
        return self.state / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """Pinned host keys."""
        return self.state / "known_hosts"

    @property
    def sockets(self) -> Path:
        """Control sockets: short, because a socket's path may have 108 bytes, and one per state."""
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:8]
        return SOCKETS / digest

    @property
    def applied_plan(self) -> Path:
        """The plan of the last apply; later verbs work from it."""
        return self.state / "plan.json"

    @property
    def evidence(self) -> Path:
        """Evidence of the last verification."""
        return self.state / "evidence.jsonl"

    @property
    def report(self) -> Path:
        """Verdict and report of the last verification."""
        return self.state / "report"

    @property
    def logs(self) -> Path:
        """Logs of runs."""
        return self.state / "logs"

    def province(self) -> Province:
        """The declared province, checked as a whole."""
        return load_province(self.folder, self.root / "roles")


def find_environment(name: str, *, new: bool = False) -> Environment:
    """The environment of that name; its declaration is read only when it is asked for.

    Raises:
        RefusedError: the name cannot be a folder's, or neither a declaration nor a run knows it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise RefusedError(
            f"environment {name!r}: is no name of a folder under inventories/; "
            "use lower-case letters, digits and underscores"
        )
    environment = Environment(checkout_root(), name)
    if not new and not environment.folder.exists() and not environment.state.exists():
        raise RefusedError(
            f"environment {name!r}: is not declared under inventories/; "
            f"{nearest(name, declared_environments())}"
        )
    return environment


def declared_environments() -> list[str]:
    """Names that the shell completes."""
    found = checkout_root().glob("inventories/*/province.yml")
    return sorted(path.parent.name for path in found)


def require_sites(plan: Plan, sites: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen sites, every one of which is a site of the plan.

    Raises:
        RefusedError: one of them is not.
    """
    known = [site.code for site in plan.sites]
    for code in sites:
        if code not in known:
            raise RefusedError(f"--site {code}: is not a site; {nearest(code, known)}")
    return sites
