"""`province database`, as an administrator calls it."""

import io
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import worlds
from cluster_world import World, listed

from infra.cli.main import main
from infra.database import Answer, ask_over_ssh
from infra.journal import Journal
from infra.plan import to_json


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an administrator sits: a checkout with an applied plan, and a cluster behind it."""

    state: Path
    world: World
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def province(self, *words: str) -> tuple[int, str, str]:
        """Call `province database`; answers exit code, output and complaints."""
        self.patch.setattr("sys.argv", ["province", "database", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capture.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    def journal(self) -> list[tuple[str, str, str]]:
        """What stays on record."""
        entries = Journal(self.state, "", "", lambda: None).entries()  # type: ignore[arg-type, return-value]
        return [(one.subject, one.outcome, one.detail) for one in entries]


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """Build a checkout whose environment `sample` has a cluster of three that is well."""
    state = tmp_path / ".province" / "sample"
    state.mkdir(parents=True)
    plan = to_json(worlds.plan_of_a_whole_data_centre())
    (state / "plan.json").write_text(plan, encoding="utf-8")
    world = World()
    monkeypatch.setattr("infra.cli.environment.checkout_root", lambda: tmp_path)
    monkeypatch.setattr("infra.cli.database.ask_over_ssh", lambda _config: world.ask)
    monkeypatch.setenv("COLUMNS", "200")
    return Desk(state, world, monkeypatch, capsys)


def test_status_shows_members_and_endpoints(desk: Desk) -> None:
    code, out, _ = desk.province("status", "sample")
    assert code == 0
    assert "cluster main: a commit waits for a quorum" in out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    assert ["db1-70", "Leader", "running", "3", "0"] in rows
    assert ["db2-70", "Quorum Standby", "streaming", "3", "0"] in rows
    assert ["svc1-70", "10.70.4.20", "db1-70", "db2-70, db3-70", "5"] in rows
    assert ["svc2-70", "-", "db1-70", "db2-70, db3-70", "5"] in rows


def test_status_is_data_for_programs(desk: Desk) -> None:
    code, out, _ = desk.province("status", "sample", "main", "--json")
    (data,) = json.loads(out)
    assert code == 0
    assert (data["cluster"], data["leaders"], data["faults"]) == ("main", ["db1-70"], [])
    assert [one["name"] for one in data["members"]] == ["db1-70", "db2-70", "db3-70"]
    assert [one["primaries"] for one in data["endpoints"]] == [["db1-70"], ["db1-70"]]


def test_status_of_a_cluster_that_is_not_well_ends_with_1(desk: Desk) -> None:
    desk.world.rows = listed()[:2]
    code, out, _ = desk.province("status", "sample")
    assert code == 1
    assert "  db3-70: is not in the cluster" in out.splitlines()


def test_status_looks_and_touches_nothing(desk: Desk) -> None:
    desk.province("status", "sample")
    assert desk.world.orders() == []
    assert desk.journal() == []


def test_switchover_hands_over_and_says_who_leads(desk: Desk) -> None:
    code, out, err = desk.province("switchover", "sample", "main", "--to", "db3-70", "--yes")
    assert code == 0
    assert desk.world.leader == "db3-70"
    assert "db1-70 leads main; db3-70, 0 MB behind, will" in err
    assert "main: db3-70 leads; clients waited" in out
    assert desk.journal() == [
        ("main", "begun", "db1-70 to db3-70"),
        ("main", "done", "db1-70 to db3-70"),
    ]


def test_switchover_is_data_for_programs(desk: Desk) -> None:
    code, out, _ = desk.province("switchover", "sample", "main", "--yes", "--json")
    data: dict[str, Any] = json.loads(out)
    assert (code, data["leader"], data["faults"]) == (0, "db2-70", [])


@pytest.mark.parametrize(("said", "leader"), [("y\n", "db2-70"), ("n\n", "db1-70"), ("", "db1-70")])
def test_switchover_asks_first(desk: Desk, said: str, leader: str) -> None:
    desk.patch.setattr("sys.stdin", io.StringIO(said))
    code, _, err = desk.province("switchover", "sample", "main")
    assert desk.world.leader == leader
    assert code == (0 if leader == "db2-70" else 2)
    assert ("cluster 'main': nobody agreed; nothing was touched" in err) == (code != 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["switchover", "sample", "mian", "--yes"],
            "cluster 'mian': is none of sample; did you mean 'main'?; nothing was touched",
        ),
        (
            ["switchover", "sample", "main", "--to", "db4-70", "--yes"],
            (
                "--to db4-70: is no member of the cluster 'main'; did you mean 'db3-70'?; "
                "nothing was touched"
            ),
        ),
        (
            ["switchover", "sample", "main", "--to", "db1-70", "--yes"],
            "--to db1-70: leads the cluster 'main' already; nothing was touched",
        ),
        (
            ["status", "sample", "other"],
            "cluster 'other': is none of sample; known are: main; nothing was touched",
        ),
    ],
)
def test_wrong_names_are_refused_before_anything_happens(
    desk: Desk, words: list[str], sentence: str
) -> None:
    code, out, err = desk.province(*words)
    assert (code, out, err) == (2, "", f"{sentence}\n")
    assert desk.world.orders() == []


def test_a_cluster_that_is_not_well_is_not_handed_over(desk: Desk) -> None:
    desk.world.rows = listed()[:2]
    code, _, err = desk.province("switchover", "sample", "main", "--yes")
    assert code == 2
    assert "  db3-70: is not in the cluster" in err.splitlines()
    assert desk.world.orders() == []
    assert desk.journal() == []


def test_a_refused_order_stays_on_record(desk: Desk) -> None:
    desk.world.obeys = False
    code, _, err = desk.province("switchover", "sample", "main", "--yes")
    assert code == 1
    assert "did not hand over from db1-70 to db2-70: Switchover failed, details: 412" in err
    assert desk.journal()[-1] == ("main", "failed", "db1-70 to db2-70")


def test_hosts_are_asked_as_root_over_the_environments_own_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 3\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer = ask_over_ssh(Path("/state/ssh_config"))("db1-70", ["look", "two words"], 10)
    arguments = "-F\n/state/ssh_config\n-o\nBatchMode=yes\ndb1-70\nsudo -n look 'two words'\n"
    assert answer == Answer(3, arguments, "")


def test_a_host_that_does_not_answer_in_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\nexec sleep 5\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ask_over_ssh(Path("x"))("db1-70", ["look"], 0.2).reason == "no answer within 0 s"
