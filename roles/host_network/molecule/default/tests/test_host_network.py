"""What a host with this role has: asked of the kernel."""

import json


def addresses(host, leg):
    [link] = json.loads(host.check_output("ip --json address show dev %s", leg))
    return {
        f"{one['local']}/{one['prefixlen']}": one
        for one in link["addr_info"]
        if one["scope"] == "global"
    }


def routes(host, family, *selection):
    command = f"ip --json -{family} route {' '.join(selection)}"
    return {
        (one["dst"], one.get("gateway")) for one in json.loads(host.check_output(command) or "[]")
    }


def test_legs_have_the_declared_addresses_and_no_others(host):
    assert sorted(addresses(host, "management")) == ["192.0.2.10/24", "2001:db8:0:2::10/64"]
    assert sorted(addresses(host, "servers")) == [
        "10.70.4.1/32",
        "10.70.4.2/24",
        "fd70:0:70:4::1/128",
        "fd70:0:70:4::2/64",
    ]


def test_host_never_speaks_from_the_gateways_address(host):
    for destination, own in (("10.70.4.50", "10.70.4.2"), ("fd70:0:70:4::50", "fd70:0:70:4::2")):
        [route] = json.loads(host.check_output("ip --json route get %s", destination))
        assert route["prefsrc"] == own


def test_routes_are_the_declared_ones(host):
    assert {("default", "10.70.4.3"), ("10.92.0.0/16", "10.70.4.4")} <= routes(host, 4, "show")
    assert {("default", "fd70:0:70:4::3"), ("fd70:0:692::/48", "fd70:0:70:4::4")} <= routes(
        host, 6, "show"
    )


def test_answers_leave_by_the_way_of_the_question(host):
    for family, source in ((4, "10.70.4.2"), (6, "fd70:0:70:4::2")):
        rules = json.loads(host.check_output(f"ip --json -{family} rule show"))
        assert [one["table"] for one in rules if one["src"] == source] == ["104"]
    assert routes(host, 4, "show", "table", "104") == {
        ("default", "10.70.4.3"),
        ("10.70.4.0/24", None),
    }


def test_packets_are_no_larger_than_declared(host):
    assert host.file("/sys/class/net/servers/mtu").content_string.strip() == "1400"


def test_network_daemon_starts_at_boot(host):
    assert host.service("systemd-networkd").is_running
    assert host.service("systemd-networkd").is_enabled
