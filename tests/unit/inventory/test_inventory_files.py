"""What stands in inventories/<env>: sorted, whole, without strangers, secrets in the vault only."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.inventory import Inventory, write_if_changed, write_inventory
from infra.secrets import read_vault

SSH_CONFIG = Path("/state/ssh_config")


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a key of the test's own."""
    monkeypatch.setenv("PROVINCE_VAULT_KEY", str(tmp_path / "vault_key"))


def inventory(*hosts: str) -> Inventory:
    """Build an inventory of hosts of which the first alone has a secret."""
    names = hosts or ("svc1-70", "edge1-692")
    secret = {"x_token": "kín", "x_lines": "a\nb\n"}
    return Inventory(
        groups={"base_system": names, "site_70": names[:1]},
        facts={name: {"base_system_name": name, "b": [1, 2], "a": "Lộc Ninh"} for name in names},
        secrets={name: (secret if name == names[0] else {}) for name in names},
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_hosts_groups_and_connection_stand_in_one_file(tmp_path: Path) -> None:
    assert write_inventory(inventory(), tmp_path, SSH_CONFIG)
    text = (tmp_path / "hosts.yml").read_text(encoding="utf-8")
    assert text.startswith("---\n# Written by `province`: edits are lost.")
    assert yaml.safe_load(text) == {
        "all": {
            "vars": {
                "ansible_user": "ansible",
                "ansible_become": True,
                "ansible_ssh_common_args": "-F /state/ssh_config",
            },
            "hosts": {"svc1-70": None, "edge1-692": None},
            "children": {
                "base_system": {"hosts": {"svc1-70": None, "edge1-692": None}},
                "site_70": {"hosts": {"svc1-70": None}},
            },
        }
    }


def test_each_host_has_its_facts_open_and_its_secrets_encrypted(tmp_path: Path) -> None:
    write_inventory(inventory(), tmp_path, SSH_CONFIG)
    own = tmp_path / "host_vars" / "svc1-70"
    facts = (own / "facts.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(facts) == {"base_system_name": "svc1-70", "b": [1, 2], "a": "Lộc Ninh"}
    assert "Lộc Ninh" in facts
    assert yaml.safe_load(read_vault(own / "secrets.yml")) == {
        "x_token": "kín",
        "x_lines": "a\nb\n",
    }
    assert stat.S_IMODE((own / "secrets.yml").stat().st_mode) == 0o600
    assert not (tmp_path / "host_vars" / "edge1-692" / "secrets.yml").exists()


def test_no_secret_is_readable_anywhere(tmp_path: Path) -> None:
    write_inventory(inventory(), tmp_path, SSH_CONFIG)
    assert [name for name, content in snapshot(tmp_path).items() if "kín".encode() in content] == []


def test_writing_twice_changes_nothing_and_says_so(tmp_path: Path) -> None:
    assert write_inventory(inventory(), tmp_path, SSH_CONFIG)
    before = snapshot(tmp_path)
    assert not write_inventory(inventory(), tmp_path, SSH_CONFIG)
    assert snapshot(tmp_path) == before


def test_hosts_that_are_gone_leave_no_variables(tmp_path: Path) -> None:
    write_inventory(inventory("svc1-70", "edge1-692"), tmp_path, SSH_CONFIG)
    assert write_inventory(inventory("svc1-70"), tmp_path, SSH_CONFIG)
    assert [path.name for path in (tmp_path / "host_vars").iterdir()] == ["svc1-70"]


def test_a_secret_that_is_gone_leaves_no_file(tmp_path: Path) -> None:
    write_inventory(inventory("svc1-70", "edge1-692"), tmp_path, SSH_CONFIG)
    assert write_inventory(inventory("edge1-692", "svc1-70"), tmp_path, SSH_CONFIG)
    folders = tmp_path / "host_vars"
    assert [path.parent.name for path in folders.rglob("secrets.yml")] == ["edge1-692"]


def test_what_people_choose_is_left_alone(tmp_path: Path) -> None:
    chosen = tmp_path / "group_vars" / "all" / "time_service.yml"
    chosen.parent.mkdir(parents=True)
    chosen.write_text("time_service_state: present\n", encoding="utf-8")
    (tmp_path / "province.yml").write_text("name: lab\n", encoding="utf-8")
    write_inventory(inventory(), tmp_path, SSH_CONFIG)
    assert chosen.read_text(encoding="utf-8") == "time_service_state: present\n"
    assert (tmp_path / "province.yml").read_text(encoding="utf-8") == "name: lab\n"


def test_a_value_that_stands_twice_reads_twice(tmp_path: Path) -> None:
    same = ["10.0.0.1"]
    shared = Inventory({}, {"a1-1": {"x": same, "y": same}}, {"a1-1": {}})
    write_inventory(shared, tmp_path, SSH_CONFIG)
    text = (tmp_path / "host_vars" / "a1-1" / "facts.yml").read_text(encoding="utf-8")
    assert "&" not in text
    assert yaml.safe_load(text) == {"x": same, "y": same}


def test_a_file_is_written_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    assert write_if_changed(path, "a")
    assert not write_if_changed(path, "a")
    assert write_if_changed(path, "b")
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_plain_ansible_reads_the_folder_and_takes_no_declaration_for_hosts(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    folder = tmp_path / "lab"
    write_inventory(inventory(), folder, SSH_CONFIG)
    for name in ("province.yml", "units.csv"):
        source = root / "inventories" / "lab" / name
        (folder / name).write_bytes(source.read_bytes())
    command = [Path(sys.executable).parent / "ansible-inventory", "-i", folder, "--graph"]
    answer = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == [
        "@all:",
        "  |--@ungrouped:",
        "  |--@base_system:",
        "  |  |--edge1-692",
        "  |  |--svc1-70",
        "  |--@site_70:",
        "  |  |--svc1-70",
    ]
