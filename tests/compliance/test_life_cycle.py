"""LIF: the host is still what was approved and applied."""

import pytest
from harness import CouldNotCheck, Machine, Seen, listed

from infra.plan import Host

MANIFESTS = "/var/lib/province/manifest"


@pytest.mark.control("LIF-02")
def test_files_are_as_they_were_applied(machine: Machine, target: Host, seen: Seen) -> None:
    """The manifests say what was rendered; what is on the disk now is compared with them."""
    found = machine.ask_program("drift", MANIFESTS, live=True)
    if not found["looked"]:
        raise CouldNotCheck(f"{machine.name}: no manifest says what was applied")

    seen(f"{found['looked']} paths of {len(found['roles'])} roles compared")
    seen(*found["differences"])
    assert not found["differences"], (
        f"{target.name}: {listed(found['differences'])}; "
        "apply the declaration again, or declare what was changed by hand"
    )


@pytest.mark.control("LIF-02")
def test_no_unit_has_failed(machine: Machine, seen: Seen) -> None:
    failed = machine.ask("systemctl", "list-units", "--failed", "--plain", "--no-legend", live=True)
    names = [line.split()[0] for line in failed.splitlines()]

    seen(f"failed units: {listed(names)}")
    assert not names, f"{machine.name}: {listed(names)} failed; read its journal"
