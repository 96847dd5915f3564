"""Evidence from tests: the one touch-point with testinfra, and the writer of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import (
    CouldNotCheck,
    Machine,
    Machines,
    NotApplicable,
    NotShown,
    Seen,
    World,
    load_world,
)
from probing import Place, Places
from queues import TOGETHER, ByHost, queue_of
from testinfra.host import Host as TestinfraHost
from xdist.remote import Producer
from xdist.scheduler.protocol import Scheduling

from infra.compliance.controls import Catalogue
from infra.compliance.evidence import Evidence, append_evidence
from infra.compliance.from_plan import planned_checks
from infra.compliance.load import load_catalogue
from infra.compliance.outcomes import Outcome, Scope
from infra.compliance.planned import PlannedCheck
from infra.errors import ProvinceError
from infra.plan import Host, digest

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("province")
    group.addoption("--environment", default="lab", help="environment under inventories/")
    group.addoption("--evidence", default=None, help="file that evidence is appended to")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "control(id): the control that a test proves")
    environment = config.getoption("--environment")
    try:
        world = load_world(environment)
    except (FileNotFoundError, ProvinceError) as error:
        message = f"environment {environment!r}: no plan was applied that could be read: {error}"
        raise pytest.UsageError(message) from error
    config.option.sudo = True
    config.option.ssh_config = config.option.ssh_config or str(world.state / "ssh_config")
    if not config.option.hosts:
        config.option.hosts = ",".join(f"ssh://{host.name}" for host in world.plan.hosts())
    catalogue = load_catalogue(ROOT / "policies" / "controls")
    config.stash[_WORLD] = world
    config.stash[_CATALOGUE] = catalogue
    config.stash[_PLANNED] = planned_checks(world.plan, catalogue, _sites(config, world))
    config.stash[_DIGEST] = digest(world.plan)
    machines = Machines(config.option.ssh_config)
    config.stash[_MACHINES] = machines
    config.stash[_PLACES] = Places(world, machines.named)


_WORLD = pytest.StashKey[World]()
_CATALOGUE = pytest.StashKey[Catalogue]()
_PLANNED = pytest.StashKey[tuple[PlannedCheck, ...]]()
_DIGEST = pytest.StashKey[str]()
_MACHINES = pytest.StashKey[Machines]()
_PLACES = pytest.StashKey[Places]()
_SEEN = pytest.StashKey[Seen]()
_CHECK = pytest.StashKey[PlannedCheck]()
_STARTED = pytest.StashKey[datetime]()


def _sites(config: pytest.Config, world: World) -> tuple[str, ...]:
    """The sites of the hosts that were named: what concerns other sites is not looked at."""
    named = {entry.rpartition("/")[2] for entry in config.option.hosts.split(",")}
    return tuple(dict.fromkeys(host.site for host in world.plan.hosts() if host.name in named))


def _control(item: pytest.Item) -> str:
    marker = item.get_closest_marker("control")
    if marker is None:
        raise pytest.UsageError(f"{item.nodeid}: names no control; add @pytest.mark.control(ID)")
    return str(marker.args[0])


def _test_name(item: pytest.Item) -> str:
    return f"{item.path.name}::{getattr(item, 'originalname', item.name)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "site" in metafunc.fixturenames:
        plan = metafunc.config.stash[_WORLD].plan
        metafunc.parametrize("site", plan.sites, ids=[site.code for site in plan.sites])


def _find(item: pytest.Item, planned: tuple[PlannedCheck, ...]) -> PlannedCheck | None:
    """The planned check that a collected test is for: its control, its test, its place."""
    params = getattr(item, "callspec", None)
    values = params.params if params else {}
    host = values.get("_testinfra_host")
    name = host.backend.hostname if host is not None else None
    site = values["site"].code if "site" in values else None
    control, test = _control(item), _test_name(item)
    for check in planned:
        if (check.control, check.test) != (control, test):
            continue
        if check.target is Scope.HOST and check.host == name:
            return check
        if check.target is Scope.SITE and check.site == site and name is None:
            return check
        if check.target is Scope.PROVINCE and site is None and name is None:
            return check
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, dropped = [], []
    for item in items:
        check = _find(item, config.stash[_PLANNED])
        if check is None or check.exempt:
            dropped.append(item)
        else:
            item.stash[_CHECK] = check
            kept.append(item)
    config.hook.pytest_deselected(items=dropped)
    # The longest queue first, so that nobody waits for it alone at the end.
    items[:] = sorted(kept, key=lambda item: queue_of(item.nodeid) != TOGETHER)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Several workers ask several hosts at a time; each host is asked by one."""
    return ByHost(config, log)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    return request.config.stash[_WORLD]


@pytest.fixture
def target(host: TestinfraHost, world: World) -> Host:
    """The planned host that a host-scoped test looks at."""
    return world.plan.host(host.backend.hostname)


@pytest.fixture
def machine(request: pytest.FixtureRequest, host: TestinfraHost) -> Machine:
    """The running host that a host-scoped test looks at."""
    return request.config.stash[_MACHINES].adopt(host)


@pytest.fixture
def named_machine(request: pytest.FixtureRequest) -> Callable[[str], Machine]:
    """Any other running host, by its name."""
    return request.config.stash[_MACHINES].named


@pytest.fixture
def places(request: pytest.FixtureRequest) -> Places:
    return request.config.stash[_PLACES]


@pytest.fixture
def here(machine: Machine, places: Places) -> Place:
    """The host itself as a place to look from."""
    return places.at(machine.name)


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Seen:
    return request.node.stash.setdefault(_SEEN, Seen())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[_STARTED] = datetime.now(UTC)
    return (yield)


def _judged(error: BaseException | None, seen: Seen) -> tuple[Outcome, str]:
    if error is None:
        if not seen.observations:
            return Outcome.COULD_NOT_CHECK, "the test recorded nothing that it saw"
        return Outcome.PROVED, ""
    words = str(error).strip() or type(error).__name__
    kinds = {
        NotShown: Outcome.NOT_SHOWN,
        NotApplicable: Outcome.NOT_APPLICABLE,
        CouldNotCheck: Outcome.COULD_NOT_CHECK,
        AssertionError: Outcome.FAILED,
    }
    for kind, outcome in kinds.items():
        if isinstance(error, kind):
            # pytest adds the values of a failed comparison below the sentence; they were seen.
            return outcome, words.partition("\nassert ")[0]
    return Outcome.COULD_NOT_CHECK, f"{type(error).__name__}: {words}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    report = yield
    ended_in_setup = call.when == "setup" and call.excinfo is not None
    if call.when != "call" and not ended_in_setup:
        return report
    seen = item.stash.get(_SEEN, Seen())
    outcome, reason = _judged(call.excinfo.value if call.excinfo else None, seen)
    _keep(item, outcome, reason, seen)
    if outcome in {Outcome.NOT_SHOWN, Outcome.NOT_APPLICABLE}:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"{outcome}: {reason}")
    elif outcome is Outcome.COULD_NOT_CHECK:
        report.outcome = "failed"
        report.longrepr = f"could_not_check: {reason}"
    elif outcome is Outcome.FAILED:
        report.longrepr = f"failed: {reason}"
    return report


def _keep(item: pytest.Item, outcome: Outcome, reason: str, seen: Seen) -> None:
    path = item.config.getoption("--evidence")
    if path is None:
        return
    check = item.stash[_CHECK]
    evidence = Evidence(
        control=check.control,
        target=check.target,
        site=check.site,
        host=check.host,
        test=_test_name(item),
        outcome=outcome,
        seen=tuple(seen.observations),
        reason=reason,
        started_at=item.stash[_STARTED],
        ended_at=datetime.now(UTC),
        plan_digest=item.config.stash[_DIGEST],
    )
    append_evidence(Path(path), [evidence])
