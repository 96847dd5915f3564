"""What people see while the command works and when it has ended."""

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console
from worlds import plan_with_two_districts

from infra.cli import output
from infra.cli.materials import ensure_ssh_key
from infra.cli.progress import Progress, make_progress
from infra.cli.provisioning import _not_reached
from infra.configure import HostOutcome, Reached, SiteOutcome
from infra.stacks.events import Change, PropertyDifference, Violation
from infra.stacks.results import StackPreview

TITLES = {"70": "tỉnh Bình Phước", "692": "huyện Lộc Ninh"}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave room for tables."""
    monkeypatch.setenv("COLUMNS", "200")


def progress(folder: Path, *, terminal: bool) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, highlight=False)
    return Progress(folder / "logs" / "run.log", 2, console), stream


def test_without_a_terminal_every_line_is_printed_with_its_stage(tmp_path: Path) -> None:
    shown, stream = progress(tmp_path, terminal=False)
    with shown.stage("machines"):
        shown.say("svc1-70: created")
    with shown.stage("roles"):
        pass
    assert stream.getvalue().splitlines() == [
        "[1/2] machines: svc1-70: created",
        "[1/2] machines: done (0 s)",
        "[2/2] roles: done (0 s)",
    ]


def test_the_log_keeps_every_line_with_its_time(tmp_path: Path) -> None:
    shown, _ = progress(tmp_path, terminal=False)
    with shown.stage("machines"):
        shown.say("svc1-70: created")
    lines = shown.log.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "[1/2] machines: begins",
        "[1/2] machines: svc1-70: created",
        "[1/2] machines: done after 0 s",
    ]
    assert all(line.startswith("20") and "+00:00 " in line for line in lines)


def test_a_stage_that_failed_is_not_called_done(tmp_path: Path) -> None:
    shown, stream = progress(tmp_path, terminal=False)
    with pytest.raises(ValueError, match="broken"), shown.stage("machines"):
        raise ValueError("broken")
    assert stream.getvalue() == "[1/2] machines: stopped (0 s)\n"
    assert "stopped after" in shown.log.read_text(encoding="utf-8")


def test_what_machines_say_is_never_read_as_markup(tmp_path: Path) -> None:
    shown, stream = progress(tmp_path, terminal=True)
    with shown.stage("roles [/bold]"):
        shown.say("TASK [/etc/nftables.conf] [red]")
    assert "[1/2] roles [/bold]: done" in stream.getvalue()


def test_a_log_is_named_after_time_and_verb(tmp_path: Path) -> None:
    assert make_progress(tmp_path, "provision", 8).log.match("20*T*Z_provision.log")


def test_the_end_of_a_run_names_every_site_and_says_what_went_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sites = [
        SiteOutcome("70", "failed", 3, ("svc1-70: ssh_server: Run: port [22] is taken",)),
        SiteOutcome("692", "deferred", 0, ("edge1-692: unreachable",)),
    ]
    output.print_sites(sites, TITLES)
    out = capsys.readouterr().out
    assert "huyện Lộc Ninh" in out
    assert "  svc1-70: ssh_server: Run: port [22] is taken\n" in out
    assert "nothing had to be changed" not in out


def test_a_second_run_says_that_nothing_had_to_be_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_sites([SiteOutcome(code, "done", 0, ()) for code in TITLES], TITLES)
    assert capsys.readouterr().out.endswith("nothing had to be changed on any host\n")


def test_a_deferred_site_is_no_site_without_changes(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_sites([SiteOutcome("70", "deferred", 0, ("gw1-70: off",))], TITLES)
    assert "nothing had to be changed" not in capsys.readouterr().out


def previews() -> list[StackPreview]:
    difference = PropertyDifference("links[0].addresses[0]", "10.1.3.11/24", "10.1.3.12/24")
    update = Change("urn", "province:lab:Host", "svc1-70", "update", (difference,))
    violation = Violation(
        "hosts_have_owners", "mandatory", "urn", "host 'gw1-70': owner is ''; name it"
    )
    return [
        StackPreview("backbone"),
        StackPreview("70", changes=(update,), violations=(violation,)),
        StackPreview("692", failure="the engine ended"),
    ]


def test_a_preview_names_each_change_property_by_property_and_each_refusal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.print_preview(previews())
    assert capsys.readouterr().out.splitlines() == [
        "70: 1 to update",
        "    update province:lab:Host svc1-70",
        "        links[0].addresses[0]: '10.1.3.11/24' => '10.1.3.12/24'",
        "    refused by hosts_have_owners: host 'gw1-70': owner is ''; name it",
        "692: no change",
        "    failed: the engine ended",
        "3 stacks looked at, 2 would change or are refused",
    ]


def test_a_preview_is_data_for_programs_too() -> None:
    data = json.loads(json.dumps(output.preview_data(previews())))
    assert [one["site"] for one in data] == ["backbone", "70", "692"]
    (change,) = data[1]["changes"]
    assert change["properties"] == [
        {"path": "links[0].addresses[0]", "old": "10.1.3.11/24", "new": "10.1.3.12/24"}
    ]
    assert data[1]["violations"][0]["policy"] == "hosts_have_owners"
    assert data[2]["failure"] == "the engine ended"


def test_hosts_that_were_not_reached_end_as_what_happened() -> None:
    hosts = {host.name: host for host in plan_with_two_districts().hosts()}
    reached = {
        "svc1-70": Reached("svc1-70", "reached", None, ""),
        "mgt1-70": Reached("mgt1-70", "refused", None, "mgt1-70: another host key"),
        "edge1-692": Reached("edge1-692", "unreachable", None, "edge1-692: unreachable (off)"),
        "edge1-689": Reached("edge1-689", "reached", None, ""),
    }
    assert _not_reached(reached, hosts, {"689": "689: no room for machines"}) == {
        "mgt1-70": HostOutcome("mgt1-70", "failed", 0, "mgt1-70: another host key"),
        "edge1-692": HostOutcome(
            "edge1-692",
            "deferred",
            0,
            "edge1-692: unreachable (off); its site is queued for the next run",
        ),
        "edge1-689": HostOutcome("edge1-689", "failed", 0, "689: no room for machines"),
    }


def test_a_key_of_the_controller_is_made_once_and_open_to_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "automation_key"
    line = ensure_ssh_key(path)
    assert line.startswith("ssh-ed25519 AAAA")
    assert ensure_ssh_key(path) == line
    assert path.with_suffix(".pub").read_text(encoding="utf-8") == f"{line}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_ssh_key(tmp_path / "secrets" / "creator_key") != line
