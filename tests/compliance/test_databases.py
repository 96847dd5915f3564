"""DBC: how a database is met, what it keeps, and who of its tenants comes where."""

import ipaddress
import secrets
import time
from collections.abc import Callable

import pytest
from clusters import cluster_of, leader_of, query, state_of
from harness import CouldNotCheck, Machine, NotShown, Seen, World, listed
from probing import Place, Places, Probe, tcp

from infra.plan import Host

SAFE_METHODS = frozenset({"scram-sha-256", "reject", "peer"})
"""`peer` asks the kernel who is at the local socket; no password is on the way."""
SERVER_PORT = 5432
STORE = "/var/lib/postgresql"
RECORD_SECONDS = 5
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""The first message of a client that wants TLS (PostgreSQL 17, 53.2.10)."""
VIETNAMESE = ["Đăng", "An", "Ân", "Bình", "Ấn", "Ẩn", "Dũng", "Ánh", "Zung"]
IN_ORDER = ["An", "Ánh", "Ân", "Ẩn", "Ấn", "Bình", "Dũng", "Đăng", "Zung"]
"""Letters in the order of the alphabet, tones as level, falling, asking, tumbling, sharp, heavy."""


def startup_in_clear(user: str, database: str) -> bytes:
    """A client's first message without TLS (protocol 3.0)."""
    words = f"user\0{user}\0database\0{database}\0\0".encode()
    return (len(words) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + words


@pytest.mark.control("DBC-01")
def test_access_lines_are_narrow(machine: Machine, target: Host, seen: Seen) -> None:
    access = state_of(machine)["access"]
    faults = [one["error"] for one in access if one["error"]]
    lines = [one for one in access if not one["error"]]

    for one in lines:
        seen(
            f"{one['type']} {listed(one['database'])} {listed(one['user_name'])} "
            f"{one['address'] or ''} {one['auth_method']}"
        )
    assert lines, f"{target.name}: the server has no access lines at all"
    assert not faults, f"{target.name}: {listed(faults)}; a line that is not read lets nobody know"
    loose = [one for one in lines if one["auth_method"] not in SAFE_METHODS]
    assert not loose, f"{target.name}: {loose[0]} lets in without SCRAM"
    clear = [
        one
        for one in lines
        if one["type"] not in {"local", "hostssl"} and one["auth_method"] != "reject"
    ]
    assert not clear, f"{target.name}: {clear[0]} lets in without TLS"
    wide = [one for one in lines if one["type"] == "hostssl" and is_for_everybody(one)]
    assert not wide, f"{target.name}: {wide[0]} lets every address in"


def is_for_everybody(line: dict[str, str]) -> bool:
    """Whether an access line is for any address of a family."""
    return line["address"] in {"all", "0.0.0.0", "::"} and line["netmask"] in {  # noqa: S104
        None,
        "0.0.0.0",  # noqa: S104 - what the server prints
        "::",
    }


@pytest.mark.control("DBC-01")
def test_settings_ask_for_tls_and_scram(machine: Machine, target: Host, seen: Seen) -> None:
    state = state_of(machine)
    settings, sessions = state["settings"], state["sessions"]
    weak = {name: kind for name, kind in state["verifiers"].items() if kind != "SCRAM-SHA-256"}

    seen(*(f"{name} = {value}" for name, value in settings.items()))
    seen(f"verifiers: {state['verifiers']}", *(f"session: {one}" for one in sessions))
    assert settings["ssl"] == "on", f"{target.name}: speaks no TLS"
    assert settings["ssl_min_protocol_version"] in {"TLSv1.2", "TLSv1.3"}, (
        f"{target.name}: accepts {settings['ssl_min_protocol_version']}; 1.2 or newer is required"
    )
    assert settings["password_encryption"] == "scram-sha-256", (  # noqa: S105 - a setting's name
        f"{target.name}: keeps new passwords as {settings['password_encryption']}"
    )
    assert state["verifiers"], f"{target.name}: no account has a password; nobody could come"
    assert not weak, f"{target.name}: {weak} are no SCRAM verifiers"
    old = [one for one in sessions if one["tls"] not in {"TLSv1.2", "TLSv1.3"}]
    assert not old, f"{target.name}: {old[0]} is connected without modern TLS"


@pytest.mark.control("DBC-01")
def test_connections_in_clear_are_refused(
    target: Host, world: World, places: Places, seen: Seen
) -> None:
    """From where the plan lets clients come: TLS is offered, and a start without it is refused."""
    asker = client_of(target, world)
    database = cluster_of(target, world).tenants[0].database
    for address in target.primary.addresses.both():
        offer, clear = places.at(asker).probe(
            Probe("tcp", address, SERVER_PORT, SSL_REQUEST),
            Probe("tcp", address, SERVER_PORT, startup_in_clear(f"{database}_write", database)),
        )
        seen(f"{offer}: {offer.data[:1]!r} to TLS", f"{clear}: {clear.data[:80]!r} to none")
        if offer.data[:1] != b"S":
            raise CouldNotCheck(f"{offer}: the server does not offer TLS, so nothing is compared")
        assert clear.answer in {"answered", "reset"}, f"{clear}; the server itself must refuse"
        # An error message (E); an authentication request (R) would go on in clear.
        assert clear.data[:1] != b"R", f"{clear}: the server goes on without TLS; it must refuse"
        assert clear.data[:1] in {b"E", b""}, f"{clear}: answers {clear.data[:20]!r}"


def client_of(host: Host, world: World) -> str:
    """A host that flows let come to the server, from another zone where there is one."""
    flows = [f for f in world.plan.flows if (f.target, f.service) == (host.name, "postgresql")]
    assert flows, f"{host.name}: the plan lets nobody come to its server"
    return next((flow.source for flow in flows if not flow.direct), flows[0].source)


@pytest.mark.control("DBC-01")
def test_tenants_meet_their_own_database_only(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    """By rights and by access lines: both must say no for another one's database."""
    state, tenants = state_of(machine), cluster_of(target, world).tenants
    allowed = {(role, database) for role, database in state["connects"]}
    assert tenants, f"cluster of {target.name}: has no tenant"
    for tenant in tenants:
        own = {f"{tenant.database}_write", f"{tenant.database}_read"}
        rights = {database for role, database in allowed if role in own}
        lines = {
            database
            for line in state["access"]
            if line["auth_method"] != "reject" and {*own, "all"} & set(line["user_name"])
            for database in line["database"]
        }
        seen(f"{tenant.name}: may connect to {listed(sorted(rights))}, comes to {sorted(lines)}")
        assert rights == {tenant.database}, (
            f"{tenant.name}: its roles may connect to {listed(sorted(rights))}; "
            f"{tenant.database} alone is its own"
        )
        assert lines == {tenant.database}, (
            f"{tenant.name}: access lines lead its roles to {listed(sorted(lines))}"
        )


@pytest.mark.control("DBC-01")
def test_tenants_have_their_planned_limits(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    state = state_of(machine)
    roles = {one["name"]: one for one in state["roles"]}
    databases = {one["name"]: one for one in state["databases"]}
    for tenant in cluster_of(target, world).tenants:
        database = databases.get(tenant.database)
        assert database is not None, f"{target.name}: has no database {tenant.database}"
        seen(f"{tenant.database}: {database}")
        assert database["owner"] == f"{tenant.database}_owner", f"{database}: another owner"
        assert database["limit"] == tenant.connections, (
            f"{tenant.database}: {database['limit']} connections; {tenant.connections} are planned"
        )
        for name in (f"{tenant.database}_write", f"{tenant.database}_read"):
            settings = dict(one.split("=", 1) for one in roles[name]["settings"] or ())
            seen(f"{name}: {roles[name]['limit']} connections, {settings}")
            assert seconds(settings.get("statement_timeout", "0")) == (
                tenant.statement_timeout_seconds
            ), f"{name}: {settings}; {tenant.statement_timeout_seconds} s are planned"
            assert not roles[name]["super"], f"{name}: is a superuser"
        assert not roles[f"{tenant.database}_owner"]["login"], (
            f"{tenant.database}_owner: can log in; owners are for making tables only"
        )


def seconds(duration: str) -> int:
    """A duration as the server writes it (`30s`, `1min`, `500` milliseconds)."""
    number = int("".join(filter(str.isdigit, duration)))
    unit = duration.lstrip("0123456789")
    return number * {"s": 1, "min": 60, "h": 3600}[unit] if unit else number // 1000


@pytest.mark.control("DBC-02")
def test_databases_keep_vietnamese(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    databases = {one["name"]: one for one in state_of(machine)["databases"]}
    for tenant in cluster_of(target, world).tenants:
        one = databases[tenant.database]
        seen(f"{tenant.database}: {one['encoding']}, {one['provider']}, {one['locale']}")
        assert one["encoding"] == "UTF8", f"{tenant.database}: is in {one['encoding']}"
        assert (one["provider"], one["locale"]) == ("i", "vi-VN"), (
            f"{tenant.database}: is ordered by {one['provider']} {one['locale']}; ICU and vi-VN"
        )


@pytest.mark.control("DBC-02")
def test_names_are_sorted_as_people_do(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    values = ", ".join(f"('{word}')" for word in VIETNAMESE)
    statement = f"select json_agg(n order by n) from (values {values}) as names(n)"  # noqa: S608 - our own words
    database = cluster_of(target, world).tenants[0].database
    found = query(machine, statement, database)

    seen(f"{database} sorts {listed(found)}")
    assert found == IN_ORDER, f"{database}: sorts {listed(found)}; people sort {listed(IN_ORDER)}"


@pytest.mark.control("DBC-03")
def test_pages_are_checksummed(machine: Machine, target: Host, seen: Seen) -> None:
    running = state_of(machine)["settings"]["data_checksums"]
    failures = query(
        machine,
        "select json_object_agg(datname, checksum_failures) from pg_stat_database"
        " where datname is not null",
    )

    seen(f"{target.name}: data_checksums {running}", f"pages that did not match: {failures}")
    assert running == "on", f"{target.name}: data_checksums is {running}; pages must be checked"
    wrong = {name: count for name, count in failures.items() if count}
    assert not wrong, f"{target.name}: {wrong} pages did not match their checksums; restore them"


@pytest.mark.control("DBC-03")
def test_data_lies_on_an_encrypted_device(machine: Machine, target: Host, seen: Seen) -> None:
    source = machine.ask("findmnt", "--noheadings", "--output", "SOURCE", "--target", STORE).strip()

    seen(f"{STORE} lies on {source}")
    if machine.is_container():
        raise NotShown(f"{target.name}: sees no device of its own; its machine encrypts, or not")
    kinds = machine.ask("lsblk", "--inverse", "--noheadings", "--list", "--output", "TYPE", source)
    assert "crypt" in kinds.split(), f"{target.name}: {source} is {kinds.split()}; not encrypted"


@pytest.mark.control("DBC-04")
def test_changes_of_rights_are_audited(
    target: Host,
    world: World,
    named_machine: Callable[[str], Machine],
    here: Place,
    seen: Seen,
) -> None:
    """A role is made and taken back in one transaction, at whoever leads; the record stays."""
    machine = named_machine(target.name)
    settings = state_of(machine)["settings"]
    classes = {word.strip() for word in settings.get("pgaudit.log", "").split(",")}
    token = f"province_check_{secrets.token_hex(6)}"

    seen(f"{here.name}: loaded {settings['shared_preload_libraries']}, records {sorted(classes)}")
    assert "pgaudit" in settings["shared_preload_libraries"], (
        f"{target.name}: pgaudit is not loaded"
    )
    assert {"role", "ddl"} <= classes, f"{target.name}: records {classes}; role and ddl at least"
    if leader_of(cluster_of(target, world), named_machine) != target.name:
        return
    query(machine, f"begin; create role {token}; rollback; select json_build_array()")
    pattern = f"AUDIT: .*CREATE ROLE.*[{token[0]}]{token[1:]}"
    order = ["journalctl", "--since=-5min", "--output=cat", f"--grep={pattern}"]
    until = time.monotonic() + RECORD_SECONDS
    while not (found := machine.reply(*order, live=True).output) and time.monotonic() < until:
        time.sleep(0.5)
    seen(found[:200])
    assert token in found, f"{target.name}: a role was made and nothing was recorded"


@pytest.mark.control("NET-06")
def test_server_answers_declared_clients_only(
    target: Host, world: World, places: Places, seen: Seen
) -> None:
    """The server and its manager, both families; every probe point is a place of no client."""
    allowed = {
        flow.source
        for flow in world.plan.flows
        if flow.target == target.name and flow.service in {"postgresql", "patroni"}
    }
    ports = sorted(
        port
        for offering in target.offerings
        if offering.service in {"postgresql", "patroni"} and offering.clients == "needers"
        for port in offering.ports
    )
    questions = [tcp(a, port) for a in target.primary.addresses.both() for port in ports]
    client = client_of(target, world)
    seen(f"planned clients: {listed(sorted(allowed))}")
    for answer in places.at(client).probe(*questions):
        seen(answer)
        assert answer.answered, f"{answer}; a declared client must reach it"

    def look(place: Place, note: Seen) -> None:
        for answer in place.probe_beyond_gateways(note, questions):
            assert not answer.answered, f"{answer}; no flow lets it come to the database"

    points = [name for name in places.points() if name != world.plan.controller]
    assert points, "there is no probe point to look from"
    places.each(points, look, seen)


def cidr(address: str, netmask: str) -> str:
    """An address and its mask as the plan writes prefixes; both families write masks in full."""
    length = int(ipaddress.ip_address(netmask)).bit_count()
    return str(ipaddress.ip_network(f"{address}/{length}"))


@pytest.mark.control("NET-15")
def test_access_lines_name_declared_applications(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    """Which application may use which database, from where: as narrow as the flows."""
    declared = {
        cidr
        for flow in world.plan.flows
        if (flow.target, flow.service) == (target.name, "postgresql")
        for cidr in flow.sources
    }
    databases = {tenant.database for tenant in cluster_of(target, world).tenants}
    lines = [
        one
        for one in state_of(machine)["access"]
        if databases & set(one["database"]) and one["auth_method"] != "reject"
    ]
    assert lines, f"{target.name}: no access line is about a tenant's database"
    for one in lines:
        place = cidr(one["address"], one["netmask"])
        seen(f"{listed(one['user_name'])} to {listed(one['database'])} from {place}")
        assert len(one["database"]) == 1, f"{target.name}: {one} is about several databases"
        assert place in declared, f"{target.name}: {one}: no flow comes from {place}"
