"""Which playbook, on which hosts, with which options. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLAYBOOK = Path("playbooks") / "configure_province.yml"


@dataclass(frozen=True, slots=True)
class ConfigureOptions:
    """What a person may ask of a configuration run."""

    hosts: tuple[str, ...]
    check: bool = False
    take_over: tuple[str, ...] = ()
    """Paths of files that another hand made and that may be replaced, after a backup."""
    tags: tuple[str, ...] = ()


def command_line(options: ConfigureOptions) -> list[str]:
    """The options of `ansible-playbook` behind playbook and inventory."""
    words = ["--limit", ",".join(options.hosts)]
    if options.check:
        words += ["--check", "--diff"]
    if options.tags:
        words += ["--tags", ",".join(options.tags)]
    return words


def extra_variables(options: ConfigureOptions, commit: str, plan_digest: str) -> dict[str, object]:
    """Variables of this run only: what may be taken over, and what is being applied."""
    return {
        "managed_files_take_over": list(options.take_over),
        "base_system_applied_commit": commit,
        "base_system_applied_plan": plan_digest,
    }
