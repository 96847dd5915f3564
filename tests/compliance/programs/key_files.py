"""Finds private keys and says who may read them, as JSON.

python3 -c PROGRAM FOLDER ...
"""

import grp
import json
import os
import pathlib
import pwd
import re
import stat
import sys

MARK = re.compile(rb"^(-----BEGIN [A-Z ]*PRIVATE KEY-----|Private-key-format: )", re.MULTILINE)
LARGEST = 100_000


def name_of(number: int, table: object) -> str:
    """An account's name, or its number where there is none."""
    try:
        return table(number)[0]
    except KeyError:
        return str(number)


def keys(folder: str) -> list:
    """Every file with a private key below a folder; links are not followed."""
    found = []
    for place, _, files in os.walk(folder):
        for name in files:
            path = pathlib.Path(place, name)
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
                continue
            if not MARK.search(path.read_bytes()):
                continue
            found.append(
                {
                    "path": str(path),
                    "mode": f"{stat.S_IMODE(about.st_mode):04o}",
                    "owner": name_of(about.st_uid, pwd.getpwuid),
                    "group": name_of(about.st_gid, grp.getgrgid),
                    "owner_shell": pwd.getpwuid(about.st_uid).pw_shell,
                }
            )
    return found


json.dump([one for folder in sys.argv[1:] for one in keys(folder)], sys.stdout)
