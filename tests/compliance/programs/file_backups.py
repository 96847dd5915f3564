"""Asks this host's repositories of file backups with the host's own credentials, as JSON.

    python3 -c PROGRAM snapshots              what was sent last, by schedule
    python3 -c PROGRAM rights OTHER_HOST      what the repository lets this host do
    python3 -c PROGRAM key                    the digest of the key that opens its copies

Credentials are read here and go nowhere else: not on a command line, not into the answer.
"""

import base64
import datetime as dt
import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import urllib.parse

FOLDER = pathlib.Path("/etc/province/file_backup")
MADE_UP = "0" * 64
"""The name of a snapshot that nobody has: refusing to delete it destroys nothing."""
SECONDS = 20


def months(now: dt.datetime) -> list:
    """This month's repository, and the one before it, which may hold the last copies."""
    before = now.replace(day=1) - dt.timedelta(days=1)
    return [f"{now:%Y-%m}", f"{before:%Y-%m}"]


def snapshots(settings: dict, repository: dict, month: str) -> list:
    """What a repository holds of this host; raises what restic complains about."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "RESTIC_REPOSITORY": f"rest:{repository['url']}/{settings['name']}/{month}/",
        "RESTIC_REST_USERNAME": settings["name"],
        "RESTIC_REST_PASSWORD": (FOLDER / "password").read_text().strip(),
        "RESTIC_PASSWORD_FILE": str(FOLDER / "encryption_key"),
        "RESTIC_CACERT": settings["root"],
    }
    order = ["/usr/bin/restic", "--no-cache", "--no-lock", "--json", "snapshots"]
    done = subprocess.run(
        order, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode == 10:
        return []
    if done.returncode != 0:
        raise SystemExit(f"restic exited {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def sent(settings: dict) -> dict:
    """By host of a repository: every path with the moment of its newest copy."""
    found = {}
    for repository in settings["repositories"]:
        newest = found.setdefault(repository["host"], {})
        for month in months(dt.datetime.now(dt.UTC)):
            for one in snapshots(settings, repository, month):
                for path in one["paths"]:
                    newest[path] = max(one["time"], newest.get(path, ""))
            if newest:
                break
    return found


def ask(settings: dict, url: str, method: str, path: str, *, known: bool) -> int:
    """The status of one request."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=settings["root"])
    who = f"{settings['name']}:{(FOLDER / 'password').read_text().strip()}"
    headers = {"Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"} if known else {}
    one = http.client.HTTPSConnection(parts.netloc, timeout=SECONDS, context=context)
    try:
        one.request(method, path, headers=headers)
        return one.getresponse().status
    finally:
        one.close()


def rights(settings: dict, url: str, other: str) -> dict:
    """The status of what must work and of what must not; on the first of a month, of the last."""
    for month in months(dt.datetime.now(dt.UTC)):
        own = f"/{settings['name']}/{month}"
        read = ask(settings, url, "HEAD", f"{own}/config", known=True)
        if read == 200:
            break
    return {
        "read": read,
        "delete": ask(settings, url, "DELETE", f"{own}/snapshots/{MADE_UP}", known=True),
        "read_of_another": ask(settings, url, "HEAD", f"/{other}/{month}/config", known=True),
        "read_unknown": ask(settings, url, "HEAD", f"{own}/config", known=False),
    }


def main() -> None:
    """Does what the argument says."""
    settings = json.loads((FOLDER / "settings.json").read_text())
    order, *rest = sys.argv[1:]
    if order == "snapshots":
        answer = sent(settings)
    elif order == "rights":
        answer = {
            repository["host"]: rights(settings, repository["url"], rest[0])
            for repository in settings["repositories"]
        }
    else:
        answer = hashlib.sha256((FOLDER / "encryption_key").read_bytes().strip()).hexdigest()
    json.dump(answer, sys.stdout)


main()
