"""Small worlds to judge in: a catalogue of a few controls, a site, some evidence."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from infra.compliance.controls import Catalogue, build_catalogue
from infra.compliance.evidence import Evidence
from infra.compliance.outcomes import Outcome, Scope
from infra.compliance.planned import PlannedCheck
from infra.compliance.verdict import SiteContext, VerdictContext

TEST = "test_network.py::test_default_policy_is_drop"
START = datetime(2026, 11, 25, 3, 40, 12, tzinfo=UTC)

ControlFields = dict[str, object]
Contents = dict[str, object]


def control_record(control_id: str, **changes: object) -> ControlFields:
    """Write one control as its file would give it, proved by one test unless changed."""
    return {
        "id": control_id,
        "title": {"vi": f"Yêu cầu {control_id}", "en": f"Requirement {control_id}"},
        "statement": {"vi": "Phải chặn mặc định.", "en": "It drops by default."},
        "rationale": "What nobody declared must not be reachable.",
        "how": "host: policies of the rule set",
        "sources": [{"document": "standard_a", "clause": "5.1", "knowledge": "read"}],
        "level_from": 1,
        "applies_to": {"scope": "host", "minimum_level": 1},
        "status": "automated",
        "proved_by": [TEST],
    } | changes


def untested(control_id: str, **changes: object) -> ControlFields:
    """Write a control that waits for a capability which is due in March."""
    record = control_record(control_id, status="not_yet", needs=["backup"], proved_by=[])
    return record | changes


def catalogue_contents(*controls: ControlFields) -> Contents:
    """Write the three files of a catalogue with one family."""
    return {
        "documents.yml": {
            "edition": date(2026, 11, 23),
            "families": ["NET"],
            "documents": [
                {
                    "id": "standard_a",
                    "short": "Standard A",
                    "title": {"vi": "Tiêu chuẩn A", "en": "Standard A"},
                    "edition": "standard",
                    "read_from": "its table of contents",
                }
            ],
        },
        "capabilities.yml": {
            "capabilities": [
                {
                    "id": "backup",
                    "title": {"vi": "sao lưu", "en": "backups"},
                    "due": date(2027, 3, 31),
                },
                {"id": "mail", "title": {"vi": "thư điện tử", "en": "mail"}},
            ]
        },
        "network.yml": {
            "family": "NET",
            "title": {"vi": "Mạng", "en": "Network"},
            "controls": list(controls),
        },
    }


def catalogue_of(*controls: ControlFields) -> Catalogue:
    """Build a catalogue and insist that it has no findings."""
    catalogue, findings = build_catalogue(catalogue_contents(*controls))
    assert catalogue is not None, [str(finding) for finding in findings]
    return catalogue


def host_check(control: str = "NET-01", host: str = "gw1-70", **changes: object) -> PlannedCheck:
    """Plan a check of a host of site 70."""
    return replace(PlannedCheck(control, Scope.HOST, "70", host, TEST), **changes)


def host_evidence(
    outcome: Outcome, control: str = "NET-01", host: str | None = "gw1-70", **changes: object
) -> Evidence:
    """Record what a check of a host of site 70 saw."""
    fields = {
        "control": control,
        "target": Scope.HOST,
        "site": "70",
        "host": host,
        "test": TEST,
        "outcome": outcome,
        "seen": ("chain input policy drop",),
        "reason": "" if outcome is Outcome.PROVED else f"because it {outcome}",
        "started_at": START,
        "ended_at": START + timedelta(seconds=1),
        "plan_digest": "9f2c",
    }
    return Evidence(**fields | changes)


def context_on(*substrates: str) -> VerdictContext:
    """Describe a run over site 70 and its neighbours, one for each substrate."""
    sites = tuple(
        SiteContext(str(70 + number), f"Địa điểm {number}", "edge", 3, substrate)
        for number, substrate in enumerate(substrates)
    )
    return VerdictContext(
        environment="lab",
        province="Bình Phước",
        as_of=date(2026, 11, 25),
        plan_digest="9f2c",
        commit="38e74f4",
        verified_from=START,
        verified_until=START + timedelta(minutes=3),
        sites=sites,
    )


class World:
    """The builders above, for tests to reach without importing a conftest."""

    test_id = TEST
    start = START
    control_record = staticmethod(control_record)
    untested = staticmethod(untested)
    catalogue_contents = staticmethod(catalogue_contents)
    catalogue_of = staticmethod(catalogue_of)
    host_check = staticmethod(host_check)
    host_evidence = staticmethod(host_evidence)
    context_on = staticmethod(context_on)
