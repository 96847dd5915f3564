"""`province database`: how a cluster is, and handing it over to another member."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.cli import output
from infra.cli.environment import Environment, find_environment
from infra.cli.progress import make_progress, now
from infra.cli.provisioning import applied_plan
from infra.database import (
    Ask,
    Clock,
    Cluster,
    Ended,
    Handover,
    Seen,
    Unanswered,
    ask_over_ssh,
    decide,
    faults,
    hand_over,
    look_at,
)
from infra.errors import ExitCode, RefusedError
from infra.journal import Journal, hold_lock
from infra.model import nearest
from infra.plan import Plan

VERB = "database switchover"

database_verbs = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="ENV")]
Json = Annotated[bool, typer.Option("--json", help="Data for programs on standard output.")]


def clusters_of(plan: Plan) -> dict[str, Cluster]:
    """The applied clusters by name, each with its members and its endpoints."""
    return {
        one.name: Cluster(one.name, one.members, one.endpoint.hosts if one.endpoint else ())
        for one in plan.clusters
    }


def require_cluster(environment: Environment, name: str) -> Cluster:
    """The cluster of that name in what was applied last.

    Raises:
        RefusedError: there is none.
    """
    known = clusters_of(applied_plan(environment))
    if name not in known:
        raise RefusedError(
            f"cluster {name!r}: is none of {environment.name}; {nearest(name, known)}; "
            "nothing was touched"
        )
    return known[name]


def seen_data(cluster: Cluster, seen: Seen) -> dict[str, Any]:
    """A cluster as other programs read it."""
    return {
        "cluster": cluster.name,
        "synchronous": seen.cluster.synchronous,
        "maintenance": seen.cluster.is_paused,
        "leaders": list(seen.cluster.leaders),
        "members": [asdict(one) for one in seen.cluster.members],
        "endpoints": [asdict(one) for one in seen.endpoints],
        "faults": list(faults(cluster.hosts, seen)),
    }


def print_seen(cluster: Cluster, seen: Seen, out: Console) -> None:
    """The same for people: the members, the endpoints, what is wrong."""
    members = Table("member", "role", "state", "timeline", "behind (MB)")
    for one in seen.cluster.members:
        lag = "unknown" if one.lag_megabytes is None else str(one.lag_megabytes)
        members.add_row(one.name, one.role, one.state, str(one.timeline or "unknown"), lag)
    endpoints = Table("endpoint", "carries", "leads writers to", "readers to", "clients")
    for each in seen.endpoints:
        if isinstance(each, Unanswered):
            endpoints.add_row(each.host, "could not be asked", "", "", "")
            continue
        endpoints.add_row(
            each.host,
            "\n".join(each.carries) or "-",
            ", ".join(each.primaries) or "nobody",
            ", ".join(each.replicas) or "the leader",
            f"{each.clients}, waiting" if each.is_held else str(each.clients),
        )
    word = {"quorum": "for a quorum", "on": "for a second member", "off": "for nobody"}
    waits = word.get(seen.cluster.synchronous, f"as {seen.cluster.synchronous!r} says")
    out.print(f"cluster {cluster.name}: a commit waits {waits}", markup=False)
    out.print(members)
    out.print(endpoints)
    for fault in faults(cluster.hosts, seen):
        out.print(f"  {fault}", markup=False, soft_wrap=True)


@database_verbs.command()
def status(
    name: Name,
    cluster: Annotated[
        str | None, typer.Argument(metavar="[CLUSTER]", help="Only this cluster.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show who leads, who follows how closely, and what the endpoints see; 1 when not healthy."""
    environment = find_environment(name)
    known = clusters_of(applied_plan(environment))
    chosen = [require_cluster(environment, cluster)] if cluster else list(known.values())
    if not chosen:
        raise RefusedError(f"environment {name!r}: has no database cluster; declare its members")
    ask = ask_over_ssh(environment.ssh_config)
    looked = [(one, look_at(one, ask)) for one in chosen]
    if as_json:
        output.print_json([seen_data(one, seen) for one, seen in looked])
    else:
        for one, seen in looked:
            print_seen(one, seen, output.console())
    if any(faults(one.hosts, seen) for one, seen in looked):
        raise typer.Exit(ExitCode.FAILED)


def _preview(cluster: Cluster, seen: Seen, decision: Handover) -> None:
    """Say to people, beside the data for programs, what is and what will be."""
    people = Console(stderr=True, highlight=False)
    print_seen(cluster, seen, people)
    people.print(
        f"{decision.leader} leads {cluster.name}; {decision.candidate}, "
        f"{decision.lag_megabytes} MB behind, will; every client waits for some seconds",
        markup=False,
        soft_wrap=True,
    )


def _agree(cluster: Cluster) -> None:
    try:
        agreed = typer.confirm("Hand over now?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise RefusedError(f"cluster {cluster.name!r}: nobody agreed; nothing was touched")


def _carry_out(environment: Environment, cluster: Cluster, decision: Handover, ask: Ask) -> Ended:
    """Hand over under the journal, so that it stays on record how it ended."""
    moment = now()
    run = f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    journal = Journal(environment.state, run, VERB, now)
    progress = make_progress(environment.logs, "database_switchover", 1)
    way = f"{decision.leader} to {decision.candidate}"
    journal.note("switchover", cluster.name, "begun", way)
    ended: Ended | None = None
    try:
        with progress.stage("handing over"):
            clock = Clock(time.monotonic, time.sleep)
            ended = hand_over(cluster, decision, ask, clock, progress.say)
    finally:
        is_done = ended is not None and not ended.faults
        journal.note("switchover", cluster.name, "done" if is_done else "failed", way)
    return ended


def _print_ended(cluster: Cluster, ended: Ended, *, as_json: bool) -> None:
    if as_json:
        data = seen_data(cluster, ended.seen)
        data |= {"leader": ended.leader, "held_seconds": round(ended.held_seconds, 2)}
        output.print_json({**data, "faults": list(ended.faults)})
        return
    out = output.console()
    print_seen(cluster, ended.seen, out)
    held = f"clients waited {ended.held_seconds:.1f} s"
    out.print(f"{cluster.name}: {ended.leader or 'nobody'} leads; {held}", markup=False)


@database_verbs.command()
def switchover(
    name: Name,
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="HOST", help="Who shall lead; else the closest.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Have another member lead; clients wait for some seconds and see no error."""
    environment = find_environment(name)
    chosen = require_cluster(environment, cluster)
    if to is not None and to not in chosen.hosts:
        raise RefusedError(
            f"--to {to}: is no member of the cluster {cluster!r}; {nearest(to, chosen.hosts)}; "
            "nothing was touched"
        )
    ask = ask_over_ssh(environment.ssh_config)
    with hold_lock(environment.state, VERB, now()):
        seen = look_at(chosen, ask)
        decision = decide(cluster, chosen.hosts, seen, to)
        _preview(chosen, seen, decision)
        if not yes:
            _agree(chosen)
        ended = _carry_out(environment, chosen, decision, ask)
    _print_ended(chosen, ended, as_json=as_json)
    if ended.faults:
        raise typer.Exit(ExitCode.FAILED)
