"""What is done at a path follows from what is wanted, known and found: a table of cases."""

from typing import Any

import pytest
from managed_files.decide import Evidence, Plan, Wanted, decide, questionable
from managed_files.manifest import Entry
from managed_files.province_guard import ABSENT, Thing, digest

PATH = "/etc/chrony/chrony.conf"
NOW = "20261125T000000Z"
KEPT = f"/var/lib/province/backup{PATH}@{NOW}"


def a_file(content: bytes = b"wanted", **changes: object) -> Thing:
    return Thing("file", sha256=digest(content), mode=0o644)._replace(**changes)


def wanted_file(content: bytes = b"wanted", **changes: object) -> Wanted:
    thing = a_file(content)
    entry = Entry("file", mode="0644", owner="root", group="root", sha256=thing.sha256)
    return Wanted(thing, entry, content)._replace(**changes)


def written(content: bytes = b"wanted", **changes: object) -> Entry:
    """What the manifest says of a file that this role wrote earlier."""
    return wanted_file(content).entry._replace(origin={"kind": "nothing"}, **changes)


def decided(wanted: Wanted | None, known: Entry | None, found: Thing, **evidence: object) -> Plan:
    nothing: dict[str, Any] = {
        "packages": {},
        "elsewhere": {},
        "bootstrap": {},
        "take_over": frozenset(),
        "given_back": {},
    }
    return decide(
        {PATH: wanted} if wanted else {},
        {PATH: known} if known else {},
        Evidence(found={PATH: found}, now=NOW, **(nothing | evidence)),
    )


def done(plan: Plan) -> list[tuple[str, str]]:
    assert all(action.path == PATH for action in plan.actions)
    return [(action.action, action.backup) for action in plan.actions]


@pytest.mark.parametrize(
    ("known", "found", "evidence", "expected", "origin"),
    [
        pytest.param(None, ABSENT, {}, [("create", "")], "nothing", id="nothing_there"),
        pytest.param(None, a_file(), {}, [("adopt", "")], "adopted", id="as_wanted_already"),
        pytest.param(written(), a_file(), {}, [], "nothing", id="written_and_unchanged"),
        pytest.param(
            written(), a_file(mode=0o600), {}, [("attributes", "")], "nothing", id="other_mode"
        ),
        pytest.param(
            written(), a_file(uid=7), {}, [("attributes", "")], "nothing", id="other_owner"
        ),
        pytest.param(
            written(b"old"), a_file(b"old"), {}, [("replace", "")], "nothing", id="our_old_content"
        ),
        pytest.param(
            written(b"new", replaced=digest(b"old")),
            a_file(b"old"),
            {},
            [("replace", "")],
            "nothing",
            id="killed_before_the_rename",
        ),
        pytest.param(
            None,
            a_file(b"theirs"),
            {"packages": {PATH: "chrony"}},
            [("replace", KEPT)],
            "package",
            id="unmodified_conffile",
        ),
        pytest.param(
            written(b"ours"),
            a_file(b"newer"),
            {"packages": {PATH: "chrony"}},
            [("replace", KEPT)],
            "nothing",
            id="package_put_its_own_back",
        ),
        pytest.param(
            None,
            a_file(b"creator"),
            {"elsewhere": {PATH: "bootstrap"}, "bootstrap": {PATH: written(b"creator")}},
            [("replace", KEPT)],
            "bootstrap",
            id="handed_over_by_bootstrap",
        ),
        pytest.param(
            None,
            a_file(b"theirs"),
            {"take_over": frozenset([PATH])},
            [("replace", KEPT)],
            "taken_over",
            id="named",
        ),
        pytest.param(written(), ABSENT, {}, [("create", "")], "nothing", id="deleted_by_hand"),
    ],
)
def test_a_wanted_file_is_written(
    known: Entry | None,
    found: Thing,
    evidence: dict[str, Any],
    expected: list[tuple[str, str]],
    origin: str,
) -> None:
    plan = decided(wanted_file(), known, found, **evidence)
    assert done(plan) == expected
    assert plan.blocked == {}
    assert plan.manifest[PATH].origin["kind"] == origin
    assert plan.manifest[PATH].sha256 == digest(b"wanted")


@pytest.mark.parametrize(
    ("known", "found", "evidence", "seen"),
    [
        pytest.param(
            None,
            a_file(b"theirs"),
            {},
            f"was made by another hand (sha256 {digest(b'theirs')[:12]}; "
            "no package vouches for it)",
            id="foreign_file",
        ),
        pytest.param(
            written(b"ours"),
            a_file(b"theirs"),
            {},
            f"was changed by another hand (sha256 {digest(b'theirs')[:12]}; "
            f"this role wrote {digest(b'ours')[:12]})",
            id="changed_by_hand",
        ),
        pytest.param(
            None,
            Thing("link", target="/run/elsewhere"),
            {},
            "was made by another hand (link to /run/elsewhere; no package vouches for it)",
            id="foreign_link",
        ),
        pytest.param(
            None,
            a_file(b"theirs"),
            {"elsewhere": {PATH: "time_service"}, "take_over": frozenset([PATH])},
            "is written by role 'time_service' already",
            id="another_role_even_when_named",
        ),
        pytest.param(
            None,
            Thing("directory", mode=0o755),
            {"take_over": frozenset([PATH])},
            "is a directory where a file is declared",
            id="directory_even_when_named",
        ),
        pytest.param(
            None,
            a_file(b"since changed"),
            {"elsewhere": {PATH: "bootstrap"}, "bootstrap": {PATH: written(b"creator")}},
            f"was made by another hand (sha256 {digest(b'since changed')[:12]}; "
            "no package vouches for it)",
            id="bootstrap_file_changed_since",
        ),
    ],
)
def test_another_hands_work_is_not_overwritten(
    known: Entry | None, found: Thing, evidence: dict[str, Any], seen: str
) -> None:
    plan = decided(wanted_file(), known, found, **evidence)
    assert plan.blocked == {PATH: seen}
    assert plan.actions == []


def test_a_declared_original_may_be_replaced() -> None:
    wanted = wanted_file(originals=frozenset([digest(b"generated")]))
    assert done(decided(wanted, None, a_file(b"generated"))) == [("replace", KEPT)]


def test_a_declared_original_link_may_be_replaced() -> None:
    wanted = Wanted(Thing("link", target="Asia"), Entry("link", target="Asia"))
    utc = Thing("link", target="UTC")
    named = wanted._replace(originals=frozenset(["UTC"]))
    assert done(decided(named, None, utc)) == [("replace", KEPT)]
    assert list(decided(wanted, None, utc).blocked) == [PATH]


@pytest.mark.parametrize(
    ("known", "found", "evidence", "expected"),
    [
        pytest.param(written(), a_file(), {}, [("remove", "")], id="ours"),
        pytest.param(
            written(),
            a_file(),
            {"given_back": {PATH: a_file(b"package's")}},
            [("give_back", "")],
            id="something_was_there_before",
        ),
        pytest.param(written(), ABSENT, {}, [], id="gone_already"),
        pytest.param(
            written(), a_file(b"new"), {"packages": {PATH: "chrony"}}, [], id="package_has_it_again"
        ),
        pytest.param(
            written()._replace(origin={"kind": "adopted"}), a_file(), {}, [], id="there_before_us"
        ),
        pytest.param(
            written(),
            a_file(b"by hand"),
            {"take_over": frozenset([PATH])},
            [("remove", KEPT)],
            id="changed_by_hand_and_named",
        ),
    ],
)
def test_a_file_that_is_no_longer_declared_leaves(
    known: Entry, found: Thing, evidence: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    plan = decided(None, known, found, **evidence)
    assert done(plan) == expected
    assert plan.manifest == {}


def test_a_file_changed_by_hand_is_not_removed() -> None:
    plan = decided(None, written(), a_file(b"by hand"))
    assert list(plan.blocked) == [PATH]
    assert plan.actions == []


def test_a_directory_that_we_made_leaves_and_one_that_we_found_gets_its_mode_back() -> None:
    found = Thing("directory", mode=0o750)
    made = Entry("directory", "0750", "root", "root", origin={"kind": "made"})
    assert done(decided(None, made, found)) == [("remove", "")]
    there = made._replace(origin={"kind": "found", "mode": "0755", "uid": "0", "gid": "0"})
    plan = decided(None, there, found)
    assert [action.step.after.mode for action in plan.actions] == [0o755]


def test_only_what_nobody_vouches_for_is_asked_about() -> None:
    wanted = {PATH: wanted_file()}
    ours, as_wanted, foreign = a_file(b"ours"), a_file(), a_file(b"foreign")
    assert questionable(wanted, {PATH: written(b"ours")}, {PATH: ours}) == set()
    assert questionable(wanted, {}, {PATH: as_wanted}) == set()
    assert questionable(wanted, {}, {PATH: foreign}) == {PATH}
