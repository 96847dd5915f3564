"""IAM: who gets in, who becomes root, and when a session ends."""

import re
import subprocess

import pytest
from harness import CouldNotCheck, Machine, Seen, World, listed

from infra.plan import Host

AUTOMATION = "ansible"
IDLE_SECONDS = 300
PASSWORD_DAYS = 60
UNUSED_DAYS = 45
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")


def daemon(machine: Machine, user: str = "") -> dict[str, list[str]]:
    """What sshd does, by its own word: for everybody, or for one account."""
    whom = ["-C", f"user={user},host=controller,addr=192.0.2.1"] if user else []
    settings: dict[str, list[str]] = {}
    for line in machine.ask("/usr/sbin/sshd", "-T", *whom).splitlines():
        name, _, value = line.partition(" ")
        settings.setdefault(name, []).append(value)
    return settings


def accounts(machine: Machine) -> dict[str, str]:
    """Accounts that could open a session, with their shell."""
    rows = [line.split(":") for line in machine.ask("getent", "passwd").splitlines()]
    return {row[0]: row[6] for row in rows if row[6] not in NO_LOGIN}


def password_fields(machine: Machine) -> dict[str, list[str]]:
    """Rows of the shadow table by account."""
    rows = [line.split(":") for line in machine.ask("getent", "shadow").splitlines()]
    return {row[0]: row for row in rows}


@pytest.mark.control("IAM-01")
def test_secure_shell_lets_named_groups_in(machine: Machine, seen: Seen) -> None:
    settings = daemon(machine)
    required = {
        "permitrootlogin": "no",
        "permitemptypasswords": "no",
        "hostbasedauthentication": "no",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
    }

    running = {name: settings[name][0] for name in required}
    groups = [group for line in settings.get("allowgroups", []) for group in line.split()]
    seen(*(f"{name} {value}" for name, value in running.items()), f"allowgroups {listed(groups)}")
    wrong = {name: value for name, value in running.items() if value != required[name]}
    assert not wrong, f"{machine.name}: sshd has {wrong}; required is 'no' for each"
    assert groups, f"{machine.name}: sshd lets everybody in; it must name groups"


@pytest.mark.control("IAM-01")
def test_root_is_refused(machine: Machine, world: World, seen: Seen) -> None:
    """With the key that lets the automation in; that it does is what asked every other question."""
    machine.ask("true", live=True)
    command = ["ssh", "-F", str(world.state / "ssh_config"), "-o", "ControlPath=none"]
    done = subprocess.run(
        [*command, "-o", "BatchMode=yes", "-l", "root", machine.name, "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = done.stderr.strip().splitlines()[-1:] or ["nothing"]

    seen(f"root at {machine.name}: exit {done.returncode}, {said[0]}")
    assert done.returncode != 0, f"{machine.name}: root logged in; only named people may"
    refusal = re.search(r"Permission denied \(([^)]*)\)", said[0])
    if refusal is None:
        raise CouldNotCheck(f"{machine.name}: the login of root ended otherwise: {said[0]}")
    assert refusal[1] == "publickey", (
        f"{machine.name}: offers {refusal[1]}; only keys and certificates may be offered"
    )


@pytest.mark.control("IAM-03")
def test_passwords_are_well_hashed_or_unusable(machine: Machine, seen: Seen) -> None:
    fields = password_fields(machine)
    hashed = {name: row[1] for name, row in fields.items() if not row[1].startswith(("!", "*"))}
    kinds = {
        name: value.split("$")[1] if "$" in value else "none" for name, value in hashed.items()
    }

    seen(f"{len(fields)} accounts, with a usable password: {kinds or 'none'}")
    weak = {name: kind for name, kind in kinds.items() if kind not in {"y", "gy", "6"}}
    assert not weak, f"{machine.name}: {weak} are neither yescrypt nor SHA-512"


@pytest.mark.control("IAM-03")
def test_new_passwords_must_be_good(machine: Machine, seen: Seen) -> None:
    """PAM has no daemon to ask: the modules read these files at every change of a password."""
    stack = machine.ask("cat", "/etc/pam.d/common-password")
    quality = machine.reply(
        "sh", "-c", "cat /etc/security/pwquality.conf /etc/security/pwquality.conf.d/*.conf"
    ).output
    active = [line for line in stack.splitlines() if line.strip() and not line.startswith("#")]
    values = dict(re.findall(r"^\s*(\w+)\s*=\s*(-?\d+)", quality, re.MULTILINE))
    values |= dict(re.findall(r"(minlen|minclass)=(\d+)", stack))
    history = re.search(r"pam_pwhistory\.so.*?remember=(\d+)", stack)

    seen(*active, f"quality: {values}")
    assert "pam_pwquality.so" in stack, f"{machine.name}: no module judges new passwords"
    assert int(values.get("minlen", 0)) >= 14, f"{machine.name}: minlen {values}; 14 is required"
    assert int(values.get("minclass", 0)) >= 4, f"{machine.name}: minclass {values}; 4 is required"
    assert history is not None, f"{machine.name}: no module remembers old passwords"
    assert int(history[1]) >= 10, f"{machine.name}: remembers {history[1]}; 10 are required"


@pytest.mark.control("IAM-04")
def test_passwords_expire_or_are_unusable(machine: Machine, seen: Seen) -> None:
    fields = password_fields(machine)
    usable = {n: row for n, row in fields.items() if not row[1].startswith(("!", "*"))}

    seen(f"accounts with a usable password: {listed(sorted(usable))}; all others use keys only")
    lasting = {
        name: row[4] or "for ever"
        for name, row in usable.items()
        if not row[4] or int(row[4]) > PASSWORD_DAYS
    }
    assert not lasting, (
        f"{machine.name}: {lasting} days is how long passwords last; {PASSWORD_DAYS} at most"
    )


@pytest.mark.control("IAM-05")
def test_failed_logins_lock(machine: Machine, seen: Seen) -> None:
    """PAM has no daemon to ask: the module reads these files at every login."""
    stack = machine.ask("cat", "/etc/pam.d/common-auth")
    account = machine.ask("cat", "/etc/pam.d/common-account")
    settings = machine.reply("cat", "/etc/security/faillock.conf").output
    active = dict(re.findall(r"^\s*(\w+)\s*=\s*(\d+)", settings, re.MULTILINE))
    active |= dict(re.findall(r"(deny|unlock_time|fail_interval)=(\d+)", stack))

    uses = re.findall(r"pam_faillock\.so\s+(preauth|authfail|authsucc)", stack)
    seen(f"faillock: {listed(uses)}, settings {active}")
    assert {"preauth", "authfail"} <= set(uses), (
        f"{machine.name}: failed logins are counted by {listed(uses)}; "
        "pam_faillock must stand before and after the password"
    )
    assert "pam_faillock.so" in account, f"{machine.name}: a success does not reset the count"
    assert 0 < int(active.get("deny", 3)) <= 5, f"{machine.name}: locks after {active}; 5 at most"


@pytest.mark.control("IAM-07")
def test_accounts_belong_to_people(machine: Machine, world: World, seen: Seen) -> None:
    people = {person.name for person in world.plan.administrators}
    found = accounts(machine)
    locked = machine.ask("passwd", "--status", "root").split()[1]

    seen(*(f"{name}: {shell}" for name, shell in found.items()), f"root's password: {locked}")
    strange = sorted(set(found) - people - {"root", AUTOMATION})
    assert not strange, (
        f"{machine.name}: {listed(strange)} could log in and are nobody declared; "
        f"declared are {listed(sorted(people))}"
    )
    missing = sorted(people - set(found))
    assert not missing, f"{machine.name}: {listed(missing)} are declared and have no account"
    assert locked == "L", f"{machine.name}: root has a usable password; it must be locked"


@pytest.mark.control("IAM-08")
def test_sudo_rights_are_the_declared_ones(machine: Machine, world: World, seen: Seen) -> None:
    people = {person.name for person in world.plan.administrators}
    for name in accounts(machine):
        rights = machine.ask("sudo", "--list", "--other-user", name)
        granted = [line.strip() for line in rights.splitlines() if line.startswith("    (")]
        seen(f"{name}: {listed(granted)}")
        if name == "root":
            continue
        free = [right for right in granted if "NOPASSWD" in right]
        assert not granted or name in people | {AUTOMATION}, (
            f"{machine.name}: {name} may {listed(granted)}; no declaration gives it"
        )
        assert not free or name == AUTOMATION, (
            f"{machine.name}: {name} may {listed(free)} without a password; only automation may"
        )


@pytest.mark.control("IAM-08")
def test_sudo_keeps_a_record_and_a_terminal(machine: Machine, target: Host, seen: Seen) -> None:
    rights = machine.ask("sudo", "--list", "--other-user", AUTOMATION)
    defaults = rights.partition("User ")[0]
    words = set(re.findall(r"[\w!]+", defaults))

    seen(f"{target.name}: sudo's defaults: {' '.join(defaults.split())}")
    assert "use_pty" in words, f"{machine.name}: sudo runs without a terminal of its own"
    assert {"!log_allowed", "!syslog"}.isdisjoint(words), f"{machine.name}: sudo keeps no record"


@pytest.mark.control("IAM-09")
def test_idle_sessions_of_administrators_end(machine: Machine, world: World, seen: Seen) -> None:
    for person in world.plan.administrators:
        timeout = " ".join(daemon(machine, person.name).get("channeltimeout", ["none"]))
        seen(f"{person.name}: channeltimeout {timeout}")
        limit = re.search(r"session=(\d+)([smh]?)", timeout)
        assert limit is not None, f"{machine.name}: sessions of {person.name} never end: {timeout}"
        seconds = int(limit[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[limit[2]]
        assert 0 < seconds <= IDLE_SECONDS, (
            f"{machine.name}: idle sessions of {person.name} end after {seconds} s; "
            f"{IDLE_SECONDS} s at most"
        )


@pytest.mark.control("IAM-09")
def test_idle_shells_end(machine: Machine, seen: Seen) -> None:
    shown = machine.ask("bash", "--login", "-c", "echo ${TMOUT:-none}; readonly -p").splitlines()
    limit, locked = shown[0], any(re.search(r"\bTMOUT=", line) for line in shown[1:])

    seen(f"a login shell's TMOUT: {limit}, fixed: {locked}")
    assert limit.isdigit(), f"{machine.name}: an idle shell never ends: TMOUT is {limit}"
    assert 0 < int(limit) <= IDLE_SECONDS, f"{machine.name}: TMOUT {limit}; {IDLE_SECONDS} at most"
    assert locked, f"{machine.name}: whoever works there may set TMOUT; it must be fixed"


@pytest.mark.control("IAM-06")
def test_unused_accounts_close_by_themselves(machine: Machine, world: World, seen: Seen) -> None:
    """A password that nobody renews ends; whoever has none needs a certificate of a few hours."""
    defaults = dict(re.findall(r"^(\w+)=(.*)$", machine.ask("useradd", "--defaults"), re.MULTILINE))
    fields = password_fields(machine)
    usable = {n: row for n, row in fields.items() if not row[1].startswith(("!", "*"))}

    seen(f"new accounts: INACTIVE={defaults.get('INACTIVE')}", f"passwords: {listed(usable)}")
    days = defaults.get("INACTIVE", "")
    assert days.isdigit(), f"{machine.name}: new accounts never close: INACTIVE={days}"
    assert int(days) <= UNUSED_DAYS, f"{machine.name}: INACTIVE={days}; {UNUSED_DAYS} at most"
    lasting = [n for n, row in usable.items() if not row[6] or int(row[6]) > UNUSED_DAYS]
    assert not lasting, f"{machine.name}: passwords of {listed(lasting)} open for ever"
    for person in world.plan.administrators:
        settings = daemon(machine, person.name)
        keys = settings.get("authorizedkeysfile", ["none"])
        seen(f"{person.name}: keys {listed(keys)}, {listed(settings['trustedusercakeys'])}")
        assert keys == ["none"], f"{machine.name}: {person.name} has keys for ever: {listed(keys)}"
        assert settings["trustedusercakeys"] != ["none"], f"{machine.name}: trusts no authority"
