"""What the rules about the whole province look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.model.expand import PlacedHost
from infra.model.functions import FunctionRecord
from infra.model.province import Declaration, Site
from infra.model.units import Unit


@dataclass(frozen=True, slots=True)
class World:
    """A declaration, the units and records that it names, and its hosts written out."""

    declaration: Declaration
    units: Mapping[str, Unit]
    functions: Mapping[str, FunctionRecord]
    environment: str
    hosts: tuple[PlacedHost, ...]

    def site(self, code: str) -> Site | None:
        """The site of that code."""
        found = (site for site in self.declaration.sites if site.effective_code == code)
        return next(found, None)

    def site_codes(self) -> list[str]:
        """Codes of all sites."""
        return [site.effective_code for site in self.declaration.sites]
