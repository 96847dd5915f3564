"""A checkout of one's own for each test."""

import os
from pathlib import Path

import pytest
import worlds
from command_world import Checkout


@pytest.fixture
def checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Checkout:
    """Build an empty checkout with the real roles."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "roles").symlink_to(worlds.ROLES)
    monkeypatch.setattr("infra.cli.environment.checkout_root", lambda: tmp_path)
    # The command puts its own folder on the path; here that ends with the test.
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("COLUMNS", "200")
    return Checkout(tmp_path, monkeypatch, capsys)


@pytest.fixture
def sample_checkout(checkout: Checkout) -> Checkout:
    """Build a checkout with the made-up functions and the sample declaration."""
    (checkout.root / "roles").unlink()
    worlds.write_roles(checkout.root / "roles", worlds.sample_functions_data())
    checkout.add(worlds.BASE)
    return checkout
