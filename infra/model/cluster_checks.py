"""Rules about database clusters and the tenants whose databases they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from infra.model.findings import Finding, nearest
from infra.model.province import DatabaseCluster, TenantDatabase
from infra.model.world import World

TENANT_CONNECTIONS = 200
"""Connections to a cluster that its tenants may have together.

Each is a process of PostgreSQL with some 10 MB of its own on a member that also holds the shared
buffers, the archiver and the coordination store: 200 stay below 2 GiB. More clients than that
are the pool's work, not the server's.
"""

RESERVED_DATABASES = frozenset({"postgres", "template0", "template1", "pgbouncer"})
"""Databases that PostgreSQL and its pool have themselves."""

LONGEST_NAME = 57
"""PostgreSQL cuts names at 63 bytes, and a tenant's roles add up to six (`_owner`, `_write`)."""


def _clusters_stand(world: World) -> Iterator[Finding]:
    holders: dict[tuple[str, str], str] = {}
    for name, cluster in world.declaration.database_clusters.items():
        path = f"database_clusters.{name}"
        if cluster.function not in world.functions:
            remedy = nearest(cluster.function, world.functions)
            yield Finding(f"{path}.function", cluster.function, "is not a function", remedy)
            continue
        site = world.site(cluster.site)
        if site is None:
            remedy = nearest(cluster.site, world.site_codes())
            yield Finding(f"{path}.site", cluster.site, "is not the code of a site", remedy)
            continue
        holder = holders.setdefault((cluster.site, cluster.function), name)
        if holder != name:
            rule = f"has the cluster {holder} already, and {cluster.function} forms one a site"
            remedy = "put the tenants' databases into that one"
            yield Finding(f"{path}.site", cluster.site, rule, remedy)
            continue
        too_few = list(_members(world, path, cluster))
        yield from too_few
        blueprint = world.declaration.blueprints.get(site.blueprint)
        if too_few or blueprint is None:  # a wrong site has no endpoint either
            continue
        if cluster.endpoint not in blueprint.shared_addresses:
            remedy = nearest(cluster.endpoint, blueprint.shared_addresses)
            rule = "is not a shared address of the site's blueprint"
            yield Finding(f"{path}.endpoint", cluster.endpoint, rule, remedy)


def _members(world: World, path: str, cluster: DatabaseCluster) -> Iterator[Finding]:
    sites = [host.site.effective_code for host in world.hosts if cluster.function in host.functions]
    count = sites.count(cluster.site)
    least = world.functions[cluster.function].instances.minimum
    if not count:
        rule = f"has no host with {cluster.function}, so the cluster has no member"
        yield Finding(f"{path}.site", cluster.site, rule, "place it on hosts of the site")
    elif count < least <= len(sites):  # fewer in the whole province: a finding of the function
        rule = f"has {count} of the {least} hosts with {cluster.function} that a cluster needs"
        yield Finding(f"{path}.site", cluster.site, rule, "place it on more hosts of the site")


def _databases(world: World) -> Iterator[tuple[str, TenantDatabase]]:
    for name, tenant in world.declaration.tenants.items():
        if tenant.database is not None:
            yield name, tenant.database


def _tenants_have_databases_of_their_own(world: World) -> Iterator[Finding]:
    holders: dict[tuple[str, str], str] = {}
    for name, database in _databases(world):
        path = f"tenants.{name}.database"
        if database.cluster not in world.declaration.database_clusters:
            remedy = nearest(database.cluster, world.declaration.database_clusters)
            rule = "is not a database cluster"
            yield Finding(f"{path}.cluster", database.cluster, rule, remedy)
        holder = holders.setdefault((database.cluster, database.name), name)
        if holder != name:
            rule = f"is the database of tenants.{holder} in the cluster {database.cluster} already"
            remedy = "give each tenant a database of its own"
            yield Finding(f"{path}.name", database.name, rule, remedy)
        if database.name in RESERVED_DATABASES:
            rule = "is a database that the server or its pool has for itself"
            yield Finding(f"{path}.name", database.name, rule, "choose another name")
        if len(database.name) > LONGEST_NAME:
            rule = f"is longer than {LONGEST_NAME} characters, so its roles would be cut to one"
            yield Finding(f"{path}.name", database.name, rule, "choose a shorter name")


def _connections_fit(world: World) -> Iterator[Finding]:
    wanted: Counter[str] = Counter()
    for _, database in _databases(world):
        wanted[database.cluster] += database.connections
    for name in world.declaration.database_clusters:
        if wanted[name] > TENANT_CONNECTIONS:
            rule = (
                f"its tenants may open {wanted[name]} connections together, "
                f"more than the {TENANT_CONNECTIONS} that a member keeps for them"
            )
            yield Finding(f"database_clusters.{name}", "", rule, "lower tenants' connections")


RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _clusters_stand,
    _tenants_have_databases_of_their_own,
    _connections_fit,
)
