"""Restarts hosts, one or all in the same moment, in order or as after a power cut."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from infra.errors import LabError
from infra.lab.lab import START_LIMIT, Lab

PER_HOST = timedelta(seconds=20)
"""More time for each host that boots at the same time: they share this machine's cores."""


def restart(lab: Lab, hosts: Sequence[str], *, hard: bool = False) -> Mapping[str, LabError | None]:
    """Takes all named hosts down, then switches all of them on; answers what stopped each, or None.

    A host that could not be taken down is not started, and none waits for another's mistake.

    Args:
        lab: where they are.
        hosts: running hosts.
        hard: cut their power instead of shutting them down.
    """
    limit = START_LIMIT + PER_HOST * (len(hosts) - 1)
    down = _each(hosts, lab.crash_host if hard else lab.stop_host)
    stopped = [host for host, error in down.items() if error is None]
    return {**down, **_each(stopped, lambda host: lab.start_host(host, limit))}


def _each(hosts: Sequence[str], act: Callable[[str], None]) -> dict[str, LabError | None]:
    def outcome(host: str) -> LabError | None:
        try:
            act(host)
        except LabError as error:
            return error
        return None

    if not hosts:
        return {}
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return dict(zip(hosts, pool.map(outcome, hosts), strict=True))
