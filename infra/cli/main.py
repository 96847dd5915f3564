"""`province`: one command over the stages. Exit codes are `infra.errors.ExitCode`."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.cli import output
from infra.cli.database import database_verbs
from infra.cli.destroying import destroy_environment
from infra.cli.drawing import look
from infra.cli.environment import (
    Environment,
    declared_environments,
    find_environment,
    require_sites,
)
from infra.cli.lab_verbs import lab_verbs
from infra.cli.looking import explain_subject, status_data, status_lines
from infra.cli.progress import make_progress, now, print_plain
from infra.cli.provisioning import (
    CONFIGURE_STAGES,
    PROVISION_STAGES,
    Run,
    RunOptions,
    applied_plan,
    require_abilities,
)
from infra.cli.restoring import restore_verbs
from infra.cli.starting import declaration_schema, write_start
from infra.cli.verifying import print_verdict, report_again, verify_environment
from infra.configure import SiteOutcome, exit_code
from infra.errors import ExitCode, ProvinceError, RefusedError
from infra.journal import Journal, hold_lock
from infra.plan import derive_plan
from infra.plan.diagram import mermaid, svg
from infra.stacks.automation import Stacks
from infra.tools.engine import ensure_engine

app = typer.Typer(
    name="province",
    help="Builds a province's data centre and edge nodes from one declaration, and proves it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(lab_verbs, name="lab", help="Single machines of the lab on this machine.")
app.add_typer(database_verbs, name="database", help="Who leads a database cluster, and who shall.")
app.add_typer(restore_verbs, name="restore", help="Copies, brought back beside what runs.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="ENV", help="A folder under inventories/.", autocompletion=declared_environments
    ),
]
Sites = Annotated[
    list[str] | None,
    typer.Option("--site", metavar="CODE", help="Only this site (repeatable)."),
]
Json = Annotated[bool, typer.Option("--json", help="Data for programs on standard output.")]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-unknown-commit",
        metavar="HOST",
        help="Configure a host although this checkout lacks the commit of its last apply.",
    ),
]
TakeOver = Annotated[
    list[str] | None,
    typer.Option(
        "--take-over",
        metavar="PATH",
        help="Back up and replace this file although another hand made or changed it.",
    ),
]


def _run(environment: Environment, verb: str, stages: int, options: RunOptions) -> Run:
    moment = now()
    run = f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return Run(
        environment,
        make_progress(environment.logs, verb, stages),
        Journal(environment.state, run, verb, now),
        options,
    )


def _conclude(environment: Environment, run: Run, sites: tuple[SiteOutcome, ...]) -> None:
    titles = {site.code: site.title for site in applied_plan(environment).sites}
    output.print_sites(sites, titles)
    output.console().print(f"log: {run.progress.log}", markup=False, soft_wrap=True)
    code = exit_code(sites)
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


@app.command()
def check(name: Name, as_json: Json = False) -> None:
    """Check the declaration: every finding at once, nothing touched."""
    try:
        plan = derive_plan(find_environment(name).province())
        require_abilities(plan)
    except RefusedError as refusal:
        if as_json:
            findings = [str(one) for one in refusal.findings]
            output.print_json({"environment": name, "findings": findings, "sites": None})
        raise
    if as_json:
        output.print_json({"environment": name, "findings": [], "sites": len(plan.sites)})
    else:
        print_plain(f"{name}: {len(plan.sites)} sites, {len(plan.hosts())} hosts, no findings")


@app.command()
def plan(name: Name, as_json: Json = False) -> None:
    """Show what follows from the declaration."""
    derived = derive_plan(find_environment(name).province())
    if as_json:
        output.print_json(output.plan_data(derived))
    else:
        output.print_plan(derived)


@app.command()
def preview(name: Name, site: Sites = None, as_json: Json = False) -> None:
    """Show what the engine would do to machines and networks, under every policy."""
    environment = find_environment(name)
    derived = derive_plan(environment.province())
    require_sites(derived, tuple(site or ()))
    progress = make_progress(environment.logs, "preview", 2)
    with hold_lock(environment.state, "preview", now()):
        with progress.stage("tools"):
            engine = ensure_engine(progress.say)
        with progress.stage("previews"):
            stacks = Stacks(
                environment.state, engine, report=lambda told: progress.say(f"{told.site}")
            )
            previews = stacks.preview(derived, site or None)
    if as_json:
        output.print_json(output.preview_data(previews))
    else:
        output.print_preview(previews)
    if any(one.is_refused for one in previews):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def provision(
    name: Name,
    site: Sites = None,
    take_over: TakeOver = None,
    accept_unknown_commit: Accept = None,
) -> None:
    """Create machines, take them over, and configure every host."""
    environment = find_environment(name)
    options = RunOptions(
        sites=tuple(site or ()),
        take_over=tuple(take_over or ()),
        accept_unknown_commit=tuple(accept_unknown_commit or ()),
    )
    environment.province()
    with hold_lock(environment.state, "provision", now()):
        run = _run(environment, "provision", PROVISION_STAGES, options)
        _conclude(environment, run, run.provision())


@app.command()
def configure(
    name: Name,
    site: Sites = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Say what the roles would do; do nothing.")
    ] = False,
    take_over: TakeOver = None,
    accept_unknown_commit: Accept = None,
) -> None:
    """Apply the roles on machines that exist."""
    environment = find_environment(name)
    options = RunOptions(
        sites=tuple(site or ()),
        check=check_only,
        take_over=tuple(take_over or ()),
        accept_unknown_commit=tuple(accept_unknown_commit or ()),
    )
    environment.province()
    with hold_lock(environment.state, "configure", now()):
        run = _run(environment, "configure", CONFIGURE_STAGES, options)
        _conclude(environment, run, run.configure())


@app.command()
def verify(name: Name, site: Sites = None, as_json: Json = False) -> None:
    """Ask the running systems whether they meet the technology layer."""
    environment = find_environment(name)
    with hold_lock(environment.state, "verify", now()):
        verdict = verify_environment(environment, tuple(site or ()))
    if as_json:
        print_plain((environment.report / "verdict.json").read_text(encoding="utf-8"))
    else:
        print_verdict(verdict, environment)
    if not verdict.holds:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def report(name: Name) -> None:
    """Judge the evidence of the last verification again, write the report, say where it is."""
    environment = find_environment(name)
    verdict = report_again(environment)
    print_verdict(verdict, environment)
    if not verdict.holds:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def status(name: Name, as_json: Json = False) -> None:
    """Look at what is there: machines, power, who holds the lock, the last run."""
    environment = find_environment(name)
    if as_json:
        output.print_json(status_data(environment))
    else:
        print_plain("\n".join(status_lines(environment)))


@app.command()
def diagram(
    name: Name,
    form: Annotated[str, typer.Option("--format", help="svg or mermaid.")] = "svg",
    live: Annotated[bool, typer.Option("--live", help="Show what runs, by looking.")] = False,
) -> None:
    """Draw what is declared, on standard output; with --live, what of it runs."""
    drawings = {"svg": svg, "mermaid": mermaid}
    if form not in drawings:
        raise RefusedError(f"--format {form}: is not known; use svg or mermaid")
    environment = find_environment(name)
    derived = derive_plan(environment.province())
    print_plain(drawings[form](derived, look(environment, derived) if live else None))


@app.command()
def explain(
    name: Name,
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="A host, an address or a port.")
    ],
) -> None:
    """Say what a host, an address or a port is, and which declaration it comes from."""
    environment = find_environment(name)
    print_plain(explain_subject(derive_plan(environment.province()), subject))


@app.command()
def destroy(
    name: Name,
    site: Sites = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
) -> None:
    """Remove machines and networks. Works twice, after a reboot, and without the declaration."""
    environment = find_environment(name)
    if not yes:
        typed = typer.prompt(f"This removes every machine of {name!r}. Type its name to go on")
        if typed != name:
            raise RefusedError(f"{typed!r} is not {name!r}; nothing was touched")
    exists = environment.state.exists()
    with hold_lock(environment.state, "destroy", now()) if exists else nullcontext():
        for line in destroy_environment(environment, tuple(site or ())):
            print_plain(line)


@app.command()
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new environment.")],
    units: Annotated[Path, typer.Option("--units", help="CSV of administrative units.")],
) -> None:
    """Write a commented starting declaration that validates."""
    environment = find_environment(name, new=True)
    for path in write_start(environment, units):
        print_plain(f"wrote {path}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of province.yml, for editors."""
    output.print_json(declaration_schema())


def main() -> None:
    """Run the command; every error of ours ends as its sentence and its exit code."""
    # Called by its path alone, the command still finds Ansible and pytest of its own environment.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    errors = Console(stderr=True, highlight=False)

    def say(text: Any) -> None:  # noqa: ANN401 - rich takes anything
        errors.print(text, markup=False, soft_wrap=True)

    try:
        app(standalone_mode=True)
    except ProvinceError as error:
        say(error.sentence)
        for finding in getattr(error, "findings", ()):
            say(f"  {finding}")
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on")
        sys.exit(int(ExitCode.FAILED))
