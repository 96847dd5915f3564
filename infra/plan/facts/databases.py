"""Facts of applications, of what is published, of databases and of data that matters."""

from __future__ import annotations

from infra.errors import InventoryError
from infra.plan.facts.context import Context, Value
from infra.plan.facts.services import member
from infra.plan.service_types import DatabaseCluster


def _cluster_of(context: Context) -> DatabaseCluster | None:
    hub = next(site for site in context.plan.sites if not site.hub)
    for site in (context.site, hub):
        for cluster in context.plan.clusters:
            if cluster.site == site.code:
                return cluster
    return None


def database_cluster(context: Context) -> Value:
    """The cluster of the host's site, else the hub's.

    Raises:
        InventoryError: neither site has one.
    """
    cluster = _cluster_of(context)
    if cluster is None:
        raise InventoryError(
            f"{context.host.name}: a function asks for a database cluster, and neither its site "
            "nor the hub has one; declare it under database_clusters"
        )
    endpoint = cluster.endpoint
    return {
        "name": cluster.name,
        "members": [member(context.hosts[name]) for name in cluster.members],
        "endpoint": {
            "name": endpoint.name,
            "ipv4": endpoint.addresses.ipv4,
            "ipv6": endpoint.addresses.ipv6,
            "port": endpoint.port,
        }
        if endpoint
        else None,
        "tenants": [
            {
                "name": tenant.name,
                "kind": tenant.kind,
                "title": tenant.title,
                "database": tenant.database,
                "connections": tenant.connections,
                "statement_timeout_seconds": tenant.statement_timeout_seconds,
            }
            for tenant in cluster.tenants
        ],
    }


def applications(context: Context) -> Value:
    """The shared services that the declaration places on this host."""
    databases = {
        tenant.name: tenant.database
        for cluster in context.plan.clusters
        for tenant in cluster.tenants
    }
    return [
        {
            "name": service.name,
            "title": service.title,
            "port": service.ports[0],
            "tenant": service.tenant or None,
            "database": databases.get(service.tenant),
        }
        for service in context.plan.services
        if context.host.name in service.hosts
    ]


def published(context: Context) -> Value:
    """What is published through this host, with the public addresses that lead to it."""
    internet = {one.name for one in context.plan.backbone.networks if one.kind == "internet"}
    public = [
        address
        for router in context.site.hosts
        if router.is_router
        for leg in router.interfaces
        if leg.name in internet
        for address in leg.site_addresses.both()
    ]
    return [
        {
            "name": service.name,
            "title": service.title,
            "server_name": service.published.name,
            "port": service.published.port,
            "addresses": list(dict.fromkeys(public)),
            "backends": [
                {**member(context.hosts[name]), "port": service.ports[0]} for name in service.hosts
            ],
        }
        for service in context.plan.services
        if service.published and service.published.host == context.host.name
    ]


def data(context: Context) -> Value:
    """What matters on this host and must be backed up, from its functions' records."""
    return [
        {"function": one.function, "path": one.path, "what": one.what, "backup": one.backup}
        for one in context.host.data
    ]
