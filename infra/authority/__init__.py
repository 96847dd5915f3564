"""The province's own certificate authority on the controller: the ceremony and what it made.

Rule 1: the root key exists on the removable store alone, and its passphrase never lies there.
Rule 2: what exists is read and checked, never made again; a killed ceremony goes on where it was.
Rule 3: the clock is passed in.
"""

from infra.authority.ceremony import hold_ceremony, read_material
from infra.authority.material import Material, Profile

__all__ = ["Material", "Profile", "hold_ceremony", "read_material"]
