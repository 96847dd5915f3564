"""Catalogue and compliance tests know each other, in both directions: a test that no control names
is never run, and a control whose test is gone only looks proved."""

import ast
import runpy
from collections import Counter
from functools import cache

from checkout_files import CHECKOUT, files, name, tree

from infra.compliance.controls import Catalogue
from infra.compliance.load import load_catalogue
from infra.compliance.outcomes import Scope

FIXTURE_OF = {Scope.HOST: {"machine", "target", "here", "host"}, Scope.SITE: {"site"}}
"""What a test takes decides what it is run for: every host, every site, or the province once."""
FEWEST_PROVED = 25


@cache
def catalogue() -> Catalogue:
    return load_catalogue(CHECKOUT / "policies" / "controls")


@cache
def proofs() -> dict[str, ast.FunctionDef]:
    """Every compliance test as evidence names it."""
    modules = [p for p in files("tests/compliance", suffixes=(".py",)) if p.name[:5] == "test_"]
    return {
        f"{path.name}::{node.name}": node
        for path in modules
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def controls_of(test: ast.FunctionDef) -> list[str]:
    """The controls that a test says it proves."""
    return [
        call.args[0].value
        for call in test.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.control"
        if isinstance(call.args[0], ast.Constant)
    ]


def test_every_compliance_test_proves_one_control() -> None:
    assert len(proofs()) > FEWEST_PROVED
    assert {test: controls_of(node) for test, node in proofs().items()} == {
        test: controls_of(node)[:1] for test, node in proofs().items() if controls_of(node)
    }


def test_tests_name_existing_controls_that_name_them() -> None:
    unknown = {test for test, node in proofs().items() if controls_of(node)[0] not in _controls()}
    assert unknown == set()
    silent = {
        test
        for test, node in proofs().items()
        if test not in _controls()[controls_of(node)[0]].proved_by
    }
    assert silent == set(), "add them to proved_by of their controls: they are never run"


def test_controls_name_existing_tests_that_name_them() -> None:
    wrong = {
        f"{control.id}: {test}"
        for control in _controls().values()
        for test in control.proved_by
        if test not in proofs() or controls_of(proofs()[test]) != [control.id]
    }
    assert wrong == set()


def test_no_test_is_named_twice() -> None:
    named = Counter(test for control in _controls().values() for test in control.proved_by)
    assert [test for test, count in named.items() if count > 1] == []


def test_tests_look_where_their_control_applies() -> None:
    wrong = {}
    for control in _controls().values():
        scope = control.applies_to.scope
        for test in control.proved_by:
            taken = {argument.arg for argument in proofs()[test].args.args}
            found = {kind for kind, fixtures in FIXTURE_OF.items() if taken & fixtures}
            if found != ({scope} if scope in FIXTURE_OF else set()):
                wrong[test] = f"{control.id} speaks of a {scope}; the test takes {sorted(taken)}"
    assert wrong == {}


def test_enough_controls_are_proved() -> None:
    assert sum(bool(control.proved_by) for control in _controls().values()) >= FEWEST_PROVED


def test_every_test_records_what_it_saw() -> None:
    silent = {
        test
        for test, node in proofs().items()
        if not any(isinstance(inner, ast.Name) and inner.id == "seen" for inner in ast.walk(node))
    }
    assert silent == set(), "a test that saw nothing proves nothing"


def test_settings_that_are_broken_by_hand_have_a_test_of_their_control() -> None:
    path = next(p for p in files("tests/end_to_end", suffixes=(".py",)) if p.name == "mutations.py")
    mutations = runpy.run_path(str(path))["MUTATIONS"]
    families = {mutation.family for mutation in mutations}

    assert len(families) >= 5, f"{name(path)}: five families must be broken"
    wrong = {m.name for m in mutations if m.test not in _controls()[m.control].proved_by}
    assert wrong == set()


def _controls() -> dict:
    return dict(catalogue().controls)
