"""A switchover that no client notices: hold the clients, hand over, let them go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from infra.database.ask import CLUSTER_PROGRAM, ENDPOINT_PROGRAM, Answer, Ask, Cluster, look_at
from infra.database.judge import Handover, faults
from infra.database.views import Seen
from infra.errors import ProvinceError

HOLD_SECONDS = 30
"""After this the endpoints let their clients go on by themselves, whatever became of us."""
GRACE_SECONDS = 15
RECOVERY_SECONDS = 60
"""How long the old leader may take to follow the new one."""
LOOK_EVERY_SECONDS = 2
REFUSAL = "failed, details"
"""What Patroni's command prints when a member said no (4.0.7, ctl.py)."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the sequence needs it; tests bring their own."""

    seconds: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a switchover ended."""

    leader: str
    """Who leads now; empty when nobody or more than one does."""
    held_seconds: float
    seen: Seen
    faults: tuple[str, ...]
    """What is not well afterwards."""


def hand_over(
    cluster: Cluster, decision: Handover, ask: Ask, clock: Clock, report: Callable[[str], None]
) -> Ended:
    """Hold the clients at every endpoint, have the candidate lead, let the clients go on.

    Whatever happens, the clients go on: we tell every endpoint, and each arranged for it itself
    before it held anybody.

    Raises:
        ProvinceError: the clients could not be held (nothing has changed), or the cluster refused.
    """
    begin = clock.seconds()
    try:
        _hold(cluster, ask)
        report(f"clients wait at {', '.join(cluster.endpoints) or 'no endpoint'}")
        _order(cluster, decision, ask)
    finally:
        late = _resume(cluster, ask)
        held = clock.seconds() - begin
        report(f"clients go on after {held:.1f} s")
        for sentence in late:
            report(sentence)
    return _conclude(cluster, decision, held, ask, clock)


def _everywhere(hosts: Sequence[str], ask: Ask, *words: str, limit: float) -> dict[str, Answer]:
    if not hosts:
        return {}
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        command = [ENDPOINT_PROGRAM, *words]
        answers = pool.map(lambda host: ask(host, command, limit), hosts)
        return dict(zip(hosts, answers, strict=True))


def _hold(cluster: Cluster, ask: Ask) -> None:
    limit = HOLD_SECONDS
    answers = _everywhere(cluster.endpoints, ask, "pause", str(HOLD_SECONDS), limit=limit)
    refused = [f"{host}: {one.reason}" for host, one in answers.items() if one.code != 0]
    if refused:
        raise ProvinceError(
            f"cluster {cluster.name!r}: its clients could not be held ({'; '.join(refused)}); who "
            "leads was not changed, and the clients go on; try again when no long transaction runs"
        )


def _order(cluster: Cluster, decision: Handover, ask: Ask) -> None:
    """Have the candidate lead; each endpoint lets its clients go on as soon as it sees that."""
    limit = HOLD_SECONDS + GRACE_SECONDS
    with ThreadPoolExecutor(max_workers=1) as pool, ExitStack() as on_failure:
        awaited = pool.submit(
            _everywhere, cluster.endpoints, ask, "await", decision.candidate, limit=limit
        )
        # Or the endpoints would wait for a leader that does not come, and we for them.
        on_failure.callback(_resume, cluster, ask)
        _switch(cluster, decision, ask, limit)
        on_failure.pop_all()
        awaited.result()


def _switch(cluster: Cluster, decision: Handover, ask: Ask, limit: float) -> None:
    words = ["switchover", cluster.name, "--leader", decision.leader]
    words += ["--candidate", decision.candidate, "--force"]
    answer = ask(decision.leader, [*CLUSTER_PROGRAM, *words], limit)
    # It exits 0 also when the cluster refused, and says so among other lines.
    said = [line for line in answer.out.splitlines() if REFUSAL in line]
    if answer.code != 0 or said:
        raise ProvinceError(
            f"cluster {cluster.name!r}: did not hand over from {decision.leader} to "
            f"{decision.candidate}: {said[0] if said else answer.reason}; the clients go on; look "
            "with province database status who leads, and mend what it says"
        )


def _resume(cluster: Cluster, ask: Ask) -> list[str]:
    """Let the clients go on everywhere; a sentence for each endpoint that could not be told."""
    answers = _everywhere(cluster.endpoints, ask, "resume", limit=HOLD_SECONDS)
    return [
        f"endpoint {host}: could not be told ({one.reason}); its clients go on by themselves "
        f"within {HOLD_SECONDS} s"
        for host, one in answers.items()
        if one.code != 0
    ]


def _conclude(cluster: Cluster, decision: Handover, held: float, ask: Ask, clock: Clock) -> Ended:
    """Look until everything is well under the new leader, or the time for it is over."""
    limit = clock.seconds() + RECOVERY_SECONDS
    while True:
        seen = look_at(cluster, ask)
        found = faults(cluster.hosts, seen)
        if seen.cluster.leaders != (decision.candidate,):
            led = " and ".join(seen.cluster.leaders) or "nobody"
            found = (f"{led} leads and not {decision.candidate}", *found)
        if not found or clock.seconds() >= limit:
            leaders = seen.cluster.leaders
            return Ended(leaders[0] if len(leaders) == 1 else "", held, seen, found)
        clock.sleep(LOOK_EVERY_SECONDS)
