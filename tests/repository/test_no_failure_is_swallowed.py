"""An error that is passed over is found by an auditor, years later."""

import ast
import re
from collections.abc import Iterator

import pytest
import yaml
from checkout_files import CHECKOUT, files, mappings, name, present, text, tree, yaml_of

ALLOWED_CATCHES = {"infra/lab/commands.py"}
"""A child process that must end with its parent's error, whatever it is, and raises it again."""

SWALLOWING_KEYS = {"ignore_errors", "ignore_unreachable", "continue-on-error"}
SHELL = re.compile(r"\|\|\s*(true|:)(?=\s|$|;)|set \+e\b|--exit-zero|--no-fail")
MAKE = re.compile(r"^\t@?-|^\.IGNORE|\|\|\s*(true|:)(?=\s|$|;)", re.MULTILINE)


def swallowed_in_yaml(value: object) -> Iterator[str]:
    """Name what makes a task's failure no failure."""
    for mapping in mappings(value):
        for key in SWALLOWING_KEYS & set(mapping):
            if mapping[key] not in {False, None}:
                yield key
        if mapping.get("failed_when") in (False, "false", [False]):
            yield "failed_when"


def swallowed_in_python(module: ast.Module) -> Iterator[str]:
    """Name handlers that catch everything, and tests that are left out without a reason."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            caught = [one.id for one in ast.walk(node.type or node) if isinstance(one, ast.Name)]
            if node.type is None or {"Exception", "BaseException"} & set(caught):
                raises = any(isinstance(one, ast.Raise) for one in ast.walk(node))
                yield "catches everything" + (" and raises" if raises else "")
        elif isinstance(node, ast.Call | ast.Attribute):
            yield from _left_out(node)


def _left_out(node: ast.Call | ast.Attribute) -> Iterator[str]:
    called = node.func if isinstance(node, ast.Call) else node
    words = ast.unparse(called).split(".")[-2:]
    if words in (["pytest", "skip"], ["pytest", "xfail"]):
        if isinstance(node, ast.Call) and not (node.args or node.keywords):
            yield "is left out without a reason"
    elif words[0] == "mark" and words[-1] in {"skip", "skipif", "xfail"}:
        keywords = {one.arg for one in node.keywords} if isinstance(node, ast.Call) else set()
        if isinstance(node, ast.Call) and "reason" not in keywords:
            yield "is left out without a reason"
    elif words[-1] == "suppress":
        caught = {ast.unparse(one) for one in node.args} if isinstance(node, ast.Call) else set()
        if {"Exception", "BaseException"} & caught:
            yield "suppresses everything"


def yaml_files() -> list[str]:
    return [
        name(path)
        for path in files("roles", "playbooks", "tests", ".config", suffixes=(".yml",))
        if "cases" not in path.parts
    ]


def test_no_task_ignores_its_failure() -> None:
    wrong = {path: list(swallowed_in_yaml(yaml_of(CHECKOUT / path))) for path in yaml_files()}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_no_program_catches_everything() -> None:
    wrong = {
        name(path): list(swallowed_in_python(tree(path)))
        for path in files("infra", "policies", "playbooks", "roles", "tests", suffixes=(".py",))
        if name(path) not in ALLOWED_CATCHES
    }
    assert {path: found for path, found in wrong.items() if found} == {}


@pytest.mark.parametrize("path", sorted(ALLOWED_CATCHES))
def test_what_may_catch_everything_raises_it_again(path: str) -> None:
    assert list(swallowed_in_python(tree(CHECKOUT / path))) == ["catches everything and raises"]


def shell_files() -> list[str]:
    """Find programs for a shell: by their first line, and what templates make of them."""
    found = [
        name(path)
        for path in present()
        if path.suffix in {"", ".sh", ".j2"}
        and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"#!/bin/sh", b"#!/bin/bash"))
    ]
    assert {".ci/run", ".ci/install"} <= set(found), (
        "CI's own scripts must be among those looked at"
    )
    return found


def test_no_shell_program_goes_on_after_a_failure() -> None:
    wrong = {path: SHELL.findall(text(CHECKOUT / path)) for path in shell_files()}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_shell_programs_stop_at_the_first_failure() -> None:
    stops = re.compile(r"^set -e", re.MULTILINE)
    lax = [path for path in shell_files() if not stops.search(text(CHECKOUT / path))]
    assert lax == []


def test_no_target_of_make_goes_on_after_a_failure() -> None:
    makefile = text(CHECKOUT / "Makefile")
    assert MAKE.findall(makefile) == []
    assert ".SHELLFLAGS := -euo pipefail -c" in makefile


@pytest.mark.parametrize(
    "task",
    [
        "ignore_errors: true",
        "ignore_errors: yes",
        "failed_when: false",
        "block: [{ignore_errors: 1}]",
    ],
)
def test_an_ignored_task_is_found(task: str) -> None:
    assert list(swallowed_in_yaml(yaml.safe_load(task)))


@pytest.mark.parametrize("line", ["rm x || true", "rm x || :", "set +e", "x ||true; y"])
def test_a_lax_shell_line_is_found(line: str) -> None:
    assert SHELL.search(line)


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    x()\nexcept Exception:\n    pass",
        "try:\n    x()\nexcept (ValueError, BaseException) as e:\n    y()",
        "try:\n    x()\nexcept:\n    y()",
        "pytest.skip()",
        "@pytest.mark.skip()\ndef f(): ...",
        "@pytest.mark.xfail(strict=True)\ndef f(): ...",
        "with contextlib.suppress(Exception):\n    x()",
    ],
)
def test_a_lax_program_is_found(code: str) -> None:
    assert list(swallowed_in_python(ast.parse(code)))
