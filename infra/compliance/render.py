"""Turn a verdict into text: JSON for programs, JUnit for a build server, HTML for people. Pure."""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infra.compliance.controls import Catalogue
from infra.compliance.outcomes import (
    EDITION_WORDS,
    KNOWLEDGE_WORDS,
    OUTCOME_MEANINGS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    Outcome,
    Scope,
    Words,
)
from infra.compliance.verdict import Check, Tally, Verdict
from infra.compliance.view import (
    OPEN,
    build_view,
    readable_date,
    readable_end,
    readable_test,
    readable_time,
)
from infra.errors import ComplianceError

SCHEMA_VERSION = 2
"""Raised when a reader of ``verdict.json`` would misunderstand it."""

_JUNIT_ELEMENTS: Mapping[Outcome, str] = {
    Outcome.FAILED: "failure",
    Outcome.COULD_NOT_CHECK: "error",
    Outcome.NOT_SHOWN: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
}
"""JUnit knows four results; proved is the one without an element."""


def verdict_json(verdict: Verdict, catalogue: Catalogue) -> str:
    """Write the whole verdict as JSON: sorted, and the same bytes for the same verdict."""
    context = verdict.context
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": context.environment,
        "province": context.province,
        "as_of": context.as_of.isoformat(),
        "plan_digest": context.plan_digest,
        "commit": context.commit,
        "substrates": list(context.substrates),
        "verified_from": context.verified_from.isoformat(),
        "verified_until": context.verified_until.isoformat(),
        "planned": len(verdict.checks),
        "counts": _counts(verdict.tally),
        "every_planned_check_holds": verdict.holds,
        "statement": _words(verdict.statement),
        "catalogue": {
            "edition": verdict.edition.isoformat(),
            "controls": verdict.catalogue_size,
            "proved": list(verdict.proved_controls),
            "proved_in_part": sorted(verdict.partly_tested.intersection(verdict.proved_controls)),
            "unproven": len(verdict.unproven),
        },
        "sites": _sites_json(verdict),
        "controls": [
            {
                "id": name,
                "title": catalogue.controls[name].title.model_dump(),
                "status": catalogue.controls[name].status,
                **_tally_json(tally),
            }
            for name, tally in verdict.by_control.items()
        ],
        "checks": [_check_json(check) for check in verdict.checks],
        "unproven": [
            {
                "id": one.control.id,
                "title": one.control.title.model_dump(),
                "status": one.control.status,
                "outcome": one.outcome,
                "why": _words(one.why),
                "due": None if one.due is None else one.due.isoformat(),
            }
            for one in verdict.unproven
        ],
        "damage": [str(damaged) for damaged in verdict.damage],
        "shares": [
            {
                "what": _words(share.declared.what),
                "total": share.declared.total,
                "required": share.declared.required,
                "declared": {
                    "connected": share.declared.connected,
                    "is_met": share.declared.is_met,
                },
                "measured": {
                    "connected": share.connected,
                    "unseen": share.unseen,
                    "is_met": share.is_met,
                },
            }
            for share in verdict.shares
        ],
        "notes": [_words(note) for note in context.notes],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def junit_xml(verdict: Verdict, catalogue: Catalogue) -> str:
    """Write every check as a JUnit test case, one suite per site.

    ``failed`` becomes a failure, ``could_not_check`` an error; ``not_shown`` and
    ``not_applicable`` are skipped with their reason, because JUnit has no better word.
    """
    root = ET.Element("testsuites", name=f"province {verdict.context.environment}")
    _count_attributes(root, verdict.tally)
    for name, tally in verdict.by_site.items():
        suite = ET.SubElement(root, "testsuite", name=name)
        _count_attributes(suite, tally)
        for check in verdict.checks:
            if (check.planned.site or Scope.PROVINCE) == name:
                _test_case(suite, check, catalogue)
    if verdict.damage:
        suite = ET.SubElement(
            root, "testsuite", name="damaged evidence", tests="1", failures="0", errors="1"
        )
        case = ET.SubElement(suite, "testcase", classname="evidence", name="every line is readable")
        error = ET.SubElement(case, "error", message=f"{len(verdict.damage)} damaged lines")
        error.text = _xml_text("\n".join(str(damaged) for damaged in verdict.damage))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def report_html(
    verdict: Verdict, catalogue: Catalogue, topology_svg: str, verdict_digest: str
) -> str:
    """Write the report as one self-contained page, Vietnamese first and English beside it.

    ``topology_svg`` is an ``<svg>`` element drawn from the model, put in as it is;
    ``verdict_digest`` ties a printed page to the ``verdict.json`` beside it.

    Raises:
        ComplianceError: the diagram is no plain SVG element.
    """
    # The diagram is the only text that is not escaped, so it must be what it is said to be.
    if not topology_svg.lstrip().startswith("<svg") or "<script" in topology_svg.lower():
        raise ComplianceError(
            f"report: the topology diagram begins with {topology_svg.lstrip()[:20]!r}; it must be "
            "an <svg> element without scripts; pass what infra/plan draws"
        )
    environment = Environment(
        loader=PackageLoader("infra.compliance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": readable_time,
        "until": readable_end,
        "day": readable_date,
        "claim": readable_test,
        "percent": _percent,
        "css_text": _css_text,
    }
    return environment.get_template("report.html.j2").render(
        view=build_view(verdict, catalogue, verdict_digest),
        verdict=verdict,
        context=verdict.context,
        catalogue=catalogue,
        topology=Markup(topology_svg),  # noqa: S704  checked above
        outcomes=tuple(Outcome),
        outcome_words={**OUTCOME_WORDS, OPEN: Words("Chưa có kiểm tra", "Not checked")},
        outcome_meanings=OUTCOME_MEANINGS,
        status_words=STATUS_WORDS,
        knowledge_words=KNOWLEDGE_WORDS,
        edition_words=EDITION_WORDS,
    )


def _percent(share: float) -> str:
    """Write a share as a percentage with the decimal comma of Vietnamese."""
    return f"{share * 100:.1f}".removesuffix(".0").replace(".", ",") + "\N{NO-BREAK SPACE}%"


def _css_text(text: str) -> str:
    """Write text for a style sheet's string, where HTML's own escapes mean nothing."""
    return "".join(
        character if character.isalnum() or character in " -_." else f"\\{ord(character):x} "
        for character in text
    )


def _words(words: Words) -> dict[str, str]:
    return {"vi": words.vi, "en": words.en}


def _counts(tally: Tally) -> dict[str, int]:
    return {str(outcome): count for outcome, count in tally.counts.items()}


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {"counts": _counts(tally), "outcome": tally.outcome}


def _sites_json(verdict: Verdict) -> list[dict[str, Any]]:
    named = {site.code: site for site in verdict.context.sites}
    return [
        {
            "code": code,
            "name": named[code].name if code in named else verdict.context.province,
            "kind": named[code].kind if code in named else Scope.PROVINCE,
            "level": named[code].level if code in named else None,
            "substrate": named[code].substrate if code in named else None,
            **_tally_json(tally),
        }
        for code, tally in verdict.by_site.items()
    ]


def _check_json(check: Check) -> dict[str, Any]:
    planned = check.planned
    return {
        "control": planned.control,
        "target": planned.target,
        "site": planned.site,
        "host": planned.host,
        "test": planned.test,
        "outcome": check.outcome,
        "reason": check.reason,
        "seen": list(check.seen),
        "started_at": check.started_at.isoformat() if check.started_at else None,
        "ended_at": check.ended_at.isoformat() if check.ended_at else None,
        "observations": check.observations,
    }


def _count_attributes(element: ET.Element, tally: Tally) -> None:
    counts = tally.counts
    element.set("tests", str(tally.total))
    element.set("failures", str(counts[Outcome.FAILED]))
    element.set("errors", str(counts[Outcome.COULD_NOT_CHECK]))
    element.set("skipped", str(counts[Outcome.NOT_SHOWN] + counts[Outcome.NOT_APPLICABLE]))


def _test_case(suite: ET.Element, check: Check, catalogue: Catalogue) -> None:
    planned = check.planned
    title = catalogue.controls[planned.control].title
    seconds = (
        (check.ended_at - check.started_at).total_seconds()
        if check.started_at and check.ended_at
        else 0.0
    )
    case = ET.SubElement(
        suite,
        "testcase",
        classname=planned.control,
        name=f"{readable_test(planned.test) if planned.test else title.en} [{planned.place}]",
        time=f"{seconds:.3f}",
    )
    element = _JUNIT_ELEMENTS.get(check.outcome)
    if element is not None:
        message = _xml_text(f"{check.outcome}: {check.reason}")
        ET.SubElement(case, element, message=message, type=str(check.outcome))
    if check.seen:
        ET.SubElement(case, "system-out").text = _xml_text("\n".join(check.seen))


def _xml_text(text: str) -> str:
    """Replace what XML 1.0 cannot hold: a terminal's control characters turn up in outputs."""
    return "".join(
        character if character >= " " or character in "\t\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text
        if not "\ud800" <= character <= "\udfff" and character not in "\ufffe\uffff"
    )
