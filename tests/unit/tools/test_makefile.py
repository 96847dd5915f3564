"""make says what it costs, and no failure on its way is lost."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    folder = tmp_path / "commands"
    folder.mkdir()
    return folder


@pytest.fixture
def make(request: pytest.FixtureRequest, commands: Path) -> Make:
    root = request.config.rootpath

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # The variables of a make that runs these tests must not reach the make under test.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}
        }
        path = f"{commands}:{os.environ['PATH']}"
        return subprocess.run(
            ["make", "--no-print-directory", f"PATH={path}", *arguments],
            cwd=root,
            env=inherited,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def pretend(commands: Path, name: str, script: str) -> None:
    (commands / name).write_text(f"#!/bin/sh\n{script}\n")
    (commands / name).chmod(0o755)


def test_make_alone_lists_every_target_with_its_cost(
    make: Make, request: pytest.FixtureRequest
) -> None:
    makefile = (request.config.rootpath / "Makefile").read_text()
    targets = re.findall(r"^([a-z]\w*):", makefile, re.MULTILINE)
    assert len(targets) == len(set(targets))
    helped = make()
    assert helped.returncode == 0
    shown = re.findall(r"^  make (\w+) +[\d ()]+ min  \S", helped.stdout, re.MULTILINE)
    parts_of_check = {name for name in targets if name.startswith("check_")}
    assert sorted(shown) == sorted(set(targets) - parts_of_check)


@pytest.mark.parametrize(
    ("codes", "said", "ends_with"),
    [
        pytest.param({}, ["provision", "verify", "report"], 0, id="all_well"),
        pytest.param({"provision": 1}, ["provision"], 2, id="nothing_to_verify_after_a_failure"),
        pytest.param(
            {"provision": 3}, ["provision", "verify", "report"], 2, id="the_rest_is_verified"
        ),
        pytest.param({"verify": 1}, ["provision", "verify", "report"], 2, id="a_bad_verdict_shows"),
        pytest.param({"report": 1}, ["provision", "verify", "report"], 2, id="no_report"),
    ],
)
def test_make_lab_loses_no_failure_and_still_reports(
    make: Make, commands: Path, codes: dict[str, int], said: list[str], ends_with: int
) -> None:
    cases = "".join(f"{verb}) exit {code};;" for verb, code in codes.items())
    pretend(commands, "province", f'echo "ran $1"\ncase $1 in {cases} *) ;; esac')
    done = make("--old-file=install", "lab")
    assert re.findall(r"^ran (\w+)$", done.stdout, re.MULTILINE) == said
    assert done.returncode == ends_with


@pytest.mark.parametrize("failing", ["ruff", "mypy", "yamllint", "ansible-lint", "pytest"])
def test_make_check_fails_when_one_part_fails_and_still_runs_the_others(
    make: Make, commands: Path, failing: str
) -> None:
    for name in ("ruff", "mypy", "yamllint", "ansible-lint", "pytest"):
        pretend(commands, name, f"echo ran {name}; exit {int(name == failing)}")
    done = make("--old-file=environment", "check")
    ran = set(re.findall(r"^ran (\S+)$", done.stdout, re.MULTILINE))
    assert ran == {"ruff", "mypy", "yamllint", "ansible-lint", "pytest"}
    assert done.returncode != 0


def test_make_test_ends_with_pytest_and_loses_no_failure_of_it(make: Make, commands: Path) -> None:
    for name in ("ruff", "mypy", "yamllint", "ansible-lint", "molecule", "pytest"):
        pretend(commands, name, f"echo ran {name}; exit {int(name == 'pytest')}")
    done = make("--old-file=install", "roles_of_test=name_service time_service", "test")
    ran = re.findall(r"^ran (\S+)$", done.stdout, re.MULTILINE)
    assert ran.count("molecule") == 2
    assert ran[-1] == "pytest"
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("target", "marks", "scenarios"), [("test", "not thorough", 3), ("test_full", "", None)]
)
def test_make_test_full_leaves_nothing_out(
    make: Make, commands: Path, target: str, marks: str, scenarios: int | None
) -> None:
    for name in ("ruff", "mypy", "yamllint", "ansible-lint", "molecule", "pytest"):
        pretend(commands, name, f'echo "ran {name}: $2"')
    done = make("--old-file=install", target)
    assert f"ran pytest: {marks}\n" in done.stdout
    every = len(list((Path(__file__).parents[3] / "roles").glob("*/molecule/default/molecule.yml")))
    assert done.stdout.count("ran molecule") == (scenarios or every)


@pytest.mark.parametrize("failing", ["mypy", "molecule"])
def test_make_test_spends_no_half_hour_when_a_shorter_check_fails(
    make: Make, commands: Path, failing: str
) -> None:
    for name in ("ruff", "mypy", "yamllint", "ansible-lint", "molecule", "pytest"):
        pretend(commands, name, f"echo ran {name}; exit {int(name == failing)}")
    done = make("--old-file=install", "test")
    assert "ran mypy" in done.stdout
    assert "ran ansible-lint" in done.stdout
    assert "ran pytest" not in done.stdout
    assert done.returncode != 0


def test_the_roles_that_make_test_takes_exist(request: pytest.FixtureRequest) -> None:
    root = request.config.rootpath
    makefile = (root / "Makefile").read_text()
    taken = re.search(r"^roles_of_test := \$\(filter ([^,]+),", makefile, re.MULTILINE)
    assert taken is not None
    assert len(taken[1].split()) == 3
    assert {*taken[1].split()} <= {path.name for path in (root / "roles").iterdir()}
