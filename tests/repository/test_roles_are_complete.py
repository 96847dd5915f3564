"""Who has read one role finds everything in every other."""

import re

import pytest
from checkout_files import (
    ROLES,
    mappings,
    role_constants,
    role_names,
    role_options,
    role_yaml,
    text,
)

SKELETON = (
    "README.md",
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/function.yml",
    "meta/main.yml",
    "tasks/assert.yml",
    "tasks/main.yml",
)

README_PARTS = ("**Replaces these files:**", "**Can lock you out if:**", "```yaml", "**Undo:**")
"""Outcome first, then these; the variables' names are looked for one by one."""

IMPORTS = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}
SCREEN = 60


@pytest.mark.parametrize("role", role_names())
def test_role_has_the_whole_skeleton(role: str) -> None:
    assert [file for file in SKELETON if not (ROLES / role / file).is_file()] == []
    assert role_constants(role)


@pytest.mark.parametrize("role", role_names())
def test_role_starts_with_its_refusals_and_is_a_table_of_contents(role: str) -> None:
    tasks = role_yaml(role, "tasks/main.yml")
    assert [set(task) & IMPORTS for task in tasks] == [
        {next(iter(set(task) & IMPORTS), "no import")} for task in tasks
    ]
    files = [next(task[key] for key in IMPORTS if key in task) for task in tasks]
    assert files[0] == "assert.yml"
    assert [file for file in files if not (ROLES / role / "tasks" / file).is_file()] == []
    assert len(text(ROLES / role / "tasks" / "main.yml").splitlines()) <= SCREEN


@pytest.mark.parametrize("role", role_names())
def test_every_task_file_is_reached(role: str) -> None:
    folder = ROLES / role / "tasks"
    reached = {
        task[key]
        for path in folder.glob("*.yml")
        for task in mappings(role_yaml(role, f"tasks/{path.name}"))
        for key in IMPORTS
        if isinstance(task.get(key), str)
    }
    assert {path.name for path in folder.glob("*.yml")} - reached == {"main.yml"}


@pytest.mark.parametrize("role", role_names())
def test_role_stands_on_no_other(role: str) -> None:
    assert role_yaml(role, "meta/main.yml").get("dependencies") == []
    calls = [
        task
        for path in (ROLES / role).rglob("tasks/*.yml")
        for task in mappings(role_yaml(role, str(path.relative_to(ROLES / role))))
        if {"ansible.builtin.include_role", "ansible.builtin.import_role"} & set(task)
    ]
    assert calls == []


@pytest.mark.parametrize("role", role_names())
def test_readme_says_what_an_administrator_must_know(role: str) -> None:
    readme = text(ROLES / role / "README.md")
    assert readme.startswith(f"# {role}\n\n")
    assert [part for part in README_PARTS if part not in readme] == []


@pytest.mark.parametrize("role", role_names())
def test_readme_names_every_variable_and_no_other(role: str) -> None:
    readme = text(ROLES / role / "README.md")
    named = set(re.findall(rf"`({role}_[a-z0-9_]+)`", readme))
    options = set(role_options(role))
    assert sorted(options - named) == []
    assert sorted(named - options) == []
