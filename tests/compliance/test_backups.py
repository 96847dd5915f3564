"""BAK: what matters is sent in time, encrypted, where the sender cannot take it away again."""

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from clusters import cluster_of, leader_of, query, state_of
from harness import CouldNotCheck, Machine, NotApplicable, Seen, World, listed

from infra.plan import Host, Site
from infra.plan.types import Data

REPOSITORY = "backup_repository"
FILES, DATABASES = "/var/lib/file_backup", "/var/lib/pgbackrest"
AGES = {
    "hourly": dt.timedelta(hours=2),
    "daily": dt.timedelta(hours=26),
    "weekly": dt.timedelta(days=8),
}
"""The word's own time and what a run may take or wait."""
LATEST_COPY = dt.timedelta(hours=26)
ARCHIVE_SECONDS = 45
SALTED = b"Salted__".hex()
"""The first bytes of everything that pgBackRest encrypts."""
KEY_PLACES = ("/etc", "/root", "/home", "/var/lib/province", "/usr/local", "/srv")
OPENED_BY_PASSWORD = re.compile(r"(^|/)keys/")
"""restic's own keys lie there as JSON, encrypted with the host's key."""


def repositories(world: World) -> tuple[Host, ...]:
    """The hosts that keep copies."""
    return world.hosts_with(REPOSITORY)


def sent_as_files(host: Host) -> list[Data]:
    """What a host sends as files; a database sends its own log."""
    return [one for one in host.data if one.backup != "continuous"]


def sends(host: Host, world: World) -> bool:
    """Whether the plan lets a host send files; the only repository sends nothing to itself."""
    return any(f.source == host.name and f.service == "file_backup" for f in world.plan.flows)


def stanza_info(machine: Machine, stanza: str) -> dict[str, Any]:
    """What pgBackRest says of a cluster's copies."""
    words = ["runuser", "-u", "postgres", "--", "pgbackrest", f"--stanza={stanza}"]
    found = machine.ask_json(*words, "info", "--output=json", live=True)
    if not found:
        raise CouldNotCheck(f"{machine.name}: the repository knows nothing of {stanza}")
    info: dict[str, Any] = found[0]
    return info


@pytest.mark.control("BAK-01")
def test_all_data_has_an_owner_a_frequency_and_a_place(
    world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    keepers = {host.name for host in repositories(world)}
    assert keepers, "no host keeps copies"
    for host in world.plan.hosts():
        machine = named_machine(host.name)
        for one in host.data:
            seen(f"{host.name}: {one.what} ({one.path}): {one.backup}, owner {host.machine.owner}")
        assert host.data, f"{host.name}: nothing on it is said to matter"
        assert host.machine.owner, f"{host.name}: nobody owns it"
        if not sends(host, world):
            seen(f"{host.name}: keeps the copies of all others and sends none")
            assert host.name in keepers, f"{host.name}: has data and no way to a repository"
            continue
        for word in sorted({one.backup for one in sent_as_files(host)}):
            unit = machine.unit(f"file_backup_{word}.timer", "ActiveState", "UnitFileState")
            seen(f"{host.name}: file_backup_{word}.timer is {unit}")
            assert unit == {"ActiveState": "active", "UnitFileState": "enabled"}, (
                f"{host.name}: its {word} copies are not due by themselves: {unit}"
            )


@pytest.mark.control("BAK-01")
def test_copies_are_kept_as_long_as_declared(
    world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """pgBackRest has no daemon that could be asked: it reads this file at every copy."""
    for host in repositories(world):
        machine = named_machine(host.name)
        site = world.plan.site(host.site)
        declared = int(json.loads(dict(site.parameters)["backup_retention_days"]))
        lines = machine.ask("grep", "--extended-regexp", "^repo1-retention", CONFIGURATION)
        values = dict(line.split("=", 1) for line in lines.splitlines())
        timer = machine.unit("expire_file_backups.timer", "ActiveState", "UnitFileState")
        seen(f"{host.name}: {values}, declared {declared} days", f"expiry of files: {timer}")
        assert values.get("repo1-retention-full-type") == "time", f"{host.name}: {values}"
        assert int(values.get("repo1-retention-full", 0)) >= declared, (
            f"{host.name}: keeps {values}; {declared} days are declared"
        )
        assert timer["ActiveState"] == "active", f"{host.name}: files are never taken away: {timer}"


CONFIGURATION = "/etc/pgbackrest/pgbackrest.conf"


@pytest.mark.control("BAK-02")
def test_last_copies_are_in_time(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    """Of a host's files by the host itself; of databases by who keeps them."""
    if sends(target, world):
        require_young_files(machine, target, seen)
    else:
        require_young_databases(machine, target, world, seen)


def require_young_files(machine: Machine, target: Host, seen: Seen) -> None:
    """The repository is asked with the host's own key: what cannot be opened is no copy."""
    kept = machine.ask_program("file_backups", "snapshots", live=True)
    now = dt.datetime.now(dt.UTC)
    assert kept, f"{target.name}: has no repository"
    for repository, newest in kept.items():
        for one in sent_as_files(target):
            moment = newest.get(one.path)
            if moment is None and machine.reply("test", "-e", one.path).code != 0:
                seen(f"{one.path}: is not there (yet), so nothing was sent")
                continue
            assert moment is not None, f"{target.name}: {one.path} is not in {repository}"
            age = now - dt.datetime.fromisoformat(moment)
            seen(f"{one.path} ({one.backup}): newest copy in {repository} of {moment}")
            assert age < AGES[one.backup], (
                f"{target.name}: the newest copy of {one.path} is {age} old; it is {one.backup}"
            )
        assert newest, f"{target.name}: nothing of it is in {repository}"


def require_young_databases(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    """Every cluster's, by pgBackRest's own word."""
    assert REPOSITORY in target.functions, f"{target.name}: neither sends copies nor keeps any"
    assert world.plan.clusters, f"{target.name}: keeps copies of no database"
    now = dt.datetime.now(dt.UTC)
    for cluster in world.plan.clusters:
        info = stanza_info(machine, cluster.name)
        seen(f"{cluster.name}: {info['status']['message']}, {len(info['backup'])} copies")
        assert info["status"]["code"] == 0, f"{cluster.name}: {info['status']['message']}"
        assert info["backup"], f"{cluster.name}: was never copied"
        last = info["backup"][-1]
        age = now - dt.datetime.fromtimestamp(last["timestamp"]["stop"], dt.UTC)
        seen(f"{last['label']}: {last['type']}, {age} ago, errors: {last['error']}")
        assert age < LATEST_COPY, f"{cluster.name}: its last copy is {age} old"
        assert not last["error"], f"{cluster.name}: pages of the last copy did not match"


@pytest.mark.control("BAK-04")
def test_copies_cannot_be_read_where_they_lie(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    for host in _kept_at(site, world):
        machine = named_machine(host.name)
        found = machine.ask_program("raw_copies", "copies", FILES, DATABASES, live=True)
        for folder, what in found.items():
            plain = [path for path in what["plain"] if not OPENED_BY_PASSWORD.search(path)]
            seen(f"{folder}: {what['files']} files, readable: {listed(plain)}, {what['heads']}")
            if not what["files"]:
                raise CouldNotCheck(f"{host.name}: {folder} is empty, so nothing can be looked at")
            assert not plain, f"{host.name}: {folder}: {listed(plain[:5])} can be read by anybody"
        # Parts that lie together in one file of a copy have no head of their own.
        assert SALTED in found[DATABASES]["heads"], (
            f"{host.name}: files in {DATABASES} begin with {found[DATABASES]['heads']}; "
            "none says that it is encrypted"
        )


@pytest.mark.control("BAK-04")
def test_keys_of_files_are_not_where_copies_lie(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """By digests: no key leaves its host for this."""
    for host in _kept_at(site, world):
        known = named_machine(host.name).ask_program(
            "raw_copies", "digests", *KEY_PLACES, live=True
        )
        assert known, f"{host.name}: nothing could be looked at"
        seen(f"{host.name}: {len(known)} digests of small files and lines")
        for sender in (one for one in world.plan.hosts() if sends(one, world)):
            key = named_machine(sender.name).ask_program("file_backups", "key")
            seen(f"{sender.name}: its key is known there: {key in known}")
            assert key not in known, f"{host.name}: knows the key that opens {sender.name}'s copies"


@pytest.mark.control("BAK-04")
def test_senders_of_databases_cannot_open_copies(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    for cluster in (one for one in world.plan.clusters if one.site == site.code):
        for name in cluster.members:
            lines = named_machine(name).ask("cat", CONFIGURATION).splitlines()
            secret = [line.partition("=")[0] for line in lines if "cipher-pass" in line]
            stanza = [line for line in lines if line.startswith("repo1-host=")]
            seen(f"{name}: sends to {listed(stanza)}, passphrases: {listed(secret)}")
            assert stanza, f"{name}: its configuration names no repository"
            assert not secret, f"{name}: knows the passphrase of the repository"


def _kept_at(site: Site, world: World) -> list[Host]:
    """The repositories of a site.

    Raises:
        NotApplicable: it keeps none; its copies are looked at where they lie.
    """
    found = [host for host in repositories(world) if host.site == site.code]
    if not found:
        raise NotApplicable(f"site {site.code}: keeps no copies")
    return found


@pytest.mark.control("BAK-05")
def test_copies_stand_apart_from_what_they_save(site: Site, world: World, seen: Seen) -> None:
    for host in _kept_at(site, world):
        saved = [
            one
            for one in world.plan.hosts()
            if one.name != host.name and any(data.backup == "continuous" for data in one.data)
        ]
        seen(f"{host.name} in {host.failure_domain}", *(f"saves {o.name}" for o in saved))
        beside = [one.name for one in saved if one.failure_domain == host.failure_domain]
        assert not [d for d in host.data if d.backup == "continuous"], (
            f"{host.name}: keeps the copies of its own database"
        )
        assert not beside, f"{host.name}: stands in {host.failure_domain} with {listed(beside)}"


@pytest.mark.control("BAK-05")
def test_senders_cannot_delete_copies(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    """A snapshot that is not there, so that nothing is lost where the answer is wrong."""
    names = [host.name for host in world.plan.hosts() if sends(host, world)]
    assert len(names) >= 2, "fewer than two hosts send copies, so nobody could read another's"
    for place, name in enumerate(names):
        if world.plan.host(name).site != site.code:
            continue
        other = names[place - 1]
        found = named_machine(name).ask_program("file_backups", "rights", other, live=True)
        assert found, f"{name}: has no repository"
        for repository, statuses in found.items():
            seen(f"{name} at {repository}: {statuses}")
            if statuses["read"] != 200:
                raise CouldNotCheck(f"{name}: cannot read its own copies: {statuses['read']}")
            assert statuses["delete"] == 403, (
                f"{name}: may delete at {repository} ({statuses['delete']}); copies are added only"
            )
            assert statuses["read_of_another"] in {401, 403}, (
                f"{name}: reads the copies of {other}: {statuses['read_of_another']}"
            )
            assert statuses["read_unknown"] == 401, (
                f"{repository}: answers a stranger with {statuses['read_unknown']}"
            )


@pytest.mark.control("BAK-07")
def test_changes_reach_the_archive_at_once(
    target: Host,
    machine: Machine,
    world: World,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    """The leader ends a segment with a mark of ours, and it is waited for in the repository."""
    cluster, state = cluster_of(target, world), state_of(machine)
    seen(f"archive_mode {state['settings']['archive_mode']}", f"archiver: {state['archiver']}")
    assert state["settings"]["archive_mode"] == "on", f"{target.name}: would archive nothing"
    if leader_of(cluster, named_machine) != target.name:
        return
    segment = query(
        machine,
        "select to_json(pg_walfile_name(pg_switch_wal()))"
        " from pg_logical_emit_message(false, 'province', 'compliance check')",
    )
    keeper = repositories(world)
    assert keeper, f"cluster {cluster.name}: nobody keeps its archive"
    until = time.monotonic() + ARCHIVE_SECONDS
    last = ""
    while last < segment and time.monotonic() < until:
        time.sleep(1)
        archives = stanza_info(named_machine(keeper[0].name), cluster.name)["archive"]
        last = max((one["max"] or "" for one in archives), default="")
    seen(f"segment {segment} ended, {keeper[0].name} has up to {last}")
    assert last >= segment, (
        f"{keeper[0].name}: has up to {last or 'nothing'} after {ARCHIVE_SECONDS} s; "
        f"{segment} was ended by {target.name}"
    )
