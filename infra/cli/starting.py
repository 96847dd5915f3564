"""A starting declaration for a new environment, and the schema that editors use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader, StrictUndefined

from infra.cli.environment import Environment
from infra.errors import DeclarationError, RefusedError
from infra.model import Unit, load_province
from infra.model.province import Declaration
from infra.model.units import parse_units

TEMPLATES = Path(__file__).parent / "templates"


def declaration_schema() -> dict[str, Any]:
    """The JSON Schema of `province.yml`."""
    schema: dict[str, Any] = Declaration.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "province.yml"
    return schema


def _top_unit(units: dict[str, Unit], source: Path) -> Unit:
    tops = [unit for unit in units.values() if not unit.parent]
    if len(tops) != 1:
        raise RefusedError(
            f"{source}: has {len(tops)} units without a parent; a province has exactly one: "
            "give every other unit its parent's code"
        )
    return tops[0]


def write_start(environment: Environment, units_file: Path) -> tuple[Path, ...]:
    """Write `province.yml` and the unit list of a new environment, and check that they validate.

    Args:
        environment: the new environment; its folder must not hold a declaration.
        units_file: CSV of units as `infra.model.units` describes it.

    Raises:
        RefusedError: the environment exists, or the list cannot be read or has findings.
    """
    declaration = environment.folder / "province.yml"
    if declaration.exists():
        raise RefusedError(
            f"{declaration}: exists already; edit it, or choose another name for the new one"
        )
    try:
        text = units_file.read_text(encoding="utf-8")
    except OSError as error:
        raise RefusedError(
            f"{units_file}: cannot be read ({error.strerror}); name the CSV of official units"
        ) from error
    units, findings = parse_units(text, units_file.name)
    if findings:
        raise DeclarationError(f"{units_file}: {len(findings)} findings", findings)
    top = _top_unit(units, units_file)
    edges = [unit for unit in units.values() if unit.parent == top.code]
    templates = Templates(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - renders YAML, not HTML
    )
    rendered = templates.get_template("province.yml.j2").render(
        name=environment.name, top=top, edges=edges
    )
    environment.folder.mkdir(parents=True, exist_ok=True)
    units_copy = environment.folder / "units.csv"
    units_copy.write_text(text, encoding="utf-8")
    declaration.write_text(rendered, encoding="utf-8")
    load_province(environment.folder, environment.root / "roles")
    return declaration, units_copy
