from pathlib import Path

import pytest

from infra.lab import names


def test_two_folders_give_two_labs_and_one_folder_always_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    link = tmp_path / "link"
    link.symlink_to(one)
    assert names.lab_identifier(one) == names.lab_identifier(link)
    assert names.lab_identifier(one) != names.lab_identifier(two)


def test_the_folder_alone_decides_the_identifier() -> None:
    assert names.lab_identifier(Path("/nowhere/at/all")) == "a25a69"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("pv0a1b2c-svc1-70", ("0a1b2c", "svc1-70")),
        ("pv0a1b2c-net", ("0a1b2c", "net")),
        ("pv0a1b2c", ("0a1b2c", "")),
        ("pv0a1b2", None),
        ("pv0a1b2x-svc1", None),
        ("xpv0a1b2c-svc1", None),
        ("pv0a1b2c7-svc1", None),
    ],
)
def test_only_names_of_labs_are_taken_for_names_of_labs(
    name: str, wanted: tuple[str, str] | None
) -> None:
    assert names.split_lab_name(name) == wanted


def test_a_bridge_keeps_a_name_that_the_kernel_takes() -> None:
    assert names.bridge_name("site-70-servers") == "site-70-servers"


def test_longer_bridge_names_are_shortened_and_stay_apart() -> None:
    first, second = "site-25280-internal", "site-25280-dedicated"
    shortened = {names.bridge_name(first), names.bridge_name(second)}
    assert len(shortened) == 2
    assert max(map(len, shortened)) <= 15


def test_ports_of_different_machines_and_interfaces_have_different_names() -> None:
    wanted = [("a-b", "c"), ("a", "b-c"), ("a", "b"), ("b", "a")]
    ports = {names.port_name(*one) for one in wanted}
    assert len(ports) == 4
    assert max(map(len, ports)) <= 15


def test_hardware_addresses_are_local_and_differ_between_labs() -> None:
    one = names.hardware_address("0a1b2c", "svc1-70", "servers")
    assert one.startswith("02:")
    assert len(one.split(":")) == 6
    assert one != names.hardware_address("0a1b2d", "svc1-70", "servers")
