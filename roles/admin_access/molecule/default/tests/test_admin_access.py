"""Who gets in and who does not: tried with keys of the tests' own."""

import pytest

PEOPLE = ["an_nguyen", "binh_tran"]


@pytest.fixture
def key(host):
    """A key that opens both accounts; in the province certificates do."""
    host.check_output("ssh-keygen -q -t ed25519 -N '' -f /root/person")
    for name in PEOPLE:
        host.check_output(f"install -d -m 0700 -o {name} /home/{name}/.ssh")
        host.check_output(
            f"install -m 0600 -o {name} /root/person.pub /home/{name}/.ssh/authorized_keys"
        )
    yield "/root/person"
    for name in PEOPLE:
        host.check_output(f"rm -r /home/{name}/.ssh")
    host.check_output("rm /root/person /root/person.pub")


def log_in(host, key, name, command):
    """Exit 255 is testinfra's own, so a refused login is 1."""
    return host.run(
        f"ssh -i {key} -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=no "
        f"-o UserKnownHostsFile=/dev/null {name}@192.0.2.10 %s || exit 1",
        command,
    )


@pytest.mark.parametrize("name", PEOPLE)
def test_declared_person_logs_in_years_after(host, key, name):
    host.check_output(f"chage --lastday 2020-01-01 {name}")
    assert log_in(host, key, name, "id --user --name").stdout.strip() == name


@pytest.mark.parametrize("name", PEOPLE)
def test_person_reads_the_journal_and_becomes_nobody_else(host, key, name):
    assert log_in(host, key, name, "journalctl --lines=1 --output=cat").rc == 0
    assert {"adm", "administrators", "systemd-journal"} <= set(host.user(name).groups)
    assert "not allowed" in host.check_output("sudo --list --other-user %s", name)


@pytest.mark.parametrize("name", PEOPLE)
def test_nobody_has_a_password(host, name):
    assert host.check_output(f"passwd --status {name}").split()[1] == "L"


def test_full_name_is_kept(host):
    assert host.user("an_nguyen").gecos == "Nguyễn Văn An"


def test_whoever_is_not_declared_is_gone_with_open_sessions(host):
    assert not host.user("left_le").exists
    assert host.check_output("systemctl is-active session_of_left_le; true") != "active"
    assert host.group("administrators").members == PEOPLE


def test_files_of_whoever_left_stay(host):
    assert host.file("/home/left_le").is_directory


def test_rules_of_sudo_are_sound_and_in_force(host):
    assert host.run("visudo --check").rc == 0
    assert "use_pty" in host.check_output("sudo --list --other-user root")
