"""What roles write, rendered by Ansible itself and compared to the byte with files kept here.

A case is `tests/roles/<role>/<case>.yml`, the role's inputs, beside a folder of the same name that
holds the files as they must come out. The role's own `managed_files` tasks are run below a
temporary folder; nothing else of the role runs, so no handler can touch this machine.

    PROVINCE_WRITE_GOLDEN=1 pytest tests/roles/test_rendered_files.py     # then read the difference
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
CASES = sorted(path.relative_to(HERE) for path in HERE.glob("*/*.yml"))
_RENDERED_BY = ("files", "directories", "links", "role")


def managed_files_tasks(role: Path) -> list[dict[str, Any]]:
    """The role's tasks that write files, without conditions, guards and handlers."""
    found = []
    for path in sorted((role / "tasks").glob("*.yml")):
        for task in yaml.safe_load(path.read_text()):
            arguments = task.get("managed_files", {})
            if "files" in arguments:
                kept = {key: arguments[key] for key in _RENDERED_BY if key in arguments}
                kept["root"] = "{{ rendered_root }}"
                found.append({"name": task["name"], "managed_files": kept})
    return found


def writing_part(role: Path, place: Path) -> None:
    """Copies of a role what its files are made from, and the tasks that write them."""
    for name in ("defaults", "vars", "templates", "files", "filter_plugins"):
        if (role / name).is_dir():
            shutil.copytree(role / name, place / name)
    tasks = managed_files_tasks(role)
    assert tasks, f"{role.name}: writes no file with managed_files, so there is nothing to render"
    (place / "tasks").mkdir()
    (place / "tasks/main.yml").write_text(yaml.safe_dump(tasks, sort_keys=False))


def play(case: Path, root: Path) -> dict[str, Any]:
    """The play that renders one case below `root`."""
    return {
        "name": f"Render {case}",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(HERE / case)],
        "vars": {"rendered_root": str(root), "ansible_python_interpreter": sys.executable},
        "roles": [case.parts[0]],
    }


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, rendered by one run of Ansible."""
    place = tmp_path_factory.mktemp("rendered")
    for role in sorted({case.parts[0] for case in CASES}):
        (place / "roles" / role).mkdir(parents=True)
        writing_part(CHECKOUT / "roles" / role, place / "roles" / role)
    playbook = place / "render.yml"
    plays = []
    for case in CASES:
        root = place / case.with_suffix("")
        root.mkdir(parents=True)
        plays.append(play(case, root))
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [str(program), "--inventory=localhost,", str(playbook)],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(place / "roles"),
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def tree(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, without the manifest that `managed_files` leaves."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}"
        if path.is_symlink()
        else path.read_text()
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file())
        and not path.is_relative_to(folder / "var/lib/province")
    }


def kept_tree(case: Path) -> dict[str, str]:
    """What must come out; programs that a role copies as they are need no second copy here."""
    return tree(HERE / case.with_suffix(""))


def without_programs(files: dict[str, str]) -> dict[str, str]:
    """Leaves out what is no template but a program under tests of its own."""
    return {path: text for path, text in files.items() if not path.startswith("usr/local/lib/")}


def test_cases_are_found() -> None:
    assert len(CASES) >= 8


@pytest.mark.parametrize("case", CASES, ids=str)
def test_files_come_out_to_the_byte(rendered: Path, case: Path) -> None:
    seen = without_programs(tree(rendered / case.with_suffix("")))
    if os.environ.get("PROVINCE_WRITE_GOLDEN"):
        write_golden(HERE / case.with_suffix(""), seen)
    assert seen == kept_tree(case)


def write_golden(folder: Path, files: dict[str, str]) -> None:
    """Keeps what came out, for somebody to read before it is committed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text.removeprefix("-> "))
        else:
            path.write_text(text)
