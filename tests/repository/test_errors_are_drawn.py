"""The tree of errors is drawn at the top of its file, and nothing else is raised on purpose."""

import ast
import re

import pytest
from checkout_files import files, name, tree

from infra import errors

OURS = {
    one.__name__: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.ProvinceError)
}
STANDARD = {"Exception", "BaseException", "RuntimeError", "OSError"}
"""Errors that say nothing to whoever could act on them."""


def drawn() -> dict[str, int]:
    """Read the drawing: each error's name with the column at which it stands."""
    lines = (errors.__doc__ or "").splitlines()
    found = [(re.search(r"[A-Z][A-Za-z]*Error", line), line) for line in lines]
    return {match[0]: match.start() for match, line in found if match and not line.startswith("N")}


def test_every_error_is_drawn_under_its_parent() -> None:
    tree_ = drawn()
    assert tree_.keys() == OURS.keys()
    depths = {word: len(OURS[word].mro()) for word in OURS}
    columns = sorted(set(tree_.values()))
    assert {word: columns.index(tree_[word]) for word in tree_} == {
        word: depth - min(depths.values()) for word, depth in depths.items()
    }


def test_every_error_carries_its_sentence_and_its_code() -> None:
    for one in OURS.values():
        raised = one("subject: seen; required; to do")
        assert str(raised) == raised.sentence == "subject: seen; required; to do"
        assert isinstance(raised.exit_code, errors.ExitCode)


def raised_names() -> dict[str, set[str]]:
    """Find what each file of ours raises by name."""
    return {
        name(path): {
            ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Raise) and node.exc is not None
        }
        for path in files("infra", "policies", suffixes=(".py",))
    }


def test_nothing_is_raised_that_tells_nobody_what_to_do() -> None:
    wrong = {path: names & STANDARD for path, names in raised_names().items()}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_every_error_is_raised_somewhere() -> None:
    used = {one.split(".")[-1] for names in raised_names().values() for one in names}
    abstract = {"ProvinceError"}
    assert OURS.keys() - used - abstract == set()


@pytest.mark.parametrize("one", [errors.DeclarationError, errors.PreflightError])
def test_refusals_keep_their_findings_in_order(one: type[errors.RefusedError]) -> None:
    refused = one("subject: 2 findings", ["b", "a"])
    assert refused.findings == ("b", "a")
    assert refused.exit_code is errors.ExitCode.REFUSED
