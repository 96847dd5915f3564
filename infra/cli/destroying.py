"""Removing an environment: a separate act, repeatable, also without the declaration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from infra.cli.environment import Environment
from infra.cli.provisioning import applied_plan
from infra.errors import JournalError, StackError
from infra.inventory import unpin, write_if_changed
from infra.lab.lab import Lab
from infra.stacks.automation import Stacks
from infra.tools.engine import ensure_engine

RUN_LEFTOVERS = ("reach", "runner", "creator_host_keys", "mirror", "first_contact", "pulumi")
RUN_FILES = ("ssh_config", "known_hosts", "plan.json", "evidence.jsonl")


def destroy_environment(environment: Environment, sites: tuple[str, ...]) -> Iterator[str]:
    """Remove machines and networks; yields a sentence for each thing that was done.

    With sites, only their stacks go and the rest stays. Without, the lab's own cleaning comes
    last: it looks at what is there, so it also removes what no stack remembers. Keys, secrets,
    the journal and reports stay; they are small, and what they open may be restored.

    Raises:
        StackError: a site could not be removed; what it holds is named.
    """
    if sites:
        yield from _destroy_sites(environment, sites)
        return
    if (environment.state / "pulumi").exists():
        yield from _destroy_stacks(environment, None)
    Lab(environment.state).destroy()
    yield f"{environment.name}: machines, networks and namespaces are gone"
    folders = [environment.state / name for name in RUN_LEFTOVERS]
    folders += [environment.sockets, environment.folder / "host_vars"]
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
    for name in RUN_FILES:
        (environment.state / name).unlink(missing_ok=True)
    (environment.folder / "hosts.yml").unlink(missing_ok=True)
    yield f"{environment.name}: keys, secrets, journal and reports stay in {environment.state}"


def _destroy_stacks(environment: Environment, sites: tuple[str, ...] | None) -> Iterator[str]:
    engine = ensure_engine(lambda _line: None)
    results = Stacks(environment.state, engine).destroy(sites)
    failures = [f"{one.site}: {one.failure}" for one in results if one.failure]
    for one in results:
        if not one.failure:
            yield f"stack of {one.site}: removed"
    if failures and sites is not None:
        raise StackError("; ".join(failures))
    for failure in failures:
        yield f"stack of {failure}; what it left is removed by looking"


def _destroy_sites(environment: Environment, sites: tuple[str, ...]) -> Iterator[str]:
    yield from _destroy_stacks(environment, sites)
    try:
        plan = applied_plan(environment)
    except JournalError:
        return
    gone = frozenset(host.fqdn for host in plan.hosts() if host.site in sites)
    path = environment.known_hosts
    if path.exists():
        write_if_changed(path, unpin(path.read_text(encoding="utf-8"), gone))
