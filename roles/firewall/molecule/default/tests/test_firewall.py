"""What a host with this role admits: asked of the kernel, and tried."""

import json

import pytest

CONNECT = """
import socket
try:
    socket.create_connection(("{address}", {port}), 2).close()
    print("admitted")
except OSError:
    print("refused")
"""


def connect(host, address, port):
    program = CONNECT.format(address=address, port=port)
    return host.check_output("python3 -c %s", program)


def chains(host):
    listed = json.loads(host.check_output("nft --json list table inet province"))["nftables"]
    return {one["chain"]["name"]: one["chain"] for one in listed if "chain" in one}


@pytest.mark.parametrize("direction", ["input", "forward", "output"])
def test_what_no_rule_admits_is_refused(host, direction):
    assert chains(host)[direction]["policy"] == "drop"


def test_permission_of_one_family_admits_that_family_alone(host):
    assert connect(host, "192.0.2.1", 80) == "admitted"
    assert connect(host, "2001:db8:0:2::1", 80) == "refused"


def test_port_without_permission_is_refused(host):
    assert connect(host, "192.0.2.1", 22) == "refused"


def test_every_permission_says_who_needs_it(host):
    rules = host.check_output("nft list table inet province")
    assert 'comment "packages: package_source"' in rules
    assert 'comment "ssh: administration"' in rules


def test_refused_packets_are_counted(host):
    connect(host, "2001:db8:0:2::1", 80)
    rules = host.check_output("nft list chain inet province output").splitlines()
    [counter] = [line for line in rules if "everything that no line above admits" in line]
    assert "packets 0 " not in counter


def test_forged_sources_are_dropped_before_connection_tracking(host):
    chain = chains(host)["anti_spoofing"]
    assert (chain["hook"], chain["prio"]) == ("prerouting", -300)
    rules = host.check_output("nft list chain inet province anti_spoofing")
    assert 'iifname "servers" ip saddr != 10.70.4.0/24' in rules
    assert 'iifname "servers" ip6 saddr != fd70:0:70:4::/64' in rules


def test_rules_are_loaded_at_boot(host):
    assert host.service("nftables").is_enabled
    assert host.run("nft --check --file /etc/nftables.conf").rc == 0
