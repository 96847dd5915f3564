"""Shows that packets leave a place: its gateways tell their hardware address when asked anew.

    python3 -c PROGRAM '[[gateway, interface], ...]'

JSON: gateway to hardware address, or null where nobody answered.
"""

import json
import socket
import subprocess
import sys
import time

PATIENCE_SECONDS = 2.0


def ip(*words: str) -> str:
    """What iproute2 says."""
    command = ["ip", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def told(gateway: str, interface: str) -> str | None:
    """The hardware address that a neighbour has told since it was forgotten."""
    entries = json.loads(ip("-j", "neigh", "show", "to", gateway, "dev", interface) or "[]")
    return next((one["lladdr"] for one in entries if "lladdr" in one), None)


def main() -> None:
    """Forgets, sends to, and waits for every gateway."""
    wanted = json.loads(sys.argv[1])
    for gateway, interface in wanted:
        ip("neigh", "flush", "to", gateway, "dev", interface)
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.sendto(b"?", (gateway, 9))
    until = time.monotonic() + PATIENCE_SECONDS
    found = {gateway: told(gateway, interface) for gateway, interface in wanted}
    while None in found.values() and time.monotonic() < until:
        time.sleep(0.05)
        found = {gateway: told(gateway, interface) for gateway, interface in wanted}
    json.dump(found, sys.stdout)


main()
