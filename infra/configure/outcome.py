"""What became of each host and each site in a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from infra.errors import ExitCode

DONE, DEFERRED, FAILED = "done", "deferred", "failed"
NAMED_ROLES = 8
"""A host that more roles changed is told with their number."""


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """One host's result: done, deferred (unreachable now) or failed, with the sentence why."""

    host: str
    outcome: str
    changed: int = 0
    sentence: str = ""
    roles: tuple[str, ...] = ()
    """The roles that changed something there."""

    def after(self, earlier: HostOutcome) -> HostOutcome:
        """Both results of a host that was configured twice in a run, as one."""
        roles = tuple(dict.fromkeys((*earlier.roles, *self.roles)))
        return replace(self, changed=earlier.changed + self.changed, roles=roles)


@dataclass(frozen=True, slots=True)
class SiteOutcome:
    """One site's result: its worst host's, with every sentence."""

    site: str
    outcome: str
    changed: int
    sentences: tuple[str, ...]
    changes: tuple[str, ...] = ()
    """For each changed host, by which roles."""


def _changes(one: HostOutcome) -> str:
    """What changed on a host, as people read it: by name where it is little."""
    roles = ", ".join(one.roles) if len(one.roles) <= NAMED_ROLES else f"{len(one.roles)} roles"
    return f"{one.host}: changed by {roles or 'a task of no role'}"


def site_outcomes(
    hosts_of_sites: Mapping[str, tuple[str, ...]], outcomes: Mapping[str, HostOutcome]
) -> tuple[SiteOutcome, ...]:
    """Every site's result; a host without one counts as failed, so that nothing is lost."""
    rank = {DONE: 0, DEFERRED: 1, FAILED: 2}
    found = []
    for site, hosts in hosts_of_sites.items():
        missing = f"{site}: no result came back; read the run's log"
        own = [
            outcomes.get(host, HostOutcome(host, FAILED, 0, f"{host} of site {missing}"))
            for host in hosts
        ]
        worst = max((one.outcome for one in own), key=lambda word: rank[word], default=DONE)
        found.append(
            SiteOutcome(
                site=site,
                outcome=worst,
                changed=sum(one.changed for one in own),
                sentences=tuple(one.sentence for one in own if one.sentence),
                changes=tuple(_changes(one) for one in own if one.changed),
            )
        )
    return tuple(found)


def exit_code(sites: tuple[SiteOutcome, ...]) -> ExitCode:
    """FAILED when a site failed, else DEFERRED when one is queued, else DONE."""
    words = {site.outcome for site in sites}
    if FAILED in words:
        return ExitCode.FAILED
    return ExitCode.DEFERRED if DEFERRED in words else ExitCode.DONE
