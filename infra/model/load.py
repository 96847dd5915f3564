"""Read a declaration: the only file of this stage that opens files.

Stages with a barrier between them, so that one mistake gives one finding and not five:
YAML, schema, units and records, then the rules about the whole province (`checks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import yaml

from infra.errors import DeclarationError
from infra.model.checks import check_province
from infra.model.findings import Finding, nearest, render
from infra.model.functions import FunctionRecord
from infra.model.province import Declaration
from infra.model.units import Unit, parse_units

DECLARATION_FILE = "province.yml"


@dataclass(frozen=True, slots=True)
class Province:
    """A declaration together with the units and the functions' records that it names."""

    declaration: Declaration
    units: Mapping[str, Unit]
    functions: Mapping[str, FunctionRecord]


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice: the second would silently win."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", key_node.start_mark
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _refuse(subject: str, findings: list[Finding]) -> None:
    if findings:
        count = len(set(findings))
        plural = "finding" if count == 1 else "findings"
        ordered = render(findings).splitlines()
        raise DeclarationError(f"{subject}: {count} {plural}; nothing was touched", ordered)


def _read_yaml(path: Path, subject: str) -> Any:  # noqa: ANN401 - YAML can hold anything
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "name an environment that has one, or write it with province init"
        _refuse(subject, [Finding(str(path), "", "does not exist", remedy)])
        raise
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader with one rule more
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path.name}:{mark.line + 1}:{mark.column + 1}" if mark else path.name
        problem = getattr(error, "problem", None) or "is not YAML"
        _refuse(subject, [Finding(place, "", f"{problem}", "correct the file")])
        raise


def _yaml_path(location: tuple[int | str, ...], data: Any) -> str:  # noqa: ANN401 - walks raw YAML
    """`sites.692.number` rather than `sites.7.number`: list entries read by their code or name."""
    parts: list[str] = []
    for step in location:
        label = str(step)
        if isinstance(step, int) and isinstance(data, list) and step < len(data):
            data = data[step]
            if isinstance(data, dict):
                label = str(data.get("code") or data.get("unit") or data.get("service") or step)
        elif isinstance(data, dict):
            data = data.get(step)
        else:
            data = None
        parts.append(label)
    return ".".join(parts)


def _known_keys(location: tuple[int | str, ...], model: type[pydantic.BaseModel]) -> list[str]:
    """Keys that the schema knows at this place, for the nearest-name remedy."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    node: Any = schema
    for step in location:
        node = _resolve(node, definitions)
        if isinstance(step, int):
            node = node.get("items", {})
        else:
            extra: Any = node.get("additionalProperties") or next(
                iter(node.get("patternProperties", {}).values()), {}
            )
            node = node.get("properties", {}).get(step, extra)
    return sorted(_resolve(node, definitions).get("properties", {}))


def _resolve(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON Schema nodes
    if isinstance(node, bool) or not node:
        return {}
    if "anyOf" in node:
        node = next((option for option in node["anyOf"] if "$ref" in option), node)
    if "$ref" in node:
        return definitions[node["$ref"].rsplit("/", 1)[-1]]
    return node


def schema_findings(
    error: pydantic.ValidationError,
    data: Any,  # noqa: ANN401 - raw YAML
    model: type[pydantic.BaseModel],
    prefix: str = "",
) -> list[Finding]:
    """Pydantic's findings as ours: YAML path, value seen, rule, remedy, nearest known key."""
    findings = []
    for item in error.errors():
        location = tuple(item["loc"])
        path = prefix + (_yaml_path(location, data) or "province.yml")
        if item["type"] == "extra_forbidden":
            key = str(location[-1])
            remedy = nearest(key, _known_keys(location[:-1], model))
            findings.append(Finding(path, "", "is not a known key", remedy))
        elif item["type"] == "missing":
            findings.append(Finding(path, "", "is missing", "add it"))
        else:
            value = item["input"]
            shown = value if isinstance(value, str) else repr(value)[:60]
            rule = item["msg"][0].lower() + item["msg"][1:]
            findings.append(Finding(path, shown, rule, "correct the value"))
    return findings


def parse_declaration(data: Any, subject: str) -> Declaration:  # noqa: ANN401 - raw YAML
    """A typed declaration from raw YAML.

    Raises:
        DeclarationError: with every schema finding at once.
    """
    try:
        return Declaration.model_validate(data)
    except pydantic.ValidationError as error:
        _refuse(subject, schema_findings(error, data, Declaration))
        raise


def load_functions(roles: Path) -> dict[str, FunctionRecord]:
    """Every function's record, by the role's name.

    Raises:
        DeclarationError: with every finding in every record at once.
    """
    records: dict[str, FunctionRecord] = {}
    findings: list[Finding] = []
    for path in sorted(roles.glob("*/meta/function.yml")):
        name = path.parent.parent.name
        data = _read_yaml(path, f"roles/{name}")
        try:
            records[name] = FunctionRecord.model_validate(data)
        except pydantic.ValidationError as error:
            prefix = f"roles/{name}/meta/function.yml: "
            findings += schema_findings(error, data, FunctionRecord, prefix)
    _refuse("the functions' records", findings)
    if not records:
        raise DeclarationError(f"{roles}: no role has a meta/function.yml; run from a checkout")
    return records


def load_province(folder: Path, roles: Path) -> Province:
    """The province that a folder declares, checked as a whole.

    Args:
        folder: `inventories/<env>`, holding `province.yml` and the units file it names.
        roles: the folder of roles whose records say what functions are.

    Raises:
        DeclarationError: with every finding of the first stage that has any.
    """
    subject = f"declaration {folder.name!r}"
    data = _read_yaml(folder / DECLARATION_FILE, subject)
    declaration = parse_declaration(data, subject)
    units_path = folder / declaration.units
    try:
        units_text = units_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = "put the official unit list there"
        _refuse(subject, [Finding("units", declaration.units, "does not exist", remedy)])
        raise
    units, findings = parse_units(units_text, declaration.units)
    _refuse(subject, findings)
    functions = load_functions(roles)
    _refuse(subject, check_province(declaration, units, functions, folder.name))
    return Province(declaration, units, functions)
