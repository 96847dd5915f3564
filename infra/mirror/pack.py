"""Makes Debian packages of our own from finished programs; the same program gives the same bytes.

Neither package starts anything: a service, its account and its folders are a role's to decide.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.errors import MirrorError
from infra.mirror.publish import file_sha256
from infra.tools.cache import Report, build_once

OWN_PACKAGES = ("province-step", "province-step-ca")
"""Names of the packages that this room makes; everything else is Debian's."""

_EPOCH = 1_735_689_600
"""Time of every file inside, and of the archive: 1 January 2025, for no clock may decide."""


@dataclass(frozen=True, slots=True)
class OwnPackage:
    """A package of one program: the program's file becomes ``/usr/bin/<command>``."""

    name: str
    version: str
    architecture: str
    command: str
    program: Path
    summary: str
    description: str

    @property
    def filename(self) -> str:
        """The package file's name in a pool."""
        return f"{self.name}_{self.version}_{self.architecture}.deb"


def control_file(package: OwnPackage, installed_kib: int) -> str:
    """Answers the package's own description for dpkg; a static program needs nothing else."""
    fields = (
        ("Package", package.name),
        ("Version", package.version),
        ("Architecture", package.architecture),
        ("Maintainer", "Province package archive <root@localhost>"),
        ("Installed-Size", str(installed_kib)),
        ("Section", "admin"),
        ("Priority", "optional"),
        ("Description", f"{package.summary}\n {package.description}"),
    )
    return "".join(f"{name}: {value}\n" for name, value in fields)


def pack(package: OwnPackage, report: Report) -> Path:
    """Answers the package's file, building it when this program was never packed before.

    Raises:
        MirrorError: dpkg-deb is missing or refuses.
    """
    size_kib = -(-package.program.stat().st_size // 1024)
    control = control_file(package, size_kib)
    inputs = {
        "control": control,
        "copyright": _copyright(package),
        "program": file_sha256(package.program),
        "compression": "zstd 10",
    }

    def build(folder: Path) -> None:
        report(f"package mirror: packing {package.name} {package.version}")
        tree = folder / "tree"
        _fill(tree, package, control)
        _build(tree, folder / package.filename)
        shutil.rmtree(tree)

    return build_once("own_package", inputs, build, report=report) / package.filename


def _copyright(package: OwnPackage) -> str:
    return (
        f"{package.command} is the work of Smallstep Labs, Inc., built from its unchanged source.\n"
        "License: Apache-2.0; on Debian systems its full text is in "
        "/usr/share/common-licenses/Apache-2.0.\n"
    )


def _fill(tree: Path, package: OwnPackage, control: str) -> None:
    documents = tree / f"usr/share/doc/{package.name}"
    for folder in (tree / "DEBIAN", tree / "usr/bin", documents):
        folder.mkdir(parents=True)
    shutil.copyfile(package.program, tree / "usr/bin" / package.command)
    (documents / "copyright").write_text(_copyright(package), encoding="utf-8")
    (tree / "DEBIAN/control").write_text(control, encoding="utf-8")
    for path in [tree, *tree.rglob("*")]:
        # Modes are set, not inherited: the mask of this shell is no input.
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        os.utime(path, (_EPOCH, _EPOCH))


def _build(tree: Path, target: Path) -> None:
    try:
        answer = subprocess.run(
            # zstd packs in a twentieth of xz's time, for a tenth more bytes. One thread: several
            # cut the archive by how many they are.
            [
                *("dpkg-deb", "--root-owner-group", "-Zzstd", "-z10", "--threads-max=1"),
                *("--build", tree, target),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as missing:
        raise MirrorError(
            "package mirror: dpkg-deb is not on this machine; our own packages are made with it: "
            "apt-get install dpkg"
        ) from missing
    if answer.returncode != 0:
        raise MirrorError(
            f"{target.name}: dpkg-deb ended with {answer.returncode} ({answer.stderr.strip()}); "
            "the package must build: check the disk's free space and run again"
        )
