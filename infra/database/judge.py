"""Whether a cluster is healthy, and who may lead it next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.database.views import (
    LEADER,
    SYNCHRONOUS,
    ClusterView,
    EndpointView,
    Member,
    Seen,
    Unanswered,
)
from infra.errors import RefusedError

RUNS = {True: frozenset({"running"}), False: frozenset({"streaming"})}
"""The state, in Patroni's words, of a leader and of a follower that is well."""

LAG_LIMIT_MEGABYTES = 16
"""A follower that is further behind would keep clients waiting until it has caught up."""


@dataclass(frozen=True, slots=True)
class Handover:
    """Who leads now and who will."""

    leader: str
    candidate: str
    lag_megabytes: int


def faults(declared: Sequence[str], seen: Seen) -> tuple[str, ...]:
    """What is wrong with a cluster and its endpoints, a sentence each; nothing when healthy.

    Args:
        declared: names of the members as the plan has them.
        seen: what they answered.
    """
    return (
        *_cluster_faults(declared, seen.cluster),
        *(fault for one in seen.endpoints for fault in _endpoint_faults(one, seen.cluster)),
    )


def _cluster_faults(declared: Sequence[str], view: ClusterView) -> list[str]:
    found = []
    if view.is_paused:
        found.append("the cluster is in maintenance: it takes no decisions; run patronictl resume")
    if len(view.leaders) != 1:
        led = " and ".join(view.leaders) or "nobody"
        found.append(f"{led} leads; exactly one member must lead")
    listed = {one.name for one in view.members}
    found += [f"{name}: is not in the cluster" for name in declared if name not in listed]
    found += [f"{name}: is in the cluster and not declared" for name in listed.difference(declared)]
    timeline = next((one.timeline for one in view.members if one.role == LEADER), None)
    for one in view.members:
        found += _member_faults(one, timeline)
    return found


def _member_faults(member: Member, timeline: int | None) -> list[str]:
    leads = member.role == LEADER
    if member.state not in RUNS[leads]:
        wanted = " or ".join(sorted(RUNS[leads]))
        return [f"{member.name}: its state is {member.state!r} and must be {wanted!r}"]
    if leads:
        return []
    if member.lag_megabytes is None:
        return [f"{member.name}: how far it is behind is not known"]
    if member.lag_megabytes > LAG_LIMIT_MEGABYTES:
        return [
            f"{member.name}: is {member.lag_megabytes} MB behind, more than {LAG_LIMIT_MEGABYTES}"
        ]
    if member.timeline != timeline:
        return [f"{member.name}: is on timeline {member.timeline}, the leader on {timeline}"]
    return []


def _endpoint_faults(endpoint: EndpointView | Unanswered, view: ClusterView) -> list[str]:
    if isinstance(endpoint, Unanswered):
        return [f"endpoint {endpoint.host}: could not be asked: {endpoint.reason}"]
    found = []
    if endpoint.is_held:
        found.append(f"endpoint {endpoint.host}: holds its clients; another switchover may run")
    if endpoint.primaries != view.leaders:
        led = ", ".join(endpoint.primaries) or "nobody"
        found.append(
            f"endpoint {endpoint.host}: leads writers to {led} and not to "
            f"{', '.join(view.leaders) or 'nobody'}"
        )
    return found


def decide(name: str, declared: Sequence[str], seen: Seen, to: str | None) -> Handover:
    """Who hands over to whom: to the named member, or to the one that is closest.

    Args:
        name: the cluster's.
        declared: names of its members; `to` is one of them.
        seen: what cluster and endpoints answered.
        to: who shall lead; None leaves it to us.

    Raises:
        RefusedError: the cluster is not healthy, or the wanted member may not or does lead.
    """
    found = faults(declared, seen)
    if found:
        raise RefusedError(
            f"cluster {name!r}: is not healthy; a switchover needs every member and every endpoint "
            "well; nothing was touched; mend this first:",
            found,
        )
    view = seen.cluster
    leader = view.leaders[0]
    if to == leader:
        raise RefusedError(f"--to {to}: leads the cluster {name!r} already; nothing was touched")
    fit = [one for one in view.members if _may_lead(one, view)]
    order = sorted(fit, key=lambda one: (one.lag_megabytes or 0, declared.index(one.name)))
    chosen = next((one for one in order if to in (None, one.name)), None)
    if chosen is None:
        able = ", ".join(one.name for one in order) or "nobody"
        raise RefusedError(
            f"cluster {name!r}: {to or 'no member'} may lead next; a follower whose copy the "
            f"commits wait for is required, which is {able}; nothing was touched"
        )
    return Handover(leader, chosen.name, chosen.lag_megabytes or 0)


def _may_lead(member: Member, view: ClusterView) -> bool:
    if member.role == LEADER:
        return False
    return view.synchronous == "off" or member.role in SYNCHRONOUS
