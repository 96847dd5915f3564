"""A glob that matches nothing, a folder that is not there: green, and nothing was looked at."""

import ast
import re
import tomllib
from pathlib import Path

from checkout_files import CHECKOUT, ROLES, files, name, present, text, tree

MAKEFILE = text(CHECKOUT / "Makefile")
ELSEWHERE = {"tests/compliance", "tests/benchmarks"}
"""Folders of tests that `province verify` and `make benchmark` run."""

LONGEST = 600
DATA = {".csv", ".dat", ".lock", ".sum"}
"""Lists, of which every line is alike, and what is no text."""


def patterns() -> list[str]:
    """List the globs by which the Makefile finds what it runs."""
    calls = re.findall(r"\$\(wildcard ([^()]*)\)", MAKEFILE)
    return [word for call in calls for word in call.split()]


def modules_of_tests() -> list[Path]:
    found = files("tests", suffixes=(".py",))
    return [path for path in found if path.name.startswith("test_")]


def names_of_tests(path: Path) -> list[str]:
    return [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_every_pattern_of_the_makefile_matches() -> None:
    assert len(patterns()) >= 5
    assert [one for one in patterns() if not list(CHECKOUT.glob(one))] == []


def test_roles_that_the_makefile_names_have_a_scenario() -> None:
    named = re.search(r"^roles_of_test := \$\(filter ([a-z_ ]+),", MAKEFILE, re.MULTILINE)
    assert named is not None
    chosen = named[1].split()
    assert len(chosen) >= 3
    scenario = "molecule/default/molecule.yml"
    assert [role for role in chosen if not (ROLES / role / scenario).is_file()] == []


def test_targets_are_phony_and_phony_ones_exist() -> None:
    said = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert said is not None
    targets = re.findall(r"^([a-z_]+):(?!=)", MAKEFILE, re.MULTILINE)
    assert sorted(said[1].replace("\\", "").split()) == sorted(targets)


def test_every_folder_of_tests_is_run() -> None:
    folders = {"/".join(name(path).split("/")[:2]) for path in modules_of_tests()}
    assert folders - ELSEWHERE <= set(patterns())


def test_every_module_of_tests_holds_tests() -> None:
    assert [name(path) for path in modules_of_tests() if not names_of_tests(path)] == []


def test_no_test_hides_in_a_module_that_pytest_does_not_collect() -> None:
    hidden = [
        f"{name(path)}: {test}"
        for path in files("tests", suffixes=(".py",))
        if not path.name.startswith(("test_", "benchmark_"))
        for test in names_of_tests(path)
    ]
    assert hidden == []


def test_no_test_is_defined_twice_in_a_module() -> None:
    """The second would replace the first in silence."""
    twice = {
        name(path): len(names_of_tests(path)) - len(set(names_of_tests(path)))
        for path in modules_of_tests()
    }
    assert {path: count for path, count in twice.items() if count} == {}


def test_paths_of_pytest_and_mypy_exist() -> None:
    settings = tomllib.loads(text(CHECKOUT / "pyproject.toml"))["tool"]
    paths = [*settings["pytest"]["ini_options"]["testpaths"], *settings["mypy"]["files"]]
    assert len(paths) >= 3
    assert [path for path in paths if not (CHECKOUT / path).is_dir()] == []


def test_warnings_and_unknown_markers_are_errors() -> None:
    settings = tomllib.loads(text(CHECKOUT / "pyproject.toml"))["tool"]["pytest"]["ini_options"]
    assert settings["filterwarnings"] == ["error"]
    assert {"--strict-markers", "--strict-config"} <= set(settings["addopts"].split())
    assert settings["xfail_strict"] is True


def test_ci_runs_what_people_run() -> None:
    assert "make --no-print-directory test" in text(CHECKOUT / ".ci" / "run")


def test_the_linter_skips_no_rule_as_a_whole() -> None:
    settings = text(CHECKOUT / ".config" / "ansible-lint.yml")
    assert "profile: production" in settings
    assert re.search(r"^(skip_list|warn_list):", settings, re.MULTILINE) is None


def test_no_file_is_longer_than_anybody_reads() -> None:
    """The house looks for the missing noun at 400 lines; here the patience ends."""
    lengths = {
        name(path): text(path).count("\n")
        for path in present()
        if path.suffix not in DATA
        and not path.is_symlink()
        and not path.is_relative_to(CHECKOUT / "inventories")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}
