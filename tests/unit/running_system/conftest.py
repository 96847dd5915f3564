"""Lets these tests import what compliance tests stand on; nothing here asks a running system."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "compliance"))
