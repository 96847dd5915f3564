"""Preview of a whole province: 124 stacks with the real engine and all policies.

    .venv/bin/python tests/benchmarks/benchmark_preview.py [inventory folder]

Prints one JSON record. Ends with 1 if a stack is refused or a limit of the issue is not kept: 75 s
on two idle processors and 1 GB. CPU seconds are printed because the wall tells nothing on a busy
machine; the limit on them is what two processors have in 75 s.
"""

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

from infra.model import load_province
from infra.plan import derive_plan
from infra.stacks.automation import Stacks
from infra.tools.engine import ensure_engine

ROOT = Path(__file__).parents[2]
WALL_LIMIT = 75.0
PROCESSORS = 2
MEMORY_LIMIT = 1024**3


def cpu_seconds() -> float:
    """What this process and all that it has waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def proportional_memory() -> int:
    """Bytes of this process and all below it; what several share counts once."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {int(Path("/proc/self").resolve().name)}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(map(_memory, found))


def _memory(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main(inventory: Path) -> int:
    """Measures a first preview (stacks are made) and a second one."""
    plan = derive_plan(load_province(inventory, ROOT / "roles"))
    engine = ensure_engine()
    highest = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(1.0):
            highest = max(highest, proportional_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    record: dict[str, object] = {"inventory": inventory.name}
    kept = True
    with tempfile.TemporaryDirectory(prefix="benchmark-preview-") as folder:
        for run in ("first", "second"):
            wall, cpu = time.monotonic(), cpu_seconds()
            previews = Stacks(Path(folder), engine).preview(plan)
            wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
            refused = [one.site for one in previews if one.is_refused]
            record |= {
                "stacks": len(previews),
                f"{run}_wall_seconds": round(wall, 1),
                f"{run}_cpu_seconds": round(cpu, 1),
                f"{run}_refused": refused,
            }
            kept = kept and not refused and cpu <= WALL_LIMIT * PROCESSORS
    done.set()
    watcher.join()
    record["memory_megabytes"] = highest // 1024**2
    sys.stdout.write(json.dumps(record, indent=2) + "\n")
    return 0 if kept and highest <= MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "inventories" / "binh_phuoc"))
