"""Ansible itself runs the sample role below a folder; what lies there is compared to the byte."""

import json
from pathlib import Path

import pytest
from runs import Answer, sample

FILES = {
    "/etc/sample/plain.conf": None,
    "/etc/sample/stripped.conf": {"mode": "0640"},
    "/etc/sample/verbatim.conf": {},
    "/etc/sample/binary.dat": {},
    "/etc/sample/key": {"mode": "0600", "secret": True, "content": "very-secret\n"},
    "/etc/sample/{{ item.name }}.conf": {
        "template": "etc/sample/each.j2",
        "each": [{"name": "one"}, {"name": "two"}],
    },
    "/etc/sample/switched_off.conf": {"content": "x", "when": False},
}
MANIFEST = "var/lib/province/manifest/sample.json"


def tree(root: Path) -> dict[str, bytes]:
    """All files below a folder but what we keep for ourselves."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "var/lib/province" not in str(path)
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    root = tmp_path_factory.mktemp("written")
    return root, sample(root, FILES)


def assert_refused(answer: Answer, sentence: str) -> None:
    assert answer.result.get("failed"), answer.output
    assert sentence in answer.result["msg"]


def test_templates_are_rendered_as_ansibles_own_module_does(
    written: tuple[Path, Answer], tmp_path: Path
) -> None:
    root, _ = written
    answer = sample(tmp_path, {}, sample_part="template", destination=str(tmp_path))
    assert answer.result["changed"], answer.output
    for name in ("plain.conf", "stripped.conf"):
        assert (root / "etc/sample" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_every_file_is_written_to_the_byte(written: tuple[Path, Answer]) -> None:
    root, answer = written
    managed = b"#\n# province, role sample: a change made here by hand stops the next run\n#\n"
    expected = {
        "etc/sample/binary.dat": b"\0\377binary",
        "etc/sample/key": b"very-secret\n",
        "etc/sample/one.conf": b"name one -> /etc/sample/one.conf\n",
        "etc/sample/plain.conf": managed
        + "  first a\n  name = a\t# Lộc Ninh\n  name = b\t# Lộc Ninh\n".encode()
        + b"backslash \\n \\\\ \\n\n\nincluded 2last line, and an empty one follows\n\n",
        "etc/sample/stripped.conf": b"a\nb\nno final newline",
        "etc/sample/two.conf": b"name two -> /etc/sample/two.conf\n",
        "etc/sample/verbatim.conf": b"as it is {{ not rendered }}\r\n",
    }
    assert tree(root) == expected
    assert (root / "etc/sample/stripped.conf").stat().st_mode & 0o777 == 0o640
    assert answer.result["changed"]
    assert set(answer.actions.values()) == {"create"}


def test_the_manifest_names_what_is_wanted(written: tuple[Path, Answer]) -> None:
    root, answer = written
    record = json.loads((root / MANIFEST).read_text())
    assert (record["schema"], record["role"]) == (1, "sample")
    assert record["files"]["/etc/sample/key"]["secret"] is True
    assert set(record["files"]) == {f"/{name}" for name in tree(root)}
    assert record["directories"]["/etc/sample"]["origin"] == {"kind": "parent"}
    assert len(answer.result["manifest_digest"]) == 64


def test_a_second_run_changes_nothing(written: tuple[Path, Answer]) -> None:
    root, first = written
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = sample(root, FILES, "--diff")
    assert again.result["changed"] is False
    assert again.result["changes"] == []
    assert again.result["manifest_digest"] == first.result["manifest_digest"]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_check_mode_says_what_a_run_then_does_and_touches_nothing(tmp_path: Path) -> None:
    sample(tmp_path, {"/etc/a": {"content": "old\n"}, "/etc/b": {"content": "gone\n"}})
    before = tree(tmp_path)
    files = {
        "/etc/a": {"content": "new\n"},
        "/etc/key": {"content": "very-secret\n", "secret": True, "mode": "0600"},
    }
    foretold = sample(tmp_path, files, "--check", "--diff")
    assert tree(tmp_path) == before
    assert foretold.result["changed"]
    assert foretold.actions == {"/etc/a": "replace", "/etc/b": "remove", "/etc/key": "create"}
    assert "-old\n+new\n" in foretold.differences
    assert "-gone\n" in foretold.differences
    real = sample(tmp_path, files, "--diff")
    assert real.actions == foretold.actions
    assert real.differences == foretold.differences
    assert tree(tmp_path) == {"etc/a": b"new\n", "etc/key": b"very-secret\n"}


def test_a_secret_is_in_no_output(tmp_path: Path) -> None:
    first = {"/etc/key": {"content": "first-secret\n", "secret": True, "mode": "0600"}}
    second = {"/etc/key": {"content": "second-secret\n", "secret": True, "mode": "0600"}}
    made = sample(tmp_path, first, "--diff", "-vvv")
    changed = sample(tmp_path, second, "--diff", "-vvv")
    (tmp_path / "etc/key").write_text("third-secret\n")
    refused = sample(tmp_path, first, "--diff", "-vvv")
    assert "(secret: not shown)" in changed.differences
    assert refused.result["failed"]
    for answer in (made, changed, refused):
        # What we gave on the command line is not Ansible's to hide; what the task says is ours.
        assert "-secret" not in json.dumps(answer.result)


def test_another_hands_change_stops_the_run_until_it_is_named(tmp_path: Path) -> None:
    files = {"/etc/a": {"content": "ours\n"}, "/etc/b": {"content": "b\n"}}
    sample(tmp_path, files)
    (tmp_path / "etc/a").write_text("by hand\n")
    wanted = {**files, "/etc/b": {"content": "new b\n"}}
    refused = sample(tmp_path, wanted)
    assert_refused(
        refused,
        "nothing was changed on this host; name it to have it backed up and replaced: "
        "managed_files_take_over: [/etc/a], or province configure --take-over /etc/a\n"
        "--- /etc/a (now: file 0644 root:root)\n+++ /etc/a (then: file 0644)\n"
        "@@ -1 +1 @@\n-by hand\n+ours",
    )
    assert tree(tmp_path)["etc/b"] == b"b\n"
    taken = sample(tmp_path, wanted, managed_files_take_over=["/etc/a"])
    assert taken.actions == {"/etc/a": "replace", "/etc/b": "replace"}
    [backup] = taken.result["backups"]
    assert backup.startswith("/var/lib/province/backup/etc/a@")
    assert (tmp_path / backup.lstrip("/")).read_text() == "by hand\n"


def test_what_was_taken_over_is_given_back_when_the_role_leaves(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_text("theirs\n")
    (tmp_path / "etc/a").chmod(0o604)
    files = {"/etc/a": {"content": "ours\n"}, "/etc/deep/er/b": {"content": "b\n"}}
    (tmp_path / "etc/link").symlink_to("UTC")
    links = {"/etc/link": {"target": "a", "originals": ["UTC"]}}
    folders = {"/var/spool/sample": {"mode": "0750"}}
    everything = {"sample_links": links, "sample_directories": folders}
    sample(tmp_path, files, managed_files_take_over=["/etc/a"], **everything)
    assert (tmp_path / "etc/link").readlink() == Path("a")
    assert (tmp_path / "var/spool/sample").stat().st_mode & 0o777 == 0o750
    gone = sample(tmp_path, files, sample_state="removed", **everything)
    assert gone.actions["/etc/a"] == "give_back"
    assert (tmp_path / "etc/link").readlink() == Path("UTC")
    (tmp_path / "etc/link").unlink()
    assert tree(tmp_path) == {"etc/a": b"theirs\n"}
    assert (tmp_path / "etc/a").stat().st_mode & 0o777 == 0o604
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir()}
    assert not {"etc/deep", "etc/deep/er", "var/spool"} & left
    assert not (tmp_path / MANIFEST).exists()
    assert sample(tmp_path, files, sample_state="removed").result["changed"] is False


def test_a_run_that_was_killed_between_two_renames_goes_on(tmp_path: Path) -> None:
    old = {"/etc/a": {"content": "old\n"}, "/etc/b": {"content": "old\n"}}
    sample(tmp_path, old)
    before = json.loads((tmp_path / MANIFEST).read_text())
    sample(tmp_path, {path: {"content": "new\n"} for path in old})
    # As after the kill: one file is new, the other still old, the record says it is under way.
    record = json.loads((tmp_path / MANIFEST).read_text())
    for path, entry in record["files"].items():
        entry["replaced"] = before["files"][path]["sha256"]
    (tmp_path / MANIFEST).write_text(json.dumps(record))
    (tmp_path / "etc/b").write_text("old\n")
    third = sample(tmp_path, {path: {"content": "third\n"} for path in old})
    assert third.actions == {"/etc/a": "replace", "/etc/b": "replace"}
    assert set(tree(tmp_path).values()) == {b"third\n"}


WRONG: tuple[tuple[dict[str, object], str], ...] = (
    (
        {"/etc/a": {"content": "x", "mod": "0644"}},
        "managed_files files /etc/a: unknown key 'mod'; known are content, each, group, mode,",
    ),
    (
        {"/etc/a": {"content": "x", "mode": 420}},
        'managed_files files /etc/a: mode is 420; quoted octal digits are required, as in "0640"',
    ),
    (
        {"/etc/a": {"content": "x", "secret": True}},
        "managed_files files /etc/a: is secret and has mode 0644; others must have no right to it",
    ),
    (
        {"/etc/sample/missing.conf": {}},
        "of templates/etc/sample/missing.conf.j2 and files/etc/sample/missing.conf neither exists",
    ),
    (
        {"etc/a": {"content": "x"}},
        "managed_files files: 'etc/a' is no plain absolute path; write it as /etc/name",
    ),
    (
        {"/etc/{{ item }}": {"template": "etc/sample/part.j2", "each": ["a", "a"]}},
        "managed_files: /etc/a is declared twice; each path once",
    ),
    (
        {"/etc/sample/plain.conf": {"template": "etc/sample/broken.j2"}},
        "managed_files files /etc/sample/plain.conf: Could not find or access",
    ),
    (
        {"/etc/a": {"content": "x", "source": "y"}},
        "managed_files files /etc/a: has source and content; one of them is enough",
    ),
    ({}, "managed_files: declares nothing; give files"),
)


def test_wrong_declarations_are_refused_each_with_its_sentence(tmp_path: Path) -> None:
    answer = sample(tmp_path, {}, sample_part="cases", sample_cases=[files for files, _ in WRONG])
    said = [result["msg"] for result in answer.result["results"]]
    assert len(said) == len(WRONG)
    assert [text for (_, wanted), text in zip(WRONG, said, strict=True) if wanted not in text] == []
    assert list(tmp_path.iterdir()) == []
