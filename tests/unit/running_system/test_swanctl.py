"""What the tunnel daemon prints is read whole, with the spaces that names of authorities have."""

from swanctl import messages

CONNECTIONS = (
    "list-conn event {site_692 {local_addrs=[198.51.100.1 2001:db8:100::1] version=IKEv2 "
    "local-1 {id=gw-70.example class=public key groups=[]} "
    "remote-1 {class=public key cacerts=[C=VN, O=Bình Phước, CN=issuing authority]} "
    "children {site_692 {mode=TUNNEL local-ts=[10.1.0.0/16 fd00::/48]}}}}\n"
    "list-conn event {site_689 {version=IKEv1/2 children {}}}\n"
    "list-conns reply {}\n"
)


def test_every_connection_is_read_with_all_its_sections() -> None:
    found = messages(CONNECTIONS, "list-conn")

    assert {name: one["version"] for name, one in found.items()} == {
        "site_692": "IKEv2",
        "site_689": "IKEv1/2",
    }
    assert found["site_692"]["local_addrs"] == ["198.51.100.1", "2001:db8:100::1"]
    assert found["site_692"]["children"]["site_692"]["mode"] == "TUNNEL"
    assert found["site_692"]["children"]["site_692"]["local-ts"] == ["10.1.0.0/16", "fd00::/48"]


def test_other_messages_are_left_out() -> None:
    assert messages(CONNECTIONS, "list-sa") == {}
