"""PAT: where packages come from, and whether updates are waiting."""

import datetime as dt
import email.utils
import re

import pytest
from harness import CouldNotCheck, Machine, Seen, World, listed

from infra.plan import Host

MIRROR_DAYS = 30
REBOOT_DAYS = 30


def sources(machine: Machine) -> list[dict[str, str]]:
    """The sources that apt uses, by its own word."""
    form = "$(SITE)|$(SIGNED_BY)|$(TRUSTED)|$(FILENAME)"
    lines = machine.ask("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    names = ("site", "signed_by", "trusted", "file")
    return [dict(zip(names, line.split("|"), strict=True)) for line in lines.splitlines()]


def mirrors(world: World) -> set[str]:
    """Where the plan offers packages, as hosts name it."""
    return {
        name
        for host in world.plan.hosts()
        for offering in host.offerings
        if offering.service == "packages"
        for name in (host.fqdn, f"{offering.alias}.{world.plan.domain}", *_named(host))
    }


def _named(host: Host) -> list[str]:
    legs = [leg.addresses.both() for leg in host.interfaces]
    return [address for both in legs for address in both]


@pytest.mark.control("PAT-01")
def test_packages_come_from_the_mirror_only(machine: Machine, world: World, seen: Seen) -> None:
    """Also sources from which nothing was fetched yet: apt says what it would fetch now."""
    printed = machine.ask("apt-get", "update", "--print-uris", live=True)
    places = sorted(set(re.findall(r"^'([a-z+]+:/*[^/]*)/", printed, re.MULTILINE)))
    is_mirror = "package_mirror" in world.plan.host(machine.name).functions
    allowed = mirrors(world)

    seen(*(f"would fetch from {place}" for place in places))
    assert places, f"{machine.name}: apt has no source at all; it needs the province's mirror"
    for place in places:
        name = re.sub(r"^[a-z+]+:/*|:\d+$", "", place).strip("[]")
        own = place.startswith("file:") and is_mirror
        assert own or name in allowed, (
            f"{machine.name}: installs from {place}; only the province's mirror is allowed"
        )


@pytest.mark.control("PAT-01")
def test_packages_must_be_signed(machine: Machine, seen: Seen) -> None:
    settings = machine.ask("apt-config", "dump")
    loose = [
        line
        for line in settings.splitlines()
        if re.match(
            r'.*(AllowInsecure|AllowUnauthenticated|AllowWeak|AllowDowngrade).*"(true|1|yes)"', line
        )
    ]

    seen(f"settings that allow unsigned packages: {listed(loose)}")
    assert not loose, f"{machine.name}: apt has {listed(loose)}; every package must be signed"
    for one in sources(machine):
        seen(f"{one['site']}: signed by {one['signed_by'] or 'any key'}, good: {one['trusted']}")
        assert one["signed_by"], f"{machine.name}: {one['site']} may be signed by any known key"
        assert one["trusted"] == "yes", (
            f"{machine.name}: the signature of {one['site']} is not good"
        )


@pytest.mark.control("PAT-02")
def test_no_update_is_waiting(machine: Machine, seen: Seen) -> None:
    plan = machine.ask("apt-get", "--simulate", "--quiet", "dist-upgrade").splitlines()
    waiting = [line.split()[1] for line in plan if line.startswith("Inst ")]

    seen(f"updates waiting on the mirror: {listed(waiting)}")
    assert not waiting, f"{machine.name}: {listed(waiting)} wait; install them"


@pytest.mark.control("PAT-02")
def test_mirror_is_young(machine: Machine, seen: Seen) -> None:
    lists = machine.ask("sh", "-c", "cat /var/lib/apt/lists/*InRelease")
    dates = re.findall(r"^Date: (.+)$", lists, re.MULTILINE)
    if not dates:
        raise CouldNotCheck(f"{machine.name}: no list of the mirror says when it was made")
    for date in dates:
        age = dt.datetime.now(dt.UTC) - email.utils.parsedate_to_datetime(date)
        seen(f"list of the mirror made {date}, {age.days} days ago")
        assert age < dt.timedelta(days=MIRROR_DAYS), (
            f"{machine.name}: its list of packages is {age.days} days old; renew the mirror"
        )


@pytest.mark.control("PAT-02")
def test_no_reboot_is_overdue(machine: Machine, seen: Seen) -> None:
    old = machine.ask(
        "find", "/run", "-maxdepth", "1", "-name", "reboot-required", "-printf", "%T@"
    ).strip()
    days = (dt.datetime.now(dt.UTC).timestamp() - float(old)) / 86400 if old else 0.0

    seen(f"reboot wanted for {days:.0f} days" if old else "no reboot is wanted")
    assert days < REBOOT_DAYS, f"{machine.name}: waits for a reboot for {days:.0f} days"
