"""Underscores everywhere, one spelling per thing, verbs that everybody knows."""

import re
from collections import Counter

import pytest
from checkout_files import CHECKOUT, ROLES, files, name, present, role_names, yaml_of

PLAIN = re.compile(r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")
FOREIGN = {
    ".ci",
    ".config",
    ".gitignore",
    ".python-version",
    ".yamllint",
    "LICENSE",
    "Makefile",
    "Pulumi.yaml",
    "README.md",
    "README.vi.md",
    "ansible-lint.yml",
}
"""Names that git, make and tools ask for."""

MIRRORED = {"etc", "files", "templates", "usr", "var"}
"""Folders below which paths repeat those of a target's file system."""

FIRST_VERBS = {
    "back_up",
    "check",
    "configure",
    "harden",
    "patch",
    "restore",
    "retire",
    "rotate",
}


def misnamed(path: str) -> list[str]:
    """Name the parts of a path that break the house rule."""
    parts = path.split("/")
    mirrored = next((i for i, part in enumerate(parts) if part in MIRRORED), len(parts))
    return [part for part in parts[:mirrored] if part not in FOREIGN and not PLAIN.match(part)]


def test_every_path_is_written_with_underscores() -> None:
    wrong = {name(path): misnamed(name(path)) for path in present()}
    assert {path: parts for path, parts in wrong.items() if parts} == {}


def test_playbooks_are_named_after_what_they_do_to_whom() -> None:
    wrong = [
        path.stem
        for path in files("playbooks", suffixes=(".yml",))
        if not any(path.stem.startswith(f"{verb}_") for verb in FIRST_VERBS)
    ]
    assert wrong == []


@pytest.mark.parametrize("role", role_names())
def test_roles_are_named_after_an_outcome(role: str) -> None:
    packages = yaml_of(ROLES / role / "meta" / "function.yml").get("packages") or []
    assert role not in packages
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", role)


def test_modules_of_tests_have_names_of_their_own() -> None:
    """Pytest's prepend mode finds a module by its name alone."""
    modules = [
        path.name
        for path in files("tests", suffixes=(".py",))
        if path.name not in {"conftest.py", "__init__.py"} and "roles" not in path.parts[-3:-1]
    ]
    twice = [module for module, count in Counter(modules).items() if count > 1]
    assert twice == []


def test_declared_environments_are_named_as_their_folders() -> None:
    declarations = [
        path for path in files("inventories", suffixes=(".yml",)) if path.name == "province.yml"
    ]
    assert len(declarations) >= 2
    assert [path.parent.name for path in declarations] == [
        yaml_of(path)["name"] for path in declarations
    ]
    assert {path.parent.parent for path in declarations} == {CHECKOUT / "inventories"}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("playbooks/configure-edge.yml", ["configure-edge.yml"]),
        ("roles/Time/tasks/main.yml", ["Time"]),
        ("roles/time_sync/templates/etc/apt/apt.conf.d/90-x.j2", []),
        (".config/ansible-lint.yml", []),
    ],
)
def test_a_hyphen_is_found(path: str, parts: list[str]) -> None:
    assert misnamed(path) == parts
