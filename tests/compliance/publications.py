"""Where published services are met, by the plan."""

from __future__ import annotations

from collections.abc import Iterator

from infra.plan import Host, Plan
from infra.plan.service_types import SharedService


def published_services(plan: Plan, host: str = "") -> tuple[SharedService, ...]:
    """What is published, by one host or by anybody."""
    return tuple(one for one in plan.services if one.published and host in {"", one.published.host})


def published_addresses(plan: Plan) -> set[tuple[str, int]]:
    """Own address and port of everything that publishes: where gateways lead the Internet to."""
    return {
        (address, one.published.port)
        for one in published_services(plan)
        if one.published
        for address in plan.host(one.published.host).primary.addresses.both()
    }


def public_addresses(host: str, port: int, plan: Plan) -> tuple[str, ...]:
    """Where the Internet meets what a host publishes on a port: at its site's uplink addresses."""
    ports = {one.published.port for one in published_services(plan, host) if one.published}
    if port not in ports:
        return ()
    return tuple(dict.fromkeys(_on_internet_legs(plan.host(host), plan)))


def _on_internet_legs(host: Host, plan: Plan) -> Iterator[str]:
    internet = {one.name for one in plan.backbone.networks if one.kind == "internet"}
    for router in plan.site(host.site).hosts:
        for leg in router.interfaces:
            if leg.network in internet:
                yield from leg.site_addresses.both()
