"""Compares a host with the manifests of what was written there; JSON, in one pass.

python3 -c PROGRAM FOLDER_OF_MANIFESTS
"""

import grp
import hashlib
import json
import os
import pathlib
import pwd
import stat
import sys


def state_of(path: str, wanted: dict) -> dict:
    """What is there, in the words of the manifest, as far as the manifest speaks of it."""
    about = os.lstat(path)
    if "target" in wanted:
        is_link = stat.S_ISLNK(about.st_mode)
        return {"target": str(pathlib.Path(path).readlink()) if is_link else "no link"}
    seen = {
        "mode": f"{stat.S_IMODE(about.st_mode):04o}",
        "owner": pwd.getpwuid(about.st_uid).pw_name,
        "group": grp.getgrgid(about.st_gid).gr_name,
    }
    if wanted.get("sha256"):
        content = pathlib.Path(path).read_bytes() if stat.S_ISREG(about.st_mode) else b"no file"
        seen["sha256"] = hashlib.sha256(content).hexdigest()
    return seen


def differences(path: str, wanted: dict) -> list:
    """Sentences; empty where nothing differs."""
    try:
        seen = state_of(path, wanted)
    except FileNotFoundError:
        return [f"{path} is gone"]
    return [
        f"{path}: {what} is {seen[what]}, was {wanted[what]}"
        for what in seen
        if wanted.get(what) not in ("", None, seen[what])
    ]


def main() -> None:
    """Counts what was looked at, because nothing looked at is no proof."""
    looked, found, roles = 0, [], []
    for manifest in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        record = json.loads(manifest.read_text())
        roles.append(record["role"])
        for room in ("files", "directories", "links"):
            for path, wanted in record[room].items():
                looked += 1
                found += differences(path, wanted)
    json.dump({"roles": roles, "looked": looked, "differences": found}, sys.stdout)


main()
