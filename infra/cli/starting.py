"""A starting declaration for a new environment, and the schema that editors use."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
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


def _newest_day(units: dict[str, Unit]) -> dt.date:
    """A day on which the list holds: the day after its newest change that lies behind it.

    The clock never decides: the list itself tells from when on all its present units exist.
    """
    begins = [unit.valid_from for unit in units.values() if unit.valid_from]
    ends = [unit.valid_to for unit in units.values() if unit.valid_to]
    if begins:
        return max(begins)
    return min(ends) if ends else dt.date(2021, 1, 1)


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
        raise DeclarationError(
            f"{units_file}: {len(findings)} finding(s); nothing was written", findings
        )
    top = _top_unit(units, units_file)
    as_of = _newest_day(units)
    edges = [unit for unit in units.values() if unit.parent == top.code and unit.exists_on(as_of)]
    templates = Templates(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - renders YAML, not HTML
    )
    rendered = templates.get_template("province.yml.j2").render(
        name=environment.name, top=top, edges=edges, as_of=as_of
    )
    units_copy = environment.folder / "units.csv"
    with TemporaryDirectory() as draft:
        folder = Path(draft) / environment.name
        folder.mkdir()
        (folder / declaration.name).write_text(rendered, encoding="utf-8")
        (folder / units_copy.name).write_text(text, encoding="utf-8")
        load_province(folder, environment.root / "roles")
    environment.folder.mkdir(parents=True, exist_ok=True)
    units_copy.write_text(text, encoding="utf-8")
    declaration.write_text(rendered, encoding="utf-8")
    return declaration, units_copy
