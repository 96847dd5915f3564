"""The cache never hands out what is not complete, and never builds one thing twice."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import ToolError
from infra.tools.cache import build_once, cache_root, entry

INPUTS = {"version": "1.0", "sources": b"\x00\x01"}


def write(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "content").write_text(text, encoding="utf-8")

    return build


def test_the_second_call_builds_nothing(tmp_path: Path) -> None:
    first = build_once("image", INPUTS, write("first"), root=tmp_path)
    second = build_once("image", INPUTS, write("second"), root=tmp_path)
    assert first == second
    assert (second / "content").read_text(encoding="utf-8") == "first"


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        pytest.param("image", {**INPUTS, "version": "1.1"}, id="another_value"),
        pytest.param("image", {**INPUTS, "suite": "trixie"}, id="another_input"),
        pytest.param("image", {"version": "1.0"}, id="an_input_less"),
        pytest.param("mirror", INPUTS, id="another_kind"),
        pytest.param("image", {"version": "1.", "0sources": b"\x00\x01"}, id="moved_border"),
    ],
)
def test_other_inputs_are_another_entry(
    kind: str, inputs: dict[str, str | bytes], tmp_path: Path
) -> None:
    assert entry(kind, inputs, tmp_path).digest != entry("image", INPUTS, tmp_path).digest


def test_the_order_of_inputs_does_not_matter(tmp_path: Path) -> None:
    reordered = dict(reversed(INPUTS.items()))
    assert entry("image", reordered, tmp_path) == entry("image", INPUTS, tmp_path)


def test_a_failed_build_leaves_nothing_and_passes_its_error_on(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise ToolError("half: built; whole is required")

    with pytest.raises(ToolError, match="whole is required"):
        build_once("image", INPUTS, fail, root=tmp_path)
    assert not entry("image", INPUTS, tmp_path).is_complete
    assert [path.suffix for path in (tmp_path / "image").iterdir()] == [".lock"]


KILLED_BUILD = """
import sys, time
from pathlib import Path
from infra.tools.cache import build_once

def build(folder):
    (folder / "half").touch()
    print("building", flush=True)
    time.sleep(60)

build_once("image", {"version": "1.0"}, build, root=Path(sys.argv[1]))
"""


def test_a_killed_build_is_not_taken_for_complete_and_is_cleared_away(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_BUILD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "building\n"
        builder.send_signal(signal.SIGKILL)
    inputs = {"version": "1.0"}
    assert not entry("image", inputs, tmp_path).is_complete
    assert list((tmp_path / "image").glob("*.building-*/half"))

    path = build_once("image", inputs, write("whole"), root=tmp_path)
    assert [child.name for child in path.iterdir()] == ["content"]
    assert not list((tmp_path / "image").glob("*.building-*"))


def test_two_builders_build_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    built: list[str] = []
    said: list[str] = []
    may_finish = threading.Event()
    started = threading.Event()

    def slow(folder: Path) -> None:
        built.append("first")
        started.set()
        assert may_finish.wait(20)
        write("first")(folder)

    def hear(line: str) -> None:
        said.append(line)
        may_finish.set()

    first = threading.Thread(target=lambda: build_once("image", INPUTS, slow, root=tmp_path))
    first.start()
    assert started.wait(20)
    path = build_once("image", INPUTS, write("second"), root=tmp_path, report=hear)
    first.join()
    assert built == ["first"]
    assert (path / "content").read_text(encoding="utf-8") == "first"
    assert said == ["image: another run is building it; waiting"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_left_by_a_killed_build_is_named_and_not_reached_through(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "precious").touch()
    wanted = entry("image", INPUTS, tmp_path)
    point = wanted.path.with_name(f"{wanted.digest}.building-killed") / "proc"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", kept, point], check=True)
    try:
        with pytest.raises(ToolError, match=f"umount {point}"):
            build_once("image", INPUTS, write("never"), root=tmp_path)
        assert (kept / "precious").exists()
    finally:
        subprocess.run(["umount", point], check=True)
    assert build_once("image", INPUTS, write("whole"), root=tmp_path).is_dir()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PROVINCE_CACHE": "/srv/cache", "XDG_CACHE_HOME": "/x"}, "/srv/cache"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/lan"}, "/x/province"),
        ({"HOME": "/home/lan", "PROVINCE_CACHE": ""}, "/home/lan/.cache/province"),
    ],
)
def test_the_root_follows_the_environment(environment: dict[str, str], expected: str) -> None:
    assert cache_root(environment) == Path(expected)


def test_a_relative_root_is_refused() -> None:
    with pytest.raises(ToolError, match="PROVINCE_CACHE: is the relative path 'cache'"):
        cache_root({"PROVINCE_CACHE": "cache"})
