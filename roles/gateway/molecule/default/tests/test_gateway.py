"""What a host with this role does: asked of the kernel."""

import pytest


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv6/conf/servers/forwarding", "1"),
        ("ipv4/conf/all/rp_filter", "1"),
        ("ipv4/conf/servers/send_redirects", "0"),
        ("ipv4/conf/servers/accept_redirects", "0"),
        ("ipv6/conf/servers/accept_redirects", "0"),
        ("ipv4/conf/all/accept_source_route", "0"),
        ("ipv6/conf/all/accept_source_route", "0"),
        ("ipv4/conf/all/log_martians", "1"),
        ("netfilter/nf_conntrack_tcp_loose", "0"),
    ],
)
def test_kernel_is_set_as_a_router(host, setting, value):
    assert host.file(f"/proc/sys/net/{setting}").content_string.strip() == value
