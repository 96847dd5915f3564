"""Writes the inventory into `inventories/<env>`: sorted, atomic, ignored by git."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.inventory.build import AUTOMATION_USER, Inventory
from infra.secrets import write_vault

HEADER = "# Written by `province`: edits are lost. What people choose stands in group_vars/.\n"


class _Dumper(yaml.SafeDumper):
    """Plain YAML without anchors: the same value twice reads twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - PyYAML's own signature
        del data
        return True


def _dump(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=100)
    return f"---\n{HEADER}{text}"


def write_if_changed(path: Path, text: str) -> bool:
    """Write a whole file or nothing; tells whether it differed."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return True


def _hosts_file(inventory: Inventory, ssh_config: Path) -> Mapping[str, object]:
    connection = {
        "ansible_user": AUTOMATION_USER,
        "ansible_become": True,
        "ansible_ssh_common_args": f"-F {ssh_config}",
    }
    children = {
        group: {"hosts": dict.fromkeys(members)} for group, members in inventory.groups.items()
    }
    return {
        "all": {
            "vars": connection,
            "hosts": dict.fromkeys(inventory.facts),
            "children": children,
        }
    }


def write_inventory(inventory: Inventory, folder: Path, ssh_config: Path) -> bool:
    """Write hosts.yml and every host's variables; remove those of hosts that are gone.

    Returns:
        Whether anything changed.
    """
    changed = write_if_changed(folder / "hosts.yml", _dump(_hosts_file(inventory, ssh_config)))
    variables = folder / "host_vars"
    for host, values in inventory.facts.items():
        changed |= write_if_changed(variables / host / "facts.yml", _dump(dict(values)))
        hidden = variables / host / "secrets.yml"
        if inventory.secrets[host]:
            changed |= write_vault(hidden, _dump(dict(inventory.secrets[host])))
        elif hidden.exists():
            hidden.unlink()
            changed = True
    return _remove_strangers(variables, set(inventory.facts)) or changed


def _remove_strangers(variables: Path, known: set[str]) -> bool:
    strangers = [path for path in sorted(variables.glob("*")) if path.name not in known]
    for folder in strangers:
        for name in ("facts.yml", "secrets.yml"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    return bool(strangers)
