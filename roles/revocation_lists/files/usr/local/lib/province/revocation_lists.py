#!/usr/bin/python3
"""Fetches the authority's revocation lists, and says when one is too old.

    revocation_lists.py fetch     fetches both lists; each succeeds or fails by itself
    revocation_lists.py check     fails, with a sentence for each list that is too old

A list is put in place in one step, when our authority has signed it and it is not older than the
one that is there: whoever plays back an old list would let a revoked key in again. Daemons watch
the files. What is in place stays when nothing can be fetched, so nobody needs the network to start.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

SETTINGS = Path("/etc/province/revocation_lists.json")
ISSUING = Path("/etc/province/pki/issuing.pem")
CERTIFICATES = Path("/etc/province/pki/issuing.crl")
STATE_FOLDER = Path("/var/lib/province/revocation")
SIGNED_FOR = "ssh_revocations"
SIGNATURE = "-----BEGIN SSH SIGNATURE-----"
SPECIFICATION = re.compile(r"serial: \d+|id: [A-Za-z0-9_.@-]+|key: [a-z0-9@.-]+ [A-Za-z0-9+/=]+")
LIMIT_BYTES = 20_000_000
LIMIT_SECONDS = 20
CLOCKS_DIFFER = timedelta(minutes=5)


class RefusedError(Exception):
    """A sentence that says what could not be done."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list that our authority has signed: when it was made, until when it is good, its text."""

    this_update: datetime
    next_update: datetime
    revoked: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two lists: where it comes from, where it lies, how it is read."""

    name: str
    url: str
    place: Path
    read: Callable[[bytes], RevocationList]


def main(arguments: list[str]) -> None:
    """Runs one verb; every failure is a sentence and a failed exit."""
    verbs = {"fetch": fetch, "check": check}
    if len(arguments) != 1 or arguments[0] not in verbs:
        sys.exit(__doc__)
    os.umask(0o022)
    settings = json.loads(SETTINGS.read_text())
    failures = verbs[arguments[0]](settings, datetime.now(UTC))
    if failures:
        # The number is the journal's own sign for a warning.
        sys.exit("\n".join(f"<4>{failure}" for failure in failures))


def kinds(settings: dict[str, str]) -> tuple[Kind, ...]:
    """Answers both lists."""
    authority = settings["ssh_authority"]
    return (
        Kind("crl", settings["crl_url"], CERTIFICATES, read_certificates),
        Kind(
            "ssh",
            settings["ssh_url"],
            STATE_FOLDER / "ssh_revoked",
            lambda body: read_ssh(body, authority),
        ),
    )


def fetch(settings: dict[str, str], now: datetime) -> list[str]:
    """Fetches both lists and records what is in place; answers what failed."""
    STATE_FOLDER.mkdir(mode=0o755, exist_ok=True)
    state = read_state()
    failures = []
    for kind in kinds(settings):
        try:
            found = kind.read(download(kind.url))
            put_in_place(kind, found, state, now)
        except RefusedError as refusal:
            state[f"{kind.name}_failure"] = str(refusal)
            failures.append(f"revocation list {kind.name!r} from {kind.url}: {refusal}")
    fetched = [state.get(f"{kind.name}_fetched_at") for kind in kinds(settings)]
    known = [moment for moment in fetched if isinstance(moment, str)]
    # The older of the two, and of a list that never came nothing can be said.
    state["fetched_at"] = min(known) if len(known) == len(fetched) else None
    write(STATE_FOLDER / "state.json", json.dumps(state, indent=1, sort_keys=True) + "\n")
    return failures


def put_in_place(
    kind: Kind, found: RevocationList, state: dict[str, object], now: datetime
) -> None:
    """Exchanges a list in one step, unless it is older than the one in place or from the future."""
    if found.this_update > now + CLOCKS_DIFFER:
        raise RefusedError(
            f"was made at {found.this_update.isoformat()}, and here it is {now.isoformat()}; a "
            "list from the future would keep later ones out; compare the clocks of both hosts"
        )
    known = state.get(f"{kind.name}_this_update")
    if isinstance(known, str) and found.this_update < datetime.fromisoformat(known):
        raise RefusedError(
            f"was made at {found.this_update.isoformat()}, and the one in place at {known}; an "
            "older list is refused; see who answers for the authority"
        )
    if not kind.place.is_file() or kind.place.read_text() != found.text:
        write(kind.place, found.text)
    values = {
        "this_update": found.this_update.isoformat(),
        "next_update": found.next_update.isoformat(),
        "fetched_at": now.isoformat(timespec="seconds"),
        "revoked": found.revoked,
        "failure": None,
    }
    state.update({f"{kind.name}_{key}": value for key, value in values.items()})


def check(settings: dict[str, str], now: datetime) -> list[str]:
    """Answers a sentence for each list that is missing or too old."""
    state, limit = read_state(), timedelta(hours=int(settings["limit_hours"]))
    failures = []
    for kind in kinds(settings):
        if not isinstance(made := state.get(f"{kind.name}_this_update"), str):
            failures.append(
                f"revocation list {kind.name!r}: never came; what was revoked is let in; see "
                "journalctl --unit=revocation_lists"
            )
            continue
        until = datetime.fromisoformat(str(state[f"{kind.name}_next_update"]))
        age = now - datetime.fromisoformat(made)
        if age > limit or now > until:
            failures.append(
                f"revocation list {kind.name!r}: is {age.total_seconds() / 3600:.1f} hours old and "
                f"good until {until.isoformat()}; {settings['limit_hours']} hours are the limit; "
                f"what was revoked since is let in; last failure: {state[f'{kind.name}_failure']}"
            )
    return failures


def read_certificates(body: bytes) -> RevocationList:
    """Answers the list of certificates, in PEM, when the issuing authority has signed it."""
    read = ["openssl", "crl", "-inform", "DER"]
    # Older versions exit 0 whatever they found, so the word counts.
    signed = execute([*read, "-noout", "-verify", "-CAfile", str(ISSUING)], body)
    if "verify OK" not in signed.stderr.decode(errors="replace"):
        raise refused("openssl crl -verify", signed)
    dates = run([*read, "-noout", "-lastupdate", "-nextupdate", "-dateopt", "iso_8601"], body)
    moments = dict(line.split("=", 1) for line in dates.splitlines())
    serials = run([*read, "-noout", "-text"], body).count("Serial Number:")
    return RevocationList(
        datetime.fromisoformat(moments["lastUpdate"]),
        datetime.fromisoformat(moments["nextUpdate"]),
        serials,
        run([*read, "-outform", "PEM"], body),
    )


def read_ssh(body: bytes, authority: str) -> RevocationList:
    """Answers the list of keys over secure shell, when the authority for people's keys signed it.

    Its text are lines as `ssh-keygen -k` reads them.
    """
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as wrong:
        raise RefusedError(f"is no text: {wrong}; see who answers for the authority") from wrong
    said, mark, rest = text.partition(SIGNATURE)
    with tempfile.TemporaryDirectory(prefix="revocation_lists-") as folder:
        allowed, signature = Path(folder) / "allowed", Path(folder) / "signature"
        allowed.write_text(f'authority namespaces="{SIGNED_FOR}" {authority}\n')
        signature.write_text(mark + rest)
        who = ["-f", str(allowed), "-I", "authority", "-n", SIGNED_FOR, "-s", str(signature)]
        run(["ssh-keygen", "-Y", "verify", *who], said.encode())
    found = json.loads(said)
    lines = found["revoked"]
    if bad := [line for line in lines if not SPECIFICATION.fullmatch(line)]:
        raise RefusedError(
            f"says {bad[0]!r}; only lines 'serial:', 'id:' and 'key:' are understood; bring the "
            "programs of this host and of the authority to the same version"
        )
    return RevocationList(
        datetime.fromisoformat(found["this_update"]),
        datetime.fromisoformat(found["next_update"]),
        len(lines),
        "".join(f"{line}\n" for line in lines),
    )


def download(url: str) -> bytes:
    """Answers what lies at an address in clear."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", parts.path)
        reply = connection.getresponse()
        body = reply.read(LIMIT_BYTES + 1)
    except (OSError, http.client.HTTPException) as failure:
        raise RefusedError(
            f"cannot be fetched: {failure}; the list in place stays; the authority's host must be "
            "reachable"
        ) from failure
    finally:
        connection.close()
    if reply.status != http.client.OK or len(body) > LIMIT_BYTES:
        raise RefusedError(
            f"is answered with {reply.status} {reply.reason} and {len(body)} bytes; 200 and at "
            f"most {LIMIT_BYTES} bytes are required; see who answers for the authority"
        )
    return body


def read_state() -> dict[str, object]:
    """Answers what is known of the lists in place."""
    path = STATE_FOLDER / "state.json"
    found: dict[str, object] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def write(path: Path, text: str) -> None:
    """Exchanges a file in one step, and not before its content is on the disk."""
    fresh = path.with_name(f".{path.name}.fresh")
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.chmod(0o644)
    fresh.replace(path)


def run(command: list[str], given: bytes) -> str:
    """Answers what a command printed; refuses with what it complained about."""
    done = execute(command, given)
    if done.returncode != 0:
        raise refused(" ".join(command[:2]), done)
    return done.stdout.decode()


def execute(command: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    """Runs a command on a list."""
    return subprocess.run(
        command, input=given, capture_output=True, timeout=LIMIT_SECONDS, check=False
    )


def refused(command: str, done: subprocess.CompletedProcess[bytes]) -> RefusedError:
    """Answers the sentence about a list that is none of ours."""
    complaint = (done.stderr or done.stdout).decode(errors="replace").strip()
    return RefusedError(
        f"is not a list that our authority signed: '{command}' exited {done.returncode}: "
        f"{complaint}; the list in place stays; see who answers for the authority"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
