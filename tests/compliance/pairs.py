"""Hosts that carry addresses in turn: what the plan wants, and who carries what now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness import CouldNotCheck, Machine, listed

from infra.plan import Host, Plan, Site
from infra.plan.types import GATEWAY, Dual

NamedMachine = Callable[[str], Machine]


@dataclass(frozen=True, slots=True)
class Group:
    """Addresses that move together between twins."""

    name: str
    hosts: tuple[str, ...]
    """The first declared host first."""
    addresses: Mapping[str, Dual]
    """By leg."""
    router_ids: Mapping[str, int]

    def all(self) -> set[str]:
        """Every address of the group, both families."""
        return {one for both in self.addresses.values() for one in both.both()}


def groups_of(site: Site) -> tuple[Group, ...]:
    """What hosts of a site carry in turn; an address that only one may carry is no group."""
    found: dict[str, Group] = {}
    for host in site.hosts:
        own = [(leg.name, one) for leg in host.interfaces for one in leg.shared if one.twins]
        for name in dict.fromkeys(one.group for _, one in own if one.group not in found):
            shares = {leg: one for leg, one in own if one.group == name}
            twins = next(iter(shares.values())).twins
            found[name] = Group(
                name,
                (host.name, *twins),
                {leg: one.addresses for leg, one in shares.items()},
                {leg: one.router_id for leg, one in shares.items()},
            )
    return tuple(found.values())


def held_by(machine: Machine) -> set[str]:
    """Every address that a host has now."""
    return {address["local"] for link in machine.links() for address in link["addr_info"]}


def carrier(group: Group, named_machine: NamedMachine) -> str:
    """Who carries the whole group now.

    Raises:
        CouldNotCheck: nobody does, or two do; HA-01 says so as a failure.
    """
    whole = [name for name in group.hosts if group.all() <= held_by(named_machine(name))]
    if len(whole) != 1:
        raise CouldNotCheck(
            f"group {group.name}: {listed(whole)} carry it wholly, so nobody can be asked for it; "
            "one of its twins must"
        )
    return whole[0]


def active_router(site: Site, named_machine: NamedMachine) -> str:
    """The gateway of a site that traffic passes now: the only one, or who carries the addresses."""
    gateway = next((one for one in groups_of(site) if one.name == GATEWAY), None)
    if gateway is not None:
        return carrier(gateway, named_machine)
    return next(host.name for host in site.hosts if host.is_router)


def is_standing_by(host: Host, plan: Plan, named_machine: NamedMachine) -> bool:
    """Whether a gateway leaves the traffic to its twin now."""
    site = plan.site(host.site)
    return host.is_router and active_router(site, named_machine) != host.name


def the_one_voice(where: str, heard: list[list[object]], router_id: int) -> str:
    """Who speaks for the planned router: one sender in each family, in VRRP version 3.

    Other groups may speak on the same leg.
    """
    found = {}
    for family in ("ipv4", "ipv6"):
        own = [one for one in heard if one[0] == family and one[3] == router_id]
        senders = {str(one[1]) for one in own}
        assert len(senders) == 1, (
            f"{where}: {family} adverts come from {listed(sorted(senders))}; one carrier sends them"
        )
        versions = {one[2] for one in own}
        assert versions == {3}, f"{where}: {family} adverts are of version {versions}; 3 it must be"
        found[family] = senders.pop()
    return found["ipv4"]
