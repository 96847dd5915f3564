"""Read the catalogue folder; the one file of the stage that opens the catalogue."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from infra.compliance.controls import Catalogue, CatalogueFinding, build_catalogue
from infra.errors import ComplianceError


class CatalogueError(ComplianceError):
    """The catalogue breaks its rules; ``findings`` has all of them."""

    def __init__(self, folder: Path, findings: tuple[CatalogueFinding, ...]) -> None:
        listed = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(
            f"{folder}: the catalogue of controls has {len(findings)} findings; "
            f"mend every one of them:\n{listed}"
        )
        self.findings = findings


class _NoRepeatedKeys(yaml.SafeLoader):
    """YAML lets the last of two equal keys win silently; a catalogue must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            raise yaml.MarkedYAMLError(
                problem="a key stands twice in this mapping", problem_mark=node.start_mark
            )
        return mapping


def load_catalogue(folder: Path) -> Catalogue:
    """Read every ``*.yml`` of the folder as one catalogue.

    Raises:
        CatalogueError: with all findings of all files at once.
    """
    contents: dict[str, object] = {}
    findings: list[CatalogueFinding] = []
    for path in sorted(folder.glob("*.yml")):
        try:
            contents[path.name] = yaml.load(path.read_bytes(), _NoRepeatedKeys)  # noqa: S506  a SafeLoader
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            seen = " ".join(str(error).split())
            findings.append(CatalogueFinding(path.name, seen, "write it as YAML in UTF-8"))
    if findings:
        raise CatalogueError(folder, tuple(findings))
    catalogue, found = build_catalogue(contents)
    if catalogue is None:
        raise CatalogueError(folder, found)
    return catalogue
