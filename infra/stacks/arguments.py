"""From the plan to the records that resources are made of. Pure selection; nothing is computed.

Everything here is one value of the plan under the name that a resource, and therefore a policy,
knows it by.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.plan.types import Dual, Flow, Host, Interface, Network, Plan, ProbePoint, Rule, Site
from infra.providers.resources import (
    HostArgs,
    LinkArgs,
    NetworkArgs,
    OpeningArgs,
    ProbeLinkArgs,
    ProbePointArgs,
    QuorumMember,
    RegisterArgs,
    RegisteredService,
    RegisteredSite,
)

REGISTER_NAME = "register"


@dataclass(frozen=True, slots=True)
class MachineArgs:
    """A host, with what only its substrate asks for."""

    host: HostArgs
    address_ways: tuple[str, ...]
    host_key: str
    authorized_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteArgs:
    """A site of any kind.

    Attributes:
        as_of: the declaration's date; what is due, and whose support is over, is judged by it.
        zones: the kinds of zone that are there.
        absent_zones: reasons by kind of zone that is declared absent.
    """

    code: str
    title: str
    as_of: str
    number: int
    level: int
    level_reason: str
    approval: str
    owner: str
    operator: str
    hub: str
    substrate: str
    prefix_ipv4: str
    prefix_ipv6: str
    zones: tuple[str, ...]
    absent_zones: Mapping[str, str]
    networks: tuple[NetworkArgs, ...]
    machines: tuple[MachineArgs, ...]
    probe_points: tuple[ProbePointArgs, ...]


@dataclass(frozen=True, slots=True)
class BackboneArgs:
    """What belongs to no site."""

    substrate: str
    networks: tuple[NetworkArgs, ...]
    probe_points: tuple[ProbePointArgs, ...]
    register: RegisterArgs


@dataclass(frozen=True, slots=True)
class Openings:
    """Every rule that lets anybody in, by host, and the flows that it may come from.

    Made once for a plan: a province has tens of thousands of rules.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    flows: tuple[Flow, ...]

    @classmethod
    def of(cls, plan: Plan) -> "Openings":
        """Selects them from a plan."""
        found: dict[str, list[Rule]] = {}
        for rule in plan.rules:
            if not rule.sources and rule.chain != "output":
                found.setdefault(rule.host, []).append(rule)
        rules = {host: tuple(ones) for host, ones in found.items()}
        return cls(rules, tuple(flow for flow in plan.flows if not flow.sources))

    def at(self, host: Host) -> dict[str, OpeningArgs]:
        """Answers where anybody may come in from an uplink at a host, by service and family."""
        uplinks = {leg.name for leg in host.interfaces if leg.kind == "uplink"}
        return {
            f"{rule.service}_{rule.protocol}_{rule.family}_{rule.chain}": OpeningArgs(
                interface=rule.interface_in,
                protocol=rule.protocol,
                ports=rule.ports,
                leads_to=rule.interface_out or "",
                flow=self._origin(rule),
            )
            for rule in self.rules.get(host.name, ())
            if rule.interface_in in uplinks
        }

    def _origin(self, rule: Rule) -> str:
        wanted = (rule.service, rule.protocol, rule.ports, rule.interface_in)
        for flow in self.flows:
            asked = (flow.service, flow.protocol, flow.ports, flow.source_zone)
            if asked == wanted and set(rule.destinations) <= set(flow.destinations):
                return flow.origin
        return ""


def site_args(
    plan: Plan, site: Site, openings: Openings, authorized_keys: tuple[str, ...]
) -> SiteArgs:
    """Answers what the program of a site makes.

    Args:
        plan: the whole plan.
        site: one of its sites.
        openings: those of the plan.
        authorized_keys: public keys that may log in for the first contact.
    """
    legs = (leg for host in site.hosts for leg in host.interfaces if leg.kind == "uplink")
    kinds = {network.kind for network in site.networks} | {leg.zone for leg in legs}
    lab = site.substrate == "lab"
    return SiteArgs(
        code=site.code,
        title=site.title,
        as_of=plan.as_of,
        number=site.number,
        level=site.level,
        level_reason=site.level_reason,
        approval=site.approval,
        owner=site.owner,
        operator=site.operator,
        hub=site.hub,
        substrate=site.substrate,
        prefix_ipv4=site.prefix.ipv4,
        prefix_ipv6=site.prefix.ipv6,
        zones=tuple(sorted(kinds)),
        absent_zones=dict(site.absent_zones),
        networks=tuple(_network(network) for network in site.networks),
        machines=tuple(_machine(host, openings, authorized_keys) for host in site.hosts),
        # A place to look from is made where we make networks; elsewhere nobody can look so.
        probe_points=tuple(_probe_point(point) for point in site.probe_points if lab),
    )


def backbone_args(plan: Plan) -> BackboneArgs:
    """Answers what the program of the backbone makes."""
    lab = any(site.substrate == "lab" for site in plan.sites)
    return BackboneArgs(
        substrate="lab" if lab else "static",
        networks=tuple(_network(network) for network in plan.backbone.networks),
        probe_points=tuple(_probe_point(point) for point in plan.backbone.probe_points if lab),
        register=register_args(plan),
    )


def register_args(plan: Plan) -> RegisterArgs:
    """Answers what concerns several sites."""
    members = {
        f"{function}@{host.name}": QuorumMember(function, host.site, host.failure_domain)
        for host in plan.hosts()
        for function in host.quorum
    }
    sites = {
        site.code: RegisteredSite(site.number, site.level, site.prefix.ipv4, site.prefix.ipv6)
        for site in plan.sites
    }
    site_of = {host.name: host.site for host in plan.hosts()}
    services = {
        f"{service.name}@{host}": RegisteredService(host, site_of[host], service.level)
        for service in plan.services
        for host in service.hosts
    }
    return RegisterArgs(REGISTER_NAME, sites, members, services)


def _network(network: Network) -> NetworkArgs:
    return NetworkArgs(
        name=network.name,
        site=network.site,
        zone=network.zone,
        kind=network.kind,
        prefix_ipv4=network.prefix.ipv4,
        prefix_ipv6=network.prefix.ipv6,
    )


def _machine(host: Host, openings: Openings, authorized_keys: tuple[str, ...]) -> MachineArgs:
    machine = host.machine
    args = HostArgs(
        name=host.name,
        fqdn=host.fqdn,
        site=host.site,
        functions=host.functions,
        failure_domain=host.failure_domain,
        owner=machine.owner,
        operator=machine.operator,
        place=machine.place,
        purpose=machine.purpose,
        vendor=machine.vendor,
        serial=machine.serial,
        support_end=machine.support_end,
        openings=openings.at(host),
        links={leg.name: _link(leg) for leg in host.interfaces},
    )
    return MachineArgs(args, host.address_ways, host.declared_host_key, authorized_keys)


def _link(leg: Interface) -> LinkArgs:
    return LinkArgs(
        network=leg.network,
        zone=leg.zone,
        kind=leg.kind,
        addresses=leg.cidrs(),
        gateways=_both(leg.default_gateways),
        isolated=leg.isolated,
    )


def _probe_point(point: ProbePoint) -> ProbePointArgs:
    links = {
        link.interface: ProbeLinkArgs(
            network=link.network,
            addresses=(
                f"{link.addresses.ipv4}/{link.prefix_lengths[0]}",
                f"{link.addresses.ipv6}/{link.prefix_lengths[1]}",
            ),
            gateways=_both(link.gateways),
            isolated=False,
        )
        for link in point.links
    }
    return ProbePointArgs(point.name, point.site, links)


def _both(addresses: Dual | None) -> tuple[str, ...]:
    return addresses.both() if addresses else ()
