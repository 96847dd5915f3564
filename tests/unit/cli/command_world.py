"""A checkout in a temporary folder, and the command as a person calls it there."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import worlds

from infra.cli.main import main


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of the command ended with."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:  # noqa: ANN401 - JSON can hold anything
        """Read standard output as programs do."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with the real roles, of whose environments a test decides."""

    root: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def province(self, *words: str) -> Answer:
        """Call `province` with words."""
        self.patch.setattr("sys.argv", ["province", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capture.readouterr()
        code = ended.value.code
        return Answer(int(code or 0), said.out, said.err)

    def add(self, source: Path, name: str = "") -> Path:
        """Add an environment from a folder with a declaration and a unit list."""
        return shutil.copytree(source, self.root / "inventories" / (name or source.name))

    def add_case(self, name: str) -> str:
        """Add a bad declaration; answers the text that it must produce."""
        path = worlds.DECLARATIONS / f"{name}.yml"
        worlds.read_case(path).write(self.root / "inventories", self.root / "no_roles")
        return path.with_suffix(".txt").read_text(encoding="utf-8")

    def files(self) -> list[str]:
        """List every file of the checkout but the roles."""
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and "roles" not in path.relative_to(self.root).parts
        )
