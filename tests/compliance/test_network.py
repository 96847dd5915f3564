"""NET: zones, address plan, and what is seen from other zones, sites and the Internet."""

import ipaddress
import itertools
from collections.abc import Callable, Iterable

import pytest
from harness import CouldNotCheck, Machine, NotApplicable, Seen, World, listed
from probing import (
    REFUSED,
    Answer,
    Place,
    Places,
    Probe,
    administration,
    dns,
    ntp,
    tcp,
)
from publications import public_addresses, published_addresses

from infra.plan import Host, Plan, Site
from infra.plan.service_types import Expectation, SharedService
from infra.plan.types import Interface, Network, Offering

BASIC_ZONES = frozenset({"servers", "dmz", "internal", "border", "wireless"})
LEVEL_3_ZONES = BASIC_ZONES | {"database", "management"}
INNER_ZONES = frozenset({"servers", "database", "management"})
"""What nobody from outside may reach: TCVN 14423:2026, 5.12.2.4 d."""


def zones_of(site: Site, plan: Plan) -> set[str]:
    """Kinds of zone that a site has, or says why it has not; its uplinks are its border."""
    uplinks = {network.name for network in plan.backbone.networks}
    legs = {leg.network for host in site.hosts for leg in host.interfaces}
    border = {"border"} if legs & uplinks else set()
    return {n.kind for n in site.networks} | {kind for kind, _ in site.absent_zones} | border


def require_own_networks(
    site: Site, networks: Iterable[Network], named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """Each zone is a link of its own on a running gateway, with the zone's prefixes on it."""
    gateways = [host for host in site.hosts if host.is_router]
    assert gateways, f"site {site.code}: has no gateway, so nothing separates its zones"
    for gateway in gateways:
        carried = {
            link["ifname"]: {
                str(ipaddress.ip_interface(f"{a['local']}/{a['prefixlen']}").network)
                for a in link["addr_info"]
            }
            for link in named_machine(gateway.name).links()
        }
        for network in networks:
            name = next(leg.name for leg in gateway.interfaces if leg.network == network.name)
            prefixes = set(network.prefix.both())
            owners = sorted(link for link, held in carried.items() if held & prefixes)
            seen(f"{gateway.name}: {network.kind} {listed(sorted(prefixes))} is on {owners}")
            assert owners == [name], (
                f"{gateway.name}: zone {network.zone} is on {owners}; it must be on {name} alone"
            )


@pytest.mark.control("NET-01")
def test_basic_zones_are_separate_networks(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    zones = zones_of(site, world.plan)

    seen(f"zones: {listed(sorted(zones))}")
    missing = sorted(BASIC_ZONES - zones)
    assert not missing, f"site {site.code}: lacks {listed(missing)}; declare them, or why absent"
    networks = [network for network in site.networks if network.kind in BASIC_ZONES]
    require_own_networks(site, networks, named_machine, seen)


@pytest.mark.control("NET-02")
def test_seven_zones_exist(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    zones = zones_of(site, world.plan)

    seen(f"zones: {listed(sorted(zones))}")
    missing = sorted(LEVEL_3_ZONES - zones)
    assert not missing, f"site {site.code}: lacks {listed(missing)}; level 3 has seven zones"
    networks = [network for network in site.networks if network.kind in LEVEL_3_ZONES]
    require_own_networks(site, networks, named_machine, seen)


@pytest.mark.control("NET-03")
def test_prefixes_are_disjoint_and_inside_their_block(world: World, seen: Seen) -> None:
    plan = world.plan
    of_sites = {f"site {s.code}": p for s in plan.sites for p in s.prefix.both()}
    seen(f"{len(plan.sites)} sites, blocks {listed(plan.blocks.both())}", of_sites)

    sites = [(s.code, ipaddress.ip_network(p)) for s in plan.sites for p in s.prefix.both()]
    blocks = [ipaddress.ip_network(block) for block in plan.blocks.both()]
    for code, prefix in sites:
        assert any(_inside(prefix, block) for block in blocks), (
            f"site {code}: {prefix} lies outside {listed(blocks)}"
        )
    for (one, first), (other, second) in itertools.combinations(sites, 2):
        assert not _overlap(first, second), f"sites {one} and {other}: {first} overlaps {second}"
    for site in plan.sites:
        own = [ipaddress.ip_network(prefix) for prefix in site.prefix.both()]
        held = [ipaddress.ip_network(p) for n in site.networks for p in n.prefix.both()]
        for prefix in held:
            assert any(_inside(prefix, block) for block in own), (
                f"site {site.code}: {prefix} lies outside its {listed(own)}"
            )
        for first, second in itertools.combinations(held, 2):
            assert not _overlap(first, second), f"site {site.code}: {first} overlaps {second}"


@pytest.mark.control("NET-03")
def test_peers_stand_in_the_networks_of_the_hub(world: World, seen: Seen) -> None:
    hub = {leg.network for host in world.hub().hosts for leg in host.interfaces}
    networks = [network for network in world.plan.backbone.networks if network.name in hub]
    prefixes = [ipaddress.ip_network(p) for network in networks for p in network.prefix.both()]

    seen(f"uplink networks of the hub: {listed(prefixes)}")
    for tunnel in world.plan.tunnels:
        for address in tunnel.spoke.addresses.both():
            assert any(ipaddress.ip_address(address) in prefix for prefix in prefixes), (
                f"site {tunnel.spoke.site}: its end {address} lies in none of {listed(prefixes)}"
            )


def _inside(prefix: ipaddress._BaseNetwork, block: ipaddress._BaseNetwork) -> bool:
    return prefix.version == block.version and prefix.subnet_of(block)


def _overlap(one: ipaddress._BaseNetwork, other: ipaddress._BaseNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)


@pytest.mark.control("NET-04")
def test_host_has_its_planned_legs_only(machine: Machine, target: Host, seen: Seen) -> None:
    alone = {
        leg.name: {one for share in leg.shared if not share.twins for one in share.addresses.both()}
        for leg in target.interfaces
    }
    in_turn = {
        leg.name: {one for share in leg.shared if share.twins for one in share.addresses.both()}
        for leg in target.interfaces
    }
    planned = {leg.name: {*leg.addresses.both(), *alone[leg.name]} for leg in target.interfaces}
    running = {
        link["ifname"]: {a["local"] for a in link["addr_info"] if a["scope"] == "global"}
        for link in machine.links()
    }
    running = {name: addresses for name, addresses in running.items() if addresses}

    seen(*(f"{name}: {listed(sorted(held))}" for name, held in sorted(running.items())))
    tunnel = {name for name in running if name == "ipsec0" and target.is_router}
    extra = sorted(set(running) - set(planned) - tunnel)
    assert not extra, f"{machine.name}: {listed(extra)} carry addresses; the plan has no such leg"
    for name, addresses in planned.items():
        assert running.get(name, set()) - in_turn[name] == addresses, (
            f"{machine.name}: {name} has {listed(sorted(running.get(name, ())))}; "
            f"planned is {listed(sorted(addresses))}"
        )


@pytest.mark.control("NET-04")
def test_host_bridges_no_zones(target: Host, machine: Machine, world: World, seen: Seen) -> None:
    held = {a["local"] for link in machine.links() for a in link["addr_info"]}
    kinds = {
        network.kind
        for network in (*world.plan.site(target.site).networks, *world.plan.backbone.networks)
        for prefix in network.prefix.both()
        if any(_holds(prefix, address) for address in held)
    }

    seen(f"zones that its running addresses lie in: {listed(sorted(kinds))}")
    if target.is_router:
        return
    outside = kinds & {"dmz", "internet", "dedicated", "wireless"}
    assert not ("database" in kinds and outside), (
        f"{machine.name}: has legs in database and {listed(sorted(outside))}; it bridges zones"
    )
    assert not ("dmz" in kinds and "database" in kinds), (
        f"{machine.name}: has legs in dmz and database; it bridges zones"
    )


def _holds(prefix: str, address: str) -> bool:
    network, one = ipaddress.ip_network(prefix), ipaddress.ip_address(address)
    return network.version == one.version and one in network


@pytest.mark.control("NET-05")
def test_no_chain_of_flows_leads_inside(site: Site, world: World, seen: Seen) -> None:
    outside = {n.name for n in world.plan.backbone.networks if n.kind == "internet"}
    inner = {network.zone for network in site.networks if network.kind in INNER_ZONES}
    # Whoever publishes answers himself, behind a rule set (NET-14): a request ends there, and
    # another begins, which may go to what he publishes alone.
    publishing = {one.published.host for one in world.plan.services if one.published}
    steps = {
        (_place(flow.source, flow.source_site, flow.source_zone, world.plan), flow.target)
        for flow in world.plan.flows
        if flow.source not in publishing
    }
    reached = set(outside)
    while more := {target for source, target in steps if source in reached} - reached:
        reached |= more

    seen(f"{len(world.plan.flows)} flows; reached from the Internet: {listed(sorted(reached))}")
    breached = [
        f"{flow.source} -> {flow.target} {flow.service}"
        for flow in world.plan.flows
        if flow.target_site == site.code and flow.target_zone in inner
        if _place(flow.source, flow.source_site, flow.source_zone, world.plan)
        in reached - publishing
        and not _only_passes_by(flow.target, site)
    ]
    assert not breached, f"site {site.code}: {listed(breached)} lead from outside to inner zones"
    beyond = beyond_what_is_published(publishing, world.plan)
    assert not beyond, f"{listed(beyond)}: whoever publishes may use what he publishes only"


def beyond_what_is_published(publishing: set[str], plan: Plan) -> list[str]:
    """Flows from hosts that publish to applications and databases that they do not publish."""
    shared = {one.name: one for one in plan.services}
    stores = {name for cluster in plan.clusters for name in cluster.members}
    return [
        f"{flow.source} -> {flow.target} {flow.service}"
        for flow in plan.flows
        if flow.source in publishing
        if flow.target in stores
        or ((one := shared.get(flow.service)) and not _is_published_by(flow.source, one))
    ]


def _is_published_by(host: str, service: SharedService) -> bool:
    return service.published is not None and service.published.host == host


def _place(source: str, site: str, zone: str, plan: Plan) -> str:
    """A flow's source as a node: its network where it is a zone or an uplink, else the host."""
    if source.startswith("uplink:"):
        return zone
    if source.startswith("zone:"):
        networks = plan.site(site).networks
        return next(network.name for network in networks if network.zone == zone)
    return source


def _only_passes_by(target: str, site: Site) -> bool:
    """A gateway that serves a zone by its own leg there does not open the zone behind it."""
    return any(host.name == target and host.is_router for host in site.hosts)


def inner_services(site: Site, domain: str) -> list[Probe]:
    """Every service on an inner leg of a site's hosts, both families, that one can ask for."""
    questions = {
        "tcp": tcp,
        "dns": lambda address, _: dns(address, domain),
        "ntp": lambda address, _: ntp(address),
    }
    found = {
        (offering.protocol, address, port): ask(address, port)
        for host in site.hosts
        for offering in host.offerings
        if (ask := questions.get(_question_for(offering))) is not None
        for name in offering.interfaces
        if (leg := host.interface(name)) is not None and leg.kind != "uplink"
        for address in (*leg.addresses.both(), *_shared_where_met(leg, offering))
        for port in offering.ports
    }
    return list(found.values())


def _shared_where_met(leg: Interface, offering: Offering) -> tuple[str, ...]:
    share = leg.shared_for(offering.function) if offering.shared else None
    return share.addresses.both() if share else ()


def _question_for(offering: Offering) -> str:
    return "tcp" if offering.protocol == "tcp" else offering.service


def require_alive(site: Site, places: Places, seen: Seen) -> None:
    """Show that the site's hosts answer whom they may answer, so that silence means refusal."""
    controls = [probe for host in site.hosts for probe in administration(host)]
    places.controller().probe_with_control(seen, controls, ())


def require_refused(answers: Iterable[Answer], why: str) -> None:
    """Nothing let us in, and nothing behind a filter said no itself."""
    for answer in answers:
        assert answer.answer in REFUSED - {"reset"}, f"{answer}; {why}"


@pytest.mark.control("NET-05")
def test_internet_reaches_no_inner_zone(
    site: Site, places: Places, world: World, seen: Seen
) -> None:
    internet = {n.name for n in world.plan.backbone.networks if n.kind == "internet"}
    points = [
        point
        for point in world.plan.backbone.probe_points
        if {link.network for link in point.links} <= internet
    ]
    if not points:
        raise CouldNotCheck("there is no probe point on the Internet side; declare one")
    require_alive(site, places, seen)

    outside = published_addresses(world.plan)
    services = inner_services(site, world.plan.domain)
    probes = [one for one in services if (one.address, one.port) not in outside]

    def look(place: Place, note: Seen) -> None:
        answers = place.probe_beyond_gateways(note, probes)
        require_refused(answers, "nobody from the Internet may reach it")

    places.each([point.name for point in points], look, seen)


@pytest.mark.control("NET-05")
def test_other_zones_reach_no_inner_zone(
    site: Site, places: Places, world: World, seen: Seen
) -> None:
    kinds = {network.name: network.kind for network in site.networks}
    points = [
        point
        for point in site.probe_points
        if point.name != world.plan.controller
        and not {kinds.get(link.network) for link in point.links} & {"servers", "management"}
    ]
    if not points:
        raise NotApplicable(f"site {site.code}: has no probe point in another zone")
    require_alive(site, places, seen)
    networks = {point.name: point.links[0].network for point in points}

    def look(place: Place, note: Seen) -> None:
        network = networks[place.name]
        allowed = _allowed_from(network, world) | _met_beside(network, world.plan)
        services = inner_services(site, world.plan.domain)
        probes = [p for p in services if (p.kind, p.address, p.port) not in allowed]
        answers = place.probe_beyond_gateways(note, probes)
        require_refused(answers, f"no flow allows it from {network}")

    places.each(networks, look, seen)


def _allowed_from(network: str, world: World) -> set[tuple[str, str, int]]:
    """(protocol, address, port) of what flows from a whole zone allow."""
    return {
        (flow.protocol, cidr.partition("/")[0], port)
        for flow in world.plan.flows
        if flow.source.startswith("zone:")
        if _place(flow.source, flow.source_site, flow.source_zone, world.plan) == network
        for cidr in flow.destinations
        for port in flow.ports
    }


def _met_beside(network: str, plan: Plan) -> set[tuple[str, str, int]]:
    """What is for everybody in the Internet, and so for its own zone, which no gateway guards."""
    outside = published_addresses(plan)
    return {
        ("tcp", address, port)
        for host in plan.hosts()
        for leg in host.interfaces
        if leg.network == network
        for address, port in outside
        if address in leg.addresses.both()
    }


@pytest.mark.control("NET-05")
def test_declared_expectations_hold(site: Site, places: Places, world: World, seen: Seen) -> None:
    due = [
        one
        for one in world.plan.expectations
        if world.plan.host(one.target).site == site.code and one.due <= world.plan.as_of
    ]
    if not due:
        raise NotApplicable(f"site {site.code}: no expectation towards it is declared and due")
    if any(one.expect == "refused" for one in due):
        require_alive(site, places, seen)

    def look(place: Place, note: Seen) -> None:
        own = [one for one in due if one.source == place.name]
        allowed = [one for one in own if one.expect == "allowed"]
        refused = [one for one in own if one.expect == "refused"]
        if place.point is not None and refused:
            place.require_its_gateways(note)
        for expected, ask in ((allowed, place.probe), (refused, place.probe_for_silence)):
            asked = [(one, q) for one in expected for q in _questions(one, world.plan)]
            for (one, _), answer in zip(asked, ask(*(q for _, q in asked)), strict=True):
                note(f"{one.title}: {answer} (expected: {one.expect})")
                is_met = answer.answered if expected is allowed else answer.answer in REFUSED
                assert is_met, f"{one.title!r}: {answer}; the declaration expects {one.expect}"

    places.each(dict.fromkeys(one.source for one in due), look, seen)


def _questions(one: Expectation, plan: Plan) -> list[Probe]:
    """What is asked for; a citizen meets what is published at its public addresses."""
    where = one.destinations.both()
    if one.source in {point.name for point in plan.backbone.probe_points}:
        where = public_addresses(one.target, one.port, plan) or where
    if one.protocol == "tcp":
        return [tcp(address, one.port) for address in where]
    if one.port == 53:
        return [dns(address, plan.domain) for address in where]
    raise CouldNotCheck(f"{one.title!r}: no question is known for udp {one.port}")
