"""MOD: the register of units, sites and machines, judged on the plan that was applied."""

import csv
import io
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID
from harness import ROOT, CouldNotCheck, Machine, Seen, World, listed

from infra.compliance.from_plan import planned_checks
from infra.compliance.load import load_catalogue
from infra.errors import DeclarationError
from infra.model import Unit, load_province
from infra.model.units import COLUMNS, parse_units
from infra.plan import Host, Plan, Site, derive_plan, digest
from infra.plan.diagram import svg

BASIC_PRIORITIES = frozenset({"required", "important"})
TIER_KEYS = frozenset({"tier", "tiers"})


def declaration(world: World) -> dict[str, Any]:
    """The declaration of the environment as people wrote it."""
    path = ROOT / "inventories" / world.environment / "province.yml"
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


def units_text(world: World) -> str:
    """The list of administrative units that the declaration names."""
    folder = ROOT / "inventories" / world.environment
    return (folder / declaration(world)["units"]).read_text(encoding="utf-8")


@pytest.mark.control("MOD-01")
def test_units_are_complete_and_unique(world: World, seen: Seen) -> None:
    units, findings = parse_units(units_text(world), "units")
    tiers = Counter(unit.tier for unit in units.values())
    without_parent = [u.code for u in units.values() if not u.parent]

    seen(*(f"{tier}: {count} units" for tier, count in tiers.items()), *findings)
    assert not findings, f"the list of units: {listed(findings)}"
    assert without_parent == [world.plan.province], (
        f"units without a parent: {listed(without_parent)}; "
        f"the province {world.plan.province} alone has none"
    )
    for unit in units.values():
        if unit.valid_from and unit.valid_to:
            assert unit.valid_from <= unit.valid_to, f"unit {unit.code}: ends before it begins"


@pytest.mark.control("MOD-01")
def test_plan_counts_every_unit(world: World, seen: Seen) -> None:
    units, _ = parse_units(units_text(world), "units")
    day = _day(world)
    standing: dict[str, Unit] = {c: unit for c, unit in units.items() if unit.exists_on(day)}
    counts = Counter(unit.tier for unit in standing.values())

    for share in world.plan.shares:
        seen(f"{share.tier}: {share.total} in the plan, {counts[share.tier]} in the list")
        assert share.total == counts[share.tier], (
            f"tier {share.tier}: the plan counts {share.total}, the list {counts[share.tier]}"
        )
    for site in world.plan.sites:
        assert site.unit in standing, f"site {site.code}: unit {site.unit} is not there on {day}"
        seen(f"site {site.code}: unit {site.unit} {standing[site.unit].name}")


def _day(world: World) -> Any:  # noqa: ANN401 - a date
    return declaration(world)["as_of"]


@pytest.mark.control("MOD-02")
def test_site_record_is_complete(site: Site, seen: Seen) -> None:
    record = {
        "kind": site.kind,
        "level": site.level,
        "level_reason": site.level_reason,
        "approval": site.approval,
        "owner": site.owner,
        "operator": site.operator,
    }

    seen(*(f"{name}: {value}" for name, value in record.items()))
    empty = [name for name, value in record.items() if not value]
    assert not empty, f"site {site.code}: says nothing of {listed(empty)}; declare it"


@pytest.mark.control("MOD-02")
def test_site_level_covers_what_it_hosts(site: Site, world: World, seen: Seen) -> None:
    own = {host.name for host in site.hosts}
    hosted = {one.name: one.level for one in world.plan.services if own & set(one.hosts)}

    seen(f"site level {site.level}", f"hosted: {hosted or 'nothing shared'}")
    higher = {name: level for name, level in hosted.items() if level > site.level}
    assert not higher, f"site {site.code}: level {site.level} and hosts {higher}; raise its level"


def without_middle_tier(world: World, folder: Path) -> Path:
    """The same declaration after the reform: the middle tier's units become leaves of the province.

    Sites keep their codes, as the machines keep their place.
    """
    rows = list(csv.DictReader(io.StringIO(units_text(world))))
    parents = {row["parent"] for row in rows}
    leaf = next(row["tier"] for row in rows if row["code"] not in parents)
    middle = {row["tier"] for row in rows if row["parent"] and row["code"] in parents}
    if not middle:
        raise CouldNotCheck("the province has no middle tier, so nothing can be taken away")
    for row in rows:
        row["tier"] = leaf if row["tier"] in middle else row["tier"]
        row["parent"] = world.plan.province if row["parent"] else ""
    with (folder / "units.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    changed = _renamed({**declaration(world), "units": "units.csv"}, dict.fromkeys(middle, leaf))
    (folder / "province.yml").write_text(yaml.safe_dump(changed, allow_unicode=True), "utf-8")
    return folder


def _renamed(value: Any, names: dict[str, str], key: str = "") -> Any:  # noqa: ANN401 - YAML
    """The declaration with its tiers renamed; what became equal stands once."""
    if isinstance(value, dict):
        return {inner: _renamed(one, names, str(inner)) for inner, one in value.items()}
    if isinstance(value, list):
        each = [_renamed(one, names, key) for one in value]
        return [one for place, one in enumerate(each) if one not in each[:place]]
    return names.get(value, value) if key in TIER_KEYS and isinstance(value, str) else value


@pytest.mark.control("MOD-03")
def test_two_tier_province_has_equal_controls(world: World, tmp_path: Path, seen: Seen) -> None:
    catalogue = load_catalogue(ROOT / "policies" / "controls")
    before = derive_plan(load_province(ROOT / "inventories" / world.environment, ROOT / "roles"))
    folder = tmp_path / world.environment
    folder.mkdir()
    try:
        after = derive_plan(load_province(without_middle_tier(world, folder), ROOT / "roles"))
    except DeclarationError as error:
        seen(error.sentence, *error.findings)
        message = f"without its middle tier the province is refused: {error.findings}"
        raise AssertionError(message) from error

    tiers = [sorted({site.tier for site in plan.sites}) for plan in (before, after)]
    seen(f"tiers of sites before: {tiers[0]}, after: {tiers[1]}")
    first, second = planned_checks(before, catalogue), planned_checks(after, catalogue)
    seen(f"checks before: {len(first)}, after: {len(second)}")
    assert tiers[0] != tiers[1], "the tiers did not change, so nothing was shown"
    assert set(first) == set(second), (
        f"checks differ: {listed(sorted(str(one) for one in set(first) ^ set(second)))}"
    )


@pytest.mark.control("MOD-04")
def test_names_follow_unit_codes(machine: Machine, target: Host, world: World, seen: Seen) -> None:
    site = world.plan.site(target.site)
    name = machine.ask("hostname").strip()
    full = machine.ask("hostname", "--fqdn").strip()
    names = Counter(host.name for host in world.plan.hosts())

    seen(f"hostname {name}, full name {full}", f"site {site.code}, unit {site.unit}")
    wanted = f"{target.declared_as}-{site.code.lower()}"
    assert name == wanted, f"{target.name}: is called {name}; by its unit it is {wanted}"
    assert full == f"{wanted}.{world.plan.domain}", f"{target.name}: its full name is {full}"
    assert site.code.startswith(site.unit), f"site {site.code}: its code is not that of {site.unit}"
    assert names[name] == 1, f"{name}: {names[name]} hosts have this name"


@pytest.mark.control("MOD-04")
def test_certificates_follow_unit_codes(machine: Machine, target: Host, seen: Seen) -> None:
    for wanted in target.certificates:
        text = machine.ask("cat", f"/etc/province/pki/{wanted.name}/certificate.pem")
        leaf = x509.load_pem_x509_certificate(text.encode())
        common = [a.value for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        seen(f"certificate {wanted.name}: {listed(common)}")
        assert common == [target.fqdn], (
            f"{target.name}: certificate {wanted.name} is for {listed(common)}, not {target.fqdn}"
        )


@pytest.mark.control("MOD-05")
def test_device_record_is_complete(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    record = {
        "owner": target.machine.owner,
        "operator": target.machine.operator,
        "place": target.machine.place,
        "purpose": target.machine.purpose,
        "vendor": target.machine.vendor,
        "support end": target.machine.support_end,
        "zones": listed([leg.zone for leg in target.interfaces]),
        "addresses": listed([a for leg in target.interfaces for a in leg.addresses.both()]),
    }
    hardware = {link["ifname"]: link.get("address", "") for link in machine.links()}

    seen(*(f"{name}: {value}" for name, value in record.items()))
    empty = [name for name, value in record.items() if not value]
    assert not empty, f"{target.name}: says nothing of {listed(empty)}; declare it"
    for leg in target.interfaces:
        seen(f"{leg.name}: hardware address {hardware.get(leg.name, 'none')}")
        assert hardware.get(leg.name), f"{target.name}: {leg.name} shows no hardware address"
    assert target.machine.support_end > world.plan.as_of, (
        f"{target.name}: support ended on {target.machine.support_end}; replace the machine"
    )


@pytest.mark.control("MOD-05")
def test_addresses_are_static(machine: Machine, seen: Seen) -> None:
    dynamic = [
        f"{link['ifname']} {address['local']}"
        for link in machine.links()
        for address in link["addr_info"]
        if address.get("dynamic") and not ipaddress.ip_address(address["local"]).is_link_local
    ]

    seen(f"addresses that somebody leased or announced: {listed(dynamic)}")
    assert not dynamic, f"{machine.name}: {listed(dynamic)} are not its own; addresses are static"


@pytest.mark.control("MOD-06")
def test_software_is_on_the_approved_list(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    """What somebody asked for is declared or part of every Debian; the rest is needed by that."""
    form = "${Package}\t${Priority}\t${Essential}\t${Depends}, ${Pre-Depends}\t${Provides}\n"
    rows = [
        line.split("\t") for line in machine.ask("dpkg-query", "--show", "-f", form).splitlines()
    ]
    needs = {row[0]: _names(row[3]) for row in rows}
    givers: dict[str, set[str]] = {}
    for row in rows:
        for name in {row[0], *_names(row[4])}:
            givers.setdefault(name, set()).add(row[0])
    basic = {row[0] for row in rows if row[1] in BASIC_PRIORITIES or row[2] == "yes"}
    approved = {*world.plan.packages, *world.plan.first_contact_packages}

    known: set[str] = set()
    left = [name for name in needs if name in approved | basic]
    while left:
        name = left.pop()
        if name not in known:
            known.add(name)
            left += [giver for needed in needs[name] for giver in givers.get(needed, ())]
    seen(f"{target.name}: {len(rows)} packages, {len(basic)} basic, {len(known)} known")
    assert approved & known, f"{machine.name}: none of the declared packages is installed"
    strange = sorted(set(needs) - known)
    assert not strange, (
        f"{machine.name}: {listed(strange)} are on no function's list and needed by none; "
        "remove them"
    )


def _names(relation: str) -> set[str]:
    """The packages that a line of dependencies names, with all alternatives."""
    return {word.split(":")[0] for part in re.split(r"[,|]", relation) for word in part.split()[:1]}


@pytest.mark.control("MOD-07")
def test_diagram_shows_the_site(site: Site, world: World, seen: Seen) -> None:
    drawing = svg(world.plan)

    seen(f"{len(drawing)} characters drawn from plan {digest(world.plan)[:16]}")
    missing = [
        word for word in (site.code, *(n.prefix.ipv4 for n in site.networks)) if word not in drawing
    ]
    assert not missing, f"site {site.code}: the diagram does not show {listed(missing)}"


@pytest.mark.control("MOD-07")
def test_running_hosts_have_the_plan_that_is_drawn(
    site: Site, world: World, named_machine: Callable[[str], Machine], seen: Seen
) -> None:
    drawn = digest(world.plan)
    for host in site.hosts:
        applied = named_machine(host.name).ask_json("cat", "/var/lib/province/applied.json")
        seen(f"{host.name}: commit {applied['commit'][:12]}, plan {applied['plan'][:16]}")
        assert applied["plan"] == drawn, (
            f"{host.name}: runs plan {applied['plan'][:16]}; drawn is {drawn[:16]}; configure it"
        )


@pytest.mark.control("MOD-07")
def test_every_flow_says_where_it_comes_from(site: Site, world: World, seen: Seen) -> None:
    flows = flows_of(site, world.plan)

    seen(f"{len(flows)} flows from or to the site")
    silent = [f"{f.source} -> {f.target} {f.service}" for f in flows if not (f.why and f.origin)]
    assert flows, f"site {site.code}: has no flow at all; nothing could work there"
    assert not silent, f"site {site.code}: {listed(silent)} say neither why nor who asked"


def flows_of(site: Site, plan: Plan) -> list[Any]:
    """Flows that begin or end at a site."""
    return [flow for flow in plan.flows if site.code in {flow.source_site, flow.target_site}]
