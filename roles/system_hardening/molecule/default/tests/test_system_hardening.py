"""What a hardened host refuses and still allows: tried, not read from files."""

import json

import pytest

GOOD = "Zx7!qwLm0.tR5v"
ANOTHER = "Kp4?hgWn9,uS2b"
PROGRAM = "/usr/local/lib/province/system_hardening.py"


@pytest.fixture
def person(host):
    """An account with a password and a key, and the way in with the key."""
    host.check_output("useradd --create-home --shell /bin/bash person")
    host.check_output("useradd --shell /usr/sbin/nologin stranger")
    host.check_output("ssh-keygen -q -t ed25519 -N '' -f /root/person")
    host.check_output("install -d -m 0700 -o person -g person /home/person/.ssh")
    host.check_output(
        "install -m 0600 -o person /root/person.pub /home/person/.ssh/authorized_keys"
    )
    assert choose(host, GOOD).rc == 0
    yield "person"
    host.check_output("faillock --user person --reset")
    host.run("userdel --force --remove person")
    host.check_output("userdel stranger")
    # The history outlives its account and would be the next one's.
    host.check_output("sh -c 'rm /root/person*; : > /etc/security/opasswd'")


def choose(host, password):
    return host.run("printf '%s\\n%s\\n' | passwd person", password, password)


def log_in(host, command):
    """Log in with the key; exit 255 is testinfra's own, so a refusal is 1."""
    return host.run(
        "ssh -i /root/person -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null person@192.0.2.10 %s || exit 1",
        command,
    )


def become(host, password):
    """Log in as the person with a password, from an account without rights."""
    return host.run(
        "printf '%s\\n' | setpriv --reuid stranger --clear-groups su person -c 'echo in'", password
    )


def look(host):
    return json.loads(host.check_output(f"{PROGRAM} look"))["differences"]


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(
    "password", ["Short1!", "onlylowercaseletters", "Passw0rd!Passw0rd!person"]
)
def test_weak_passwords_are_refused(host, password):
    refusal = choose(host, password)
    assert refusal.rc != 0
    assert "BAD PASSWORD" in refusal.stderr


@pytest.mark.usefixtures("person")
def test_password_is_not_used_again(host):
    assert choose(host, ANOTHER).rc == 0
    refusal = choose(host, GOOD)
    assert refusal.rc != 0
    assert "already used" in refusal.stderr


@pytest.mark.usefixtures("person")
def test_password_is_kept_as_yescrypt_and_ages(host):
    fields = host.check_output("getent shadow person").split(":")
    assert fields[1].startswith("$y$")
    assert fields[4:7] == ["60", "7", "45"]


@pytest.mark.usefixtures("person")
def test_wrong_passwords_lock_the_password_and_not_the_key(host):
    assert become(host, GOOD).stdout.strip().endswith("in")
    for _ in range(5):
        assert become(host, "wrong").rc != 0
    locked = become(host, GOOD)
    assert (locked.rc != 0, "left to unlock" in locked.stdout) == (True, True)
    assert log_in(host, "echo in").stdout.strip() == "in"


@pytest.mark.usefixtures("person")
def test_key_of_an_account_without_password_does_not_age(host):
    host.check_output("usermod --password '!' person")
    host.check_output("chage --lastday 2020-01-01 person")
    assert log_in(host, "true").rc != 0
    assert look(host) == ["person: has no password, and its age would close it"]
    host.check_output(f"{PROGRAM} apply")
    assert log_in(host, "echo in").stdout.strip() == "in"


def test_automation_account_does_not_age(host):
    assert host.check_output("getent shadow ansible").split(":")[4:7] == ["", "", ""]


@pytest.mark.usefixtures("person")
def test_idle_shell_of_a_person_ends_and_automation_is_left_alone(host):
    login = host.check_output("su - person -c 'echo $TMOUT; TMOUT=0' 2>&1; true").splitlines()
    assert login[0] == "300"
    assert "readonly" in login[1]
    twice = log_in(host, "sh -c '. /etc/profile && . /etc/profile && echo $TMOUT'")
    assert (twice.rc, twice.stdout.strip(), twice.stderr) == (0, "300", "")
    assert log_in(host, "echo ${TMOUT:-none}").stdout.strip() == "none"


@pytest.mark.usefixtures("person")
def test_what_a_person_makes_is_closed_to_others(host):
    log_in(host, "touch made")
    assert host.file("/home/person/made").mode & 0o007 == 0
    assert host.check_output("su - person -c umask") == "0027"


def test_what_automation_makes_stays_readable(host):
    assert host.check_output("su ansible -c 'sudo sh -c umask'") == "0022"


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])  # noqa: S108 - those that the role names
def test_nothing_runs_from_temporary_folders(host, folder):
    assert {"nosuid", "nodev", "noexec"} <= set(host.mount_point(folder).options)
    host.check_output(f"sh -c 'cp /bin/true {folder}/program'")
    refusal = host.run(f"{folder}/program")
    host.check_output(f"rm {folder}/program")
    assert refusal.rc == 126


@pytest.mark.usefixtures("person")
def test_crashing_program_leaves_no_image(host):
    assert log_in(host, "ulimit -H -c").stdout.strip() == "0"
    limit = host.check_output("systemctl show --property=DefaultLimitCORE --value")
    assert limit == "0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("net.ipv4.ip_forward", 0),
        ("net.ipv4.conf.management.accept_redirects", 0),
        ("net.ipv4.conf.management.send_redirects", 0),
        ("net.ipv4.conf.all.rp_filter", 1),
        ("net.ipv4.conf.all.log_martians", 1),
        ("net.ipv4.tcp_syncookies", 1),
        ("net.ipv6.conf.management.accept_source_route", 0),
        ("net.ipv6.conf.all.forwarding", 0),
    ],
)
def test_kernel_holds_the_value(host, name, value):
    assert host.sysctl(name) == value


def test_removable_storage_is_refused_by_name(host):
    assert "install usb_storage /bin/false" in host.check_output("modprobe --showconfig")


def test_unneeded_package_is_gone(host):
    assert not host.package("talk").is_installed


def test_console_takes_no_credential_that_logs_in(host):
    for unit in ("getty@tty1.service", "console-getty.service"):
        shown = host.check_output(f"systemctl show --property=ImportCredential {unit}")
        assert shown in {"", "ImportCredential="}


def test_open_file_was_closed(host):
    assert host.file("/etc/shadow").mode == 0o640


def test_change_by_hand_is_named_and_brought_back(host):
    host.check_output("sysctl -w net.ipv4.tcp_syncookies=0")
    host.check_output("mount -o remount,exec /dev/shm")
    host.check_output("chmod 0755 /root")
    assert look(host) == [
        "/proc/sys/net/ipv4/tcp_syncookies: is 0; 1 is required",
        "/dev/shm: is mounted without noexec",  # noqa: S108 - what the program says
        "/root: is 0:0 0755; root:root 0700 is required",
    ]
    host.check_output(f"{PROGRAM} apply")
    assert look(host) == []


def test_stack_that_another_hand_changed_is_not_overwritten(host):
    """pam-auth-update leaves it alone without a word; the program must not."""
    stack = "/etc/pam.d/common-auth"
    host.check_output(f"cp --preserve {stack} /root/stack")
    host.check_output(f"sed -i '/faillock/d; s/^auth.*pam_unix/auth sufficient x.so\\n&/' {stack}")
    refused = host.run(f"{PROGRAM} apply")
    host.check_output(f"mv /root/stack {stack}")
    assert refused.rc == 1
    assert f"{stack}: does not use pam_faillock.so preauth" in refused.stderr
    assert look(host) == []


def test_all_of_it_holds_after_a_start(host):
    assert host.service("system_hardening").is_enabled
    assert host.check_output("systemctl is-system-running") == "running"
