"""One run of `managed_files` on one host: look, decide, check, swap, record."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import checks, manifest, packages
from .decide import Action, Evidence, Plan, Wanted, decide, questionable
from .difference import difference
from .manifest import BOOTSTRAP, Entry, Manifest
from .province_guard import ABSENT, Step, Thing, carry_out, keep, look, remove_tree, turned_round
from .request import Request, wanted_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .checks import Check


class Refusal(Exception):  # noqa: N818 (it is an answer of the module, not a defect)
    """The run cannot or must not go on; the text is a sentence for a person."""

    def __init__(self, sentence: str, differences: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(sentence)
        self.differences = list(differences)


class Run(NamedTuple):
    """What one run knows. Paths are as declared; `request.real` says where they lie."""

    request: Request
    wanted: dict[str, Wanted]
    known: Manifest
    plan: Plan
    bootstrap: Manifest
    not_checked: list[str]
    kept: dict[str, bytes]  # contents that are given back

    @property
    def manifest_folder(self) -> Path:
        """Where the manifests of this host lie."""
        return self.request.state_folder / "manifest"

    @property
    def records_differ(self) -> bool:
        """Whether the manifest on the host must be written anew."""
        return self.plan.manifest != self.known

    def before(self, action: Action) -> bytes:
        """The content that stands at an action's path now."""
        real = Path(self.request.real(action.path))
        return real.read_bytes() if action.step.before.kind == "file" else b""

    def after(self, action: Action) -> bytes:
        """The content that an action puts there."""
        if action.step.after.kind != "file":
            return b""
        known = self.wanted.get(action.path)
        return known.content if known else self.kept[action.path]

    def is_secret(self, path: str) -> bool:
        """Whether content at a path, wanted or written earlier, may not be shown."""
        entries = [w.entry for w in [self.wanted.get(path)] if w]
        entries += [e for e in [self.known.get(path)] if e]
        return any(entry.secret for entry in entries)

    def secrets(self) -> Iterator[bytes]:
        """Contents that no message may hold."""
        return (w.content for w in self.wanted.values() if w.entry.secret)


def prepare(request: Request) -> Run:
    """Look at the host and decide; nothing is changed.

    Raises:
        Refusal: an account or a group is missing, and this is not check mode.
    """
    wanted, missing = wanted_from(request)
    not_checked = [f"{what} does not exist on this host yet" for what in missing]
    if missing and not request.check_mode:
        raise Refusal(
            f"managed_files {request.role}: {', '.join(missing)} does not exist on this host; "
            "owners and groups must exist; install the package that makes them first"
        )
    folder = request.state_folder / "manifest"
    if request.root:
        Path(request.root).mkdir(parents=True, exist_ok=True)
    known = manifest.load(manifest.place(folder, request.role))
    _add_parents(request, wanted, known)
    found = {path: look(request.real(path)) for path in {**wanted, **known}}
    new_paths = set(wanted) - set(known)
    evidence = _evidence(request, wanted, known, found, new_paths)
    kept = {path: thing for path, thing in evidence.given_back.items() if path not in wanted}
    plan = decide(wanted, known, evidence)
    run = Run(request, wanted, known, plan, evidence.bootstrap, not_checked, kept={})
    for path, thing in kept.items():
        if thing.kind == "file":
            run.kept[path] = Path(request.real(known[path].origin["backup"])).read_bytes()
    return run


def _add_parents(request: Request, wanted: dict[str, Wanted], known: Manifest) -> None:
    """Missing parents are made, and stay ours for as long as something lies in them."""
    for path in list(wanted):
        for parent in map(str, list(Path(path).parents)[:-1]):  # without "/"
            ours = parent in known and known[parent].origin.get("kind") in {"made", "parent"}
            if parent in wanted or not (ours or not Path(request.real(parent)).exists()):
                continue
            owner = 0 if request.owners else -1
            entry = Entry("directory", "0755", "root", "root", origin={"kind": "parent"})
            wanted[parent] = Wanted(Thing("directory", mode=0o755, uid=owner, gid=owner), entry)


def _evidence(
    request: Request,
    wanted: dict[str, Wanted],
    known: Manifest,
    found: dict[str, Thing],
    new_paths: set[str],
) -> Evidence:
    folder = request.state_folder / "manifest"
    asked = questionable(wanted, known, found)
    contents = {path: Path(request.real(path)).read_bytes() for path in asked}
    elsewhere = manifest.owners_elsewhere(folder, request.role, new_paths)
    handed_over = BOOTSTRAP in elsewhere.values() and request.role != BOOTSTRAP
    return Evidence(
        found=found,
        packages=packages.unmodified(Path(request.root or "/"), contents) if asked else {},
        elsewhere=elsewhere,
        bootstrap=manifest.load(manifest.place(folder, BOOTSTRAP)) if handed_over else {},
        take_over=request.take_over,
        given_back={
            path: look(request.real(entry.origin["backup"]))
            for path, entry in known.items()
            if path not in wanted and entry.origin.get("backup")
        },
        now=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    )


def differences(run: Run) -> list[dict[str, str]]:
    """What the plan changes, for `diff`."""
    return [
        difference(
            action.path,
            (action.step.before, run.before(action)),
            (action.step.after, run.after(action)),
            secret=run.is_secret(action.path),
        )
        for action in run.plan.actions
    ]


def refuse_other_hands(run: Run) -> None:
    """Stop before any change when a path was made or changed by another hand.

    Raises:
        Refusal: names every such path, how to take it over, and shows the difference.
    """
    if not run.plan.blocked:
        return
    said, shown = [], []
    for path, seen in run.plan.blocked.items():
        found = look(run.request.real(path))
        sentence = f"{path}: {seen}; nothing was changed on this host; "
        if found.kind in {"file", "link"} and "hand" in seen:
            sentence += (
                "name it to have it backed up and replaced: "
                f"managed_files_take_over: [{path}], or province configure --take-over {path}"
            )
        else:
            sentence += "one path has one owner: remove it there, or declare another path"
        said.append(sentence)
        shown.append(_shown(run, path, found))
    raise Refusal("\n".join(said), shown)


def _shown(run: Run, path: str, found: Thing) -> dict[str, str]:
    wanted = run.wanted.get(path)
    after = (wanted.thing, wanted.content) if wanted else (ABSENT, b"")
    before = Path(run.request.real(path)).read_bytes() if found.kind == "file" else b""
    return difference(path, (found, before), after, secret=run.is_secret(path))


def check_before_swap(run: Run) -> None:
    """Let the checkers look at the new tree.

    Raises:
        Refusal: a checker does not agree, or is not there outside check mode.
    """
    early = [check for check in run.request.checks if not check.after_swap]
    if not run.plan.actions or run.request.root:
        return
    present = [check for check in early if checks.is_installed(check)]
    absent = [check for check in early if check not in present]
    if run.request.check_mode:
        run.not_checked.extend(f'"{c.text}" is not installed on this host yet' for c in absent)
        late = [check for check in run.request.checks if check.after_swap]
        run.not_checked.extend(f'"{c.text}" can only look after the swap' for c in late)
    elif absent:
        raise Refusal(
            f'managed_files {run.request.role}: checker "{absent[0].text}" is not installed on '
            "this host; nothing was changed; install its package before this task"
        )
    if not present:
        return
    with own_folder(run) as staged:
        checks.stage(staged, _new_tree(run))
        for check in present:
            said = checks.run_before_swap(check, staged, [a.path for a in run.plan.actions])
            if said:
                raise Refusal(
                    f"managed_files {run.request.role}: the new files were refused, nothing was "
                    f"changed; correct the role's inputs: {checks.redact(said, run.secrets())}"
                )


def _new_tree(run: Run) -> dict[str, tuple[Thing, bytes]]:
    tree = {path: (wanted.thing, wanted.content) for path, wanted in run.wanted.items()}
    return tree | {a.path: (a.step.after, run.after(a)) for a in run.plan.actions}


def keep_copies(run: Run) -> list[str]:
    """Keep what is about to be replaced and is not ours; the copies' paths."""
    copies = []
    for action in run.plan.actions:
        if action.backup:
            copy = run.request.real(action.backup)
            (run.request.state_folder / "backup").mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(copy).parent.mkdir(parents=True, exist_ok=True)
            with own_folder(run) as store:
                if action.step.before.kind == "file":
                    keep(store, run.before(action))
                step = Step(copy, ABSENT, action.step.before)
                carry_out([step], store, owners=run.request.owners)
            copies.append(action.backup)
    return copies


@contextlib.contextmanager
def own_folder(run: Run) -> Iterator[Path]:
    """A folder in memory, for root only and for this run only."""
    folder = Path(run.request.root or "/run") / f".province_managed_files.{os.getpid()}"
    remove_tree(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove_tree(folder)


def steps(run: Run) -> list[Step]:
    """The plan's actions as steps on this machine."""
    return [
        action.step._replace(path=run.request.real(action.path))
        for action in run.plan.actions
        if action.step.before != action.step.after
    ]


def fill(store: Path, run: Run) -> None:
    """Put old and new contents into a store."""
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    for action in run.plan.actions:
        for thing, content in (
            (action.step.before, run.before),
            (action.step.after, run.after),
        ):
            if thing.kind == "file":
                keep(store, content(action))


def swap(run: Run) -> None:
    """Swap everything in, record it, and let the late checkers look.

    Raises:
        Refusal: a late checker does not agree; the old files are back and it was run on them.
        OSError: a path could not be changed; the paths are as they were.
    """
    place = manifest.place(run.manifest_folder, run.request.role)
    with own_folder(run) as folder:
        store, todo = folder / "content", steps(run)
        fill(store, run)
        _record(run, place, in_progress=True)
        try:
            carry_out(todo, store, owners=run.request.owners)
        except OSError:
            manifest.save(place, run.request.role, run.known)
            raise
        _record(run, place, in_progress=False)
        late = [check for check in run.request.checks if check.after_swap]
        if run.plan.actions and not run.request.root:
            _check_after_swap(run, late, todo, store)


def _check_after_swap(run: Run, late: list[Check], todo: list[Step], store: Path) -> None:
    for check in late:
        said = checks.run_after_swap(check)
        if said:
            carry_out(turned_round(todo), store, owners=run.request.owners)
            place = manifest.place(run.manifest_folder, run.request.role)
            manifest.save(place, run.request.role, run.known)
            again = checks.run_after_swap(check)
            told = f"; on the old files it said: {again}" if again else ""
            raise Refusal(
                f"managed_files {run.request.role}: the new files were refused after the swap and "
                f"the old ones are back; correct the role's inputs: "
                f"{checks.redact(said + told, run.secrets())}"
            )


def _record(run: Run, place: Path, *, in_progress: bool) -> None:
    """Write the manifest; while the swap runs it accepts what is replaced as well.

    So a run that is killed between two renames finds its own files at the next run and does not
    take them for another hand's.
    """
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = run.plan.manifest
    if in_progress:
        before = {a.path: a.step.before for a in run.plan.actions}
        record = {
            path: entry._replace(replaced=before[path].sha256 or before[path].target)
            if path in before
            else entry
            for path, entry in {**run.known, **record}.items()
        }
    manifest.save(place, run.request.role, record)
    if not in_progress and run.bootstrap:
        remaining = {p: e for p, e in run.bootstrap.items() if p not in run.plan.manifest}
        manifest.save(manifest.place(place.parent, BOOTSTRAP), BOOTSTRAP, remaining)
