"""Ways to a host, tried in order and reported: which one answers, as whom, with which key."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.inventory import Way, render_config

REACHED, UNREACHABLE, REFUSED = "reached", "unreachable", "refused"
LIMIT_SECONDS = 15
APPLIED_FILE = "/var/lib/province/applied.json"
"""Where base_system keeps the commit and plan of the last apply on a host."""
_WORKERS = 8
_LOOK = f"cat {APPLIED_FILE} 2>/dev/null || :"
_WRONG_KEY = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


@dataclass(frozen=True, slots=True)
class Reached:
    """What became of reaching a host: the way that answered, or the sentence why none did."""

    host: str
    outcome: str
    way: Way | None
    sentence: str
    applied: str = ""
    """What the host remembers of its last apply: JSON, empty before the first."""


def _classify(host: str, way: Way, answer: subprocess.CompletedProcess[str]) -> Reached:
    said = answer.stderr.strip().splitlines()
    last = said[-1] if said else f"ssh ended with {answer.returncode}"
    if answer.returncode == 0:
        sentence = f"{host}: reached at {way.address}"
        return Reached(host, REACHED, way, sentence, answer.stdout.strip())
    if any(mark in answer.stderr for mark in _WRONG_KEY):
        sentence = (
            f"{host}: the machine at {way.address} shows another host key than the pinned one; "
            "nothing was sent; find out who answers there before you pin a new key"
        )
        return Reached(host, REFUSED, None, sentence)
    if "Permission denied" in answer.stderr:
        # The right machine answers; whether it is bare or its account is lost, bootstrap finds out.
        return Reached(host, REACHED, way, f"{host}: reached at {way.address}, not yet taken over")
    return Reached(host, UNREACHABLE, None, f"{way.address}: {last}")


def _try(way: Way, known_hosts: Path, folder: Path) -> Reached:
    config = folder / f"reach_{way.host}_{way.address.replace(':', '_')}_{way.user}"
    config.write_text(render_config([way], known_hosts, folder), encoding="utf-8")
    command = ["ssh", "-F", str(config), "-o", "ControlPath=none", "-o", "BatchMode=yes"]
    command += ["-o", "ConnectTimeout=5", way.host, _LOOK]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        sentence = f"{way.address}: no answer within {LIMIT_SECONDS} s"
        return Reached(way.host, UNREACHABLE, None, sentence)
    finally:
        config.unlink(missing_ok=True)
    return _classify(way.host, way, answer)


def reach_host(ways: Sequence[Way], known_hosts: Path, folder: Path) -> Reached:
    """Try a host's ways in order; the first that answers wins, a refusal ends the search."""
    tried = []
    for way in ways:
        result = _try(way, known_hosts, folder)
        if result.outcome != UNREACHABLE:
            return result
        tried.append(result.sentence)
    host = ways[0].host
    return Reached(
        host, UNREACHABLE, None, f"{host}: unreachable ({'; '.join(dict.fromkeys(tried))})"
    )


def reach_hosts(
    ways: Sequence[Sequence[Way]], known_hosts: Path, folder: Path, report: Callable[[str], None]
) -> dict[str, Reached]:
    """Reach every host at once; reports each as it answers."""
    folder.mkdir(parents=True, exist_ok=True)

    def one(own: Sequence[Way]) -> Reached:
        result = reach_host(own, known_hosts, folder)
        report(result.sentence)
        return result

    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return {result.host: result for result in pool.map(one, ways)}
