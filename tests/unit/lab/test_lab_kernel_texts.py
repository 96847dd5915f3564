from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.lab import cgroups, processes
from infra.lab.image import os_name

HYBRID = """\
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "wanted"),
    [
        (HYBRID, Path("/sys/fs/cgroup/unified")),
        (UNIFIED, Path("/sys/fs/cgroup")),
        ("proc /proc proc rw 0 0\n", None),
    ],
)
def test_the_version_2_hierarchy_is_found_where_it_is(mounts: str, wanted: Path | None) -> None:
    assert cgroups.hierarchy(mounts) == wanted


def test_a_cgroup_has_a_mirror_in_every_older_hierarchy() -> None:
    cgroup = Path("/sys/fs/cgroup/unified/pv0a1b2c/svc1-70")
    assert cgroups.mirrors(cgroup, HYBRID) == (
        Path("/sys/fs/cgroup/cpu/pv0a1b2c/svc1-70"),
        Path("/sys/fs/cgroup/systemd/pv0a1b2c/svc1-70"),
    )
    assert cgroups.mirrors(Path("/sys/fs/cgroup/pv0a1b2c"), UNIFIED) == ()


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("Name:\tsystemd\nNSpid:\t4711\t1\n", (4711, 1)),
        ("Name:\tbash\nNSpid:\t4711\n", (4711,)),
        ("", ()),
    ],
)
def test_a_process_is_counted_in_every_namespace(status: str, wanted: tuple[int, ...]) -> None:
    assert processes.namespace_pids(status) == wanted


def test_the_systems_own_name_is_read() -> None:
    assert os_name('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n') == (
        "Debian GNU/Linux 13 (trixie)"
    )
    assert os_name("NAME=Debian\n") == "unknown"


def test_a_process_that_moves_down_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir
    (tmp_path / "cgroup.procs").write_text("7\n")

    def moving(folder: Path) -> Iterator[Path]:
        found = list(listed(folder))
        if folder == tmp_path:
            (tmp_path / "payload").mkdir()
            (tmp_path / "cgroup.procs").rename(tmp_path / "payload" / "cgroup.procs")
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", moving)
    assert cgroups.processes(tmp_path) == (7,)
