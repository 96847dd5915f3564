"""`province restore`: bring a copy back beside what runs, and compare the two."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.cli import output
from infra.cli.environment import Environment, find_environment
from infra.cli.progress import Progress, make_progress, now
from infra.cli.provisioning import applied_plan
from infra.errors import ExitCode, RefusedError
from infra.journal import Journal, hold_lock
from infra.model import nearest
from infra.plan import Plan
from infra.restore import (
    LATEST,
    Hosts,
    Order,
    Restored,
    TableComparison,
    compare,
    digests_of_cluster,
    is_proved,
    leader_of,
    parse_target,
    restore,
)

VERB = "restore database"
SERVICE = "backup_repository"
"""The service that the plan knows the keeper of copies by."""

restore_verbs = typer.Typer(no_args_is_help=True)


@restore_verbs.callback()
def _verbs() -> None:
    """Bring a copy back beside what runs; never over it."""


def repository_of(plan: Plan, cluster: str) -> tuple[str, tuple[str, ...]]:
    """The host that keeps a cluster's copies, and the cluster's members.

    Raises:
        RefusedError: there is no such cluster, or nobody keeps copies.
    """
    clusters = {one.name: one for one in plan.clusters}
    if cluster not in clusters:
        raise RefusedError(
            f"cluster {cluster!r}: is none of {plan.environment}; {nearest(cluster, clusters)}; "
            "nothing was touched"
        )
    found = clusters[cluster]
    keepers = [
        host for host in plan.hosts() if any(one.service == SERVICE for one in host.offerings)
    ]
    if not keepers:
        raise RefusedError(
            f"cluster {cluster!r}: no host offers {SERVICE}, so no copy exists; place the function "
            "that does; nothing was touched"
        )
    keeper = next((host for host in keepers if host.site == found.site), keepers[0])
    return keeper.name, found.members


def comparison_data(
    order: Order, host: str, restored: Restored, compared: Sequence[TableComparison]
) -> dict[str, Any]:
    """A restore as other programs read it."""
    whole = asdict(restored)
    del whole["digests"]
    return {
        **asdict(order),
        **whole,
        "host": host,
        "tables": [asdict(one) for one in compared],
        "equal": bool(compared) and all(one.outcome == "equal" for one in compared),
        "proved": is_proved(compared) if order.to == LATEST else None,
    }


def print_comparison(
    order: Order, host: str, restored: Restored, compared: Sequence[TableComparison]
) -> None:
    """The same for people: a line per table, then what it means."""
    table = Table("database", "table", "rows back", "rows there", "newest back", "comparison")
    for one in compared:
        back, there = one.restored, one.running
        table.add_row(
            one.database,
            one.table,
            str(back.rows) if back else "-",
            str(there.rows) if there else "-",
            (back.newest if back else None) or "",
            one.outcome,
        )
    out = output.console()
    out.print(table)
    out.print(
        f"{order.cluster}: from the copy {restored.backup} to {order.to} in "
        f"{restored.seconds:.0f} s; newest change {restored.newest_commit or 'in the copy itself'}",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"it lies in {restored.folder} on {host}, stopped", markup=False, soft_wrap=True)


def _agree(order: Order, host: str) -> None:
    Console(stderr=True, highlight=False).print(
        f"{order.cluster} as of {order.to} will be brought back into {order.into} on {host}; "
        "the running cluster is not touched",
        markup=False,
        soft_wrap=True,
    )
    try:
        agreed = typer.confirm("Restore now?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise RefusedError(f"cluster {order.cluster!r}: nobody agreed; nothing was touched")


def _carry_out(
    order: Order, hosts: Hosts, repository: str, members: Sequence[str], progress: Progress
) -> tuple[Restored, tuple[TableComparison, ...]]:
    with progress.stage("the running cluster"):
        leader = leader_of(hosts, members)
        progress.say(f"asking {leader} what every table holds")
        before = digests_of_cluster(hosts, leader)
    with progress.stage("restore"):
        restored = restore(hosts, repository, order, progress.say)
    with progress.stage("comparison"):
        after = digests_of_cluster(hosts, leader_of(hosts, members))
        return restored, compare(restored.digests, before, after)


def _journal(environment: Environment) -> Journal:
    run = f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return Journal(environment.state, run, VERB, now)


@restore_verbs.command()
def database(
    name: Annotated[str, typer.Argument(metavar="ENV")],
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER")],
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="TIME", help="latest, or ISO 8601 with its zone.")
    ],
    into: Annotated[
        str, typer.Option("--into", metavar="NAME", help="A new folder on the backup host.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Data for programs on standard output.")
    ] = False,
) -> None:
    """Bring a database back beside the running one, and compare every table."""
    environment = find_environment(name)
    order = Order(cluster, parse_target(to), into)
    repository, members = repository_of(applied_plan(environment), cluster)
    if not yes:
        _agree(order, repository)
    with hold_lock(environment.state, VERB, now()):
        journal = _journal(environment)
        journal.note("restore", cluster, "begun", f"{order.to} into {into} on {repository}")
        outcome = "failed"
        try:
            progress = make_progress(environment.logs, "restore_database", 3)
            hosts = Hosts(environment.ssh_config)
            restored, compared = _carry_out(order, hosts, repository, members, progress)
            outcome = "done"
        finally:
            journal.note("restore", cluster, outcome, f"{order.to} into {into} on {repository}")
    if as_json:
        output.print_json(comparison_data(order, repository, restored, compared))
    else:
        print_comparison(order, repository, restored, compared)
    if order.to == LATEST and not is_proved(compared):
        raise typer.Exit(ExitCode.FAILED)
