"""The real catalogue, and the builders of small ones."""

from pathlib import Path

import pytest
from compliance_world import World

from infra.compliance.controls import Catalogue
from infra.compliance.load import load_catalogue


@pytest.fixture(scope="session")
def repository_catalogue() -> Catalogue:
    """Load the real catalogue."""
    return load_catalogue(Path(__file__).parents[3] / "policies" / "controls")


@pytest.fixture
def world() -> type[World]:
    """Give the builders of small worlds."""
    return World
