"""The Pulumi engine in the version that the lock file's SDK has.

The program is not in the distribution nor on PyPI, so it is built from its Go module. Two stub
modules replace password estimators whose dictionaries cost half of every start.
"""

import os
import shutil
import subprocess
from pathlib import Path

from infra.tools.cache import Report, entry, silent
from infra.tools.go import GoProgram, build_programs, required_version

_MODULE = Path(__file__).parent / "pulumi_engine"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def engine_version() -> str:
    """Answers the pinned version as the program prints it, such as ``v3.260.0``."""
    go_mod = (_MODULE / "go.mod").read_text(encoding="utf-8")
    return required_version(go_mod, "github.com/pulumi/pulumi/pkg/v3")


def ensure_engine(report: Report = silent) -> Path:
    """Answers the folder, named ``bin``, that holds ``pulumi`` of the pinned version.

    Takes ours from the cache, else one of the same version on PATH, else builds ours (4 minutes on
    two cores). The Automation API takes the folder's parent: ``PulumiCommand(root=folder.parent)``.

    Raises:
        ToolError: it cannot be built; the sentence names the log.
    """
    version = engine_version()
    program = GoProgram(
        name=f"pulumi engine {version}",
        module=_MODULE,
        packages=("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
        definitions={_VERSION_VARIABLE: version},
    )
    if not entry(program.kind, program.inputs()).is_complete:
        installed = _installed(version)
        if installed is not None:
            return installed
    return build_programs(program, report) / "bin"


def _installed(version: str) -> Path | None:
    found = shutil.which("pulumi")
    if found is None or Path(found).parent.name != "bin":
        return None
    answer = subprocess.run(
        [found, "version"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
    )
    return Path(found).parent if answer.stdout.strip() == version else None
