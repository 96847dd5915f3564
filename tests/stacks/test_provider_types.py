"""Each resource type: pure check and comparison, and its life over a lab of files."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_lab import IMAGE, FakeLab
from recording import record
from sample_plans import HOST_KEY, HUB, small_province, static

from infra.errors import ProviderError
from infra.lab.specs import ObservedHost
from infra.providers import tokens
from infra.providers.changes import PropertyChange, compare
from infra.providers.host_keys import HostKeys
from infra.providers.lab_host import LabHosts
from infra.providers.lab_network import LabNetworks
from infra.providers.lab_probe_point import LabProbePoints
from infra.providers.records import REGISTERS, STATIC_NETWORKS
from infra.providers.resource_type import ResourceType
from infra.providers.static_client import ObservedMachine
from infra.providers.static_host import StaticHosts
from infra.stacks.arguments import Openings
from infra.stacks.program import backbone_program, site_program

KEY = f"{HOST_KEY} administrator"


class FakeMachines:
    """Machines that answer as they are told."""

    seen: ObservedMachine | None = ObservedMachine("10.15.2.2", HOST_KEY, "debian 13", None)

    def look(self, addresses: list[str], host_key: str) -> ObservedMachine | None:
        assert addresses == ["10.15.2.2"]
        assert host_key
        return self.seen


def inputs(token: str, name: str) -> dict[str, Any]:
    """What a program declares for a resource of the sample."""
    for plan in (small_province(), static(small_province())):
        programs = [backbone_program(plan)]
        programs += [
            site_program(plan, site.code, Openings.of(plan), (KEY,)) for site in plan.sites
        ]
        for program in programs:
            for one in record(program).resources:
                if (one.type, one.name) == (token, name):
                    return {key: value for key, value in one.inputs.items() if value is not None}
    raise LookupError(token, name)


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    return FakeLab(tmp_path / "lab")


@pytest.fixture
def hosts(lab: FakeLab, tmp_path: Path) -> LabHosts:
    return LabHosts(lab, HostKeys(tmp_path / "host_keys"), lambda: IMAGE)


@pytest.fixture(scope="module")
def edge() -> dict[str, Any]:
    return inputs(tokens.LAB_HOST, "edge1-692")


@pytest.fixture(scope="module")
def machine() -> dict[str, Any]:
    return inputs(tokens.STATIC_HOST, "edge1-692")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", "update", 1, 2)]),
        ({}, {"a": 2}, [("a", "add", None, 2)]),
        ({"a": 1}, {}, [("a", "delete", 1, None)]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", "update", 1, 2)]),
        ({"a": {"x@y": 1}}, {"a": {}}, [('a["x@y"]', "delete", 1, None)]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", "update", [1, 2], [2, 1])]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, [("a", "update", 1, 2), ("b", "update", 1, 2)]),
        ({"a": None}, {}, [("a", "delete", None, None)]),
    ],
)
def test_differences_are_named_after_properties(
    old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, str, object, object]]
) -> None:
    found = [(one.path, one.kind, one.old, one.new) for one in compare(old, new)]
    assert found == expected


def test_every_declared_resource_passes_its_own_check(hosts: LabHosts, lab: FakeLab) -> None:
    types: list[ResourceType] = [
        hosts,
        LabNetworks(lab),
        LabProbePoints(lab),
        STATIC_NETWORKS,
        StaticHosts(FakeMachines()),
        REGISTERS,
    ]
    names = {
        tokens.LAB_HOST: "gw1-70",
        tokens.LAB_NETWORK: "dmz-70",
        tokens.LAB_PROBE_POINT: "controller",
        tokens.STATIC_NETWORK: "dmz-70",
        tokens.STATIC_HOST: "gw1-70",
        tokens.REGISTER: "register",
    }
    assert {one.token for one in types} == names.keys()
    for one in types:
        # The engine's numbers come back whole from the servicer.
        declared = whole(inputs(one.token, names[one.token]))
        assert one.check(declared) == ()
        assert one.compare(declared, declared) == ()


def whole(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "name",
            "Edge 1",
            (
                "host 'edge1-692': name is 'Edge 1'; give at most 64 lower case letters, digits, "
                "'-', '_' and '.', with a letter or digit at both ends"
            ),
        ),
        (
            "links",
            {"servers": {"network": "servers-692"}},
            (
                "host 'edge1-692': links .servers has not exactly the properties network, zone, "
                "kind, addresses, gateways, isolated"
            ),
        ),
        (
            "authorized_keys",
            ["-----BEGIN OPENSSH PRIVATE KEY-----"],
            (
                "host 'edge1-692': authorized_keys [0] is no public SSH key; give the one line of "
                "a .pub file"
            ),
        ),
        ("functions", "gateway", "host 'edge1-692': functions is 'gateway'; give a list"),
    ],
)
def test_wrong_inputs_are_named_with_what_is_required(
    hosts: LabHosts, edge: dict[str, Any], name: str, value: object, sentence: str
) -> None:
    (failure,) = hosts.check({**edge, name: value})
    expected = sentence.replace("'edge1-692'", repr(value)) if name == "name" else sentence
    assert (failure.property, failure.sentence) == (name, expected)


def test_missing_and_unknown_inputs_are_all_told_at_once(
    hosts: LabHosts, edge: dict[str, Any]
) -> None:
    broken = {key: value for key, value in edge.items() if key != "owner"} | {"colour": "red"}
    sentences = [one.sentence for one in hosts.check(broken)]
    assert sentences[0] == "host 'edge1-692': owner is missing; give it"
    assert sentences[1].startswith("host 'edge1-692': colour is no property; known are name,")


def test_another_wire_makes_another_machine_and_another_word_does_not(
    hosts: LabHosts, edge: dict[str, Any]
) -> None:
    servers = edge["links"]["servers"]

    def with_servers(**values: object) -> dict[str, Any]:
        return {**edge, "links": {**edge["links"], "servers": {**servers, **values}}}

    assert hosts.compare(edge, with_servers(isolated=True)) == (
        PropertyChange("links.servers.isolated", "update", replaces=True, old=False, new=True),
    )
    (renamed,) = hosts.compare(edge, with_servers(zone="internal_servers"))
    assert (renamed.path, renamed.replaces) == ("links.servers.zone", False)
    (owner,) = hosts.compare(edge, {**edge, "owner": "another"})
    assert (owner.path, owner.replaces) == ("owner", False)
    # Who may log in first is made once; the roles own it afterwards.
    assert hosts.compare(edge, {**edge, "authorized_keys": [HOST_KEY]}) == ()


def test_a_host_is_made_adopted_read_and_removed(
    hosts: LabHosts, lab: FakeLab, edge: dict[str, Any]
) -> None:
    assert hosts.read(edge, {}) is None
    made = hosts.create(edge)
    assert made["power"] == "running"
    assert made.keys() - edge.keys() == {"power", "os", "image", "host_public_key", "seen_links"}
    assert hosts.create(edge) == made
    assert lab.calls == [("create_host", "edge1-692"), ("adopt_host", "edge1-692")]

    seen = hosts.read(edge, made)
    assert seen is not None
    assert (seen.inputs, seen.outputs) == (edge, made)

    hosts.delete(edge)
    hosts.delete(edge)
    assert hosts.read(edge, made) is None


def test_a_stopped_host_is_seen_and_never_started(
    hosts: LabHosts, lab: FakeLab, edge: dict[str, Any]
) -> None:
    hosts.create(edge)
    lab.change("hosts", "edge1-692", power="stopped")
    lab.calls.clear()
    seen = hosts.read(edge, {})
    assert seen is not None
    assert seen.inputs == edge
    assert seen.outputs["power"] == "stopped"
    assert hosts.update(edge, {**edge, "owner": "another"})["power"] == "stopped"
    assert hosts.create(edge)["power"] == "stopped"
    assert lab.calls == [("adopt_host", "edge1-692")]


def test_an_update_of_a_host_that_is_gone_says_so(hosts: LabHosts, edge: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="is gone though the state knows it; run with a"):
        hosts.update(edge, edge)


def test_the_private_key_stays_in_its_file(
    hosts: LabHosts, edge: dict[str, Any], tmp_path: Path
) -> None:
    made = hosts.create(edge)
    path = tmp_path / "host_keys" / "edge1-692"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    secret = path.read_text().splitlines()[1]
    assert secret not in str(made)
    first = hosts.host_keys.ensure("edge1-692")
    assert hosts.host_keys.ensure("edge1-692") == first
    assert secret not in repr(first)
    hosts.delete(edge)
    assert not path.exists()


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "edge1-692").write_text("nonsense")
    with pytest.raises(ProviderError, match=r"edge1-692: is no private key that OpenSSH wrote"):
        HostKeys(tmp_path).ensure("edge1-692")


def test_networks_and_probe_points_live_and_are_put_right(lab: FakeLab) -> None:
    networks, points = LabNetworks(lab), LabProbePoints(lab)
    dmz, citizen = (
        inputs(tokens.LAB_NETWORK, "dmz-70"),
        inputs(tokens.LAB_PROBE_POINT, "citizen"),
    )
    assert networks.read(dmz, {}) is None
    networks.create(dmz)
    seen = networks.read(dmz, {})
    assert seen is not None
    assert seen.inputs == dmz

    assert points.read(citizen, {}) is None
    assert points.create(citizen) == citizen
    lab.change("probe_points", "citizen", links=[])
    changed = points.read(citizen, citizen)
    assert changed is not None
    assert changed.inputs["links"] == {}
    assert [one.path for one in points.compare(changed.inputs, citizen)] == ["links.internet"]
    assert points.update(changed.inputs, citizen) == citizen

    record = json.loads((lab.folder / "probe_points" / "citizen").read_text())
    cut = [{**link, "cut": True} for link in record["links"]]
    lab.change("probe_points", "citizen", links=cut)
    scenario = points.read(citizen, citizen)
    assert scenario is not None
    assert points.compare(scenario.inputs, citizen) == ()

    points.delete(citizen)
    networks.delete(dmz)
    assert (lab.names("networks"), lab.names("probe_points")) == ([], [])


def test_a_static_machine_is_recognised_by_its_key(machine: dict[str, Any]) -> None:
    client = FakeMachines()
    hosts = StaticHosts(client)
    made = hosts.create(machine)
    assert (made["power"], made["answering_address"]) == ("running", "10.15.2.2")
    seen = hosts.read(machine, made)
    assert (seen.inputs, seen.outputs) == (machine, made)

    client.seen = ObservedMachine("10.15.2.2", "ssh-ed25519 OTHER", "", None)
    assert hosts.read(machine, made).inputs["host_key"] == "ssh-ed25519 OTHER"
    with pytest.raises(ProviderError, match="shows the host key 'ssh-ed25519 OTHER', declared is"):
        hosts.create(machine)

    client.seen = None
    silent = hosts.read(machine, made)
    assert silent.inputs == machine
    assert silent.outputs["power"] == "unreachable"
    with pytest.raises(ProviderError, match=r"answers on none of 10\.15\.2\.2; a machine that"):
        hosts.create(machine)


def test_a_static_machine_must_have_what_was_declared(machine: dict[str, Any]) -> None:
    client = FakeMachines()
    client.seen = ObservedMachine("10.15.2.2", HOST_KEY, "debian 13", ("192.0.2.1/24",))
    with pytest.raises(ProviderError, match=r"the machine lacks the addresses 10\.15\.2\.2; it"):
        StaticHosts(client).create(machine)
    with pytest.raises(ProviderError, match="has no declared host key, so nobody can tell"):
        StaticHosts(client).create({**machine, "host_key": ""})


def test_what_the_fake_answers_is_what_the_lab_answers(lab: FakeLab) -> None:
    assert isinstance(lab.read_host("nobody"), ObservedHost)
    assert inputs(tokens.LAB_PROBE_POINT, "controller")["site"] == HUB
