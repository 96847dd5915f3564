"""Prints the material of a ceremony that is held for this scenario alone, as JSON.

No key is kept in the repository: the first call makes them beside the scenario's machines, the
next ones read them.
"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from infra.authority import Profile, hold_ceremony

CHECKOUT = Path(__file__).resolve().parents[4]
PROFILE = Profile("Scenario", ("node1",), ("192.0.2.0/24", "2001:db8::/32"))


def main() -> None:
    """Holds the ceremony where it was not held yet."""
    place = CHECKOUT / ".province/molecule/certificate_authority_material"
    material = hold_ceremony(
        PROFILE,
        folder=place / "authority",
        store=place / "store",
        passphrase_file=place / "root_passphrase",
        now=datetime.now(UTC),
    )
    json.dump(asdict(material), sys.stdout)


if __name__ == "__main__":
    main()
