"""`province lab`: verbs for single machines of the lab on this machine, and for breaking them.

What runs rely on (power) is changed under the environment's lock. Cables are not: to pull one
while a run is under way is what one does to see what the run makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from infra.cli import output
from infra.cli.environment import Environment, find_environment
from infra.cli.progress import now, print_plain
from infra.cli.provisioning import applied_plan
from infra.errors import ExitCode, JournalError, RefusedError
from infra.journal import hold_lock
from infra.lab.captures import capture, interfaces
from infra.lab.lab import Lab
from infra.lab.links import cables, cut_cables
from infra.lab.registry import list_labs
from infra.lab.restarts import restart
from infra.lab.vitals import is_running, read_vitals
from infra.model import nearest

MEBIBYTE = 1024 * 1024

lab_verbs = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="LAB", help="An environment with machines here.")]
HostName = Annotated[str, typer.Argument(metavar="HOST")]
Interface = Annotated[
    str | None, typer.Option("--interface", metavar="NAME", help="Only this link.")
]


def _lab(environment: Environment) -> Lab:
    lab = Lab(environment.state)
    if not lab.hosts():
        raise RefusedError(
            f"environment {environment.name!r}: has no machine of the lab here; these verbs are "
            f"for substrate lab, whose machines province provision {environment.name} makes"
        )
    return lab


def _substrates(environment: Environment) -> dict[str, str]:
    try:
        return {host.name: host.substrate for host in applied_plan(environment).hosts()}
    except JournalError:  # nothing was applied yet, so no machine of another substrate is known
        return {}


def _machine(environment: Environment, name: str, *, probe_points: bool = False) -> Lab:
    """The lab of an environment, in which a machine of that name stands.

    Raises:
        RefusedError: it does not; nothing was touched.
    """
    lab = _lab(environment)
    known = [*lab.hosts(), *(lab.probe_points() if probe_points else ())]
    if name in known:
        return lab
    substrate = _substrates(environment).get(name, "lab")
    if substrate != "lab":
        raise RefusedError(
            f"{name!r}: is a machine of substrate {substrate}; these verbs are for substrate lab"
        )
    raise RefusedError(f"{name!r}: is no machine of this lab; {nearest(name, known)}")


def _links(lab: Lab, machine: str, interface: str | None) -> tuple[str, ...]:
    present = cables(lab, machine)
    if interface is None:
        if not present:
            raise RefusedError(f"{machine}: has no links now; start it first")
        return present
    if interface not in present:
        raise RefusedError(f"{machine}: has no link {interface!r}; {nearest(interface, present)}")
    return (interface,)


@lab_verbs.command()
def stop(name: Name, host: HostName) -> None:
    """Switch one machine off, as its administrator would."""
    environment = find_environment(name)
    with hold_lock(environment.state, "lab stop", now()):
        _machine(environment, host).stop_host(host)
    print_plain(f"{host}: stopped")


@lab_verbs.command()
def start(name: Name, host: HostName) -> None:
    """Switch one machine on."""
    environment = find_environment(name)
    with hold_lock(environment.state, "lab start", now()):
        _machine(environment, host).start_host(host)
    print_plain(f"{host}: running")


@lab_verbs.command("restart")
def restart_verb(
    name: Name,
    hosts: Annotated[list[str] | None, typer.Argument(metavar="[HOST]...")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every running machine at once.")] = False,
    hard: Annotated[bool, typer.Option("--hard", help="Cut their power.")] = False,
) -> None:
    """Restart machines, all of them in the same moment, and wait until they run."""
    environment = find_environment(name)
    if bool(hosts) == every:
        raise RefusedError("restart: name hosts, or say --all")
    with hold_lock(environment.state, "lab restart", now()):
        lab = _lab(environment)
        for host in hosts or ():
            _machine(environment, host)
        wanted = tuple(dict.fromkeys(hosts or lab.hosts()))
        off = [host for host in wanted if not is_running(lab, host)]
        if hosts and off:
            raise RefusedError(
                f"{', '.join(off)}: not running, so there is nothing to restart; "
                f"use province lab start {name} {off[0]}"
            )
        outcome = restart(lab, [host for host in wanted if host not in off], hard=hard)
    for host in off:
        print_plain(f"{host}: was off and stays so")
    for host, error in outcome.items():
        print_plain(f"{host}: running" if error is None else f"{host}: failed: {error}")
    if any(outcome.values()):
        raise typer.Exit(ExitCode.FAILED)


@lab_verbs.command()
def cut(name: Name, host: HostName, interface: Interface = None) -> None:
    """Pull the cables of a machine, or one of them; they stay so until they are healed."""
    lab = _machine(find_environment(name), host, probe_points=True)
    chosen = _links(lab, host, interface)
    for one in chosen:
        lab.cut_link(host, one)
    print_plain(f"{host}: cut {', '.join(chosen)}")


@lab_verbs.command()
def heal(name: Name, host: HostName, interface: Interface = None) -> None:
    """Put the cables of a machine back, or one of them."""
    lab = _machine(find_environment(name), host, probe_points=True)
    wanted = _links(lab, host, interface)
    chosen = [one for one in cut_cables(lab, host) if one in wanted]
    for one in chosen:
        lab.heal_link(host, one)
    print_plain(f"{host}: healed {', '.join(chosen)}" if chosen else f"{host}: nothing was cut")


@lab_verbs.command("capture")
def capture_verb(
    name: Name,
    host: HostName,
    interface: Annotated[str, typer.Argument(metavar="INTERFACE")],
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=3600, help="For how long; Ctrl-C ends it too.")
    ] = 10,
    expression: Annotated[
        str, typer.Option("--filter", metavar="WORDS", help="As for tcpdump: 'tcp and port 443'.")
    ] = "",
) -> None:
    """Write the packets of one interface into a file that Wireshark reads, and print its path."""
    environment = find_environment(name)
    lab = _machine(environment, host, probe_points=True)
    if host in lab.hosts() and not is_running(lab, host):
        raise RefusedError(f"{host}: is off and sends nothing; start it first")
    present = interfaces(lab, host)
    if interface not in present:
        raise RefusedError(f"{host}: has no interface {interface!r}; {nearest(interface, present)}")
    path = environment.state / "captures" / f"{host}_{interface}_{now():%Y%m%dT%H%M%SZ}.pcap"
    count = capture(
        lab, host, interface, path, duration=timedelta(seconds=seconds), expression=expression
    )
    print_plain(f"{path}: {count} packets")


def _host_data(lab: Lab, host: str) -> dict[str, Any]:
    vitals = read_vitals(lab, host)
    return {
        "host": host,
        "state": "stopped" if vitals.uptime is None else "running",
        "uptime_seconds": None if vitals.uptime is None else int(vitals.uptime.total_seconds()),
        "memory_bytes": vitals.memory_bytes,
        "cut": list(cut_cables(lab, host)),
    }


def _uptime(seconds: int | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=seconds))


def _print_hosts(hosts: Iterable[dict[str, Any]]) -> None:
    table = Table("host", "state", "uptime", "memory", "cut links", box=None)
    total = 0
    for one in hosts:
        total += one["memory_bytes"]
        memory = f"{one['memory_bytes'] / MEBIBYTE:.0f} MiB"
        uptime = _uptime(one["uptime_seconds"])
        table.add_row(one["host"], one["state"], uptime, memory, ", ".join(one["cut"]))
    table.add_row("together", "", "", f"{total / MEBIBYTE:.0f} MiB", "")
    output.console().print(table)


def _print_labs() -> None:
    labs = list_labs()
    for entry in labs:
        where = entry.state_directory or Path("unknown checkout")
        print_plain(
            f"{entry.identifier}: {where}, running: {', '.join(entry.hosts_running) or '-'}"
        )
    if not labs:
        print_plain("no lab on this machine")


@lab_verbs.command("list")
def list_verb(
    name: Annotated[str | None, typer.Argument(metavar="[LAB]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Data for programs.")] = False,
) -> None:
    """List every lab of this machine; with a name, that lab's hosts as they are now."""
    if name is None:
        if as_json:
            raise RefusedError("list --json: tells of one lab; name it")
        _print_labs()
        return
    lab = _lab(find_environment(name))
    hosts = [_host_data(lab, host) for host in lab.hosts()]
    if as_json:
        output.print_json(hosts)
    else:
        _print_hosts(hosts)
