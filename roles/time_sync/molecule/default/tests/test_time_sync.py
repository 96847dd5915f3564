"""What a host with this role does: asked of the running daemon."""

from testinfra.host import Host


def test_daemon_follows_the_declared_sources_and_no_others(host: Host) -> None:
    lines = host.check_output("chronyc -n -c sources").splitlines()
    assert [line.split(",")[2] for line in lines] == ["192.0.2.101", "192.0.2.102", "192.0.2.103"]


def test_daemon_runs_without_a_clock_of_its_own(host: Host) -> None:
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    assert " -x" in host.check_output("systemctl show --property=ExecStart chrony.service")


def test_nobody_can_ask_for_the_time_or_give_commands(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --udp --numeric")
    assert ":123 " not in listening
    assert ":323 " not in listening
