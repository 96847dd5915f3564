"""NET: what each host's own filter, listeners and kernel do."""

from collections.abc import Mapping

import pytest
from harness import Machine, NotApplicable, Seen, World, listed
from probing import Place, Places, Probe, administration, dns, ntp, tcp
from ruleset import default_policies, folded, permissions, planned, unexplained

from infra.plan import Host
from infra.plan.types import Offering

INSECURE_PACKAGES = frozenset(
    {"telnetd", "inetutils-telnetd", "rsh-server", "rsh-redone-server", "vsftpd", "proftpd-core"}
    | {"pure-ftpd", "ftpd", "inetutils-ftpd", "tftpd", "tftpd-hpa", "atftpd", "nis", "ypserv"}
    | {"rpcbind", "slapd", "snmpd", "xinetd", "inetutils-inetd", "openbsd-inetd"}
)
INSECURE_PORTS = frozenset(
    {("tcp", 21), ("tcp", 23), ("udp", 69), ("tcp", 111), ("udp", 111), ("udp", 161)}
    | {("tcp", 389), ("tcp", 512), ("tcp", 513), ("tcp", 514)}
)
UNDECLARED_PORT = 9
FIRST_CHOSEN_PORT = 32_768
"""From here on the kernel chooses ports for who names none."""
"""Discard (RFC 863): no function offers it, so an answer of any kind came past the filter."""


@pytest.mark.control("NET-07")
def test_filter_drops_by_default(machine: Machine, seen: Seen) -> None:
    policies = default_policies(machine.firewall())
    unit = machine.unit("nftables.service", "ActiveState", "UnitFileState")

    seen(f"running policies: {policies}", f"nftables.service: {unit}")
    dropped = {hook for hook, policy in policies.items() if policy == "drop"}
    assert {"input", "forward"} <= dropped, (
        f"filter of {machine.name}: policies are {policies}; input and forward must drop"
    )
    assert unit == {"ActiveState": "active", "UnitFileState": "enabled"}, (
        f"filter of {machine.name}: nftables.service is {unit}; it must load the rules at boot"
    )


@pytest.mark.control("NET-07")
def test_filter_admits_declared_flows_only(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    running = permissions(machine.firewall())
    wanted = planned(world.plan.rules, target.name)

    seen(f"{len(running)} permissions run, {len(wanted)} follow from declared flows")
    strange = unexplained(machine.firewall())
    assert not strange, (
        f"filter of {machine.name}: admits {listed(strange)}; no flow and no basic need asks for it"
    )
    running, wanted = folded(running), folded(wanted)
    extra, missing = running - wanted, wanted - running
    assert not extra, (
        f"filter of {machine.name}: admits {listed(extra)}; no declared flow asks for it"
    )
    assert not missing, f"filter of {machine.name}: lacks {listed(missing)}; flows need it"


@pytest.mark.control("NET-07")
def test_undeclared_port_is_silent(target: Host, places: Places, seen: Seen) -> None:
    controls = administration(target)
    probes = [tcp(control.address, UNDECLARED_PORT) for control in controls]

    for answer in places.controller().probe_with_control(seen, controls, probes):
        assert answer.answer == "silent", f"{answer}; the filter must drop it without a word"


@pytest.mark.control("NET-08")
def test_output_is_dropped_by_default(machine: Machine, seen: Seen) -> None:
    policy = default_policies(machine.firewall()).get("output", "none")

    seen(f"running policy for output: {policy}")
    assert policy == "drop", f"filter of {machine.name}: output is {policy}; it must drop"


@pytest.mark.control("NET-08")
def test_undeclared_way_out_is_refused(
    machine: Machine, target: Host, world: World, here: Place, seen: Seen
) -> None:
    declared = _declared_questions(target, world)
    assert declared, f"{target.name}: the plan gives it neither names nor time of others"
    undeclared = [Probe("udp", one.address, UNDECLARED_PORT, b"?") for one in declared]

    for answer in here.probe_with_control(seen, declared, undeclared):
        assert answer.answer == "forbidden", (
            f"{answer}; the filter of {machine.name} itself must refuse what no flow declares"
        )


def _declared_questions(host: Host, world: World) -> list[Probe]:
    """Questions of a host that flows allow, one for each family."""
    ask = {"dns": lambda address: dns(address, world.plan.domain), "ntp": ntp}
    for flow in world.plan.flows:
        if flow.source == host.name and flow.protocol == "udp" and flow.service in ask:
            return [ask[flow.service](cidr.partition("/")[0]) for cidr in flow.destinations]
    return []


def offered_by(host: Host, world: World) -> dict[tuple[str, int], str]:
    """What a host may listen on, by protocol and port: its functions' services and shared ones."""
    own = {
        (offering.protocol, port): offering.service
        for offering in host.offerings
        if offering.clients != "twins" or _is_shared(host, offering)
        for port in offering.ports
    }
    shared = {
        (service.protocol, port): service.name
        for service in world.plan.services
        if host.name in service.hosts and service.active_from <= world.plan.as_of
        for port in service.ports
    }
    return {**own, **shared}


def _is_shared(host: Host, offering: Offering) -> bool:
    """Whether twins meet on a leg of a service that is for twins."""
    legs = [host.interface(name) for name in offering.interfaces]
    return any(share.twins for leg in legs if leg for share in leg.shared)


def _senders(
    found: set[tuple[str, str, int, str]], offered: Mapping[tuple[str, int], str]
) -> set[tuple[str, str, int, str]]:
    """Ports that the kernel chose for a daemon of an offered UDP service to send from.

    The filter admits nothing to them: `test_filter_admits_declared_flows_only` sees to that.
    """
    daemons = {name for protocol, _, port, name in found if (protocol, port) in offered}
    return {
        one
        for one in found
        if one[0] == "udp" and one[2] >= FIRST_CHOSEN_PORT and one[3] in daemons
    }


@pytest.mark.control("NET-10")
def test_listeners_are_declared(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    offered = offered_by(target, world)
    # A resolver's question on its way looks like a listener; only what stays is one.
    found = machine.listeners()
    if any((protocol, port) not in offered for protocol, _, port, _ in found):
        found &= machine.listeners()
    found -= _senders(found, offered)

    for protocol, address, port, name in sorted(found):
        service = offered.get((protocol, port), "nothing declared")
        seen(f"{protocol} {address}:{port} {name}: {service}")
    strange = [one for one in sorted(found) if (one[0], one[2]) not in offered]
    assert not strange, (
        f"{machine.name}: {listed(strange)} listen; only services that the plan offers may"
    )


@pytest.mark.control("NET-10")
def test_declared_services_listen(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    found = {(protocol, port) for protocol, _, port, _ in machine.listeners()}
    wanted = set(offered_by(target, world))

    seen(f"listening: {listed(sorted(found))}")
    missing = sorted(wanted - found)
    assert not missing, f"{machine.name}: nothing listens on {listed(missing)}; the plan offers it"


@pytest.mark.control("NET-11")
def test_insecure_services_are_absent(machine: Machine, seen: Seen) -> None:
    installed = set(
        machine.ask("dpkg-query", "--show", "--showformat=${binary:Package}\n").splitlines()
    )
    sockets = {(protocol, port) for protocol, _, port, _ in machine.listeners()}

    seen(f"{len(installed)} packages and {len(sockets)} listening ports looked at")
    packages = sorted({name.partition(":")[0] for name in installed} & INSECURE_PACKAGES)
    assert not packages, f"{machine.name}: {listed(packages)} are installed; remove them"
    ports = sorted(sockets & INSECURE_PORTS)
    assert not ports, f"{machine.name}: {listed(ports)} listen; these protocols have no secrecy"


def _kernel(machine: Machine, *names: str) -> dict[str, str]:
    shown = machine.ask("sysctl", *names)
    return dict(line.split(" = ", 1) for line in shown.splitlines())


@pytest.mark.control("NET-12")
def test_only_gateways_forward(machine: Machine, target: Host, seen: Seen) -> None:
    names = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
    running = _kernel(machine, *names)
    required = "1" if target.is_router else "0"

    seen(*(f"{name} = {value}" for name, value in running.items()))
    wrong = [name for name in names if running[name] != required]
    kind = "a gateway" if target.is_router else "no gateway"
    assert not wrong, f"{machine.name}: is {kind} and has {running}; required is {required}"


@pytest.mark.control("NET-12")
def test_kernel_refuses_redirects_and_source_routes(machine: Machine, seen: Seen) -> None:
    required = {
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv6.conf.all.accept_redirects": "0",
        "net.ipv4.conf.all.send_redirects": "0",
        "net.ipv4.conf.all.accept_source_route": "0",
        "net.ipv6.conf.all.accept_source_route": "0",
        "net.ipv4.conf.all.log_martians": "1",
    }
    running = _kernel(machine, *required)

    seen(*(f"{name} = {value}" for name, value in running.items()))
    wrong = {name: value for name, value in running.items() if value != required[name]}
    assert not wrong, (
        f"{machine.name}: {wrong}; required is { ({name: required[name] for name in wrong}) }"
    )


@pytest.mark.control("NET-12")
def test_kernel_filters_forged_sources(machine: Machine, target: Host, seen: Seen) -> None:
    names = [f"net.ipv4.conf.{leg.name}.rp_filter" for leg in target.interfaces]
    running = _kernel(machine, "net.ipv4.conf.all.rp_filter", *names)
    everywhere = int(running.pop("net.ipv4.conf.all.rp_filter"))

    # The kernel takes the greater of the two (ip-sysctl); 1 is strict and 2 is loose.
    effective = {name: max(everywhere, int(value)) for name, value in running.items()}
    seen(*(f"{name}: {value} in effect" for name, value in effective.items()))
    open_ = [name for name, value in effective.items() if value == 0]
    assert not open_, f"{machine.name}: {listed(open_)} is 0; forged sources must not come in"


@pytest.mark.control("NET-17")
def test_no_wireless_interface(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    wireless = machine.reply(
        "sh", "-c", "ls -d /sys/class/net/*/phy80211 /sys/class/net/*/wireless"
    )
    links = [link["ifname"] for link in machine.links()]
    site = world.plan.site(target.site)

    assert links, f"{machine.name}: shows no network interface at all"
    seen(f"interfaces: {listed(links)}", f"wireless: {wireless.output.strip() or 'none'}")
    assert not wireless.output.strip(), (
        f"{machine.name}: {wireless.output.strip()} is wireless; servers have none"
    )
    declared = {network.kind for network in site.networks} | {kind for kind, _ in site.absent_zones}
    assert "wireless" in declared, (
        f"site {site.code}: says nothing of a wireless zone; declare it, or why it is absent"
    )


@pytest.mark.control("NET-18")
def test_administration_listens_where_it_is_managed(
    machine: Machine, target: Host, seen: Seen
) -> None:
    managed = {
        address
        for offering in target.offerings
        if offering.service == "ssh"
        for name in offering.interfaces
        if (leg := target.interface(name)) is not None
        for address in leg.addresses.both()
    }
    found = {
        address.strip("[]")
        for protocol, address, port, name in machine.listeners()
        if name in {"sshd", "systemd"} and (protocol, port) == ("tcp", 22)
    }
    shared = [o.service for o in target.offerings if 22 in o.ports and o.service != "ssh"]

    seen(f"sshd listens on {listed(sorted(found))}", f"planned: {listed(sorted(managed))}")
    assert found == managed, (
        f"{machine.name}: sshd listens on {listed(sorted(found))}; "
        f"administration belongs to {listed(sorted(managed))}"
    )
    assert not shared, f"{machine.name}: {listed(shared)} share port 22 with administration"


@pytest.mark.control("NET-18")
def test_administration_is_refused_on_service_addresses(
    target: Host, places: Places, world: World, seen: Seen
) -> None:
    managed = {probe.address for probe in administration(target)}
    elsewhere = [
        tcp(address, 22)
        for leg in target.interfaces
        for address in leg.addresses.both()
        if leg.kind == "service" and address not in managed
    ]
    if not elsewhere:
        raise NotApplicable(f"{target.name}: has no address besides those of administration")
    points = [point for point in world.plan.site(target.site).probe_points if len(point.links) == 1]
    assert points, f"site {target.site}: has no probe point to look from"

    for answer in places.at(points[0].name).probe_beyond_gateways(seen, elsewhere):
        assert not answer.answered, f"{answer}; administration must not be reachable by service"
