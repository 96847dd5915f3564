"""A lab whose machines are files: it outlives processes, and people can change it by hand."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from infra.errors import LabError
from infra.lab.specs import (
    HostSpec,
    Link,
    NetworkSpec,
    ObservedHost,
    ObservedLink,
    ObservedNetwork,
    ObservedProbePoint,
    ProbePointSpec,
)

IMAGE = Path("/nowhere/base_image/root")


class FakeLab:
    """Answers what `Lab` answers; `calls` says what was asked of it in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        for kind in ("networks", "hosts", "probe_points"):
            (folder / kind).mkdir(parents=True, exist_ok=True)

    # What a person does to the lab

    def change(self, kind: str, name: str, **values: object) -> None:
        path = self.folder / kind / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def names(self, kind: str) -> list[str]:
        return sorted(path.name for path in (self.folder / kind).iterdir())

    # What the provider asks of it

    def ensure_network(self, spec: NetworkSpec) -> ObservedNetwork:
        self._write("ensure_network", "networks", spec.name, {})
        return self.read_network(spec.name)

    def read_network(self, name: str) -> ObservedNetwork:
        return ObservedNetwork(name, present=self._read("networks", name) is not None)

    def delete_network(self, name: str) -> None:
        self._remove("delete_network", "networks", name)

    def create_host(self, spec: HostSpec, base: Path) -> ObservedHost:
        known = self._read("hosts", spec.name)
        links = [link.to_record() for link in spec.links]
        if known and known["declared"] != links:
            raise LabError(f"host {spec.name!r}: exists, and its links differ from what is asked")
        if (self.folder / "slow").exists():
            (self.folder / "creating").touch()
            while not (self.folder / "go_on").exists():
                time.sleep(0.05)
        if known is None:
            public = spec.host_key.splitlines()[1][:20]
            record = {
                "power": "running",
                "declared": links,
                "links": links,
                "image": str(base),
                "host_public_key": f"ssh-ed25519 {public}",
            }
            self._write("create_host", "hosts", spec.name, record)
        else:
            self.calls.append(("adopt_host", spec.name))
        return self.read_host(spec.name)

    def read_host(self, name: str) -> ObservedHost:
        record = self._read("hosts", name)
        if record is None:
            return ObservedHost(name, power="absent")
        return ObservedHost(
            name=name,
            power=record["power"],
            links=_observed(record["links"], alive=record["power"] == "running"),
            os="Debian GNU/Linux 13 (trixie)",
            image=record["image"],
            host_public_key=record["host_public_key"],
        )

    def delete_host(self, name: str) -> None:
        self._remove("delete_host", "hosts", name)

    def create_probe_point(self, spec: ProbePointSpec) -> ObservedProbePoint:
        links = [link.to_record() for link in spec.links]
        self._write("create_probe_point", "probe_points", spec.name, {"links": links})
        return self.read_probe_point(spec.name)

    def read_probe_point(self, name: str) -> ObservedProbePoint:
        record = self._read("probe_points", name)
        if record is None:
            return ObservedProbePoint(name, present=False)
        return ObservedProbePoint(name, present=True, links=_observed(record["links"], alive=True))

    def delete_probe_point(self, name: str) -> None:
        self._remove("delete_probe_point", "probe_points", name)

    # Inside

    def _read(self, kind: str, name: str) -> dict[str, Any] | None:
        path = self.folder / kind / name
        return json.loads(path.read_text()) if path.exists() else None

    def _write(self, call: str, kind: str, name: str, record: dict[str, Any]) -> None:
        self.calls.append((call, name))
        (self.folder / kind / name).write_text(json.dumps(record))

    def _remove(self, call: str, kind: str, name: str) -> None:
        self.calls.append((call, name))
        (self.folder / kind / name).unlink(missing_ok=True)


def _observed(records: list[dict[str, Any]], *, alive: bool) -> tuple[ObservedLink, ...]:
    links = [(Link.from_record(record), record.get("cut", False)) for record in records]
    return tuple(
        ObservedLink(
            interface=link.interface,
            network=link.network,
            addresses=link.addresses if alive and not cut else (),
            gateways=link.gateways if alive and not cut else (),
            isolated=link.isolated,
            cut=cut,
        )
        for link, cut in links
    )
