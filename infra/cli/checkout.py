"""Which commit this checkout is, and whether it contains a host's last apply."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.configure import Reached
from infra.configure.reach import APPLIED_FILE
from infra.errors import RefusedError

APPLIED_FOLDERS = ("infra", "playbooks", "roles", "inventories", "ansible.cfg")
"""What decides about a host's configuration."""


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)


def commit_of(root: Path) -> str:
    """The commit, with a digest of what is not committed; `unversioned` without git's history."""
    head = _git(root, "rev-parse", "HEAD")
    if head.returncode != 0:
        return "unversioned"
    commit = head.stdout.decode().strip()
    difference = _git(root, "diff", "HEAD", "--", *APPLIED_FOLDERS).stdout
    listing = ("ls-files", "--others", "--exclude-standard", "-z", "--", *APPLIED_FOLDERS)
    others = [root / name.decode() for name in _git(root, *listing).stdout.split(b"\0") if name]
    if not difference and not others:
        return commit
    digest = hashlib.sha256(difference)
    for path in sorted(others):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return f"{commit}+{digest.hexdigest()[:12]}"


def contains(root: Path, commit: str) -> bool:
    """Whether this checkout's history contains a commit."""
    plain = commit.split("+", maxsplit=1)[0]
    return _git(root, "merge-base", "--is-ancestor", plain, "HEAD").returncode == 0


@dataclass(frozen=True, slots=True)
class UnknownApply:
    """A host that was configured from a commit that this checkout lacks, or that it cannot say."""

    host: str
    commit: str
    """Empty when the host's record cannot be read."""

    def __str__(self) -> str:
        """The sentence for the one who is refused."""
        if not self.commit:
            return (
                f"{self.host}: its record of the last apply cannot be read; look at {APPLIED_FILE} "
                "there, or name the host with --accept-unknown-commit"
            )
        return (
            f"{self.host}: was last configured from commit {self.commit[:12]}, which this "
            "checkout does not contain; fetch it, or name the host with --accept-unknown-commit"
        )


def unknown_applies(root: Path, reached: Mapping[str, Reached]) -> tuple[UnknownApply, ...]:
    """Hosts whose last apply this checkout does not know."""
    found = []
    for host, result in sorted(reached.items()):
        if not result.applied:
            continue
        try:
            commit = str(json.loads(result.applied)["commit"])
        except (ValueError, KeyError, TypeError):
            commit = ""
        if commit != "unversioned" and not (commit and contains(root, commit)):
            found.append(UnknownApply(host, commit))
    return tuple(found)


def refuse_unknown(root: Path, reached: Mapping[str, Reached], accepted: tuple[str, ...]) -> None:
    """Refuse to configure hosts from a checkout that lacks the commit of their last apply.

    Raises:
        RefusedError: with every such host that was not accepted by name.
    """
    unknown = [one for one in unknown_applies(root, reached) if one.host not in accepted]
    if unknown:
        raise RefusedError(
            "this checkout lacks what hosts were configured from; nothing was touched", unknown
        )
