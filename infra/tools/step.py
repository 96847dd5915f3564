"""The certificate authority's programs, built from their Go modules as static programs.

They run on the controller and are packed for the hosts, whose C library is another: hence no cgo.
"""

from dataclasses import dataclass
from pathlib import Path

from infra.tools.cache import Report, silent
from infra.tools.go import GoProgram, build_programs, required_version

_MODULE = Path(__file__).parent / "step_tools"


@dataclass(frozen=True, slots=True)
class StepTools:
    """Where the two programs are, and their common version without a ``v``."""

    step: Path
    step_ca: Path
    version: str


def ensure_step(report: Report = silent) -> StepTools:
    """Answers ``step`` and ``step-ca`` of the pinned version, built on the first call (1 minute).

    Raises:
        ToolError: they cannot be built; the sentence names the log.
    """
    go_mod = (_MODULE / "go.mod").read_text(encoding="utf-8")
    version = required_version(go_mod, "github.com/smallstep/certificates").removeprefix("v")
    program = GoProgram(
        name=f"step and step-ca {version}",
        module=_MODULE,
        packages=(
            "github.com/smallstep/certificates/cmd/step-ca",
            "github.com/smallstep/cli/cmd/step",
        ),
        definitions={"main.Version": version},
    )
    folder = build_programs(program, report) / "bin"
    return StepTools(step=folder / "step", step_ca=folder / "step-ca", version=version)
