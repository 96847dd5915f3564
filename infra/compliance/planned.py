"""Which checks there must be: the yardstick that evidence is counted against.

A check is one control (through one of its tests, where tests are named) on one place. What is
planned and leaves no evidence is counted as not checked, so a test that silently did not run
cannot make a report look better.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from infra.compliance.controls import AppliesTo, Catalogue
from infra.compliance.outcomes import Scope
from infra.errors import ComplianceError


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a check looks: the province, a site or a host of a site."""

    target: Scope
    site: str | None = None
    host: str | None = None

    def __post_init__(self) -> None:
        """Refuse a place that names too little or too much for its scope."""
        wanted = {Scope.PROVINCE: (False, False), Scope.SITE: (True, False)}
        if (bool(self.site), bool(self.host)) != wanted.get(self.target, (True, True)):
            raise ComplianceError(
                f"place {self.target}: site {self.site!r} and host {self.host!r} were given; a "
                "province names neither, a site its code, a host both; name what the scope needs"
            )

    def __str__(self) -> str:
        """Name it as people do."""
        return self.host or self.site or str(self.target)


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """One check that must leave evidence, unless ``exempt`` says beforehand why it does not."""

    control: str
    target: Scope
    site: str | None = None
    host: str | None = None
    test: str | None = None
    exempt: str = ""

    @property
    def place(self) -> Place:
        """Where it looks."""
        return Place(self.target, self.site, self.host)


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What planning must know of a site. ``due`` is the date from which it must be there."""

    code: str
    kind: str
    level: int
    functions: frozenset[str] = frozenset()
    due: date | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What planning must know of a host; ``site`` is the code of its site."""

    name: str
    site: str
    functions: frozenset[str] = frozenset()


def plan_checks(
    catalogue: Catalogue,
    sites: Iterable[SiteFacts],
    hosts: Iterable[HostFacts],
    as_of: date,
) -> tuple[PlannedCheck, ...]:
    """Derive every check that the catalogue's tests must leave evidence for.

    A control without a test plans nothing: the verdict lists it as unproven, with its due date. A
    site that is not due on ``as_of`` is planned and exempt, with its date. A date of the control
    exempts nothing: it is that of what its tests do not show yet.

    Raises:
        ComplianceError: a host names a site that was not given.
    """
    known = {site.code: site for site in sites}
    members = tuple(hosts)
    for host in members:
        if host.site not in known:
            raise ComplianceError(
                f"host {host.name!r}: its site {host.site!r} is not among the {len(known)} given; "
                "pass the facts of every site that has hosts"
            )
    return tuple(
        PlannedCheck(control.id, place.target, place.site, place.host, test, exempt)
        for control in catalogue.controls.values()
        if control.proved_by
        for place, exempt in _places(control.applies_to, known, members, as_of)
        for test in control.proved_by
    )


def applies(rule: AppliesTo, site: SiteFacts, functions: frozenset[str]) -> bool:
    """Answer whether a control's rule covers a site, or a host of it with these functions."""
    return (
        site.level >= rule.minimum_level
        and (not rule.site_kinds or site.kind in rule.site_kinds)
        and (not rule.functions or not functions.isdisjoint(rule.functions))
    )


def _places(
    rule: AppliesTo, sites: Mapping[str, SiteFacts], hosts: Iterable[HostFacts], as_of: date
) -> Iterator[tuple[Place, str]]:
    if rule.scope is Scope.PROVINCE:
        yield Place(Scope.PROVINCE), ""
    elif rule.scope is Scope.SITE:
        for site in sites.values():
            if applies(rule, site, site.functions):
                yield Place(Scope.SITE, site.code), _exempt(site, as_of)
    else:
        for host in hosts:
            site = sites[host.site]
            if applies(rule, site, host.functions):
                yield Place(Scope.HOST, site.code, host.name), _exempt(site, as_of)


def _exempt(site: SiteFacts, as_of: date) -> str:
    if site.due is None or site.due <= as_of:
        return ""
    return f"not due before {site.due.isoformat()}"
