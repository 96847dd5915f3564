"""HA: pairs that take over from each other, and a database cluster that keeps its quorum."""

import json
from collections.abc import Callable

import pytest
from clusters import leader_of, state_of
from harness import CouldNotCheck, Machine, Seen, World, listed
from pairs import Group, groups_of, held_by, the_one_voice
from probing import Places, tcp
from swanctl import CARRYING, associations

from infra.plan import Site
from infra.plan.types import GATEWAY

ABLE = "/usr/local/lib/province/virtual_address.sh"
"""What keepalived asks whether a host can serve where its addresses are met."""
ADVERTS_SECONDS = "1.5"
"""Adverts come five times a second; a carrier that is missed for so long has gone silent."""
MOST_LAG_BYTES = 16 * 1024 * 1024
LEAST_MEMBERS = 3
PKI = "/etc/province/pki"
ROOT_CERTIFICATE = f"{PKI}/root.pem"
STORE_KEYS, STORE_PORT = "/run/coordination_store", 2379


def require_groups(site: Site) -> tuple[Group, ...]:
    """The groups of a site, which has at least its gateways'."""
    groups = groups_of(site)
    names = [group.name for group in groups]
    assert GATEWAY in names, f"site {site.code}: its gateway has no twin; main devices are pairs"
    return groups


@pytest.mark.control("HA-01")
def test_twins_stand_apart(site: Site, world: World, seen: Seen) -> None:
    for group in require_groups(site):
        domains = {name: world.plan.host(name).failure_domain for name in group.hosts}
        seen(f"group {group.name}: {domains}")
        assert len(set(domains.values())) == len(group.hosts) >= 2, (
            f"site {site.code}: twins of {group.name} stand in {domains}; each needs its own place"
        )


@pytest.mark.control("HA-01")
def test_shared_addresses_are_carried_once(
    site: Site, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    for group in require_groups(site):
        carried = {name: held_by(named_machine(name)) & group.all() for name in group.hosts}
        seen(*(f"{group.name}: {name} carries {listed(sorted(c))}" for name, c in carried.items()))
        whole = [name for name, held in carried.items() if held == group.all()]
        assert len(whole) == 1, (
            f"site {site.code}: group {group.name} is carried wholly by {listed(whole)}; "
            "exactly one of its twins must carry all of it, in both families"
        )
        rest = {name: sorted(held) for name, held in carried.items() if held and name != whole[0]}
        assert not rest, (
            f"site {site.code}: {rest} are carried beside {whole[0]}; two answer for one"
        )


@pytest.mark.control("HA-01")
def test_twins_hear_the_carrier_on_every_leg(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """Both families, on every leg that they share: whoever hears nothing takes over."""
    for group in require_groups(site):
        held = {name: held_by(named_machine(name)) & group.all() for name in group.hosts}
        carriers = [name for name, one in held.items() if one == group.all()]
        assert len(carriers) == 1, f"site {site.code}: {listed(carriers)} carry {group.name}"
        legs = list(group.addresses)
        carrier = world.plan.host(carriers[0])
        for name in (name for name in group.hosts if name != carrier.name):
            heard = named_machine(name).ask_program(
                "hear_adverts", ADVERTS_SECONDS, *legs, live=True
            )
            for leg in legs:
                seen(f"{name} hears on {leg}: {heard[leg]}")
                interface = carrier.interface(leg)
                assert interface is not None, f"{carrier.name}: has no leg {leg}"
                voice = the_one_voice(f"{name} on {leg}", heard[leg], group.router_ids[leg])
                assert voice == interface.addresses.ipv4, (
                    f"{name} on {leg}: hears {voice}; {carrier.name} carries the addresses"
                )


@pytest.mark.control("HA-01")
def test_tunnels_stand_at_the_carrier_only(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    wanted = {
        f"site_{tunnel.spoke.site}" for tunnel in world.plan.tunnels if tunnel.hub.site == site.code
    }
    gateway = next(group for group in require_groups(site) if group.name == GATEWAY)
    for name in gateway.hosts:
        machine = named_machine(name)
        carries = held_by(machine) & gateway.all() == gateway.all()
        standing = {peer for peer, one in associations(machine).items() if one["state"] in CARRYING}
        seen(f"{name}: carries the addresses: {carries}, tunnels: {listed(sorted(standing))}")
        assert standing == (wanted if carries else set()), (
            f"{name}: has the tunnels {listed(sorted(standing))}; they follow the addresses, "
            f"so {listed(sorted(wanted)) if carries else 'none'} must stand here"
        )


@pytest.mark.control("HA-01")
def test_standby_is_ready_to_take_over(
    site: Site, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """On both twins: who would not start again after a reboot is no twin, nor who cannot serve."""
    for group in require_groups(site):
        for name in group.hosts:
            machine = named_machine(name)
            unit = machine.unit("keepalived.service", "ActiveState", "UnitFileState")
            seen(f"{group.name}: {name}: keepalived is {unit}")
            assert unit == {"ActiveState": "active", "UnitFileState": "enabled"}, (
                f"{name}: keepalived is {unit}; it must run and start at boot"
            )
            able = machine.reply(ABLE, "able", group.name)
            seen(f"{group.name}: {name}: can serve: {able.code == 0}")
            assert able.code == 0, f"{name}: {able.complaint or f'exited {able.code}'}"


@pytest.mark.control("HA-01")
def test_shared_services_are_met_by_both_families(
    site: Site, world: World, places: Places, seen: Seen
) -> None:
    """At the shared address, by hosts that the plan lets come."""
    shared = {one for group in require_groups(site) if group.name != GATEWAY for one in group.all()}
    flows = [
        flow
        for flow in world.plan.flows
        if flow.protocol == "tcp"
        if {cidr.partition("/")[0] for cidr in flow.destinations} <= shared
        if flow.source in {host.name for host in world.plan.hosts()}
    ]
    assert flows, f"site {site.code}: no host may come to {listed(sorted(shared))}"
    for source in dict.fromkeys(flow.source for flow in flows):
        flow = next(one for one in flows if one.source == source)
        addresses = [cidr.partition("/")[0] for cidr in flow.destinations]
        for answer in places.at(source).probe(*(tcp(one, flow.ports[0]) for one in addresses)):
            seen(f"{flow.service}: {answer}")
            assert answer.answered, f"{answer}; {flow.service} is met at its shared address"


@pytest.mark.control("HA-03")
def test_voters_are_odd_and_apart(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    for cluster in (one for one in world.plan.clusters if one.site == site.code):
        first = world.plan.host(cluster.members[0])
        domains = {name: world.plan.host(name).failure_domain for name in cluster.members}
        voters = voters_of(named_machine(first.name), first.primary.addresses.ipv4)
        seen(f"cluster {cluster.name}: {domains}", f"voters: {listed(sorted(voters))}")
        assert len(set(domains.values())) == len(domains), (
            f"cluster {cluster.name}: {domains}; each member needs a place of its own"
        )
        assert len(voters) >= LEAST_MEMBERS, f"{listed(sorted(voters))} vote; three are required"
        assert len(voters) % 2 == 1, f"{len(voters)} vote; an even number decides nothing more"
        assert voters == set(cluster.members), (
            f"{listed(sorted(voters))} vote; planned are {listed(cluster.members)}"
        )


def voters_of(machine: Machine, address: str) -> set[str]:
    """Names of the members of the coordination store that vote, asked as members ask each other."""
    own = [f"--cert={STORE_KEYS}/chain.pem", f"--key={STORE_KEYS}/key.pem"]
    where = [f"--endpoints=https://{address}:{STORE_PORT}", f"--cacert={ROOT_CERTIFICATE}"]
    order = ["--write-out=json", "member", "list"]
    members = json.loads(machine.ask("etcdctl", *where, *own, *order))["members"]
    return {one["name"] for one in members if not one.get("isLearner")}


@pytest.mark.control("HA-03")
def test_one_member_leads_and_all_others_stream(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """Every member is asked itself: one that is cut off would still speak for the others."""
    for cluster in (one for one in world.plan.clusters if one.site == site.code):
        states = {name: state_of(named_machine(name)) for name in cluster.members}
        leaders = [name for name, state in states.items() if not state["is_replica"]]
        assert len(leaders) == 1, f"cluster {cluster.name}: {listed(leaders)} take writes; one must"
        leader = states[leaders[0]]
        replicas = {one["name"]: one for one in leader["replicas"]}
        seen(f"leader: {leaders[0]}", *(f"{n}: {one}" for n, one in sorted(replicas.items())))
        for name in (name for name in cluster.members if name != leaders[0]):
            receiving = [one["status"] for one in states[name]["receiver"]]
            assert receiving == ["streaming"], (
                f"{name}: receives {listed(receiving)}; it must stream"
            )
            one = replicas.get(name)
            assert one is not None, f"{leaders[0]}: sends nothing to {name}"
            assert one["state"] == "streaming", f"{name}: is in state {one['state']}"
            assert one["lag"] is not None, f"{name}: has not said how far it is"
            assert one["lag"] <= MOST_LAG_BYTES, (
                f"{name}: is {one['lag']} bytes behind; {MOST_LAG_BYTES} at most"
            )


@pytest.mark.control("HA-03")
def test_a_commit_waits_for_a_second_member(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    for cluster in (one for one in world.plan.clusters if one.site == site.code):
        name = leader_of(cluster, named_machine)
        state = state_of(named_machine(name))
        wanted = state["settings"]["synchronous_standby_names"]
        ways = {one["name"]: one["sync"] for one in state["replicas"]}
        seen(f"{name}: synchronous_standby_names {wanted!r}", f"members in its quorum: {ways}")
        assert wanted.startswith("ANY "), (
            f"{name}: synchronous_standby_names is {wanted!r}; a quorum (ANY) is required"
        )
        assert "quorum" in ways.values(), f"{name}: {ways}; no member takes part in commits"


@pytest.mark.control("HA-03")
def test_coordination_store_refuses_strangers(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """Asked by a member, whom the filter lets come: with its certificate and without."""
    for cluster in (one for one in world.plan.clusters if one.site == site.code):
        asker, asked = cluster.members[0], world.plan.host(cluster.members[1])
        for address in asked.primary.addresses.both():
            question = {
                "address": address,
                "port": STORE_PORT,
                "name": asked.fqdn,
                "trusted": ROOT_CERTIFICATE,
                "request": f"GET /health HTTP/1.1\r\nHost: {asked.fqdn}\r\n\r\n".encode().hex(),
            }
            shown = {
                "member": (f"{STORE_KEYS}/chain.pem", f"{STORE_KEYS}/key.pem"),
                "none": ("", ""),
            }
            asked_so = [
                {**question, "certificate": certificate, "key": key}
                for certificate, key in shown.values()
            ]
            said = named_machine(asker).ask_program("ask_tls", json.dumps(asked_so), live=True)
            answers = dict(zip(shown, said, strict=True))
            seen(
                *(f"{address} with {kind} certificate: {a['words']}" for kind, a in answers.items())
            )
            if answers["member"]["answer"] != "answered":
                raise CouldNotCheck(f"{address}: does not answer its member: {answers['member']}")
            assert answers["none"]["answer"] == "refused", (
                f"{asked.name}: the store answers whoever shows no certificate at {address}"
            )
        # It knows members by the authority alone; so who may come at all is the filter's affair.
        came = {
            flow.source
            for flow in world.plan.flows
            if flow.target == asked.name and STORE_PORT in flow.ports
        }
        seen(f"{asked.name}: the filter lets {listed(sorted(came))} come to the store")
        assert came <= set(cluster.members), (
            f"{asked.name}: {listed(sorted(came - set(cluster.members)))} may come to the store; "
            "members of the cluster only"
        )
