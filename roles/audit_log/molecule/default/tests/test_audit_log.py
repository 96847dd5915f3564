"""What is recorded of whom: logged in as a person and as the automation account."""

import secrets
import time
from collections.abc import Iterator

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host


@pytest.fixture(scope="module")
def key(host: Host) -> Iterator[str]:
    """A key that opens both accounts; in the province people have certificates."""
    host.check_output("ssh-keygen -q -t ed25519 -N '' -f /root/person")
    for name in ("an_nguyen", "ansible"):
        host.check_output(f"install -d -m 0700 -o {name} /home/{name}/.ssh")
        host.check_output(
            f"install -m 0600 -o {name} /root/person.pub /home/{name}/.ssh/authorized_keys"
        )
    yield "/root/person"
    host.check_output("rm /root/person /root/person.pub")


def log_in(host: Host, key: str, name: str, command: str, *options: str) -> CommandResult:
    """Exit 255 is testinfra's own, so a refused login is 1."""
    return host.run(
        f"ssh {' '.join(options)} -i {key} -o BatchMode=yes -o LogLevel=ERROR"
        f" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {name}@192.0.2.10 %s"
        " || exit 1",
        command,
    )


def recorded(host: Host, identifier: str, mark: str) -> list[str]:
    """Lines of the journal with a mark."""
    time.sleep(0.5)
    lines = host.check_output(
        "journalctl --no-pager --output=cat SYSLOG_IDENTIFIER=%s", identifier
    ).splitlines()
    return [line for line in lines if mark in line]


@pytest.fixture
def mark() -> str:
    return f"mark-{secrets.token_hex(6)}"


@pytest.mark.parametrize("options", [[], ["-tt"]], ids=["command", "terminal"])
def test_what_a_person_runs_is_recorded_with_who_from_where_and_what(
    host: Host, key: str, mark: str, options: list[str]
) -> None:
    log_in(host, key, "an_nguyen", f"cd /etc && ls {mark}", *options)
    lines = [line for line in recorded(host, "command", mark) if "program=/usr/bin/ls" in line]
    (line,) = lines
    assert line.startswith("user=an_nguyen login=an_nguyen from=(192.0.2.10 ")
    assert "folder=/etc" in line
    assert line.endswith(f"command=ls {mark}")
    assert ("tty=/dev/pts/" in line) == bool(options)


def test_an_interactive_shell_is_recorded_too(host: Host, key: str, mark: str) -> None:
    host.run(
        f"printf 'head /etc/{mark}\\nexit\\n' | ssh -tt -i {key} -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null an_nguyen@192.0.2.10"
    )
    assert any("program=/usr/bin/head" in line for line in recorded(host, "command", mark))


def test_commands_of_the_automation_account_are_recorded_with_how_they_ended(
    host: Host, key: str, mark: str
) -> None:
    assert log_in(host, key, "ansible", f"sudo -n sh -c ': {mark}; exit 3'").rc != 0
    lines = recorded(host, "sudo", mark)
    assert all(line.strip().startswith("ansible : ") for line in lines)
    assert any("COMMAND=/usr/bin/sh -c " in line and line.endswith("EXIT=3") for line in lines)


def test_what_the_automation_account_leaves_behind_goes_on(host: Host, key: str, mark: str) -> None:
    """A program that sudo itself watches could start nothing after sudo has ended."""
    left = f"(setsid sh -c 'sleep 2; touch /run/{mark}' >/dev/null 2>&1 </dev/null &)"
    host.check_output("test ! -e /run/%s", mark)
    assert log_in(host, key, "ansible", f'sudo -n sh -c "{left}"').rc == 0
    time.sleep(4)
    assert host.file(f"/run/{mark}").exists


def test_programs_that_a_person_starts_as_root_are_recorded(
    host: Host, key: str, mark: str
) -> None:
    rule = "/etc/sudoers.d/zz_proof"
    host.check_output(f"echo 'an_nguyen ALL=(root) NOPASSWD: /usr/bin/env' >{rule}")
    try:
        log_in(host, key, "an_nguyen", f"sudo -n env sh -c 'head /etc/{mark}; true'")
    finally:
        host.check_output(f"rm {rule}")
    lines = recorded(host, "sudo", mark)
    assert any("an_nguyen : " in line and "COMMAND=/usr/bin/env sh" in line for line in lines)
    assert any("an_nguyen : " in line and "COMMAND=/usr/bin/head /etc" in line for line in lines)


def test_a_refused_attempt_to_become_root_is_recorded(host: Host, key: str, mark: str) -> None:
    assert log_in(host, key, "an_nguyen", f"printf x | sudo -S head {mark}").rc != 0
    (line,) = [line for line in recorded(host, "sudo", mark) if "NOT in sudoers" in line]
    assert line.startswith("an_nguyen : ")
    assert f"COMMAND=/usr/bin/head {mark}" in line


def test_root_and_daemons_fill_no_log(host: Host, mark: str) -> None:
    host.check_output(f"sh -c 'ls / >/dev/null; : {mark}'")
    assert recorded(host, "command", mark) == []


def test_what_is_typed_is_recorded_nowhere(host: Host, key: str, mark: str) -> None:
    log_in(host, key, "ansible", f"printf {mark} | sudo -n cat >/dev/null")
    assert not any(mark in line for line in recorded(host, "sudo", mark))
    assert not host.file("/var/log/sudo-io").exists


def test_programs_start_without_complaint(host: Host) -> None:
    seen = host.run("sh -c true")
    assert seen.stderr == ""
    assert host.file("/etc/ld.so.preload").mode == 0o644


def test_an_upgrade_of_the_package_keeps_recording(host: Host) -> None:
    before = host.file("/etc/ld.so.preload").content_string
    host.check_output("dpkg-reconfigure --frontend=noninteractive snoopy")
    assert host.file("/etc/ld.so.preload").content_string == before
    assert host.file("/etc/ld.so.preload").mode == 0o644


def test_the_journal_is_kept_on_the_disk(host: Host) -> None:
    assert host.check_output("ls /var/log/journal")


def test_rules_of_sudo_are_sound(host: Host) -> None:
    assert host.run("visudo --check").rc == 0
