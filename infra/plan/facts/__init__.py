"""Facts: the finished values that roles receive, each a pure function of the plan and one host.

Rule 1: a record asks for facts by name; no code here knows a role.
Rule 2: shapes are the contract in `infra/README.md`; tests hold both together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from infra.errors import InventoryError
from infra.plan.facts import databases, identity, network, services
from infra.plan.facts.context import Context, Value, contexts

__all__ = ["FACTS", "Context", "contexts", "fact"]


def _parameter(context: Context, name: str) -> Value:
    parameters = dict(context.site.parameters)
    if name not in parameters:
        raise InventoryError(
            f"{context.host.name}: a function asks for the parameter {name!r}, which is not "
            f"declared; add it under parameters (known: {', '.join(sorted(parameters))})"
        )
    return json.loads(parameters[name])


def _prefixes(context: Context) -> Value:
    return [cidr for network in context.site.networks for cidr in network.prefix.both()]


FACTS: Mapping[str, Callable[..., Value]] = {
    "administration": identity.administration,
    "administrators": identity.administrators,
    "authority": identity.authority,
    "certificates": identity.certificates,
    "applications": databases.applications,
    "client_prefixes": services.client_prefixes,
    "clients": services.clients,
    "data": databases.data,
    "database_cluster": databases.database_cluster,
    "domain": lambda context: context.plan.domain,
    "endpoints": services.endpoints,
    "esp": network.esp,
    "essential_hosts": identity.essential_hosts,
    "firewall": network.firewall,
    "forwarding": lambda context: context.host.is_router,
    "fqdn": lambda context: context.host.fqdn,
    "functions": lambda context: list(context.host.functions),
    "interfaces": lambda context: [network.interface(leg) for leg in context.host.interfaces],
    "level": lambda context: context.site.level,
    "members": services.members,
    "name": lambda context: context.host.name,
    "name_servers": services.name_servers,
    "own_endpoint": services.own_endpoint,
    "parameter": _parameter,
    "published": databases.published,
    "publications": network.publications,
    "province_prefixes": lambda context: list(context.plan.blocks.both()),
    "search_domain": lambda context: context.plan.domain,
    "shared_addresses": network.shared_addresses,
    "site": lambda context: context.host.site,
    "site_prefixes": _prefixes,
    "spoof_guard": network.spoof_guard,
    "tunnels": network.tunnels,
    "zone_names": lambda context: [zone.name for zone in context.plan.zones_of_names],
    "zones_of_names": services.zones_of_names,
}
"""Every fact of the plan, by the name under which a record asks for it."""


def fact(context: Context, name: str, arguments: Mapping[str, object]) -> Value:
    """One fact of one host.

    Raises:
        InventoryError: the fact is unknown, or its arguments are not those that it takes.
    """
    if name not in FACTS:
        raise InventoryError(
            f"{context.host.name}: a record asks for the fact {name!r}; known are "
            f"{', '.join(sorted(FACTS))}"
        )
    try:
        return FACTS[name](context, **arguments)
    except TypeError as error:
        raise InventoryError(
            f"{context.host.name}: the fact {name!r} does not take {dict(arguments)!r}; "
            "see infra/README.md"
        ) from error
