"""The stacks of an environment: preview, update, look, destroy.

1. Nothing is updated that was not previewed in the same run, with every policy and with every
   resource really looked at; the engine itself holds the update to that preview.
2. One stack that fails does not stop the others; a verdict on the backbone does, because its
   policies are about all of them.
3. The backbone comes before the sites, and goes after them.
4. What a killed run left is cleared before a stack is worked on, without asking.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.errors import StackError
from infra.plan.types import Plan
from infra.providers.resource_type import ResourceType
from infra.providers.server import real_resource_types
from infra.stacks.arguments import Openings
from infra.stacks.backend import Backend
from infra.stacks.engine import EngineStack
from infra.stacks.events import Collector, Progress
from infra.stacks.names import BACKBONE, site_code
from infra.stacks.outputs import StackOutputs, parse_outputs
from infra.stacks.program import Program, backbone_program, site_program
from infra.stacks.results import StackPreview, StackUpdate
from infra.stacks.session import Operation, Report, Session, session

POLICY_PACK = Path(__file__).parents[2] / "policies" / "pulumi" / "policy_pack"

WORKERS = 2
"""Engines at once. More than there are processors gains nothing; each takes 120 MB."""


def silent(_progress: Progress) -> None:
    """Takes progress that nobody watches."""


class Stacks:
    """The stacks of one environment. The caller holds the environment's lock.

    Args:
        state_directory: ``.province/<environment>``.
        engine: the folder that holds ``pulumi`` (`infra.tools.engine.ensure_engine`).
        authorized_keys: public keys that may log in to a new machine for the first contact.
        types: the resource types; by default over the environment's lab and the real network.
        policy_pack: the executable pack.
        report: takes progress, from several threads.
        workers: engines at once.
    """

    def __init__(
        self,
        state_directory: Path,
        engine: Path,
        *,
        authorized_keys: Sequence[str] = (),
        types: Sequence[ResourceType] | None = None,
        policy_pack: Path = POLICY_PACK,
        report: Report = silent,
        workers: int = WORKERS,
    ) -> None:
        self._backend = Backend(state_directory.resolve())
        self._engine = engine
        self._authorized_keys = tuple(authorized_keys)
        self._types = None if types is None else tuple(types)
        self._policy_pack = policy_pack
        self._report = report
        self._workers = workers

    def existing(self) -> tuple[str, ...]:
        """Answers the sites that have a stack, and `backbone` if it has."""
        return tuple(site_code(stack) for stack in self._backend.stacks())

    def preview(
        self, plan: Plan, sites: Sequence[str] | None = None, *, refresh: bool = False
    ) -> tuple[StackPreview, ...]:
        """Answers what an update would do and what the policies say, without doing anything.

        The backbone is always judged, and comes first.

        Args:
            plan: the whole plan.
            sites: codes of its sites, by default all.
            refresh: really look at every resource first.
        """
        with self._session(policies=True) as engine:
            previews = _Previews(engine, plan, self._authorized_keys)
            return tuple(
                engine.side_by_side(
                    _with_backbone(plan, sites), lambda site: previews.make(site, refresh=refresh)
                )
            )

    def update(self, plan: Plan, sites: Sequence[str] | None = None) -> tuple[StackUpdate, ...]:
        """Previews with a look at every resource, then does exactly that where it is allowed.

        Raises:
            LockHeldError: an engine works on one of the stacks.
        """
        chosen = _with_backbone(plan, sites)
        with (
            self._session(policies=True) as engine,
            TemporaryDirectory(prefix="plans-", dir=self._backend.folder) as folder,
        ):
            for site in chosen:
                engine.recover(site)
            previews = _Previews(engine, plan, self._authorized_keys, Path(folder))
            made = engine.side_by_side(chosen, lambda site: previews.make(site, refresh=True))
            backbone = previews.apply(made[0])
            if backbone.failure is None:
                return (backbone, *engine.side_by_side(made[1:], previews.apply))
        why = f"not updated, because its backbone was not: {backbone.failure}"
        return (backbone, *(StackUpdate(one.site, one, failure=why) for one in made[1:]))

    def drift(self, sites: Sequence[str] | None = None) -> tuple[StackPreview, ...]:
        """Really looks at every resource of the stacks that exist; writes nothing."""
        return self._each("look", self._known(sites), _look)

    def refresh(self, sites: Sequence[str] | None = None) -> tuple[StackPreview, ...]:
        """Really looks at every resource of the stacks that exist, and keeps what was seen."""
        return self._each("refresh", self._known(sites), _refresh)

    def destroy(self, sites: Sequence[str] | None = None) -> tuple[StackPreview, ...]:
        """Removes everything that the stacks know, and the stacks; needs no declaration.

        The backbone goes last, and stays when `sites` are given or when one of them failed.

        Raises:
            LockHeldError: an engine works on one of the stacks.
        """
        places = [site for site in self._known(sites) if site != BACKBONE]
        done = self._each("destroy", places, _destroy)
        if sites is None and BACKBONE in self.existing() and not any(one.failure for one in done):
            done += self._each("destroy", [BACKBONE], _destroy)
        return done

    def outputs(self, sites: Sequence[str] | None = None) -> tuple[StackOutputs, ...]:
        """Answers what the sites' stacks exported when they were last updated.

        Raises:
            StackError: one of them was never updated to its end.
        """
        places = [site for site in self._known(sites) if site != BACKBONE]
        with self._session(policies=False) as engine:
            return tuple(
                engine.side_by_side(places, lambda site: parse_outputs(site, engine.exports(site)))
            )

    def _each(
        self, verb: str, sites: Sequence[str], operation: Operation
    ) -> tuple[StackPreview, ...]:
        if not sites:
            return ()
        with self._session(policies=False) as engine:

            def work(site: str) -> StackPreview:
                if operation is not _look:
                    engine.recover(site)
                told, failure = engine.run(site, verb, operation)
                return _preview(site, told, failure)

            return tuple(engine.side_by_side(sites, work))

    def _session(self, *, policies: bool) -> AbstractContextManager[Session]:
        if self._types is None:
            self._types = real_resource_types(self._backend.state_directory)
        return session(
            self._backend,
            self._engine,
            self._types,
            policy_pack=self._policy_pack if policies else None,
            report=self._report,
            workers=self._workers,
        )

    def _known(self, sites: Sequence[str] | None) -> list[str]:
        existing = self.existing()
        if sites is None:
            return list(existing)
        if unknown := [site for site in sites if site not in existing]:
            raise StackError(
                f"stacks of {', '.join(unknown)}: do not exist; there are "
                f"{', '.join(existing) or 'none'}: name one of these, or provision it first"
            )
        return list(sites)


class _Previews:
    """Previews of one plan's stacks, and the updates that may follow.

    Args:
        engine: the session to work in.
        plan: the plan.
        authorized_keys: for new machines.
        folder: keeps what was previewed, for the updates; None where none follow.
    """

    def __init__(
        self,
        engine: Session,
        plan: Plan,
        authorized_keys: tuple[str, ...],
        folder: Path | None = None,
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._openings = Openings.of(plan)
        self._authorized_keys = authorized_keys
        self._folder = folder
        self._exports: dict[str, Mapping[str, Any]] = {}

    def make(self, site: str, *, refresh: bool) -> StackPreview:
        """Answers what would be done to one stack."""

        def operation(stack: EngineStack, told: Collector) -> object:
            return stack.preview(
                on_event=told,
                refresh=refresh,
                plan=self._kept(site),
                policy_packs=self._policy_packs,
            )

        self._engine.ensure(site)
        told, failure = self._engine.run(site, "preview", operation, self._program(site))
        self._exports[site] = told.exports
        return _preview(site, told, failure)

    def apply(self, preview: StackPreview) -> StackUpdate:
        """Does what was previewed and nothing else."""
        site = preview.site
        if preview.is_refused:
            return StackUpdate(site, preview, failure=_refusal(preview))
        if not preview.changes and not preview.drift:
            return StackUpdate(site, preview, outputs=parse_outputs(site, self._exports[site]))

        def operation(stack: EngineStack, told: Collector) -> object:
            return stack.up(
                on_event=told,
                refresh=True,
                plan=self._kept(site),
                policy_packs=self._policy_packs,
            )

        program = self._program(site)
        told, failure = self._engine.run(
            site, "update", operation, program, PULUMI_EXPERIMENTAL="true"
        )
        done = tuple(told.changes)
        if failure:
            return StackUpdate(site, preview, done, failure)
        return StackUpdate(site, preview, done, outputs=parse_outputs(site, told.exports))

    @property
    def _policy_packs(self) -> list[str]:
        return [str(self._engine.policy_pack)]

    def _kept(self, site: str) -> str | None:
        return str(self._folder / f"{site}.json") if self._folder else None

    def _program(self, site: str) -> Program:
        if site == BACKBONE:
            return backbone_program(self._plan)
        return site_program(self._plan, site, self._openings, self._authorized_keys)


def _look(stack: EngineStack, told: Collector) -> object:
    return stack.preview_refresh(on_event=told)


def _refresh(stack: EngineStack, told: Collector) -> object:
    return stack.refresh(on_event=told)


def _destroy(stack: EngineStack, told: Collector) -> object:
    return stack.destroy(on_event=told, remove=True)


def _preview(site: str, told: Collector, failure: str | None) -> StackPreview:
    return StackPreview(
        site, tuple(told.changes), tuple(told.drift), tuple(told.violations), failure
    )


def _refusal(preview: StackPreview) -> str:
    if preview.failure:
        return preview.failure
    return "; ".join(f"{one.policy}: {one.message}" for one in preview.violations)


def _with_backbone(plan: Plan, sites: Sequence[str] | None) -> list[str]:
    """Answers whose stacks are worked on, the backbone first: its policies judge all sites."""
    known = [site.code for site in plan.sites]
    if unknown := [site for site in sites or () if site not in known]:
        raise StackError(
            f"sites {', '.join(unknown)}: are not in the plan; it has {', '.join(known)}: name "
            "one of these"
        )
    return [BACKBONE, *(known if sites is None else sites)]
