"""What the stages share: the cache, the tools that are built, and what the machine must have."""

from infra.tools.cache import Entry, Report, build_once, cache_root, entry, silent
from infra.tools.engine import engine_version, ensure_engine
from infra.tools.preflight import LAB, MIRROR, REMOTE, Ability, Lack, Needs, require
from infra.tools.step import StepTools, ensure_step

__all__ = [
    "LAB",
    "MIRROR",
    "REMOTE",
    "Ability",
    "Entry",
    "Lack",
    "Needs",
    "Report",
    "StepTools",
    "build_once",
    "cache_root",
    "engine_version",
    "ensure_engine",
    "ensure_step",
    "entry",
    "require",
    "silent",
]
