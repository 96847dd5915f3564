from pathlib import PurePosixPath

import pytest
from lab_worlds import ADMINISTRATOR, ecdsa_key, service_host

from infra.errors import LabError
from infra.lab import first_contact

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
NETWORK = "etc/systemd/network/90-first_contact-"


def test_a_host_gets_exactly_these_files() -> None:
    modes = {str(one.path): oct(one.mode) for one in first_contact.files(service_host(), "0" * 32)}
    assert modes == {
        "etc/machine-id": "0o444",
        "etc/hostname": "0o644",
        "etc/hosts": "0o644",
        "etc/ssh/ssh_host_ed25519_key": "0o600",
        "etc/ssh/ssh_host_ed25519_key.pub": "0o644",
        "root/.ssh/authorized_keys": "0o600",
        f"{NETWORK}servers.network": "0o644",
        f"{NETWORK}management.network": "0o644",
    }


def test_addresses_and_gateways_are_written_for_networkd() -> None:
    assert _content(f"{NETWORK}management.network") == (
        "# Made by the lab for the first contact; the host's roles replace it.\n"
        "[Match]\nName=management\n\n"
        "[Network]\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\n"
        "Address=10.70.7.11/24\nAddress=fd70:0:70:7::11/64\n"
        "Gateway=10.70.7.1\nGateway=fd70:0:70:7::1\n"
    )


def test_a_link_without_addresses_comes_up_without_any() -> None:
    assert _content(f"{NETWORK}servers.network") == (
        "# Made by the lab for the first contact; the host's roles replace it.\n"
        "[Match]\nName=servers\n\n"
        "[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )


def test_the_public_key_is_the_half_of_the_given_one() -> None:
    assert first_contact.public_key(service_host()) == PUBLIC
    assert _content("etc/ssh/ssh_host_ed25519_key.pub") == f"{PUBLIC} svc1-70\n"


def test_the_administrator_may_log_in() -> None:
    assert _content("root/.ssh/authorized_keys") == f"{ADMINISTRATOR}\n"


def test_a_broken_host_key_is_refused_without_being_quoted() -> None:
    with pytest.raises(LabError) as refused:
        first_contact.public_key(service_host("a secret"))
    assert refused.value.sentence == (
        "host 'svc1-70': its host key cannot be read (ValueError); give an ed25519 key in "
        "OpenSSH's format without a passphrase"
    )
    assert refused.value.__cause__ is None


def test_a_host_key_of_another_kind_is_refused() -> None:
    with pytest.raises(LabError, match=r"give an ed25519 key$"):
        first_contact.public_key(service_host(ecdsa_key()))


def _content(path: str) -> str:
    files = first_contact.files(service_host(), "0" * 32)
    return next(one.content for one in files if one.path == PurePosixPath(path))
