"""Makes the target's program importable, as the module does on a host."""

import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[3] / "playbooks/plugins"
sys.path.insert(0, str(PLUGINS / "module_utils"))
