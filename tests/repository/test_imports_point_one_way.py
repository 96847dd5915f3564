"""Data flows one way, and so do imports. The table is the architecture."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from checkout_files import CHECKOUT, files, name, tree

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    # stages, in the order in which data flows
    "model": {"errors"},
    "plan": {"model", "errors"},
    "providers": {"lab", "errors"},
    "stacks": {"plan", "providers", "errors"},
    "bootstrap": {"plan", "errors"},
    "inventory": {"plan", "model", "secrets", "errors"},
    "configure": {"inventory", "errors"},
    "compliance": {"plan", "model", "errors"},
    # rooms of their own for what stages share
    "tools": {"errors"},
    "journal": {"errors"},
    "authority": {"errors"},
    "lab": {"tools", "errors"},
    "mirror": {"plan", "tools", "errors"},
    "secrets": {"plan", "model", "errors"},
    "database": {"errors"},
    "restore": {"errors"},
}
"""What each room of infra/ may import. `cli` may import everything and stands in no row."""

POLICIES = {"infra.providers.tokens"}
"""All that policies/ may know of infra/: the names of the resources' types."""

PURE = ("model", "plan")
SHELL = {"infra/model/load.py"}
"""The one file of the pure rooms that touches the world."""

WORLD = {"os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "tempfile", "time"}


def room(path: Path) -> str:
    """Name the room of infra/ in which a file stands; `infra/errors.py` is one of its own."""
    parts = path.relative_to(CHECKOUT / "infra").parts
    return parts[0] if len(parts) > 1 else path.stem


def imported(module: ast.Module) -> Iterator[str]:
    """Name every module that code imports, with what it takes out of it; `.` begins a neighbour."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def imported_rooms(module: ast.Module) -> set[str]:
    return {full.split(".")[1] for full in imported(module) if full.startswith("infra.")}


def infra_files() -> list[Path]:
    return files("infra", suffixes=(".py",))


def programs_of_hosts() -> list[Path]:
    """Find what roles and our own module run on hosts; what tests roles runs here."""
    found = files("playbooks", "roles", suffixes=(".py",))
    return [path for path in found if "molecule" not in path.relative_to(CHECKOUT).parts]


def test_a_room_imports_only_what_its_row_allows() -> None:
    wrong = {
        name(path): other
        for path in infra_files()
        if room(path) in ALLOWED
        for other in imported_rooms(tree(path)) - {room(path)}
        if other not in ALLOWED[room(path)]
    }
    assert wrong == {}


def test_the_table_has_no_way_back() -> None:
    assert next(iter(TopologicalSorter(ALLOWED).static_order())) == "errors"


def test_the_table_has_a_row_for_every_room_and_no_other() -> None:
    rooms = {room(path) for path in infra_files()}
    assert rooms - {"cli", "__init__"} == ALLOWED.keys()


def test_imports_of_ours_are_absolute() -> None:
    relative = [
        name(path)
        for path in (*infra_files(), *files("policies", suffixes=(".py",)))
        if any(full.startswith(".") for full in imported(tree(path)))
    ]
    assert relative == []


def test_nobody_imports_the_command() -> None:
    outside = [
        name(path)
        for path in (*infra_files(), *files("policies", suffixes=(".py",)), *programs_of_hosts())
        if "cli" in imported_rooms(tree(path)) and path.parent != CHECKOUT / "infra" / "cli"
    ]
    assert outside == []


def test_policies_know_type_tokens_only() -> None:
    programs = [*files("policies", suffixes=(".py",)), CHECKOUT / "policies/pulumi/policy_pack"]
    known = {full for path in programs for full in imported(tree(path)) if full.startswith("infra")}
    assert known == POLICIES


def test_what_runs_on_hosts_knows_nothing_of_the_controller() -> None:
    wrong = [
        f"{name(path)}: {full}"
        for path in programs_of_hosts()
        for full in imported(tree(path))
        if full.split(".")[0] in {"infra", "policies"}
    ]
    assert wrong == []


def test_pure_rooms_do_not_touch_the_world() -> None:
    touching = {
        name(path)
        for path in files(*(f"infra/{one}" for one in PURE), suffixes=(".py",))
        if {full.split(".")[0] for full in imported(tree(path))} & WORLD
    }
    assert touching == SHELL


def test_no_room_takes_what_another_keeps_private() -> None:
    taken = [
        f"{name(path)}: {full}"
        for path in infra_files()
        for full in imported(tree(path))
        if full.startswith("infra.") and any(part.startswith("_") for part in full.split("."))
    ]
    assert taken == []


@pytest.mark.parametrize(
    "code",
    ["import infra.cli.main", "from infra.cli import main", "from infra import cli, errors"],
)
def test_every_form_of_import_is_seen(code: str) -> None:
    assert "cli" in imported_rooms(ast.parse(code))
