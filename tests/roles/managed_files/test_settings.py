"""ansible.cfg at the root of the checkout does what its comments say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from runs import environment


def inventory_of(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("ansible-inventory")
    return subprocess.run(
        [program, f"--inventory={folder}", "--list"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An inventory folder as it lies beside the declaration it was made from."""
    for name in ("host_vars", "group_vars"):
        (tmp_path / name).mkdir()
    (tmp_path / "province.yml").write_text("sites:\n  '70':\n    hosts:\n      gw1: {}\n")
    (tmp_path / "units.csv").write_text("code,name\n70,Bình Phước\n")
    (tmp_path / "README.md").write_text("# The lab\n")
    (tmp_path / "hosts.yml").write_text("all:\n  hosts:\n    gw1-70:\n")
    (tmp_path / "host_vars/gw1-70.yml").write_text("from_host: 1\n")
    (tmp_path / "group_vars/all.yml").write_text("from_group: 2\n")
    return tmp_path


def test_the_declaration_is_not_read_as_hosts(folder: Path) -> None:
    done = inventory_of(folder)
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    assert set(record) == {"_meta", "all", "ungrouped"}
    hosts = record["_meta"]["hostvars"]
    assert list(hosts) == ["gw1-70"]
    assert (hosts["gw1-70"]["from_host"], hosts["gw1-70"]["from_group"]) == (1, 2)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        pytest.param("hosts.yml", "all: [broken\n", "hosts.yml", id="broken_inventory"),
        pytest.param(
            "group_vars/all.yml",
            "same: 1\nsame: 2\n",
            "Found duplicate mapping key 'same'",
            id="duplicate_key",
        ),
    ],
)
def test_a_broken_file_ends_the_run(folder: Path, name: str, text: str, sentence: str) -> None:
    (folder / name).write_text(text)
    done = inventory_of(folder)
    assert done.returncode != 0
    assert sentence in done.stderr
