"""Verification: run the compliance tests, judge their evidence, write the report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

from infra.cli.checkout import commit_of
from infra.cli.environment import Environment, require_sites
from infra.cli.output import console
from infra.cli.progress import Progress, make_progress, now
from infra.cli.provisioning import applied_plan
from infra.compliance.evidence import read_evidence
from infra.compliance.from_plan import declared_shares, planned_checks
from infra.compliance.load import load_catalogue
from infra.compliance.outcomes import OUTCOME_WORDS, Words
from infra.compliance.verdict import SiteContext, Verdict, VerdictContext, judge
from infra.compliance.write import write_report
from infra.errors import ComplianceError, DeclarationError
from infra.inventory import write_if_changed
from infra.plan import Plan, derive_plan, digest
from infra.plan.diagram import svg

TESTS = Path("tests") / "compliance"
RUN_FILE = "verification.json"
WORKERS = 4
"""How many questions are asked at a time: most of them wait, for an answer or for silence."""
ANSWERED = re.compile(rf"\[gw\d+\] \[ *(?P<share>\d+%)\] (?P<word>\w+) {TESTS}/(?P<test>.*\S)")
"""A line of a worker's result, as pytest-xdist writes it."""
PYTEST_ANSWERS = frozenset({0, 1})
"""All held, or something did not: both leave evidence. Anything else is no verification."""


@dataclass(frozen=True, slots=True)
class VerificationRun:
    """When and what was verified, kept so that a report can be written again."""

    verified_from: str
    verified_until: str
    commit: str
    plan_digest: str
    sites: tuple[str, ...]


def _run_tests(environment: Environment, sites: tuple[str, ...], progress: Progress) -> None:
    command = [sys.executable, "-m", "pytest", str(environment.root / TESTS), "-v", "--tb=line"]
    command += ["--environment", environment.name, "--evidence", str(environment.evidence)]
    command += ["-p", "no:cacheprovider", "--rootdir", str(environment.root)]
    command += [f"--numprocesses={WORKERS}", "--dist=loadscope"]
    if sites:
        chosen = [host for host in applied_plan(environment).hosts() if host.site in sites]
        command += ["--hosts", ",".join(f"ssh://{host.name}" for host in chosen)]
        command += ["--ssh-config", str(environment.ssh_config)]
    log = environment.logs / f"{now():%Y%m%dT%H%M%SZ}_compliance.log"
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=environment.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child,
    ):
        for line in child.stdout or ():
            kept.write(line)
            if answered := ANSWERED.match(line):
                progress.say(f"{answered['test']} {answered['word']} [{answered['share']}]")
    if child.returncode not in PYTEST_ANSWERS:
        raise ComplianceError(
            f"the compliance tests ended with {child.returncode} before they had looked; read {log}"
        )


def verify_environment(environment: Environment, sites: tuple[str, ...]) -> Verdict:
    """Ask the running systems, judge, and write the report."""
    plan = applied_plan(environment)
    require_sites(plan, sites)
    progress = make_progress(environment.logs, "verify", 2)
    with progress.stage("asking the running systems"):
        environment.evidence.unlink(missing_ok=True)
        begin = now()
        _run_tests(environment, sites, progress)
        run = VerificationRun(
            verified_from=begin.isoformat(),
            verified_until=now().isoformat(),
            commit=commit_of(environment.root),
            plan_digest=digest(plan),
            sites=sites,
        )
        write_if_changed(environment.state / RUN_FILE, json.dumps(asdict(run)))
    with progress.stage("verdict and report"):
        return report_again(environment)


def _last_run(environment: Environment) -> VerificationRun:
    path = environment.state / RUN_FILE
    if not path.exists():
        raise ComplianceError(
            f"environment {environment.name!r}: was not verified yet; "
            f"run province verify {environment.name}"
        )
    raw = json.loads(path.read_text(encoding="utf-8"))
    return VerificationRun(**{**raw, "sites": tuple(raw["sites"])})


def _notes(environment: Environment, plan: Plan, run: VerificationRun) -> tuple[Words, ...]:
    notes = []
    try:
        declared = digest(derive_plan(environment.province()))
    except DeclarationError as error:
        declared = f"unreadable: {error.sentence}"
    if declared != digest(plan):
        notes.append(
            Words(
                "Khai báo đã thay đổi sau lần triển khai này; báo cáo theo kế hoạch đã triển khai.",
                "The declaration has moved on since this was applied; "
                "the report is about the plan that was applied.",
            )
        )
    if run.sites:
        named = ", ".join(run.sites)
        notes.append(
            Words(
                f"Chỉ kiểm tra các điểm: {named}.",
                f"Only these sites were asked: {named}.",
            )
        )
    return tuple(notes)


def _context(environment: Environment, plan: Plan, run: VerificationRun) -> VerdictContext:
    return VerdictContext(
        environment=environment.name,
        province=plan.title,
        as_of=date.fromisoformat(plan.as_of),
        plan_digest=run.plan_digest,
        commit=run.commit,
        verified_from=datetime.fromisoformat(run.verified_from),
        verified_until=datetime.fromisoformat(run.verified_until),
        sites=tuple(
            SiteContext(site.code, site.title, site.kind, site.level, site.substrate)
            for site in plan.sites
            if not run.sites or site.code in run.sites
        ),
        shares=declared_shares(plan),
        notes=_notes(environment, plan, run),
    )


def report_again(environment: Environment) -> Verdict:
    """Judge the kept evidence and write the report."""
    plan, run = applied_plan(environment), _last_run(environment)
    catalogue = load_catalogue(environment.root / "policies" / "controls")
    planned = planned_checks(plan, catalogue, run.sites)
    record = read_evidence([environment.evidence])
    verdict = judge(catalogue, planned, record, _context(environment, plan, run))
    write_report(environment.report, verdict, catalogue, svg(plan))
    return verdict


def print_verdict(verdict: Verdict, environment: Environment) -> None:
    """Counts, what does not hold, and where the report is."""
    out = console()
    for outcome, words in OUTCOME_WORDS.items():
        out.print(f"{verdict.tally.counts[outcome]:5} {words.en} ({words.vi})", markup=False)
    out.print(f"{verdict.tally.total:5} checks planned", markup=False)
    for share in verdict.shares:
        out.print(
            f"{share.declared.what.en}, of {share.declared.total}: "
            f"declared {share.declared.connected}, measured {share.connected}, "
            f"not seen {share.unseen}, required {share.declared.required:.0%}",
            markup=False,
            soft_wrap=True,
        )
    for check in verdict.checks:
        if check.outcome.value in {"failed", "could_not_check"}:
            where = check.planned.host or check.planned.site or "province"
            out.print(
                f"{check.outcome.value}: {check.planned.control} at {where}: {check.reason}",
                markup=False,
                soft_wrap=True,
            )
    out.print(verdict.statement.en, markup=False, soft_wrap=True)
    out.print(f"report: {environment.report / 'report.html'}", markup=False, soft_wrap=True)
