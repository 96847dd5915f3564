"""WAN: circuits, tunnels between sites, and both address families alike."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import CouldNotCheck, Machine, NotApplicable, Seen, World, listed
from pairs import active_router, is_standing_by
from probing import STRONG_PROPOSAL, WEAK_PROPOSAL, Places, ike, tcp
from ruleset import permissions, translations
from swanctl import CARRYING, INSTALLED, associations, messages

from infra.plan import Host, Plan, Site
from infra.plan.types import Tunnel

STRONG_CIPHERS = frozenset({"AES_GCM_16", "AES_GCM_12", "AES_GCM_8", "AES_CBC", "AES_CTR"})
STRONG_GROUPS = frozenset(
    {f"MODP_{bits}" for bits in (2048, 3072, 4096, 6144, 8192)}
    | {"ECP_256", "ECP_384", "ECP_521", "CURVE_25519", "CURVE_448"}
)
STRONG_HASHES = frozenset({"SHA2_256", "SHA2_384", "SHA2_512"})
LEAST_KEY_BITS = 128
WATCH_SECONDS = "1.5"


def tunnels_of(host: Host, plan: Plan) -> tuple[Tunnel, ...]:
    """The tunnels that end on a host."""
    return tuple(t for t in plan.tunnels if host.name in (*t.hub.hosts, *t.spoke.hosts))


def peer_of(host: Host, tunnel: Tunnel) -> str:
    """The site at the other end."""
    return tunnel.hub.site if host.name in tunnel.spoke.hosts else tunnel.spoke.site


def require_traffic(host: Host, world: World, named_machine: Callable[[str], Machine]) -> None:
    """Say why a gateway has no tunnel now, where its twin has it; HA-01 holds that it is so."""
    if is_standing_by(host, world.plan, named_machine):
        raise NotApplicable(f"{host.name}: stands by; its twin carries the tunnels now")


@pytest.mark.control("WAN-01")
def test_site_has_one_circuit_and_one_parent(site: Site, world: World, seen: Seen) -> None:
    dedicated = {n.name for n in world.plan.backbone.networks if n.kind == "dedicated"}
    own = [circuit for uplink, circuit in site.circuits if uplink in dedicated]
    uses = Counter(circuit for one in world.plan.sites for _, circuit in one.circuits)

    seen(f"circuits: {listed(own)}", f"parent: {site.hub or 'none'}")
    assert len(own) == 1, f"site {site.code}: has {listed(own)} on the dedicated network; one it is"
    assert own[0], f"site {site.code}: its circuit has no name; a circuit is identified"
    assert uses[own[0]] == 1, (
        f"site {site.code}: circuit {own[0]!r} is used {uses[own[0]]} times; each belongs to one"
    )
    assert site.hub in {one.code for one in world.plan.sites} - {site.code}, (
        f"site {site.code}: its parent is {site.hub!r}; it must be another site"
    )
    legs = {leg.network for host in site.hosts if host.is_router for leg in host.interfaces}
    unused = sorted(uplink for uplink, _ in site.circuits if uplink not in legs)
    assert not unused, f"site {site.code}: no gateway uses its circuit on {listed(unused)}"


@pytest.mark.control("WAN-02")
def test_connections_are_ikev2(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    loaded = messages(machine.ask("swanctl", "--list-conns", "--raw"), "list-conn")
    versions = {name: one["version"] for name, one in loaded.items()}
    planned = {f"site_{peer_of(target, tunnel)}" for tunnel in tunnels_of(target, world.plan)}

    seen(f"loaded: {versions}")
    assert set(versions) == planned, (
        f"{machine.name}: has loaded {listed(sorted(versions))}; planned: {listed(sorted(planned))}"
    )
    old = sorted(name for name, version in versions.items() if version != "IKEv2")
    assert not old, f"{machine.name}: {listed(old)} accept {versions}; only IKEv2 is allowed"


@pytest.mark.control("WAN-02")
def test_tunnels_stand(
    machine: Machine,
    target: Host,
    world: World,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    require_traffic(target, world, named_machine)
    running = associations(machine)
    for tunnel in tunnels_of(target, world.plan):
        name = f"site_{peer_of(target, tunnel)}"
        association = running.get(name)
        assert association is not None, f"{machine.name}: no association {name}; the tunnel is down"
        children = list(association["child-sas"].values())
        seen(f"{name}: IKEv{association['version']} {association['state']}")
        seen(*(f"{name}: {c['protocol']} {c['mode']} {c['state']}" for c in children))
        assert association["version"] == "2", f"{name}: IKEv{association['version']}, not 2"
        assert association["state"] in CARRYING, f"{name}: is {association['state']}"
        here, there = tunnel.hub.prefixes, tunnel.spoke.prefixes
        here, there = (there, here) if target.site == tunnel.spoke.site else (here, there)
        whole = [
            child
            for child in children
            if (child["protocol"], child["mode"]) == ("ESP", "TUNNEL")
            if child["state"] in INSTALLED
            if set(child["local-ts"]) == set(here.both())
            if set(child["remote-ts"]) == set(there.both())
        ]
        assert whole, f"{name}: no installed ESP tunnel carries {here} and {there}"


@pytest.mark.control("WAN-02")
def test_both_families_pass_the_tunnel_and_nothing_beside_it(
    machine: Machine, target: Host, world: World, places: Places, seen: Seen
) -> None:
    require_traffic(target, world, places.named_machine)
    for tunnel in tunnels_of(target, world.plan):
        spoke = places.at(tunnel.spoke.hosts[0])
        addresses, port = _service_across(spoke.name, tunnel.hub.site, world.plan)
        inner = (*tunnel.hub.prefixes.both(), *tunnel.spoke.prefixes.both())
        uplink = _uplink_of(target, tunnel)
        with ThreadPoolExecutor(1) as pool:
            watch = pool.submit(
                machine.ask_program, "watch_uplink", uplink, WATCH_SECONDS, *inner, live=True
            )
            time.sleep(float(WATCH_SECONDS) / 2)
            answers = spoke.probe(*(tcp(address, port) for address in addresses))
        counts = watch.result()
        seen(*answers, f"{uplink} of {target.name} meanwhile: {counts}")
        for answer in answers:
            assert answer.answered, f"{answer}; declared flows must pass the tunnel"
        assert counts["in_clear"] == 0, (
            f"{target.name}: {counts['in_clear']} packets between the sites left {uplink} in clear"
        )
        assert counts["sealed"] > 0, f"{target.name}: the tunnel carried nothing on {uplink}"


def _uplink_of(host: Host, tunnel: Tunnel) -> str:
    own = {*tunnel.hub.addresses.both(), *tunnel.spoke.addresses.both()}
    return next(leg.name for leg in host.interfaces if own & set(leg.site_addresses.both()))


def _service_across(source: str, site: str, plan: Plan) -> tuple[list[str], int]:
    for flow in plan.flows:
        if (flow.source, flow.target_site, flow.protocol) == (source, site, "tcp"):
            return [cidr.partition("/")[0] for cidr in flow.destinations], flow.ports[0]
    raise CouldNotCheck(f"{source}: the plan gives it no TCP service of site {site}")


@pytest.mark.control("WAN-03")
def test_negotiated_algorithms_are_strong(
    machine: Machine,
    target: Host,
    world: World,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    require_traffic(target, world, named_machine)
    running = associations(machine)
    if not running:
        raise CouldNotCheck(f"{machine.name}: no tunnel stands, so nothing was negotiated")
    for name, association in running.items():
        for what, one in [(name, association), *association["child-sas"].items()]:
            said = {key: one[key] for key in sorted(one) if key.endswith(("alg", "size", "group"))}
            seen(f"{what}: {said}")
            weak = weaknesses(one)
            assert not weak, f"{machine.name}: {what} negotiated {listed(weak)}"


def weaknesses(association: dict[str, str]) -> list[str]:
    """What an association uses that is not allowed."""
    cipher, bits = association.get("encr-alg", "none"), int(association.get("encr-keysize", 0))
    found = []
    if cipher not in STRONG_CIPHERS or bits < LEAST_KEY_BITS:
        found.append(f"encryption {cipher} {bits}")
    integrity = association.get("integ-alg", "")
    if not ("GCM" in cipher or any(one in integrity for one in STRONG_HASHES)):
        found.append(f"integrity {integrity or 'none'}")
    function = association.get("prf-alg", "")
    if function and not any(one in function for one in STRONG_HASHES):
        found.append(f"pseudo-random function {function}")
    group = association.get("dh-group", "")
    if group and group not in STRONG_GROUPS:
        found.append(f"group {group}")
    return found


@pytest.mark.control("WAN-03")
def test_weak_algorithms_are_refused(
    target: Host, world: World, places: Places, seen: Seen
) -> None:
    """Asked by the peer, because the daemon does not tell which proposals it has loaded."""
    require_traffic(target, world, places.named_machine)
    for tunnel in tunnels_of(target, world.plan):
        own, other = tunnel.hub, tunnel.spoke
        own, other = (own, other) if target.name in own.hosts else (other, own)
        peer = places.at(active_router(world.plan.site(other.site), places.named_machine))
        for address, source in zip(own.addresses.both(), other.addresses.both(), strict=True):
            offers = (ike(address, one, source) for one in (STRONG_PROPOSAL, WEAK_PROPOSAL))
            strong, weak = peer.probe(*offers)
            for answer in (strong, weak):
                if not answer.answered:
                    raise CouldNotCheck(f"{answer}; a tunnel daemon answers its peer")
            seen(f"{strong}: strong offer {strong.ike_says}", f"{weak}: weak {weak.ike_says}")
            if strong.ike_says != "accepted":
                raise CouldNotCheck(f"{strong}: says {strong.ike_says} to a strong offer")
            assert weak.ike_says == "refused", (
                f"{target.name}: says {weak.ike_says} to DES, MD5 and SHA-1; it must refuse"
            )


@pytest.mark.control("WAN-04")
def test_edge_joins_no_networks(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    routes = machine.ask_json("ip", "-j", "route", "show", "table", "all", "default")
    routes += machine.ask_json("ip", "-j", "-6", "route", "show", "table", "all", "default")
    ways = sorted({r["dev"] for r in routes if r.get("type", "unicast") == "unicast"} - {"lo"})
    changed = translations(machine.firewall())
    internet = {n.name for n in world.plan.backbone.networks if n.kind == "internet"}
    legs = sorted(internet & {link["ifname"] for link in machine.links()})

    seen(f"default routes: {listed(ways)}", f"translations: {listed(changed)}")
    seen(f"legs in the Internet: {listed(legs)}")
    bridged = set(legs) and any(leg.kind == "uplink" for leg in target.interfaces)
    assert not bridged, f"{machine.name}: {listed(legs)} stands beside the dedicated network"
    assert not ways, f"{machine.name}: has a default route over {listed(ways)}; an edge has none"
    assert not changed, f"{machine.name}: {listed(changed)} translate addresses; an edge does not"


@pytest.mark.control("WAN-06")
def test_families_are_filtered_alike(machine: Machine, seen: Seen) -> None:
    by_family: dict[str, Counter[tuple[object, ...]]] = {"ipv4": Counter(), "ipv6": Counter()}
    for one in permissions(machine.firewall()):
        shape = (one.chain, one.protocol, tuple(sorted(one.ports)), one.arrives, one.leaves)
        restricted = (bool(one.sources), bool(one.destinations))
        by_family[one.family][*shape, *restricted] += 1
    four, six = by_family["ipv4"], by_family["ipv6"]

    seen(f"{four.total()} permissions for IPv4, {six.total()} for IPv6")
    assert four.total() > 0, f"{machine.name}: admits nothing at all"
    assert four == six, (
        f"{machine.name}: IPv4 alone admits {listed(list(four - six))}, "
        f"IPv6 alone {listed(list(six - four))}; both must be filtered alike"
    )
