"""Looks at copies as they lie on a disk, and at small files beside them; JSON.

    python3 -c PROGRAM copies FOLDER ...    {folder: {"files", "plain", "heads"}}
    python3 -c PROGRAM digests FOLDER ...   SHA-256 of every small file, and of every line in it

What is encrypted cannot be made smaller and does not read as text. A few newest files of every kind
are looked at: one plain kind among encrypted ones would show.
"""

import collections
import hashlib
import json
import os
import pathlib
import stat
import sys
import zlib

LOOKED_AT, MOST_FILES = 65_536, 400
SMALL = 8_192
SHRINKS_TO = 0.95
"""Random bytes stay as long as they are; text and tables become half or less."""


def files_below(folder: str) -> list:
    """Every regular file with something in it, the newest first."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = pathlib.Path(place, name)
            about = path.lstat()
            if stat.S_ISREG(about.st_mode) and about.st_size:
                found.append((about.st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def is_plain(head: bytes) -> bool:
    """Whether somebody could read it as it lies there."""
    return len(zlib.compress(head, 6)) < SHRINKS_TO * len(head)


def copies(folder: str) -> dict:
    """What lies in a folder."""
    found = files_below(folder)
    heads, plain = collections.Counter(), []
    for path in found[:MOST_FILES]:
        with path.open("rb") as stream:
            head = stream.read(LOOKED_AT)
        heads[head[:8].hex()] += 1
        if is_plain(head):
            plain.append(str(path.relative_to(folder)))
    return {"files": len(found), "plain": sorted(plain), "heads": dict(heads.most_common(3))}


def digests(folders: list) -> list:
    """Digests of what could be a key: a whole small file without its end of line, or one line."""
    found = set()
    for folder in folders:
        for path in files_below(folder):
            if path.stat().st_size <= SMALL:
                content = path.read_bytes()
                for part in (content, *content.split(b"\n")):
                    found.add(hashlib.sha256(part.strip()).hexdigest())
    return sorted(found)


def main() -> None:
    """Does what the first argument says."""
    order, *folders = sys.argv[1:]
    answer = digests(folders) if order == "digests" else {one: copies(one) for one in folders}
    json.dump(answer, sys.stdout)


main()
