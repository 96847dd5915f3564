"""What runs, for a picture: machines by their power or their answer, tunnels by their gateways.

Nothing is guessed: who gives no answer is unknown, which has a look of its own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from infra.cli.environment import Environment
from infra.cli.progress import now
from infra.compliance.view import readable_time
from infra.errors import LabError
from infra.lab.lab import Lab
from infra.lab.vitals import is_running
from infra.plan import Host, Plan
from infra.plan.shapes import Live, State
from infra.plan.types import Tunnel

ASKING_SECONDS = 20
WORKERS = 8
LIST_TUNNELS = ("swanctl", "--list-sas")
# While keys are exchanged anew, the old ones go on carrying.
STANDS = re.compile(r"^(\S+): #\d+, (?:ESTABLISHED|REKEYING)\b")
CARRIES = re.compile(r"^  \S+: #\d+, reqid \d+, (?:INSTALLED|REKEYING)\b")


def standing(listing: str) -> frozenset[str]:
    """Connections that stand and carry traffic, from what `swanctl --list-sas` prints."""
    found, current = set(), ""
    for line in listing.splitlines():
        if line and not line[0].isspace():
            seen = STANDS.match(line)
            current = seen[1] if seen else ""
        elif current and CARRIES.match(line):
            found.add(current)
    return frozenset(found)


def tunnel_state(
    tunnel: Tunnel, hosts: Mapping[str, State], listings: Mapping[str, frozenset[str] | None]
) -> State:
    """What the hub's gateways say of a site's tunnel: one that has it is enough.

    It is down when every gateway has answered without it, or does not run itself.
    """
    own = [listings.get(host) for host in tunnel.hub.hosts]
    if any(one is not None and f"site_{tunnel.spoke.site}" in one for one in own):
        return "up"
    silent = [
        host
        for host, one in zip(tunnel.hub.hosts, own, strict=True)
        if one is None and hosts.get(host) != "down"
    ]
    return "unknown" if silent else "down"


def look(environment: Environment, plan: Plan) -> Live:
    """Look at every host of a plan and at every tunnel; takes seconds, changes nothing."""
    lab = Lab(environment.state)
    gateways = {name for tunnel in plan.tunnels for name in tunnel.hub.hosts}

    def host_state(host: Host) -> State:
        if host.substrate == "lab":
            return "up" if is_running(lab, host.name) else "down"
        # Who does not answer may run behind a cut line: only an answer tells anything.
        return "up" if _ssh(environment, host, ["true"]) is not None else "unknown"

    with ThreadPoolExecutor(WORKERS) as pool:
        hosts = _by_name(plan.hosts(), pool.map(host_state, plan.hosts()))
        asked = [plan.host(name) for name in sorted(gateways) if hosts[name] == "up"]
        said = pool.map(lambda host: _tunnels(environment, lab, host), asked)
        listings = {host.name: one for host, one in zip(asked, said, strict=True)}
    tunnels = {one.spoke.site: tunnel_state(one, hosts, listings) for one in plan.tunnels}
    return Live(hosts, tunnels, readable_time(now()))


def _by_name(hosts: Iterable[Host], states: Iterable[State]) -> dict[str, State]:
    return {host.name: state for host, state in zip(hosts, states, strict=True)}


def _tunnels(environment: Environment, lab: Lab, host: Host) -> frozenset[str] | None:
    if host.substrate != "lab":
        listing = _ssh(environment, host, ["sudo", "-n", *LIST_TUNNELS])
        return None if listing is None else standing(listing)
    try:
        done = lab.execute(host.name, LIST_TUNNELS)
    except LabError:  # it ended, or hangs: what it would say is not known
        return None
    return standing(done.stdout) if done.returncode == 0 else None


def _ssh(environment: Environment, host: Host, words: list[str]) -> str | None:
    """What a program prints there; None when there is no answer, whatever the reason."""
    if not environment.ssh_config.exists():
        return None
    command = ["ssh", "-F", str(environment.ssh_config), "-o", "BatchMode=yes"]
    try:
        done = subprocess.run(
            [*command, host.name, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASKING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
