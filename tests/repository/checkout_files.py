"""What this checkout consists of: every file that git tracks or would track."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).parents[2]
ROLES = CHECKOUT / "roles"


def git(*words: str) -> str:
    """Ask git about this checkout."""
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@cache
def present() -> tuple[Path, ...]:
    """Every file that is tracked, or would be after `git add`, and is there; never an ignored one.

    Mistakes are found before they are committed.
    """
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    paths = [CHECKOUT / name for name in sorted(set(names)) if name]
    return tuple(path for path in paths if path.is_file())


def files(*folders: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Present files below folders; none at all is a mistake of the one who asks."""
    roots = [CHECKOUT / folder for folder in folders]
    found = [
        path
        for path in present()
        if path.suffix in suffixes and any(path.is_relative_to(root) for root in roots)
    ]
    assert found, f"no file {suffixes} below {folders}: this check would pass on nothing"
    return found


def name(path: Path) -> str:
    """Name a file as people do: from the root of the checkout."""
    return str(path.relative_to(CHECKOUT))


@cache
def text(path: Path) -> str:
    """Read a file once."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """Parse a Python file once."""
    return ast.parse(text(path), filename=str(path))


class _TagsAside(yaml.CSafeLoader):
    """Reads Ansible's and Molecule's own tags as plain values."""


def _plain(loader: _TagsAside, suffix: str, node: yaml.Node) -> object:
    del suffix
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_TagsAside.add_multi_constructor("!", _plain)


@cache
def yaml_of(path: Path) -> Any:  # noqa: ANN401 - YAML can hold anything
    """Read a YAML file once."""
    return yaml.load(text(path), Loader=_TagsAside)  # noqa: S506 - a safe loader


@cache
def role_names() -> tuple[str, ...]:
    """Every folder under roles/, from the files that are there."""
    found = {path.relative_to(ROLES).parts[0] for path in present() if path.is_relative_to(ROLES)}
    names = tuple(sorted(one for one in found if (ROLES / one).is_dir()))
    assert names, "there is no role: this check would pass on nothing"
    return names


def role_yaml(role: str, file: str) -> Any:  # noqa: ANN401 - YAML can hold anything
    """Read a file of a role; an absent or empty one has nothing to say."""
    path = ROLES / role / file
    return (yaml_of(path) if path.exists() else None) or {}


def role_constants(role: str) -> Mapping[str, Any]:
    """Read a role's constants: vars/main.yml, or every file of vars/main/ where they are many."""
    folder = ROLES / role / "vars" / "main"
    parts = [f"vars/main/{path.name}" for path in sorted(folder.glob("*.yml"))] or ["vars/main.yml"]
    return {key: value for part in parts for key, value in role_yaml(role, part).items()}


def role_options(role: str) -> Mapping[str, Mapping[str, Any]]:
    """Every input that a role's specification declares, of whatever entry point."""
    points = role_yaml(role, "meta/argument_specs.yml").get("argument_specs", {})
    return {
        option: spec
        for point in points.values()
        for option, spec in (point.get("options") or {}).items()
    }


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping inside a YAML value, the outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from mappings(inner)
