"""Destroying works on what is there: twice, and without the declaration."""

import json
import os

import pytest
from command_world import Checkout

from infra.cli.destroying import RUN_FILES, RUN_LEFTOVERS

KEPT = ("secrets/secrets.yml", "journal.jsonl", "report/report.html", "logs/provision.log")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="looking for a lab's rests needs root")


def leave_a_run(checkout: Checkout) -> None:
    """Leave what a run leaves, without machines and without a declaration."""
    state = checkout.root / ".province" / "lab"
    for name in (
        *KEPT,
        *RUN_FILES,
        *(f"{folder}/file" for folder in RUN_LEFTOVERS if folder != "pulumi"),
    ):
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    generated = checkout.root / "inventories" / "lab" / "host_vars" / "svc1-70"
    generated.mkdir(parents=True)
    (generated / "facts.yml").write_text("---\n", encoding="utf-8")
    (generated.parents[1] / "hosts.yml").write_text("---\n", encoding="utf-8")


@needs_root
def test_an_environment_without_declaration_is_destroyed_twice(checkout: Checkout) -> None:
    leave_a_run(checkout)
    state = checkout.root / ".province" / "lab"
    said = (
        "lab: machines, networks and namespaces are gone\n"
        f"lab: keys, secrets, journal and reports stay in {state}\n"
    )
    for _ in range(2):
        answer = checkout.province("destroy", "lab", "--yes")
        assert (answer.code, answer.out, answer.err) == (0, said, "")
        left = [name for name in checkout.files() if not name.endswith("/lock")]
        assert left == sorted(f".province/lab/{name}" for name in KEPT)


@needs_root
def test_the_status_of_what_was_destroyed_says_that_nothing_is_there(checkout: Checkout) -> None:
    leave_a_run(checkout)
    state = checkout.root / ".province" / "lab"
    (state / "journal.jsonl").unlink()
    (state / "plan.json").unlink()
    data = checkout.province("status", "lab", "--json").data
    assert (data["hosts"], data["probe_points"], data["last_run"]) == ({}, [], {})
    assert checkout.province("status", "lab").out.startswith("lab: no machines\n")


def test_the_status_tells_the_last_run_site_by_site(checkout: Checkout) -> None:
    state = checkout.root / ".province" / "lab"
    state.mkdir(parents=True)
    entry = {"at": "2026-11-25T03:40:00+00:00", "author": "an", "verb": "provision"}
    lines = [
        entry
        | {"run": "1", "stage": "site", "subject": "70", "outcome": "failed", "detail": "old"},
        entry | {"run": "2", "stage": "machines", "subject": "70", "outcome": "done", "detail": ""},
        entry
        | {"run": "2", "stage": "site", "subject": "70", "outcome": "done", "detail": "3 changes"},
        entry
        | {"run": "2", "stage": "site", "subject": "692", "outcome": "deferred", "detail": "off"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (state / "journal.jsonl").write_text(text, encoding="utf-8")
    out = checkout.province("status", "lab").out
    assert "last run: provision at 2026-11-25T03:40:00+00:00\n" in out
    assert "  site 692: deferred (off)\n  site 70: done (3 changes)\n" in out
