"""Settings that somebody breaks by hand on a running host, and the control that must then fail.

Each breaks one thing of one host, does no lasting harm, and is mended to the byte. Between
breaking and mending the host stays reachable for the controller.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """One setting; commands are lines of shell that run as root on the host."""

    name: str
    host: str
    break_command: str
    mend_command: str
    control: str
    test: str
    """`test_file.py::test_function` of tests/compliance."""

    @property
    def family(self) -> str:
        """The controls that it belongs to: `NET` of `NET-07`."""
        return self.control.partition("-")[0]


MUTATIONS = (
    Mutation(
        name="a_port_is_opened_in_the_filter",
        host="svc1-70",
        break_command="nft insert rule inet province input tcp dport 2323 accept",
        mend_command="systemctl reload nftables.service",
        control="NET-07",
        test="test_network_hosts.py::test_filter_admits_declared_flows_only",
    ),
    Mutation(
        name="a_gateway_accepts_redirects",
        host="gw1-70",
        break_command="echo 1 >/proc/sys/net/ipv4/conf/all/accept_redirects",
        mend_command="echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects",
        control="NET-12",
        test="test_network_hosts.py::test_kernel_refuses_redirects_and_source_routes",
    ),
    Mutation(
        name="root_may_log_in",
        host="mgt1-70",
        break_command=(
            "sed -i 's/^PermitRootLogin no$/PermitRootLogin yes/' /etc/ssh/sshd_config"
            " && systemctl reload ssh.service"
        ),
        mend_command=(
            "sed -i 's/^PermitRootLogin yes$/PermitRootLogin no/' /etc/ssh/sshd_config"
            " && systemctl reload ssh.service"
        ),
        control="IAM-01",
        test="test_access.py::test_secure_shell_lets_named_groups_in",
    ),
    Mutation(
        name="a_person_becomes_root_without_a_password",
        host="svc1-70",
        break_command=(
            "umask 226 && echo 'an_nguyen ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/by_hand"
        ),
        mend_command="rm /etc/sudoers.d/by_hand",
        control="IAM-08",
        test="test_access.py::test_sudo_rights_are_the_declared_ones",
    ),
    Mutation(
        name="everybody_may_read_a_key",
        host="mgt1-70",
        break_command="chmod 0644 /etc/province/pki/syslog/key.pem",
        mend_command="chmod 0640 /etc/province/pki/syslog/key.pem",
        control="PKI-05",
        test="test_certificates.py::test_keys_are_readable_by_their_owner_only",
    ),
    Mutation(
        name="time_is_not_kept",
        host="edge1-692",
        break_command="systemctl stop chrony.service",
        mend_command="systemctl start chrony.service",
        control="SVC-01",
        test="test_shared_services.py::test_one_time_daemon_runs",
    ),
    Mutation(
        name="packages_come_from_elsewhere",
        host="edge1-692",
        break_command=(
            "printf 'Types: deb\\nURIs: http://203.0.113.9/packages\\nSuites: stable\\n"
            "Components: main\\n' >/etc/apt/sources.list.d/by_hand.sources"
        ),
        mend_command="rm /etc/apt/sources.list.d/by_hand.sources",
        control="PAT-01",
        test="test_patching.py::test_packages_come_from_the_mirror_only",
    ),
    Mutation(
        name="logs_stay_on_their_host",
        host="edge1-692",
        break_command="systemctl stop syslog.socket rsyslog.service",
        mend_command="systemctl start rsyslog.service",
        control="LOG-03",
        test="test_logging.py::test_lines_reach_the_collector",
    ),
    Mutation(
        name="a_file_is_changed_by_hand",
        host="gw1-70",
        break_command="echo '# by hand' >>/etc/hosts",
        mend_command="sed -i '/^# by hand$/d' /etc/hosts",
        control="LIF-02",
        test="test_life_cycle.py::test_files_are_as_they_were_applied",
    ),
    Mutation(
        name="a_twin_would_not_come_back_after_a_reboot",
        host="gw2-70",
        break_command="systemctl disable keepalived.service",
        mend_command="systemctl enable keepalived.service",
        control="HA-01",
        test="test_availability.py::test_standby_is_ready_to_take_over",
    ),
    Mutation(
        name="a_twin_would_carry_an_address_where_nothing_answers",
        host="svc2-70",
        break_command="systemctl stop pgbouncer.service",
        mend_command="systemctl start pgbouncer.service",
        control="HA-01",
        test="test_availability.py::test_standby_is_ready_to_take_over",
    ),
    Mutation(
        name="copies_can_be_deleted_by_who_sent_them",
        host="bak1-70",
        break_command=(
            "sed -i 's/ --append-only --private-repos/ --private-repos/'"
            " /etc/systemd/system/restic-rest-server.service.d/province.conf"
            " && systemctl daemon-reload && systemctl restart restic-rest-server.service"
        ),
        mend_command=(
            "sed -i 's/ --private-repos/ --append-only --private-repos/'"
            " /etc/systemd/system/restic-rest-server.service.d/province.conf"
            " && systemctl daemon-reload && systemctl restart restic-rest-server.service"
        ),
        control="BAK-05",
        test="test_backups.py::test_senders_cannot_delete_copies",
    ),
    Mutation(
        name="a_database_lets_in_without_a_password",
        host="db2-70",
        break_command=(
            "echo 'host all all 127.0.0.1/32 trust' >>/var/lib/postgresql/17/records/pg_hba.conf"
        ),
        mend_command="sed -i '/ trust$/d' /var/lib/postgresql/17/records/pg_hba.conf",
        control="DBC-01",
        test="test_databases.py::test_access_lines_are_narrow",
    ),
    Mutation(
        name="an_edge_sends_strangers_out",
        host="edge1-25280",
        break_command="ip route add default via 198.51.100.1 dev dedicated",
        mend_command="ip route del default via 198.51.100.1 dev dedicated",
        control="WAN-04",
        test="test_wide_area_network.py::test_edge_joins_no_networks",
    ),
    Mutation(
        name="attacks_are_counted_and_let_through",
        host="pub1-70",
        break_command=(
            "sed -i 's/^SecRuleEngine On$/SecRuleEngine DetectionOnly/'"
            " /etc/nginx/request_rules.conf && systemctl reload nginx.service"
        ),
        mend_command=(
            "sed -i 's/^SecRuleEngine DetectionOnly$/SecRuleEngine On/'"
            " /etc/nginx/request_rules.conf && systemctl reload nginx.service"
        ),
        control="NET-14",
        test="test_publishing.py::test_known_attacks_are_refused",
    ),
    Mutation(
        name="half_of_the_one_stop_centre_is_away",
        host="svc2-70",
        break_command="systemctl stop sample_service@one_stop.service",
        mend_command="systemctl start sample_service@one_stop.service",
        control="INT-05",
        test="test_integration.py::test_offices_reach_the_one_stop_centre",
    ),
)
FIRST_OF_FAMILY = {one.family: one for one in reversed(MUTATIONS)}
"""`make test` breaks the first setting of each family, `make test_full` all of them."""
