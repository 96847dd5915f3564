"""WAN: no site speaks for another inside its own tunnel."""

import itertools
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import CouldNotCheck, Machine, NotApplicable, NotShown, Seen, World, listed
from pairs import active_router
from swanctl import associations

from infra.plan import Site
from infra.plan.types import Tunnel

INTERFACE = "ipsec0"
PORT = 33434
"""Nobody listens there; what counts is whether the packet comes out of the tunnel."""
LISTEN_SECONDS = 4.0
NamedMachine = Callable[[str], Machine]


def spoke_of(site: Site, world: World) -> Tunnel:
    """The tunnel of a site to its hub.

    Raises:
        NotApplicable: it has none, or there is no other site that it could speak for.
    """
    for tunnel in world.plan.tunnels:
        if tunnel.spoke.site == site.code:
            return tunnel
    raise NotApplicable(f"site {site.code}: has no tunnel to a hub")


def beside(site: Site, world: World) -> Tunnel:
    """The tunnel of another site, whose prefixes are not this one's."""
    for tunnel in world.plan.tunnels:
        if tunnel.spoke.site != site.code:
            return tunnel
    raise NotApplicable(f"site {site.code}: is the only one with a tunnel")


@pytest.mark.control("WAN-07")
def test_tunnels_carry_one_site_each(
    site: Site, world: World, named_machine: NamedMachine, seen: Seen
) -> None:
    """By the hub's own word: what each association lets in, in both families."""
    tunnel = spoke_of(site, world)
    hub = named_machine(active_router(world.plan.site(tunnel.hub.site), named_machine))
    found: dict[str, set[str]] = {}
    for name, one in associations(hub).items():
        children = one["child-sas"].values()
        found[name] = {prefix for child in children for prefix in child.get("remote-ts", ())}
    own = found.get(f"site_{site.code}", set())
    seen(f"{hub.name}: site_{site.code} may come from {listed(sorted(own))}")
    assert own == set(tunnel.spoke.prefixes.both()), (
        f"{hub.name}: lets site {site.code} come from {listed(sorted(own))}; "
        f"{listed(tunnel.spoke.prefixes.both())} alone is its own"
    )
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        assert not first & second, (
            f"{hub.name}: {one} and {other} share {listed(sorted(first & second))}"
        )


@pytest.mark.control("WAN-07")
def test_packets_in_another_sites_name_do_not_arrive(
    site: Site, world: World, named_machine: NamedMachine, seen: Seen
) -> None:
    """Put on the tunnel's interface, where the site's own filter is passed already.

    Its daemon refuses them first; that the hub's would too follows from the test above, and how to
    see it with an edge that lies stands in roles/site_tunnel/README.md. The own name arrives.
    """
    tunnel, other = spoke_of(site, world), beside(site, world)
    gateway = world.plan.host(active_router(site, named_machine))
    hub_name = active_router(world.plan.site(tunnel.hub.site), named_machine)
    machine, hub = named_machine(gateway.name), named_machine(hub_name)
    for one in (machine, hub):
        if INTERFACE not in {link["ifname"] for link in one.links()}:
            raise NotShown(
                f"{one.name}: the kernel carries ESP, with no interface to put packets on"
            )
    target = world.plan.host(hub_name).primary.addresses.both()
    own = gateway.primary.addresses.both()
    forged = world.plan.host(other.spoke.hosts[0]).primary.addresses.both()
    wanted = [
        (source, there, PORT)
        for sources in (own, forged)
        for source, there in zip(sources, target, strict=True)
    ]
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(
            hub.ask_program, "hear_sources", INTERFACE, str(LISTEN_SECONDS), str(PORT), live=True
        )
        time.sleep(LISTEN_SECONDS / 2)
        sent = machine.ask_program("forge", INTERFACE, json.dumps(wanted), live=True)
    heard = listening.result()
    seen(f"{gateway.name}: put {sent} packets on {INTERFACE}", f"{hub.name} heard {heard}")
    missing = [source for source in own if not heard.get(source)]
    if missing:
        raise CouldNotCheck(f"{hub.name}: packets of {listed(missing)} did not arrive either")
    arrived = [source for source in forged if heard.get(source)]
    assert not arrived, (
        f"{hub.name}: packets of {listed(arrived)} came out of the tunnel of site {site.code}; "
        f"they are addresses of site {other.spoke.site}"
    )
