import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from lab_worlds import ed25519_key, management_link, service_host, service_record

from infra.errors import LabError
from infra.lab.specs import HostRecord, HostSpec, Link, NetworkSpec, ProbePointSpec

REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "network name": (
        lambda: NetworkSpec("Border zone"),
        (
            "network 'Border zone': is no name for a network; use at most 64 lower case letters, "
            "digits, '-', '_' and '.', with a letter or digit at both ends"
        ),
    ),
    "network lo": (
        lambda: NetworkSpec("lo"),
        "network 'lo': the kernel has an interface of that name; choose another",
    ),
    "interface too long": (
        lambda: Link("administration70", "mgt"),
        (
            "interface 'administration70': is no name for an interface; the kernel takes at most "
            "15 lower case letters, digits, '-', '_' and '.'"
        ),
    ),
    "interface host0": (
        lambda: Link("host0", "mgt"),
        (
            "interface 'host0': cannot be used, systemd-networkd ships a profile for that name "
            "which drops static addresses; choose another name"
        ),
    ),
    "address without length": (
        lambda: Link("mgt", "mgt", ("10.70.7.11",)),
        (
            "interface 'mgt': '10.70.7.11' is no address with a prefix length; write it as "
            "192.0.2.10/24 or 2001:db8::10/64"
        ),
    ),
    "gateway outside": (
        lambda: Link("mgt", "mgt", ("10.70.7.11/24",), ("10.70.8.1",)),
        (
            "interface 'mgt': gateway 10.70.8.1 lies in none of its own networks (10.70.7.0/24); "
            "give an address whose prefix covers the gateway"
        ),
    ),
    "gateway without address": (
        lambda: Link("mgt", "mgt", (), ("fd70::1",)),
        (
            "interface 'mgt': gateway fd70::1 lies in none of its own networks (it has no "
            "address); give an address whose prefix covers the gateway"
        ),
    ),
    "gateway with length": (
        lambda: Link("mgt", "mgt", ("10.70.7.11/24",), ("10.70.7.1/24",)),
        (
            "interface 'mgt': gateway '10.70.7.1/24' is no address; write it without a prefix "
            "length, as 192.0.2.1 or 2001:db8::1"
        ),
    ),
    "two gateways of one family": (
        lambda: Link("mgt", "mgt", ("10.70.7.11/24",), ("10.70.7.1", "10.70.7.2")),
        (
            "interface 'mgt': has two gateways of one family (10.70.7.1, 10.70.7.2); give at most "
            "one in each"
        ),
    ),
    "host name": (
        lambda: HostSpec("svc_70", (), "", ("ssh-ed25519 AAAA",)),
        (
            "machine 'svc_70': is no host name for the lab; use at most 32 lower case letters, "
            "digits and '-', with a letter or digit at both ends"
        ),
    ),
    "name of the bridges": (
        lambda: ProbePointSpec("net", ()),
        "machine 'net': the lab's bridges live under that name; choose another",
    ),
    "interface twice": (
        lambda: ProbePointSpec("office", (Link("a", "one"), Link("a", "two"))),
        "machine 'office': has the interface 'a' twice; give each link its own name",
    ),
    "nobody may log in": (
        lambda: HostSpec("svc1-70", (), ed25519_key(), ()),
        (
            "host 'svc1-70': has no authorized key, so nobody could ever log in; give the "
            "administrator's public key"
        ),
    ),
    "a private key to authorize": (
        lambda: HostSpec("svc1-70", (), ed25519_key(), (ed25519_key(),)),
        (
            "host 'svc1-70': an authorized key is not one line with a public key; give the content "
            "of a .pub file"
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_built_is_refused_with_its_sentence(case: str) -> None:
    build, sentence = REFUSALS[case]
    with pytest.raises(LabError) as refused:
        build()
    assert refused.value.sentence == sentence


def test_a_host_key_shows_in_no_representation() -> None:
    key = ed25519_key()
    assert key.splitlines()[2] not in repr(service_host(key))


def test_a_record_survives_json_and_holds_no_private_key() -> None:
    record = service_record()
    written = json.dumps(record.to_record())
    assert HostRecord.from_record(json.loads(written)) == record
    assert "PRIVATE" not in written


def test_a_probe_point_survives_json() -> None:
    spec = ProbePointSpec("office", (management_link(),), forwarding=True)
    assert ProbePointSpec.from_record(json.loads(json.dumps(spec.to_record()))) == spec


def test_records_name_the_properties_in_which_they_differ() -> None:
    old = service_record()
    new = replace(old, links=old.links[:1], host_public_key="ssh-ed25519 BBBB", created=False)
    assert old.differences(new) == ("links", "host_public_key")
    assert old.differences(old) == ()
