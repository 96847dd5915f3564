"""What was declared: typed, frozen, and checked as a whole before anything is touched."""

from infra.model.findings import Finding, nearest, render
from infra.model.functions import FactRequest, FunctionRecord
from infra.model.load import Province, load_functions, load_province
from infra.model.province import Declaration
from infra.model.units import Unit

__all__ = [
    "Declaration",
    "FactRequest",
    "Finding",
    "FunctionRecord",
    "Province",
    "Unit",
    "load_functions",
    "load_province",
    "nearest",
    "render",
]
