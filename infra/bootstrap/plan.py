"""What a host still lacks to be Ansible's, decided from what it says of itself: pure.

1. A step is decided from the host as it is now, never from what an earlier run remembers. So a
   killed run goes on by being run again, and a host that lacks nothing is left alone.
2. The new host key is pinned here before the host shows it, and the old one is forgotten only after
   the host has shown the new one. At no moment does the host show a key that is not pinned.
3. The creator's way in is closed only over the way in that replaces it.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

PACKAGES = ("python3-apt", "python3-minimal", "sudo")
"""What Ansible needs on a host: its interpreter, its package module's library, its way to root."""

ACCOUNT = "ansible"
ACCOUNT_HOME = "/var/lib/ansible"
SYSTEM = "debian 13"

FOLDER = "/var/lib/province/first_contact"
SOURCE_FILE = "/etc/apt/sources.list.d/province_first_contact.sources"
SUDOERS_FILE = f"/etc/sudoers.d/{ACCOUNT}"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
PENDING_KEY = f"{HOST_KEY}.new"

Outcome = Literal["done", "deferred", "failed"]


class Step(StrEnum):
    """What can be missing, in the order in which it is brought; the value is what is going on."""

    REPAIR = "finish an interrupted installation"
    CARRY = "carry the repository of first contact"
    INSTALL = "install Python and sudo"
    ACCOUNT = "create the automation account"
    MAKE_KEY = "make the host's own SSH key"
    SHOW_KEY = "replace the creator's SSH host key"
    CLOSE_ROOT = "remove the creator's key from root"


class Way(StrEnum):
    """How a host is entered."""

    AUTOMATION = "the automation account"
    CREATOR = "root with the creator's key"


class Contact(StrEnum):
    """How an attempt to enter ended."""

    ENTERED = "entered"
    NOT_ADMITTED = "not admitted"
    WRONG_HOST_KEY = "wrong host key"
    UNREACHABLE = "unreachable"


class FirstContactRepository(Protocol):
    """The signed flat repository that is carried to a host (``infra.mirror`` builds it)."""

    @property
    def path(self) -> Path:
        """Folder of the repository."""

    @property
    def digest(self) -> str:
        """SHA-256 of its InRelease file."""

    @property
    def key(self) -> Path:
        """Armoured public key, a file of that folder."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host says of itself; keys as ``ssh-ed25519 AAAA...``, empty where there is none."""

    system: str
    architecture: str
    is_interrupted: bool
    """An installation was broken off and dpkg waits for it to be finished."""
    carried: str
    """Digest of the repository of first contact that it has."""
    installed: frozenset[str]
    host_key: str
    pending_key: str
    published_key: str
    """The public half beside the host key, for whoever reads it there."""
    creator_is_admitted: bool
    shown_fingerprint: str
    """Fingerprint of the key with which it answered this very connection."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a host must have, as far as decisions depend on it."""

    digest: str
    architectures: frozenset[str]
    creator_host_key: str


# Printed line by line, one fact each; the last line tells a whole answer from a broken one.
PROBE = (
    """\
say() { printf '%s=%s\\n' "$1" "$2"; }
public() { ssh-keygen -y -f "$1" 2>/dev/null </dev/null | cut -d ' ' -f 1,2; }
. /etc/os-release
say system "$ID $VERSION_ID"
say architecture "$(dpkg --print-architecture)"
say interrupted "$(dpkg --audit | head -c 1 | wc -c)"
say carried "$(sha256sum FOLDER/InRelease 2>/dev/null | cut -d ' ' -f 1)"
say installed "$(dpkg-query -W -f '${Package}:${db:Status-Status} ' PACKAGES 2>/dev/null)"
say host_key "$(public KEY)"
say pending_key "$(public KEY.new)"
say published_key "$(cut -d ' ' -f 1,2 KEY.pub 2>/dev/null)"
say creator "$(grep -c -F -e "$1" /root/.ssh/authorized_keys 2>/dev/null)"
say complete yes
""".replace("FOLDER", FOLDER)
    .replace("PACKAGES", " ".join(PACKAGES))
    .replace("KEY", HOST_KEY)
)
"""Shell script of the facts; its argument is the creator's public key without its type."""

# Its input is the repository as a tar archive, its argument the digest of the signed file in it.
# What a host has is replaced only by a whole and verified one.
CARRY = """\
set -e
rm -rf FOLDER.new FOLDER.old
mkdir -p -m 755 PARENT
mkdir -m 755 FOLDER.new
tar -x -f - -C FOLDER.new --no-same-owner
echo "$1  FOLDER.new/InRelease" | sha256sum --quiet -c
if [ -e FOLDER ]; then mv FOLDER FOLDER.old; fi
mv FOLDER.new FOLDER
rm -rf FOLDER.old
""".replace("FOLDER", FOLDER).replace("PARENT", str(Path(FOLDER).parent))
"""Shell script that unpacks what is carried."""

_SHOWN = re.compile(r"^debug1: Server host (?:key|certificate): \S+ (SHA256:[^\s,]+)", re.MULTILINE)
"""A host whose key is certified shows the certificate; its fingerprint is the key's."""


def parse_facts(output: str, diagnostics: str) -> Facts | None:
    """Answers the facts that :data:`PROBE` printed, or None where it did not get to its end.

    ``diagnostics`` is what ``ssh -v`` printed: it names the key that the host has shown.
    """
    said = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    shown = shown_fingerprint(diagnostics)
    if said.get("complete") != "yes" or shown is None:
        return None
    states = (word.partition(":") for word in said["installed"].split())
    return Facts(
        system=said["system"],
        architecture=said["architecture"],
        is_interrupted=said["interrupted"] != "0",
        carried=said["carried"],
        installed=frozenset(name for name, _, state in states if state == "installed"),
        host_key=said["host_key"],
        pending_key=said["pending_key"],
        published_key=said["published_key"],
        creator_is_admitted=said["creator"] not in {"", "0"},
        shown_fingerprint=shown,
    )


def shown_fingerprint(diagnostics: str) -> str | None:
    """Answers the fingerprint of the key that the host has shown, from what ``ssh -v`` printed."""
    match = _SHOWN.search(diagnostics)
    return match[1] if match else None


def classify_contact(exit_code: int, diagnostics: str) -> Contact:
    """Answers how ``ssh`` fared: 255 is its own failure, anything else the remote command's."""
    if exit_code != 255:  # noqa: PLR2004  ssh(1), exit status
        return Contact.ENTERED
    if "Host key verification failed" in diagnostics:
        return Contact.WRONG_HOST_KEY
    if "Permission denied" in diagnostics:
        return Contact.NOT_ADMITTED
    return Contact.UNREACHABLE


def unfit(facts: Facts, wanted: Wanted) -> str | None:
    """Answers why a host can never be taken over as it is, or None."""
    if facts.system != SYSTEM:
        return f"runs {facts.system!r}; {SYSTEM!r} is required: install the host anew"
    if facts.architecture not in wanted.architectures:
        return (
            f"is {facts.architecture}; the packages are for "
            f"{', '.join(sorted(wanted.architectures))}: build the mirror for its architecture"
        )
    return None


def missing_steps(facts: Facts, way: Way, wanted: Wanted) -> tuple[Step, ...]:
    """Answers what is to be done now, over this way; empty when nothing is left."""
    steps: list[Step] = []
    if facts.is_interrupted:
        steps.append(Step.REPAIR)
    if not facts.installed.issuperset(PACKAGES):
        # A ready host keeps the repository it has: a new one is no reason to load 122 uplinks.
        if facts.carried != wanted.digest:
            steps.append(Step.CARRY)
        steps.append(Step.INSTALL)
    if way is Way.CREATOR:
        steps.append(Step.ACCOUNT)
    if facts.pending_key or not _shows_its_key(facts):
        steps.append(Step.SHOW_KEY)
    elif facts.host_key == wanted.creator_host_key:
        steps.append(Step.MAKE_KEY)
    if not steps and facts.creator_is_admitted:
        steps.append(Step.CLOSE_ROOT)
    return tuple(steps)


def keys_to_pin(facts: Facts, pinned: Iterable[str]) -> tuple[str, ...]:
    """Answers the keys that this host may show from now on: what it shows and what it will show."""
    shown = [key for key in pinned if fingerprint(key) == facts.shown_fingerprint]
    candidates = [*shown, facts.host_key, facts.pending_key]
    return tuple(dict.fromkeys(filter(None, candidates)))


def fingerprint(key: str) -> str:
    """Answers a public key's fingerprint as OpenSSH writes it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def lookup_name(settings: Mapping[str, str]) -> str:
    """Answers the name under which OpenSSH looks a host up in known_hosts."""
    host = settings.get("hostkeyalias") or settings["hostname"]
    return (
        host
        if settings["port"] == "22" or "hostkeyalias" in settings
        else (f"[{host}]:{settings['port']}")
    )


def pinned_keys(known_hosts: str, name: str) -> tuple[str, ...]:
    """Answers the keys that known_hosts holds for a name; certificates' authorities are none."""
    return tuple(
        " ".join(words[1:3]) for words in _entries(known_hosts) if name in words[0].split(",")
    )


def repin(known_hosts: str, name: str, keys: Iterable[str]) -> str:
    """Answers known_hosts with exactly these keys for a name, and for what shared its lines."""
    kept: list[str] = []
    names: list[str] = []
    for line in known_hosts.splitlines():
        words = line.split()
        if len(words) > 2 and name in words[0].split(","):  # noqa: PLR2004  names, type, key
            names.append(words[0])
        else:
            kept.append(line)
    added = [f"{one} {key}" for one in dict.fromkeys(names or [name]) for key in keys]
    return "".join(f"{line}\n" for line in [*kept, *added])


def render_source(key_name: str) -> str:
    """Answers the package source of first contact, which stays for repair without a link."""
    return (
        "# Written by bootstrap: what a host needs before it can reach the mirror.\n"
        f"Types: deb\nURIs: copy:{FOLDER}\nSuites: ./\nSigned-By: {FOLDER}/{key_name}\n"
    )


def render_sudoers() -> str:
    """Answers the rule that lets the automation account, and nobody else, act as root."""
    return (
        "# Written by bootstrap: Ansible acts as root; the account has a key and no password.\n"
        f"{ACCOUNT} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    )


def _shows_its_key(facts: Facts) -> bool:
    if not facts.host_key:
        return True
    return (
        fingerprint(facts.host_key) == facts.shown_fingerprint
        and facts.published_key == facts.host_key
    )


def _entries(known_hosts: str) -> Iterable[list[str]]:
    for line in known_hosts.splitlines():
        words = line.split()
        # "#" is a comment, "@" a marker, "|" a hashed name: none of them is a pinned key of ours.
        if len(words) > 2 and words[0][0] not in "#@|":  # noqa: PLR2004  names, type, key
            yield words
