#!/usr/bin/python3
"""Target's half of `managed_files`: a loader for the program that comes with the request.

Ansible's own module library takes 0.12 s of CPU to import on every host, for every task. This
module is of the kind that is sent as it is, with its arguments written into the marked place, and
brings its own program: `module_utils/managed_files/`, each part loaded when it is needed.
"""

from __future__ import annotations

import binascii
import importlib.machinery
import json
import sys
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

# JSON never holds three double quotes in a row, and a raw string keeps its backslashes.
ARGUMENTS = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""


class Parts:
    """Finds and loads the program's parts, by module name, from the request."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Python's question who loads a module."""
        if name not in self.sources:
            return None
        is_package = any(other.startswith(f"{name}.") for other in self.sources)
        return importlib.machinery.ModuleSpec(name, self, is_package=is_package)

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run one part's source."""
        name = module.__name__
        exec(compile(self.sources[name], f"<{name}>", "exec"), module.__dict__)  # noqa: S102 (our own source, sent over the configuration channel)

    def get_source(self, name: str) -> str:
        """The source of a part: the guard installs itself on the host with it."""
        return self.sources[name]


def main() -> int:
    """Unpack the request, answer it, print the answer."""
    arguments = json.loads(ARGUMENTS)
    request = json.loads(zlib.decompress(binascii.a2b_base64(arguments["payload"])))
    sys.meta_path.insert(0, Parts(request.pop("program")))
    from managed_files.entry_point import answer  # noqa: PLC0415 (it comes with the request)

    result = answer(request)
    sys.stdout.write(json.dumps(result))
    return 1 if result.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
