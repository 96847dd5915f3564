"""Asks an apt of its own what a list of packages needs, and has it download and verify the files.

The private root knows nothing of the controller's packages: its status file is that of the base
that every host starts from, so what it would install is what a host will.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import MirrorError
from infra.mirror import plan
from infra.mirror.publish import file_sha256
from infra.tools.cache import Report

_PROGRESS = re.compile(r"Get:(\d+) ")
_FOLDERS = (
    "etc/apt.conf.d",
    "etc/preferences.d",
    "etc/sources.list.d",
    "state/lists/partial",
    "cache/archives/partial",
    "log",
)


@dataclass(frozen=True, slots=True)
class AptRoot:
    """A private apt: its folder and the dpkg status file of the base it installs on."""

    root: Path
    base_status: Path

    def prepare(self, architecture: str, transport: Sequence[str], sources: str) -> None:
        """Writes configuration and sources; both may hold the credentials of a proxy."""
        for folder in _FOLDERS:
            (self.root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = plan.render_configuration(self.root, architecture, transport)
        _write_secret(self.root / "apt.conf", configuration)
        _write_secret(self.root / "etc/sources.list.d/province.sources", sources)

    def update(self) -> None:
        """Fetches the signed lists; what has not changed is not fetched again."""
        # The index that apt would now build of all lists is not needed where nothing is new.
        options = ("-qq", "--error-on=any", "-o", "pkgCacheFile::Generate=false")
        self._run("apt-get", "update", *options, doing="reading the package lists")

    def closure(self, packages: Sequence[str], *, upgrade: bool) -> tuple[plan.Archive, ...]:
        """Answers what these packages need beyond the base, and the base's upgrades if asked.

        All together first: that is one calculation. Packages that exclude one another are then
        asked for one by one, for they may still live on different hosts.
        """
        together = self._print_uris(packages, upgrade=upgrade)
        if together.returncode == 0:
            return plan.parse_uris(together.stdout)
        printed: list[str] = []
        refused: list[str] = []
        for package in packages:
            alone = self._print_uris((package,), upgrade=upgrade)
            if alone.returncode == 0:
                printed.append(alone.stdout)
            else:
                refused.append(f"{package} ({_last_line(alone.stderr)})")
        if refused:
            raise MirrorError(
                f"package mirror: apt cannot install {', '.join(refused)} on the base of "
                f"{plan.TARGET}; every package that a role names must be installable: mend "
                "'packages' in the function.yml that names it"
            )
        return plan.parse_uris("\n".join(printed))

    def fetch(self, archives: Sequence[plan.Archive], store: Path, report: Report) -> int:
        """Downloads what the store lacks; answers how many bytes that was.

        apt verifies each file against the signed lists. It writes into a folder aside, so that a
        file under its own name in the store is always a whole one.
        """
        store.mkdir(mode=0o755, parents=True, exist_ok=True)
        aside = store / "downloading"
        _salvage(aside, store, archives)
        missing = [archive for archive in archives if not _is_stored(store, archive)]
        if not missing:
            return 0
        size = sum(archive.size for archive in missing)
        report(f"package mirror: downloading {len(missing)} packages, {size / 1e6:.0f} MB")
        aside.mkdir()
        self._run(
            *("apt-get", "download", "-q", *(archive.request for archive in missing)),
            doing="downloading packages",
            folder=aside,
            watch=_progress(len(missing), report),
        )
        for archive in missing:
            (aside / archive.filename).rename(store / archive.filename)
        aside.rmdir()
        return size

    def signed_lists(self) -> str:
        """Answers the signed descriptions of all lists; with them each list's content is fixed."""
        found = sorted((self.root / "state/lists").glob("*_InRelease"))
        return "".join(path.read_text(encoding="utf-8") for path in found)

    def newest_release(self) -> str:
        """Answers the signed description of the target release that the lists came with."""
        lists = self.root / "state/lists"
        found = sorted(lists.glob(f"*_dists_{plan.TARGET}_InRelease"))
        if len(found) != 1:
            raise MirrorError(
                f"package mirror: {lists} holds {len(found)} descriptions of {plan.TARGET}; one is "
                f"needed: delete {self.root} and run again"
            )
        return found[0].read_text(encoding="utf-8")

    def _print_uris(
        self, packages: Sequence[str], *, upgrade: bool
    ) -> subprocess.CompletedProcess[str]:
        # apt leaves out what its own archives folder already holds: that folder stays empty.
        verb = "dist-upgrade" if upgrade else "install"
        return subprocess.run(
            ["apt-get", *self._options(), "-qq", "-y", "--print-uris", verb, "--", *packages],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
        )

    def _options(self) -> tuple[str, ...]:
        return ("-o", f"Dir::State::status={self.base_status}")

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def _run(
        self,
        tool: str,
        *arguments: str,
        doing: str,
        folder: Path | None = None,
        watch: Callable[[str], None] | None = None,
    ) -> None:
        lines: list[str] = []
        with subprocess.Popen(
            [tool, *self._options(), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=self._environment(),
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                if watch is not None:
                    watch(line)
        if process.returncode != 0:
            raise MirrorError(
                f"package mirror: {doing} failed ({_last_line(''.join(lines))}); packages must "
                "arrive signed and whole: check the network and the sources of apt on this "
                "machine, and run again"
            )


def controller_sources(codename: str) -> plan.Sources:
    """Answers where apt on this machine takes Debian from."""
    listed = _ask(
        "apt-get",
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(REPO_URI)",
        "Created-By: Packages",
    )
    return plan.find_sources(listed, codename)


def controller_transport() -> tuple[str, ...]:
    """Answers how apt on this machine reaches an archive."""
    return plan.transport_settings(_ask("apt-config", "dump"))


def architecture() -> str:
    """Answers this machine's architecture, which is that of the lab's hosts."""
    return _ask("dpkg", "--print-architecture").strip()


def _ask(*command: str) -> str:
    try:
        answer = subprocess.run(list(command), capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise MirrorError(
            f"package mirror: {command[0]} is not on this machine; the mirror is built with apt's "
            "own tools: apt-get install apt apt-utils dpkg-dev gpg"
        ) from missing
    if answer.returncode != 0:
        raise MirrorError(
            f"package mirror: {command[0]} ended with {answer.returncode} "
            f"({_last_line(answer.stderr)}); apt must work on this machine: mend it and run again"
        )
    return answer.stdout


def _is_stored(store: Path, archive: plan.Archive) -> bool:
    path = store / archive.filename
    return path.is_file() and path.stat().st_size == archive.size


def _salvage(aside: Path, store: Path, archives: Sequence[plan.Archive]) -> None:
    """Takes what a killed download had finished, and throws the rest away.

    apt itself would take any file of the right size for the right one.
    """
    if not aside.exists():
        return
    for archive in archives:
        found = aside / archive.filename
        if found.is_file() and file_sha256(found) == archive.sha256:
            found.rename(store / archive.filename)
    shutil.rmtree(aside)


def _progress(count: int, report: Report) -> Callable[[str], None]:
    every = max(count // 10, 1)

    def watch(line: str) -> None:
        match = _PROGRESS.match(line)
        if match and int(match[1]) % every == 0:
            report(f"package mirror: downloading, {match[1]} of {count}")

    return watch


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("E: ")


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
