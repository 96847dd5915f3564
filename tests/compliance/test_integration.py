"""INT: where systems of the one-stop centre may run, and who meets which application."""

from collections.abc import Callable, Iterator

import pytest
from asking import Question, ask, get
from harness import CouldNotCheck, Machine, NotApplicable, Seen, World, listed
from probing import Place, Places, tcp

from infra.plan import Plan, ProbePoint, Site
from infra.plan.service_types import SharedService
from infra.plan.types import Flow

ONE_STOP = "one_stop"
REQUIRED_LEVEL = 3
ROOT_CERTIFICATE = "/etc/province/pki/root.pem"
WITHOUT_A_TOKEN = 401


@pytest.mark.control("INT-03")
def test_one_stop_runs_at_level_3(world: World, seen: Seen) -> None:
    services = [one for one in world.plan.services if one.name == ONE_STOP]
    if not services:
        raise NotApplicable("no one-stop service is declared")
    for service in services:
        assert service.hosts, f"service {service.name}: runs nowhere"
        for name in service.hosts:
            site = world.plan.site(world.plan.host(name).site)
            seen(f"{service.name} on {name}: level {service.level}, site {site.level}")
            assert service.level >= REQUIRED_LEVEL, (
                f"service {service.name}: level {service.level}; {REQUIRED_LEVEL} is required"
            )
            assert site.level >= REQUIRED_LEVEL, (
                f"site {site.code}: level {site.level}; it hosts {service.name}, which needs "
                f"{REQUIRED_LEVEL}"
            )


def active_services(plan: Plan) -> list[SharedService]:
    """What is in use on the date of the declaration."""
    return [one for one in plan.services if one.active_from <= plan.as_of]


def inner_points(plan: Plan) -> dict[str, str]:
    """Probe points that stand in one network each, with its name; without the controller's."""
    everywhere = [*plan.backbone.probe_points, *(p for s in plan.sites for p in s.probe_points)]
    return {
        point.name: point.links[0].network
        for point in everywhere
        if point.name != plan.controller and len(point.links) == 1
    }


def zone_flows(plan: Plan) -> Iterator[tuple[str, Flow]]:
    """Flows that a whole zone may use, with its network."""
    for flow in plan.flows:
        if flow.source.startswith("zone:"):
            networks = plan.site(flow.source_site).networks
            yield next(n.name for n in networks if n.zone == flow.source_zone), flow


@pytest.mark.control("INT-04")
def test_zones_meet_their_own_applications_only(world: World, places: Places, seen: Seen) -> None:
    """From every probe point to every shared service, both families: what passes and what not.

    So Party and State meet in the exchange and nowhere else, and a citizen meets neither.
    """
    services = {one.name for one in active_services(world.plan)}
    if not services:
        raise NotApplicable("no shared service is in use")
    everything = {
        (address, port)
        for service in active_services(world.plan)
        for host in service.hosts
        for address in world.plan.host(host).primary.addresses.both()
        for port in service.ports
    }
    allowed: dict[str, set[tuple[str, int]]] = {}
    for network, flow in zone_flows(world.plan):
        if flow.service in services:
            allowed.setdefault(network, set()).update(
                (cidr.partition("/")[0], port) for cidr in flow.destinations for port in flow.ports
            )
    points = inner_points(world.plan)
    assert allowed.keys() & set(points.values()), "no probe point stands where people use services"

    def look(place: Place, note: Seen) -> None:
        own = allowed.get(points[place.name], set())
        for answer in place.probe(*(tcp(*one) for one in sorted(own))):
            note(answer)
            assert answer.answered, f"{answer}; a flow of {points[place.name]} allows it"
        refused = [tcp(*one) for one in sorted(everything - own)]
        for answer in place.probe_beyond_gateways(note, refused):
            assert not answer.answered, f"{answer}; no flow of {points[place.name]} allows it"

    places.each(points, look, seen)


@pytest.mark.control("INT-04")
def test_the_exchange_answers_nobody_without_a_name(
    world: World, places: Places, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """From where both sides may come: it is there (health) and tells nothing to a stranger."""
    kinds = {t.name: t.kind for cluster in world.plan.clusters for t in cluster.tenants}
    exchanges = [one for one in active_services(world.plan) if kinds.get(one.tenant) == "exchange"]
    if not exchanges:
        raise NotApplicable("no exchange is in use")
    points = inner_points(world.plan)
    for exchange in exchanges:
        networks = {
            network for network, flow in zone_flows(world.plan) if flow.service == exchange.name
        }
        sides = [name for name, network in points.items() if network in networks]
        assert sides, f"{exchange.name}: no probe point stands where it is used"
        for name in sides:
            known = _questions(exchange, "/health", world, named_machine)
            strange = _questions(exchange, "/records", world, named_machine)
            answers = ask(places.at(name), [*known, *strange])
            seen(*answers)
            for answer in answers[: len(known)]:
                if answer.status != 200:
                    raise CouldNotCheck(f"{answer}; the exchange must be there to refuse")
            for answer in answers[len(known) :]:
                assert answer.status == WITHOUT_A_TOKEN, (
                    f"{answer}; who does not say who he is reads nothing"
                )


def _questions(
    service: SharedService, path: str, world: World, named_machine: Callable[[str], Machine]
) -> list[Question]:
    """A request to every host of a service, by both families, with its certificate checked."""
    found = []
    for name in service.hosts:
        host = world.plan.host(name)
        root = named_machine(name).ask("cat", ROOT_CERTIFICATE)
        found += [
            Question(address, service.ports[0], host.fqdn, root, get(host.fqdn, path))
            for address in host.primary.addresses.both()
        ]
    return found


@pytest.mark.control("INT-05")
def test_offices_reach_the_one_stop_centre(
    site: Site,
    world: World,
    places: Places,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    """Every host of it, by both families, with a certificate of ours, and it says who it is."""
    services = [one for one in active_services(world.plan) if one.name == ONE_STOP]
    if not services:
        raise NotApplicable("no one-stop service is in use")
    flows = [flow for flow in world.plan.flows if flow.service == ONE_STOP]
    zones = {flow.source_zone for flow in flows if flow.source_site == site.code}
    assert zones, f"site {site.code}: no flow leads from its offices to the one-stop centre"
    networks = {network.name for network in site.networks if network.zone in zones}
    points = [p for p in site.probe_points if _stands_in(p, networks)]
    if not points:
        raise CouldNotCheck(f"site {site.code}: no probe point stands in {listed(sorted(zones))}")
    for point in points:
        for answer in ask(
            places.at(point.name), _questions(services[0], "/health", world, named_machine)
        ):
            seen(f"{answer} {answer.body[:80]}")
            assert answer.status == 200, f"{answer}; the office must be answered"
            said = answer.json() or {}
            assert said.get("application") == ONE_STOP, f"{answer}: another service: {said}"


def _stands_in(point: ProbePoint, networks: set[str]) -> bool:
    return {link.network for link in point.links} <= networks
