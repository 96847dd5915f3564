"""Small provinces to test with, by name. Frozen values, so each is built once.

The sample functions are made up (`unit/cases/functions.yml`): changing a role changes no case.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from infra.model import FunctionRecord, Province, load_functions, load_province
from infra.model.load import parse_declaration
from infra.model.units import parse_units
from infra.plan import Plan, derive_plan

CHECKOUT = Path(__file__).parents[1]
ROLES = CHECKOUT / "roles"
CASES = Path(__file__).parent / "unit" / "cases"
DECLARATIONS = CASES / "declarations"
BASE = DECLARATIONS / "base"


def _yaml(text: str) -> Any:  # noqa: ANN401 - YAML can hold anything
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _text(data: object) -> str:
    return yaml.dump(data, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)


@cache
def _base_data() -> Any:  # noqa: ANN401 - YAML can hold anything
    return _yaml((BASE / "province.yml").read_text(encoding="utf-8"))


def sample_declaration_data() -> dict[str, Any]:
    """Read the good declaration that the cases change, as a person wrote it: a copy to change."""
    return copy.deepcopy(_base_data())


def sample_functions_data() -> dict[str, Any]:
    """Read the sample functions' records, by name."""
    return _yaml((CASES / "functions.yml").read_text(encoding="utf-8"))


@cache
def sample_functions() -> Mapping[str, FunctionRecord]:
    """Type the sample functions' records."""
    data = sample_functions_data()
    return {name: FunctionRecord.model_validate(record) for name, record in data.items()}


@cache
def province_with_two_districts() -> Province:
    """Build a data centre (70) and two district edges (692, 689), with every sample function."""
    return province_from(sample_declaration_data())


def province_from(data: Mapping[str, Any]) -> Province:
    """Type a changed sample declaration; its rules are not asked."""
    units, findings = parse_units((BASE / "units.csv").read_text(encoding="utf-8"), "units.csv")
    assert findings == []
    return Province(parse_declaration(data, "sample"), units, sample_functions())


@cache
def plan_with_two_districts() -> Plan:
    """Derive what follows from the sample province."""
    return derive_plan(province_with_two_districts())


@cache
def plan_of_a_whole_data_centre() -> Plan:
    """Derive the sample province with pairs, a database cluster and a published service."""
    case = read_case(CASES / "whole.yml")
    records = case.records().items()
    functions = {name: FunctionRecord.model_validate(record) for name, record in records}
    units, _ = parse_units((BASE / "units.csv").read_text(encoding="utf-8"), "units.csv")
    return derive_plan(Province(parse_declaration(case.declaration(), "whole"), units, functions))


@cache
def province_without_districts() -> Province:
    """Load the two-tier province of after July 2025, with the real roles' records."""
    return load_province(CASES / "two_tier", ROLES)


@cache
def real_functions() -> Mapping[str, FunctionRecord]:
    """Load the real roles' records."""
    return load_functions(ROLES)


@cache
def declared_province(environment: str) -> Province:
    """Load an environment of this checkout."""
    return load_province(CHECKOUT / "inventories" / environment, ROLES)


@cache
def declared_plan(environment: str) -> Plan:
    """Derive what follows from an environment of this checkout."""
    return derive_plan(declared_province(environment))


def write_roles(folder: Path, records: Mapping[str, Any]) -> Path:
    """Write records where roles have them; answers the folder of roles."""
    for name, record in records.items():
        path = folder / name / "meta" / "function.yml"
        path.parent.mkdir(parents=True)
        path.write_text(_text(record), encoding="utf-8")
    return folder


def _step(node: object, step: str) -> int | str:
    """Find the key of a mapping, or the place in a list by code, unit or index."""
    if not isinstance(node, list):
        return step
    for index, entry in enumerate(node):
        if isinstance(entry, dict) and step in {entry.get("code"), entry.get("unit")}:
            return index
    return int(step)


def changed(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change a copy of YAML data: `sites.692.number: 1`; `+` appends, null removes."""
    result = copy.deepcopy(dict(data))
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = result
        for step in parents:
            node = node[_step(node, step)]
        if last == "+":
            node.append(value)
        elif value is None:
            del node[_step(node, last)]
        else:
            node[_step(node, last)] = value
    return result


@dataclass(frozen=True, slots=True)
class Case:
    """One mistake: what it changes in the good declaration, its units and its functions.

    Attributes:
        change: changed values of the declaration, see `changed`.
        replace: pairs of old and new text in province.yml, for what no YAML data can say.
        units: pairs of old and new text in the unit list.
        functions: changed values of the functions' records.
        upon: another case whose changes come first, such as `whole`.
    """

    change: Mapping[str, Any]
    replace: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, str], ...]
    functions: Mapping[str, Any]
    upon: Case | None = None

    def declaration(self) -> dict[str, Any]:
        """Read the good declaration with what this case, and the one below it, change."""
        below = self.upon.declaration() if self.upon else sample_declaration_data()
        return changed(below, self.change)

    def records(self) -> dict[str, Any]:
        """Read the sample functions' records with what this case, and the one below it, change."""
        below = self.upon.records() if self.upon else sample_functions_data()
        return changed(below, self.functions)

    @property
    def has_own_roles(self) -> bool:
        """Whether its records differ from the sample functions'."""
        return bool(self.functions) or (self.upon is not None and self.upon.has_own_roles)

    def write(self, inventories: Path, roles: Path) -> Path:
        """Write the environment and its roles; answers the environment's folder."""
        text = (BASE / "province.yml").read_text(encoding="utf-8")
        if self.change or self.upon:
            text = _text(self.declaration())
        units = (BASE / "units.csv").read_text(encoding="utf-8")
        folder = inventories / "base"
        folder.mkdir(parents=True)
        (folder / "province.yml").write_text(_replaced(text, self.replace), encoding="utf-8")
        (folder / "units.csv").write_text(_replaced(units, self.units), encoding="utf-8")
        if self.has_own_roles:
            write_roles(roles, self.records())
        return folder


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} must stand once in the base, not {text.count(old)}"
        text = text.replace(old, new)
    return text


def read_case(path: Path) -> Case:
    """Read a case file; an unknown key is an error of the case."""
    raw = _yaml(path.read_text(encoding="utf-8"))
    known = {"change", "replace", "units", "functions", "upon"}
    assert raw, f"{path.name} changes nothing"
    assert raw.keys() <= known, f"{path.name} has other keys than {sorted(known)}"
    return Case(
        change=raw.get("change", {}),
        replace=tuple((old, new) for old, new in raw.get("replace", [])),
        units=tuple((old, new) for old, new in raw.get("units", [])),
        functions=raw.get("functions", {}),
        upon=read_case(CASES / f"{raw['upon']}.yml") if "upon" in raw else None,
    )
