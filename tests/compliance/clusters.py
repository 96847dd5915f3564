"""A database cluster as its members themselves see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import CouldNotCheck, Machine, World, listed

from infra.plan import Host
from infra.plan.service_types import DatabaseCluster

State = dict[str, Any]

_STATE = """
select json_build_object(
 'is_replica', pg_is_in_recovery(),
 'settings', (select json_object_agg(name, setting) from pg_settings
              where name in (
   'ssl', 'ssl_min_protocol_version', 'password_encryption', 'data_checksums', 'pgaudit.log',
   'shared_preload_libraries', 'synchronous_standby_names', 'archive_mode', 'archive_timeout')),
 'access', (select json_agg(r) from pg_hba_file_rules r),
 'databases', (select json_agg(json_build_object(
    'name', datname, 'encoding', pg_encoding_to_char(encoding), 'provider', datlocprovider,
    'locale', datlocale, 'limit', datconnlimit, 'owner', pg_get_userbyid(datdba)))
   from pg_database where datname not like 'template%'),
 'roles', (select json_agg(json_build_object(
    'name', rolname, 'login', rolcanlogin, 'super', rolsuper, 'limit', rolconnlimit,
    'settings', rolconfig)) from pg_roles where rolname not like 'pg\\_%'),
 'verifiers', (select json_object_agg(rolname, split_part(rolpassword, '$', 1)) from pg_authid
               where rolpassword is not null),
 'connects', (select json_agg(json_build_array(r.rolname, d.datname))
   from pg_roles r cross join pg_database d
   where r.rolcanlogin and not r.rolsuper and d.datallowconn
   and has_database_privilege(r.oid, d.oid, 'CONNECT')),
 'sessions', (select json_agg(json_build_object(
    'role', a.usename, 'database', a.datname, 'from', host(a.client_addr), 'tls', s.version))
   from pg_stat_activity a join pg_stat_ssl s using (pid) where a.client_addr is not null),
 'replicas', (select json_agg(json_build_object(
    'name', application_name, 'state', state, 'sync', sync_state, 'lag',
    case when pg_is_in_recovery() then null
         else pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) end))
   from pg_stat_replication),
 'receiver', (select json_agg(json_build_object('status', status)) from pg_stat_wal_receiver),
 'archiver', (select json_build_object(
    'last', last_archived_wal, 'failed', last_failed_wal,
    'seconds', extract(epoch from now() - last_archived_time),
    'failed_later', coalesce(last_failed_time > last_archived_time, last_failed_wal is not null))
   from pg_stat_archiver))
"""


def query(machine: Machine, statement: str, database: str = "postgres") -> Any:  # noqa: ANN401 - JSON
    """The JSON that one statement gives, asked on the host as the cluster's own account.

    No password is on the way: the local socket knows who asks.
    """
    words = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database, "-c", statement]
    return machine.ask_json(*words)


def state_of(machine: Machine) -> State:
    """What one member says of itself, once a run."""
    found: State = query(machine, " ".join(_STATE.split()))
    for room in ("access", "sessions", "replicas", "receiver", "connects"):
        found[room] = found[room] or []
    return found


def cluster_of(host: Host, world: World) -> DatabaseCluster:
    """The cluster that a host is a member of."""
    return next(one for one in world.plan.clusters if host.name in one.members)


def leader_of(cluster: DatabaseCluster, named_machine: Callable[[str], Machine]) -> str:
    """Who takes writes now.

    Raises:
        CouldNotCheck: nobody does, or two do; HA-03 says so as a failure.
    """
    leaders = [name for name in cluster.members if not state_of(named_machine(name))["is_replica"]]
    if len(leaders) != 1:
        raise CouldNotCheck(f"cluster {cluster.name}: {listed(leaders)} take writes; one must")
    return leaders[0]
