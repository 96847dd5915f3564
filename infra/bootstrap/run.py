"""Takes bare hosts over: looks, does what is missing, looks again, until nothing is missing.

Every round starts from what the hosts say now (rule 1 of ``plan``), so the last look is also the
proof: it enters as the automation account, over the host's own key, and became root.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.bootstrap import enter, plan
from infra.bootstrap.enter import AccountKeys, Entry, Route, Visit
from infra.bootstrap.plan import Contact, FirstContactRepository, Outcome, Step, Wanted, Way
from infra.errors import BootstrapError

Report = Callable[[str], None]

_ROUNDS = 8
"""Four are needed from bare to done; the rest is for what a killed run left."""

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class BootstrapHost:
    """A host to take over.

    ``ssh_config`` must reach it under ``name`` and pin its key in one known_hosts file, which is
    changed when the host has made a key of its own. ``creator_host_key`` is the public key that the
    machine's creator gave it.
    """

    name: str
    ssh_config: Path
    creator_host_key: str


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """How it went on one host; ``host_key`` is the key of its own that is pinned now."""

    host: str
    outcome: Outcome
    changed: bool
    sentence: str
    host_key: str | None


@dataclass(slots=True)
class _Case:
    """A host on its way: what was done so far and what was tried last."""

    host: BootstrapHost
    route: Route
    entry: Entry
    """The way in that worked last."""
    steps: tuple[Step, ...] = ()
    done: list[Step] = field(default_factory=list)
    result: BootstrapResult | None = None

    def end(self, outcome: Outcome, words: str, host_key: str | None = None) -> None:
        sentence = f"{self.host.name}: {words}"
        changed = bool(self.done)
        self.result = BootstrapResult(self.host.name, outcome, changed, sentence, host_key)


class _Pyinfra:
    """The child in which pyinfra runs; it is started with the first order."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._child: subprocess.Popen[str] | None = None

    def carry_out(self, order: Mapping[str, object]) -> Iterator[Mapping[str, str]]:
        """Gives an order and answers its events as they come.

        Raises:
            BootstrapError: pyinfra itself broke.
        """
        self._child = child = self._child or self._start()
        if child.stdin is not None and child.stdout is not None:
            child.stdin.write(f"{json.dumps(order)}\n")
            child.stdin.flush()
            for line in child.stdout:
                event = json.loads(line)
                if event["event"] == "end":
                    return
                yield event
        raise BootstrapError(
            f"pyinfra: ended with {child.wait()} in the middle; the hosts are as far as they got: "
            f"see {self._log} and run again"
        )

    def end(self) -> None:
        """Ends the child; without an order it has nothing to finish."""
        if self._child is not None:
            self._child.communicate()

    def _start(self) -> subprocess.Popen[str]:
        # It must not go on changing hosts when this process is killed and run again.
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "infra.bootstrap.deploy"]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )


@dataclass(frozen=True, slots=True)
class _Job:
    """What all hosts of a run share."""

    first_contact: FirstContactRepository
    keys: AccountKeys
    creator_key: str
    automation_key: str
    architectures: frozenset[str]
    folder: Path
    log: Path
    pyinfra: _Pyinfra
    report: Report


def bootstrap_hosts(
    hosts: Sequence[BootstrapHost],
    first_contact: FirstContactRepository,
    keys: AccountKeys,
    *,
    log: Path,
    report: Report,
) -> tuple[BootstrapResult, ...]:
    """Takes bare hosts to where Ansible can configure them; results are in the order of ``hosts``.

    A host that lacks nothing is left alone. One that cannot be reached is ``deferred``; one that
    shows another host key, admits nobody, or fails a step is ``failed``, and the others go on.

    Args:
        hosts: the hosts, each with its own way of being reached.
        first_contact: repository with Python, sudo and what a host needs to reach the mirror.
        keys: the creator's key, which root accepts at first, and the automation account's own.
        log: file that pyinfra's own words are added to; the run works in a folder beside it, so
            two runs at once need two logs.
        report: takes a line of progress.

    Raises:
        BootstrapError: a key, an ssh configuration or the repository cannot be used at all.
    """
    cases = [_open_case(host, keys) for host in hosts]
    pyinfra = _Pyinfra(log)
    with _work_folder(log) as folder:
        job = _Job(
            first_contact=first_contact,
            keys=keys,
            creator_key=enter.public_key(keys.creator),
            automation_key=enter.public_key(keys.automation),
            architectures=_architectures(first_contact),
            folder=folder,
            log=log,
            pyinfra=pyinfra,
            report=report,
        )
        try:
            _work(cases, job)
        finally:
            pyinfra.end()
    for case in cases:
        if case.result is None:
            case.end("failed", f"is not ready after {_ROUNDS} rounds; its log is {log}")
    return tuple(case.result for case in cases if case.result is not None)


@contextmanager
def _work_folder(log: Path) -> Iterator[Path]:
    """Makes the folder of this run, beside its log: what a killed run left there is removed."""
    folder = log.with_suffix(".work")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _work(cases: Sequence[_Case], job: _Job) -> None:
    for _round in range(_ROUNDS):
        unfinished = [case for case in cases if case.result is None]
        if not unfinished:
            return
        _look(unfinished, job)
        _deploy([case for case in unfinished if case.result is None], job)


def _open_case(host: BootstrapHost, keys: AccountKeys) -> _Case:
    route = enter.find_route(host.name, host.ssh_config)
    return _Case(host, route, Entry(host.name, host.ssh_config, keys.creator, Way.CREATOR))


def _look(cases: Sequence[_Case], job: _Job) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        visits = pool.map(
            lambda case: enter.visit(
                case.host.name, case.host.ssh_config, job.keys, job.creator_key
            ),
            cases,
        )
        # One after the other from here: several hosts are pinned in one file.
        for case, visit in zip(cases, visits, strict=True):
            _decide(case, visit, job)


def _decide(case: _Case, visit: Visit, job: _Job) -> None:
    """Ends a case, or leaves it with the steps that come next."""
    if visit.facts is None:
        case.end(*_refusal(case, visit))
        return
    wanted = Wanted(
        digest=job.first_contact.digest,
        architectures=job.architectures,
        creator_host_key=" ".join(case.host.creator_host_key.split()[:2]),
    )
    if reason := plan.unfit(visit.facts, wanted):
        case.end("failed", reason)
        return
    steps = plan.missing_steps(visit.facts, visit.entry.way, wanted)
    known_hosts = case.route.known_hosts.read_text(encoding="utf-8")
    pinned = plan.pinned_keys(known_hosts, case.route.lookup_name)
    keys = plan.keys_to_pin(visit.facts, pinned)
    if set(keys) != set(pinned):
        text = plan.repin(known_hosts, case.route.lookup_name, keys)
        enter.write_known_hosts(case.route.known_hosts, text)
    if not steps:
        case.end("done", _summary(case), visit.facts.host_key)
    elif steps == case.steps:
        case.end("failed", f"still has to {steps[0]}, although that went well; see {job.log}")
    case.steps, case.entry = steps, visit.entry


def _refusal(case: _Case, visit: Visit) -> tuple[Outcome, str]:
    match visit.contact:
        case Contact.UNREACHABLE:
            return "deferred", f"cannot be reached ({visit.said}); it is done when it answers again"
        case Contact.WRONG_HOST_KEY:
            return "failed", (
                f"shows a host key that is not pinned in {case.route.known_hosts} "
                f"({visit.said}); it may be another machine, so nothing was sent to it: if it was "
                f"rebuilt on purpose, pin its creator's key for {case.route.lookup_name!r} there"
            )
        case Contact.NOT_ADMITTED:
            return "failed", (
                f"admits neither the account {plan.ACCOUNT!r} nor root with the creator's key "
                f"({visit.said}); one of them must open it: put the key back over its console"
            )
        case Contact.ENTERED:
            return "failed", (
                f"was entered as {visit.entry.user} but did not say what it is ({visit.said}); a "
                "Debian with dpkg and ssh-keygen is required: look at it over its console"
            )


def _summary(case: _Case) -> str:
    if not case.done:
        return "is ready for Ansible; nothing to do"
    return f"is ready for Ansible; {', '.join(dict.fromkeys(step.value for step in case.done))}"


def _deploy(cases: Sequence[_Case], job: _Job) -> None:
    """Does each host's steps, and ends the cases that failed."""
    _carry([case for case in cases if Step.CARRY in case.steps], job)
    named = {case.host.name: case for case in cases if case.result is None}
    if not named:
        return
    order = {
        "hosts": [_host_order(case, job) for case in named.values()],
        "key_name": job.first_contact.key.name,
        "automation_key": job.automation_key,
        "creator_key": job.creator_key,
    }
    for event in job.pyinfra.carry_out(order):
        case = named[event["host"]]
        if event["event"] == "failed":
            case.end("failed", f"{event['text']}; the log is {job.log}")
        else:
            _note(case, Step(event["text"]), job)


def _carry(cases: Sequence[_Case], job: _Job) -> None:
    """Brings the repository to the hosts that need it, several at once."""
    if not cases:
        return
    archive = _pack(job)

    def carry(case: _Case) -> str | None:
        _note(case, Step.CARRY, job)
        return enter.carry(case.entry, archive, job.first_contact.digest)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for case, trouble in zip(cases, pool.map(carry, cases), strict=True):
            if trouble:
                case.end("failed", f"failed to {Step.CARRY} ({trouble})")


def _note(case: _Case, step: Step, job: _Job) -> None:
    if not case.done or case.done[-1] is not step:
        case.done.append(step)
        job.report(f"{case.host.name}: {step}")


def _host_order(case: _Case, job: _Job) -> Mapping[str, object]:
    name = case.host.name
    pins = enter.pyinfra_known_hosts(case.route, case.route.known_hosts.read_text(encoding="utf-8"))
    configuration = job.folder / f"{name}.config"
    # pyinfra reads a file of this name once and never again, and the pins change between rounds.
    known_hosts = job.folder / f"{name}.{len(case.done)}.known_hosts"
    configuration.write_text(enter.pyinfra_configuration(case.route, name), encoding="utf-8")
    known_hosts.write_text(pins, encoding="utf-8")
    return {
        "name": name,
        "user": case.entry.user,
        "identity": str(case.entry.identity),
        "ssh_config": str(configuration),
        "known_hosts": str(known_hosts),
        "steps": [step.value for step in case.steps],
    }


def _pack(job: _Job) -> Path:
    path = job.folder / "first_contact.tar"
    if not path.exists():
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for file in sorted(job.first_contact.path.iterdir()):
                archive.add(file, arcname=file.name, filter=_plain)
    return path


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def _architectures(first_contact: FirstContactRepository) -> frozenset[str]:
    signed = first_contact.path / "InRelease"
    if not signed.is_file():
        raise BootstrapError(
            f"{first_contact.path}: is no signed repository of first contact; it is carried to "
            "every bare host: build the mirror first"
        )
    for line in signed.read_text(encoding="utf-8").splitlines():
        if line.startswith("Architectures:"):
            return frozenset(line.split()[1:])
    return frozenset()
