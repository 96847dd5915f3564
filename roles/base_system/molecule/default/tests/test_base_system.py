"""Who this host is, asked of the running system."""

import json


def test_running_system_has_its_name(host):
    assert host.check_output("hostname") == "node1"
    assert host.check_output("hostname --fqdn") == "node1.binhphuoc.internal"


def test_authority_is_found_before_names_are_served(host):
    assert host.check_output("getent hosts ca.binhphuoc.internal").split()[0] == "10.1.6.41"


def test_own_name_is_found_in_both_families(host):
    found = host.check_output("getent ahosts node1.binhphuoc.internal")
    assert {line.split()[0] for line in found.splitlines()} == {"192.0.2.10", "2001:db8:0:2::10"}


def test_local_times_are_the_provinces(host):
    assert host.check_output("date +%z") == "+0700"


def test_journal_outlives_a_start(host):
    machine = host.file("/etc/machine-id").content_string.strip()
    host.check_output("sh -c 'echo remembered | systemd-cat --identifier=test; journalctl --sync'")
    kept = host.check_output(
        f"journalctl --directory=/var/log/journal/{machine} --identifier=test --output=cat"
    )
    assert "remembered" in kept


def test_host_says_what_it_is_for(host):
    said = json.loads(host.file("/etc/province/host.json").content_string)
    assert said == {
        "name": "node1",
        "fqdn": "node1.binhphuoc.internal",
        "site": "70",
        "functions": ["base_system", "name_service", "time_service"],
    }


def test_host_remembers_what_was_applied(host):
    applied = json.loads(host.file("/var/lib/province/applied.json").content_string)
    assert applied == {"commit": "3f1c7e2a9d", "plan": "9be2d0"}
