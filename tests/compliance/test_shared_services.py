"""SVC: time and names, asked of the daemons that serve them."""

import ipaddress

import pytest
from harness import Machine, Seen, World, listed
from probing import CHECKING_DISABLED, Place, Places, Probe, dns, ntp

from infra.plan import Host, Site

TIME_DAEMONS = ("chrony.service", "systemd-timesyncd.service", "ntpsec.service", "openntpd.service")
OFFSET_SECONDS = 0.1
TIME_ZONES = ("Asia/Ho_Chi_Minh", "Etc/UTC", "UTC")
PUBLIC_RESOLVERS = ("8.8.8.8", "2001:4860:4860::8888")
BLOCKED, BROKEN = "blocked-test", "broken"
"""Names of the name service that exist so that their refusal can be seen."""


def _rows(machine: Machine, *command: str) -> list[list[str]]:
    return [line.split(",") for line in machine.ask("chronyc", "-n", "-c", *command).splitlines()]


def addresses_of(hosts: tuple[Host, ...]) -> set[str]:
    """Every address of some hosts."""
    return {a for host in hosts for leg in host.interfaces for a in leg.addresses.both()}


@pytest.mark.control("SVC-01")
def test_one_time_daemon_runs(machine: Machine, seen: Seen) -> None:
    states = {
        name: machine.reply("systemctl", "is-active", name).output.strip() for name in TIME_DAEMONS
    }

    seen(*(f"{name}: {state}" for name, state in states.items()))
    running = [name for name, state in states.items() if state == "active"]
    assert running == ["chrony.service"], (
        f"{machine.name}: {listed(running)} run; chrony must run and nothing beside it"
    )


@pytest.mark.control("SVC-01")
def test_time_is_synchronised(machine: Machine, world: World, seen: Seen) -> None:
    tracking = _rows(machine, "tracking")[0]
    reference, stratum, offset, leap = tracking[1], tracking[2], float(tracking[4]), tracking[13]
    sources = _rows(machine, "sources")
    servers = addresses_of(world.hosts_with("time_service"))

    seen(f"reference {reference}, stratum {stratum}, offset {offset} s, leap status {leap}")
    seen(*(f"source {row[2]}: {row[1]}, reach {row[5]}" for row in sources))
    foreign = sorted({row[2] for row in sources if row[0] == "^"} - servers)
    assert not foreign, f"{machine.name}: asks {listed(foreign)}; they are no servers of ours"
    assert leap != "Not synchronised", f"{machine.name}: its time is not synchronised"
    assert abs(offset) < OFFSET_SECONDS, (
        f"{machine.name}: is {offset} s off; less than {OFFSET_SECONDS} s is required"
    )


@pytest.mark.control("SVC-01")
def test_time_zone_is_set(machine: Machine, seen: Seen) -> None:
    link = machine.reply("readlink", "--canonicalize-existing", "/etc/localtime").output.strip()
    zone = link.partition("/zoneinfo/")[2]

    seen(f"time zone: {zone or 'not set'}", machine.ask("date", "--iso-8601=seconds"))
    assert zone in TIME_ZONES, (
        f"{machine.name}: its time zone is {zone or 'not set'}; {listed(TIME_ZONES)} it must be"
    )


@pytest.mark.control("SVC-02")
def test_several_time_servers_answer(site: Site, world: World, places: Places, seen: Seen) -> None:
    servers = [host for host in site.hosts if "time_service" in host.functions]
    domains = {host.failure_domain for host in servers}
    asked = {host.name: _asker(host, world) for host in servers}

    seen(*(f"{host.name} in {host.failure_domain}" for host in servers))
    assert len(servers) >= 2, f"site {site.code}: {len(servers)} time servers; two are required"
    assert len(domains) >= 2, (
        f"site {site.code}: all time servers stand in {listed(sorted(domains))}"
    )
    for host in servers:
        asker, addresses = asked[host.name]
        for answer in places.at(asker).probe(*map(ntp, addresses)):
            mode = answer.data[0] & 7 if answer.answered else None
            seen(f"{answer}, mode {mode}, stratum {answer.data[1] if answer.answered else '-'}")
            assert mode == 4, f"{answer}; a time server answers with the time"
            assert 0 < answer.data[1] < 16, f"{answer}; it says itself that it has no time"


def _asker(server: Host, world: World) -> tuple[str, list[str]]:
    """A host that may ask a time server, and the addresses that it may ask."""
    for flow in world.plan.flows:
        if flow.target == server.name and flow.service == "ntp" and "/" not in flow.source:
            return flow.source, [cidr.partition("/")[0] for cidr in flow.destinations]
    raise AssertionError(f"{server.name}: the plan lets nobody ask it for the time")


def resolvers_of(host: Host, world: World) -> set[str]:
    """Addresses whose resolver a host may use: its own, or that of its flows."""
    allowed = {
        cidr.partition("/")[0]
        for flow in world.plan.flows
        if flow.source == host.name and flow.service == "dns"
        for cidr in flow.destinations
    }
    serves = any(offering.service == "dns" for offering in host.offerings)
    return allowed | ({"127.0.0.1", "::1"} if serves else set())


def resolvers_in_use(machine: Machine) -> list[str]:
    """What the C library asks; it has no daemon that could be asked instead."""
    lines = machine.ask("cat", "/etc/resolv.conf").splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver")]


@pytest.mark.control("SVC-03")
def test_resolvers_are_the_provinces(
    machine: Machine, target: Host, world: World, here: Place, seen: Seen
) -> None:
    used, allowed = resolvers_in_use(machine), resolvers_of(target, world)

    seen(f"in use: {listed(used)}", f"planned: {listed(sorted(allowed))}")
    assert used, f"{machine.name}: asks no resolver at all"
    assert set(used) <= allowed, (
        f"{machine.name}: asks {listed(used)}; the province's resolvers are {sorted(allowed)}"
    )
    for answer in here.probe(*(dns(address, target.fqdn) for address in used)):
        assert answer.answered, f"{answer}; a resolver in use must answer"
        seen(f"{answer}: {target.fqdn} {answer.dns_code}, {answer.dns_answers} records")
        assert (answer.dns_code, answer.dns_answers > 0) == ("NOERROR", True), (
            f"{answer}: {answer.dns_code} for {target.fqdn}; its own name must be known"
        )


@pytest.mark.control("SVC-03")
def test_blocked_name_is_refused(machine: Machine, world: World, here: Place, seen: Seen) -> None:
    name = f"{BLOCKED}.{world.plan.domain}"
    for resolver in resolvers_in_use(machine):
        known, blocked = here.probe(
            dns(resolver, machine_name(machine, world)), dns(resolver, name)
        )
        for answer in (known, blocked):
            assert answer.answered, f"{answer}; a resolver in use must answer"
        assert known.dns_code == "NOERROR", f"{known}: {known.dns_code} for a common name"
        seen(f"{blocked}: {name} {blocked.dns_code}")
        assert blocked.dns_code == "NXDOMAIN", (
            f"{blocked}: {blocked.dns_code} for the blocked name {name}; NXDOMAIN is required"
        )


def machine_name(machine: Machine, world: World) -> str:
    """The full name of a machine."""
    return world.plan.host(machine.name).fqdn


@pytest.mark.control("SVC-03")
def test_public_resolver_is_out_of_reach(
    machine: Machine, world: World, here: Place, seen: Seen
) -> None:
    control = [dns(resolvers_in_use(machine)[0], world.plan.domain)]
    public = [dns(address, world.plan.domain) for address in PUBLIC_RESOLVERS]

    for answer in here.probe_with_control(seen, control, public):
        assert not answer.answered, f"{answer}; no public resolver may be reached"


@pytest.mark.control("SVC-04")
def test_resolver_validates_signatures(target: Host, world: World, here: Place, seen: Seen) -> None:
    signed, broken = f"{target.fqdn}", f"{BROKEN}.{world.plan.domain}"
    for address in ("127.0.0.1", "::1"):
        probes: list[Probe] = [
            dns(address, signed),
            dns(address, broken),
            dns(address, broken, flags=CHECKING_DISABLED),
        ]
        good, bad, unchecked = here.probe(*probes)
        for answer in (good, bad, unchecked):
            assert answer.answered, f"{answer}; the resolver must answer"
        seen(f"{address}: {signed} {good.dns_code}, validated: {good.dns_authentic}")
        seen(f"{address}: {broken} {bad.dns_code}, without validation {unchecked.dns_code}")
        assert good.dns_authentic, f"{address}: {signed} is not validated; it is signed"
        assert unchecked.dns_code == "NOERROR", (
            f"{address}: {broken} is {unchecked.dns_code} even unchecked; "
            "the sample with a broken signature is missing"
        )
        assert bad.dns_code == "SERVFAIL", (
            f"{address}: {broken} is {bad.dns_code}; a broken signature must be refused"
        )


@pytest.mark.control("SVC-04")
def test_reverse_names_are_signed(target: Host, here: Place, seen: Seen) -> None:
    for address in target.primary.addresses.both():
        name = ipaddress.ip_address(address).reverse_pointer
        (answer,) = here.probe(dns("127.0.0.1", name, kind=12))
        assert answer.answered, f"{answer}; the resolver must answer"
        seen(f"{name} {answer.dns_code}, validated: {answer.dns_authentic}")
        assert (answer.dns_code, answer.dns_authentic) == ("NOERROR", True), (
            f"{name}: {answer.dns_code}, validated {answer.dns_authentic}; "
            "reverse names are signed like all others"
        )
