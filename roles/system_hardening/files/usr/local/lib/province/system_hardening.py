#!/usr/bin/python3
"""Compares what is in force on this host with what hardening asks for, and brings it about.

    system_hardening.py look     what differs, as JSON; changes nothing
    system_hardening.py apply    brings it about; a difference that is left ends it with an error

What is asked for stands in /etc/province/system_hardening.json. A configuration file says what
holds after the next start or the next login; this is about what holds now.
"""

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SETTINGS = Path("/etc/province/system_hardening.json")
LOAD_KERNEL_PARAMETERS = "/usr/lib/systemd/systemd-sysctl"
LIMIT_SECONDS = 60
FOR_EVER = 99999
"""Days from which on a password counts as one that does not age (shadow(5) leaves it open)."""
NO_LOGIN = ("/nologin", "/false", "/sync")
"""How the shells of accounts end that open no session."""


class Access(NamedTuple):
    """Who may do what with a file: numbers of owner and group, and the mode."""

    owner: int
    group: int
    mode: int


def found(pattern: str) -> list[Path]:
    """The paths that a pattern reaches; none is no difference."""
    return sorted(Path("/").glob(pattern.lstrip("/")))


def kernel(wanted: dict[str, str]) -> Iterator[str]:
    """Parameters of the kernel that have another value."""
    for name, value in wanted.items():
        for path in found(f"/proc/sys/{name.replace('.', '/')}"):
            running = path.read_text().strip()
            if running != value:
                yield f"{path}: is {running}; {value} is required"


def mounts(wanted: dict[str, list[str]]) -> Iterator[str]:
    """Folders that are no mount of their own, or one that allows more."""
    running = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        running[fields[4]] = fields[5].split(",")
    for folder, options in wanted.items():
        if folder not in running:
            yield f"{folder}: is no mount of its own; enable its mount unit and restart the host"
        elif missing := sorted(set(options) - set(running[folder])):
            yield f"{folder}: is mounted without {', '.join(missing)}"


def pam_profiles(wanted: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    """Profiles of pam-auth-update that stand in none of the files that logins read."""
    for name, files in wanted.items():
        for file, modules in files.items():
            path = Path("/etc/pam.d", file)
            lines = [" ".join(line.split()) for line in path.read_text().splitlines()]
            active = [line for line in lines if not line.startswith("#")]
            for module in modules:
                if not any(module in line for line in active):
                    yield (
                        f"{path}: does not use {module} (profile {name}); where somebody changed "
                        "it by hand, pam-auth-update leaves it alone: run pam-auth-update --force"
                    )


def ages() -> Iterator[tuple[str, bool, int | None, int | None]]:
    """Of every account with a session: name, has a usable password, days it lasts, days after."""
    shells = {entry.pw_name: entry.pw_shell for entry in pwd.getpwall()}
    for line in Path("/etc/shadow").read_text().splitlines():
        name, password, _, _, longest, _, inactive = line.split(":")[:7]
        if not shells.get(name, NO_LOGIN[0]).endswith(NO_LOGIN):
            days = [
                int(field) if field and field != "-1" else None for field in (longest, inactive)
            ]
            yield name, not password.startswith(("!", "*")), *days


def password_ages(wanted: dict[str, int] | None) -> Iterator[tuple[str, list[str]]]:
    """Accounts whose password lasts too long, or ages although nobody can use it.

    The age of a password counts for every login, also for one with a key: an account that has no
    usable password would be closed by it and could not choose a new one.
    """
    if wanted is None:
        return
    for name, usable, longest, inactive in ages():
        ageing = longest is not None and longest < FOR_EVER
        if usable and (not ageing or longest > wanted["days"]):
            change = [f"--maxdays={wanted['days']}"]
            yield f"{name}: its password lasts {longest} days; {wanted['days']} at most", change
        elif not usable and (ageing or inactive is not None):
            yield (
                f"{name}: has no password, and its age would close it",
                [
                    "--maxdays=-1",
                    "--inactive=-1",
                ],
            )


def open_accounts(wanted: list[str]) -> Iterator[tuple[str, str]]:
    """Accounts of daemons that could open a session."""
    for entry in pwd.getpwall():
        if entry.pw_name in wanted and not entry.pw_shell.endswith(NO_LOGIN):
            sentence = (
                f"{entry.pw_name}: opens sessions with {entry.pw_shell}; only a daemon uses it"
            )
            yield sentence, entry.pw_name


def permissions(wanted: dict[str, dict[str, str]]) -> Iterator[tuple[str, Path, Access]]:
    """Files that belong to somebody else, or are open to others."""
    for pattern, access in wanted.items():
        owner, group, mode = access["owner"], access["group"], access["mode"]
        need = Access(pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, int(mode, 8))
        for path in found(pattern):
            seen = path.lstat()
            has = Access(seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode))
            if has != need and not stat.S_ISLNK(seen.st_mode):
                is_now = f"{has.owner}:{has.group} {has.mode:04o}"
                yield f"{path}: is {is_now}; {owner}:{group} {mode} is required", path, need


def differences(settings: dict[str, Any]) -> list[str]:
    """One sentence for everything that is not as it must be."""
    return [
        *kernel(settings["kernel"]),
        *mounts(settings["mounts"]),
        *pam_profiles(settings["pam_profiles"]),
        *(sentence for sentence, _ in password_ages(settings["password_ages"])),
        *(sentence for sentence, _ in open_accounts(settings["daemon_accounts"])),
        *(sentence for sentence, _, _ in permissions(settings["permissions"])),
    ]


def run(*command: str) -> None:
    """Runs a program; what it says ends the run when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode != 0:
        sys.exit(
            f"system_hardening: {' '.join(command)} ended with {done.returncode}: {done.stderr}"
        )


def apply(settings: dict[str, Any]) -> None:
    """Brings about what differs; the order of the files decides between two that set the same."""
    if any(kernel(settings["kernel"])):
        run(LOAD_KERNEL_PARAMETERS)
    for folder, options in settings["mounts"].items():
        if any(mounts({folder: options})) and Path(folder).is_mount():
            run("mount", "-o", f"remount,{','.join(options)}", folder)
    if any(pam_profiles(settings["pam_profiles"])):
        run("pam-auth-update", "--package", "--enable", *settings["pam_profiles"])
    for sentence, change in list(password_ages(settings["password_ages"])):
        run("chage", *change, sentence.partition(":")[0])
    for _, account in list(open_accounts(settings["daemon_accounts"])):
        run("usermod", "--shell", "/usr/sbin/nologin", account)
    for _, path, need in list(permissions(settings["permissions"])):
        os.chown(path, need.owner, need.group)
        path.chmod(need.mode)
    left = differences(settings)
    if left:
        sys.exit("system_hardening: still not as required:\n" + "\n".join(left))


def main(arguments: list[str]) -> None:
    """Does what is asked for."""
    settings = json.loads(SETTINGS.read_text())
    match arguments:
        case ["look"]:
            json.dump({"differences": differences(settings)}, sys.stdout, indent=1)
        case ["apply"]:
            apply(settings)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
