"""Write the report's files; the one file of the stage that does."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from infra.compliance.controls import Catalogue
from infra.compliance.render import junit_xml, report_html, verdict_json
from infra.compliance.verdict import Verdict
from infra.errors import ComplianceError


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the three forms of one verdict lie."""

    verdict: Path
    junit: Path
    report: Path


def write_report(
    folder: Path, verdict: Verdict, catalogue: Catalogue, topology_svg: str
) -> ReportFiles:
    """Write ``verdict.json``, ``junit.xml`` and ``report.html``; nothing before all are rendered.

    Raises:
        ComplianceError: the folder cannot be written.
    """
    machine = verdict_json(verdict, catalogue)
    digest = hashlib.sha256(machine.encode()).hexdigest()
    files = ReportFiles(folder / "verdict.json", folder / "junit.xml", folder / "report.html")
    contents = {
        files.junit: junit_xml(verdict, catalogue),
        files.report: report_html(verdict, catalogue, topology_svg, digest),
        files.verdict: machine,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            _replace(path, content)
    except OSError as error:
        raise ComplianceError(
            f"report in {folder}: {error.strerror}; it must be written; free the disk or the path"
        ) from error
    return files


def _replace(path: Path, content: str) -> None:
    """Swap the file in whole: a reader never meets half a report."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
