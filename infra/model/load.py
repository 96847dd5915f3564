"""Read a declaration: the only file of this stage that opens files.

Stages with a barrier between them, so that one mistake gives one finding and not five:
YAML, schema, units and records, then the rules about the whole province (`checks.py`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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
MERGE_TAG = "tag:yaml.org,2002:merge"
UNION_MEMBERS = frozenset({"bool", "int", "float", "str"})
_NUMBER = ("must be a whole number", "write a number without quotes")
_MAPPING = ("must be a mapping", "write it as key: value")
_DATE = ("must be a date", "write it as YYYY-MM-DD without quotes")
WORDS: Mapping[str, tuple[str, str]] = {
    "bool_type": ("must be true or false", "write one of them without quotes"),
    "date_from_datetime_inexact": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_type": _DATE,
    "dict_type": _MAPPING,
    "int_from_float": _NUMBER,
    "int_parsing": _NUMBER,
    "int_type": _NUMBER,
    "missing": ("is missing", "add it"),
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "scalar_type": ("must be text, a number, true or false", "write a single value"),
    "string_type": ("must be text", "put it in quotes"),
    "too_short": ("is empty", "give it at least one entry"),
    "tuple_type": ("must be a list", "write it as [one, two]"),
}
"""Rule and remedy for people, where the validator's own words are about Python."""

WITHOUT_VALUE = frozenset({"missing", "too_short"})


@dataclass(frozen=True, slots=True)
class Province:
    """A declaration together with the units and the functions' records that it names."""

    declaration: Declaration
    units: Mapping[str, Unit]
    functions: Mapping[str, FunctionRecord]


class _Loader(yaml.CSafeLoader):
    """YAML that refuses a key given twice, because the second would silently win.

    Parsed in C: the declaration of a whole province is read five times as fast.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - as in PyYAML
        """Say where a value stands that looks like a date or number and is none."""
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:
            problem = f"{node.value!r} is no value ({error})"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    # Before merge keys are written out: what a mapping says itself may differ from what it merges.
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE_TAG:
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, Hashable):
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _refuse(subject: str, findings: list[Finding]) -> None:
    if findings:
        count = len(set(findings))
        plural = "finding" if count == 1 else "findings"
        ordered = render(findings).splitlines()
        raise DeclarationError(f"{subject}: {count} {plural}; nothing was touched", ordered)


def _read_text(path: Path, subject: str, shown: Finding) -> str:
    """A file's text without a byte order mark; `shown` is the finding when there is no file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        _refuse(subject, [shown])
        raise
    except UnicodeDecodeError as error:
        rule = f"is not UTF-8 text (byte {error.start + 1})"
        _refuse(subject, [Finding(path.name, "", rule, "save it as UTF-8")])
        raise


def _read_yaml(path: Path, subject: str) -> Any:  # noqa: ANN401 - YAML can hold anything
    remedy = "name an environment that has one, or write it with province init"
    text = _read_text(path, subject, Finding(str(path), "", "does not exist", remedy))
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with one rule more
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
        location, kind = tuple(item["loc"]), item["type"]
        if location and location[-1] in UNION_MEMBERS:  # one value, one finding: not one a type
            location, kind = location[:-1], "scalar_type"
        if location and location[-1] == "[key]":
            location = location[:-1]
        path = prefix + (_yaml_path(location, data) or "province.yml")
        value = item["input"]
        shown = value if isinstance(value, str) else repr(value)[:60]
        if kind == "extra_forbidden":
            remedy = nearest(str(location[-1]), _known_keys(location[:-1], model))
            findings.append(Finding(path, "", "is not a known key", remedy))
        elif kind in WORDS:
            findings.append(Finding(path, "" if kind in WITHOUT_VALUE else shown, *WORDS[kind]))
        else:
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
    absent = Finding(
        "units", declaration.units, "does not exist", "put the official unit list there"
    )
    units_text = _read_text(folder / declaration.units, subject, absent)
    units, findings = parse_units(units_text, declaration.units)
    _refuse(subject, findings)
    functions = load_functions(roles)
    _refuse(subject, check_province(declaration, units, functions, folder.name))
    return Province(declaration, units, functions)
