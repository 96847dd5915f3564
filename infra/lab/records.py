"""What a lab keeps on disk: a folder for each host, a note for each probe point.

A machine counts as known when its record is complete. So the record is written first and removed
first: whatever a killed run leaves is then either recognised or rubbish.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.lab.commands import run
from infra.lab.first_contact import FOLDER_MODES, HostFile
from infra.lab.specs import HostRecord, ProbePointSpec


@dataclass(frozen=True, slots=True)
class Records:
    """The files of one lab.

    Attributes:
        folder: ``<state directory>/lab``.
    """

    folder: Path

    def host_folder(self, name: str) -> Path:
        """Answers where a host's layers, console log and record lie."""
        return self.folder / "hosts" / name

    def hosts(self) -> tuple[str, ...]:
        """Answers the names of all hosts that have a folder, half made ones among them."""
        return _names(self.folder / "hosts", "*")

    def probe_points(self) -> tuple[str, ...]:
        """Answers the names of all probe points that have a note."""
        return _names(self.folder / "probe_points", "*.json")

    def read_host(self, name: str) -> HostRecord | None:
        """Answers a host's record, None where there is none."""
        found = _read(self._host_record(name))
        return None if found is None else HostRecord.from_record(found)

    def write_host(self, record: HostRecord) -> None:
        """Writes a host's record."""
        _write(self._host_record(record.name), record.to_record())

    def remove_host(self, name: str) -> None:
        """Forgets a host, then removes its layers; accepts that there is nothing."""
        self._host_record(name).unlink(missing_ok=True)
        remove_tree(self.host_folder(name))

    def read_probe_point(self, name: str) -> ProbePointSpec | None:
        """Answers a probe point's note, None where there is none."""
        found = _read(self._probe_point(name))
        return None if found is None else ProbePointSpec.from_record(found)

    def write_probe_point(self, spec: ProbePointSpec) -> None:
        """Writes a probe point's note."""
        _write(self._probe_point(spec.name), spec.to_record())

    def remove_probe_point(self, name: str) -> None:
        """Forgets a probe point; accepts that there is none."""
        self._probe_point(name).unlink(missing_ok=True)

    def write_files(self, name: str, files: tuple[HostFile, ...]) -> None:
        """Writes files into a host's own layer."""
        upper = self.host_folder(name) / "upper"
        for one in files:
            target = upper / one.path
            for parent in reversed(one.path.parents):
                (upper / parent).mkdir(exist_ok=True, parents=True)
                (upper / parent).chmod(FOLDER_MODES.get(parent, 0o755))
            target.touch(mode=0o600)
            target.write_text(one.content, encoding="utf-8")
            target.chmod(one.mode)

    def _host_record(self, name: str) -> Path:
        return self.host_folder(name) / "record.json"

    def _probe_point(self, name: str) -> Path:
        return self.folder / "probe_points" / f"{name}.json"


def remove_tree(folder: Path) -> None:
    """Removes a folder of a lab; never reaches through something mounted in it."""
    for mount in reversed(mounts_below(folder)):
        run(["umount", "--lazy", str(mount)])
    if folder.exists():
        shutil.rmtree(folder)


def mounts_below(folder: Path) -> tuple[Path, ...]:
    """Answers what is mounted on a folder and below it, in the order of mounting."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    places = [Path(line.split()[4].encode().decode("unicode_escape")) for line in text.splitlines()]
    return tuple(place for place in places if place == folder or folder in place.parents)


def _names(folder: Path, pattern: str) -> tuple[str, ...]:
    return tuple(sorted(path.name.removesuffix(".json") for path in folder.glob(pattern)))


def _read(path: Path) -> Any | None:  # noqa: ANN401 - JSON is checked by whoever reads it
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    unfinished.rename(path)
