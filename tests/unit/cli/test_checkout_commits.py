"""Which commit a host was configured from, and who may configure it again."""

import json
import subprocess
from pathlib import Path

import pytest

from infra.cli.checkout import commit_of, contains, refuse_unknown
from infra.configure import Reached
from infra.errors import ExitCode, RefusedError

IDENTITY = ("-c", "user.name=an", "-c", "user.email=an@sample.internal")


def git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *IDENTITY, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Build a checkout with one commit."""
    root = tmp_path / "checkout"
    (root / "roles" / "x").mkdir(parents=True)
    (root / "roles" / "x" / "a.yml").write_text("a\n", encoding="utf-8")
    (root / ".gitignore").write_text("*.pyc\n", encoding="utf-8")
    git(root.parent, "init", "--quiet", str(root))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "one")
    return root


def reached(**commits: str) -> dict[str, Reached]:
    """Hosts that remember a commit, or nothing yet; `_` stands for the hyphen of names."""
    return {
        name.replace("_", "-"): Reached(
            name.replace("_", "-"), "reached", None, "", json.dumps({"commit": one}) if one else ""
        )
        for name, one in commits.items()
    }


def test_a_clean_checkout_is_its_commit(repository: Path) -> None:
    assert commit_of(repository) == git(repository, "rev-parse", "HEAD")


def test_what_is_not_committed_changes_the_name_and_naming_it_again_does_not(
    repository: Path,
) -> None:
    head = commit_of(repository)
    (repository / "roles" / "x" / "a.yml").write_text("b\n", encoding="utf-8")
    changed = commit_of(repository)
    assert changed.startswith(f"{head}+")
    assert commit_of(repository) == changed
    (repository / "roles" / "x" / "new.yml").write_text("c\n", encoding="utf-8")
    assert commit_of(repository) not in {head, changed}


def test_what_decides_about_no_host_changes_no_name(repository: Path) -> None:
    head = commit_of(repository)
    (repository / "README.md").write_text("x\n", encoding="utf-8")
    (repository / "roles" / "x" / "a.pyc").write_text("x\n", encoding="utf-8")
    assert commit_of(repository) == head


def test_without_history_there_is_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unversioned"


def test_a_checkout_contains_its_past_also_with_what_was_not_committed(repository: Path) -> None:
    first = commit_of(repository)
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "two")
    assert contains(repository, first)
    assert contains(repository, f"{first}+0123456789ab")
    assert not contains(repository, "c0ffee" + "0" * 34)


def test_hosts_of_an_unknown_commit_are_refused_all_at_once(repository: Path) -> None:
    unknown = "c0ffee" + "0" * 34
    hosts = reached(
        gw1_70=commit_of(repository), svc1_70=unknown, mgt1_70="", edge1_692="unversioned"
    )
    hosts["db1-70"] = Reached("db1-70", "reached", None, "", "{torn")
    with pytest.raises(RefusedError) as refused:
        refuse_unknown(repository, hosts, ())
    assert refused.value.exit_code is ExitCode.REFUSED
    assert [str(one) for one in refused.value.findings] == [
        (
            "db1-70: its record of the last apply cannot be read; look at "
            "/var/lib/province/applied.json there, or name the host with --accept-unknown-commit"
        ),
        (
            "svc1-70: was last configured from commit c0ffee000000, which this checkout does not "
            "contain; fetch it, or name the host with --accept-unknown-commit"
        ),
    ]


def test_a_host_that_is_named_is_accepted(repository: Path) -> None:
    hosts = reached(svc1_70="c0ffee" + "0" * 34)
    refuse_unknown(repository, hosts, ("svc1-70",))
    with pytest.raises(RefusedError):
        refuse_unknown(repository, hosts, ("svc2-70",))
