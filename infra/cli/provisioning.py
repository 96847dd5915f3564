"""Machines, bootstrap, inventory, configuration: the verbs that change something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from infra.bootstrap import BootstrapHost, bootstrap_hosts
from infra.cli.checkout import commit_of, refuse_unknown
from infra.cli.environment import Environment, require_sites
from infra.cli.materials import Prepared, account_keys, prepare
from infra.cli.progress import Progress, now
from infra.configure import (
    ConfigureOptions,
    HostOutcome,
    Reached,
    SiteOutcome,
    configure_hosts,
    extra_variables,
    reach_hosts,
    site_outcomes,
)
from infra.configure.outcome import DEFERRED, DONE, FAILED
from infra.configure.reach import REACHED, REFUSED
from infra.errors import JournalError, RefusedError, StackError
from infra.inventory import (
    AUTOMATION_USER,
    Way,
    build_inventory,
    pin_missing,
    render_config,
    write_if_changed,
    write_inventory,
)
from infra.journal import Journal
from infra.lab.lab import Lab
from infra.model import Province
from infra.plan import Host, Plan, derive_plan, digest, from_json, to_json
from infra.providers import abilities
from infra.stacks.automation import Stacks
from infra.stacks.events import Progress as StackProgress
from infra.stacks.results import StackUpdate
from infra.tools import preflight
from infra.tools.cache import cache_root
from infra.tools.engine import ensure_engine

PROVISION_STAGES = 8
CONFIGURE_STAGES = 5


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person may ask of a run."""

    sites: tuple[str, ...] = ()
    check: bool = False
    take_over: tuple[str, ...] = ()
    accept_unknown_commit: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """One run of a changing verb on one environment."""

    environment: Environment
    progress: Progress
    journal: Journal
    options: RunOptions

    def provision(self) -> tuple[SiteOutcome, ...]:
        """Everything from the declaration to configured hosts."""
        with self.progress.stage("declaration and plan"):
            province, plan = self.declared()
        with self.progress.stage("this machine"):
            self._require_machine(plan)
        with self.progress.stage("tools"):
            engine = ensure_engine(self.progress.say)
        with self.progress.stage("keys, authority, package mirror"):
            prepared = prepare(self.environment, province, plan, self.progress.say)
        with self.progress.stage("machines and networks"):
            stacks = Stacks(
                self.environment.state,
                engine,
                authorized_keys=(prepared.creator_public_key,),
                report=self._stack_progress,
            )
            updates = stacks.update(plan, self.options.sites or None)
            failed = self._machine_failures(updates)
            self._pin(plan, updates, prepared)
        return self._bootstrap_and_configure(province, plan, prepared, failed)

    def configure(self) -> tuple[SiteOutcome, ...]:
        """Apply the roles again on machines that exist, or foretell it in check mode."""
        with self.progress.stage("declaration and plan"):
            province, plan = self.declared()
            if not self.environment.known_hosts.exists():
                raise RefusedError(
                    f"environment {self.environment.name!r}: has no machines yet; "
                    f"run province provision {self.environment.name} first"
                )
        with self.progress.stage("keys, authority, package mirror"):
            prepared = prepare(self.environment, province, plan, self.progress.say)
        return self._bootstrap_and_configure(province, plan, prepared, {})

    def declared(self) -> tuple[Province, Plan]:
        """The declaration and the plan that follows from it, fit for its substrates."""
        province = self.environment.province()
        plan = derive_plan(province)
        require_abilities(plan)
        require_sites(plan, self.options.sites)
        return province, plan

    def _hosts(self, plan: Plan) -> dict[str, Host]:
        chosen = self.options.sites
        return {host.name: host for host in plan.hosts() if not chosen or host.site in chosen}

    def _require_machine(self, plan: Plan) -> None:
        on_lab = any(site.substrate == "lab" for site in plan.sites)
        needs = preflight.LAB if on_lab else preflight.MIRROR
        preflight.require(needs, [self.environment.state, cache_root()])

    def _stack_progress(self, told: StackProgress) -> None:
        self.progress.say(
            f"{told.site}: {told.operation} {told.name}: {told.phase}".replace(" :", ":")
        )

    def _machine_failures(self, updates: tuple[StackUpdate, ...]) -> dict[str, str]:
        failed = {}
        for update in updates:
            self.journal.note(
                "machines",
                update.site,
                "failed" if update.failure else "done",
                update.failure or f"{len(update.changes)} changes",
            )
            if update.failure:
                failed[update.site] = update.failure
        if failed and len(failed) == len(updates):
            raise StackError("; ".join(dict.fromkeys(failed.values())))
        return failed

    def _pin(self, plan: Plan, updates: tuple[StackUpdate, ...], prepared: Prepared) -> None:
        hosts = {host.name: host for host in plan.hosts()}
        keys = {
            hosts[made.name].fqdn: made.host_public_key
            for update in updates
            if update.outputs
            for made in update.outputs.hosts
        }
        path = self.environment.known_hosts
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        authority = prepared.authority.ssh_host_authority
        write_if_changed(path, pin_missing(before, keys, authority, plan.domain))
        creator_keys = self.environment.state / "creator_host_keys"
        for name, key in keys.items():
            # Only the first look shows the creator's key; later ones show the host's own.
            if not (creator_keys / name).exists():
                write_if_changed(creator_keys / name, key + "\n")

    def _ways(self, plan: Plan, host: Host) -> list[Way]:
        lab = Lab(self.environment.state)
        proxy = tuple(lab.ssh_proxy_command(plan.controller)) if host.substrate == "lab" else ()
        identity = account_keys(self.environment).automation
        return [
            Way(host.name, host.fqdn, address, AUTOMATION_USER, identity, proxy)
            for address in host.address_ways
        ]

    def _reach(self, plan: Plan, hosts: Mapping[str, Host]) -> dict[str, Reached]:
        """Find each host's way and write the ssh configuration that goes it."""
        ways = {name: self._ways(plan, host) for name, host in hosts.items()}
        self.environment.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self.environment.state / "reach"
        reached = reach_hosts(
            list(ways.values()), self.environment.known_hosts, folder, self.progress.say
        )
        chosen = {name: self._ways(plan, host)[0] for name, host in self._all(plan).items()}
        chosen |= {name: result.way for name, result in reached.items() if result.way}
        text = render_config(
            list(chosen.values()), self.environment.known_hosts, self.environment.sockets
        )
        write_if_changed(self.environment.ssh_config, text)
        return reached

    def _all(self, plan: Plan) -> dict[str, Host]:
        return {host.name: host for host in plan.hosts()}

    def _bootstrap_and_configure(
        self, province: Province, plan: Plan, prepared: Prepared, failed: Mapping[str, str]
    ) -> tuple[SiteOutcome, ...]:
        hosts = self._hosts(plan)
        outcomes: dict[str, HostOutcome] = {}
        with self.progress.stage("ways to the hosts"):
            made = {name: host for name, host in hosts.items() if host.site not in failed}
            reached = self._reach(plan, made)
            refuse_unknown(self.environment.root, reached, self.options.accept_unknown_commit)
            outcomes |= _not_reached(reached, hosts, failed)
        with self.progress.stage("bootstrap"):
            ready = [name for name in hosts if name not in outcomes]
            outcomes |= self._bootstrap(hosts, ready, prepared)
        with self.progress.stage("inventory and configuration"):
            inventory = build_inventory(
                plan, province.functions, prepared.secrets, prepared.material
            )
            write_inventory(inventory, self.environment.folder, self.environment.ssh_config)
            if not self.options.check:
                write_if_changed(self.environment.applied_plan, to_json(plan))
            ready = [name for name in hosts if name not in outcomes]
            outcomes |= self._configure(ready, plan)
        return self._conclude(plan, hosts, outcomes)

    def _bootstrap(
        self, hosts: Mapping[str, Host], ready: list[str], prepared: Prepared
    ) -> dict[str, HostOutcome]:
        keys = self.environment.state / "creator_host_keys"
        orders = [
            BootstrapHost(
                name,
                self.environment.ssh_config,
                (keys / hosts[name].fqdn).read_text(encoding="utf-8").strip(),
            )
            for name in ready
        ]
        if not orders or self.options.check:
            return {}
        results = bootstrap_hosts(
            orders,
            prepared.first_contact,
            prepared.keys,
            log=self.environment.logs / "bootstrap.log",
            report=self.progress.say,
        )
        for result in results:
            self.journal.note("bootstrap", result.host, result.outcome, result.sentence)
            self.progress.say(result.sentence)
        return {
            result.host: HostOutcome(result.host, result.outcome, 0, result.sentence)
            for result in results
            if result.outcome != DONE
        }

    def _configure(self, ready: list[str], plan: Plan) -> dict[str, HostOutcome]:
        if not ready:
            return {}
        options = ConfigureOptions(
            hosts=tuple(ready), check=self.options.check, take_over=self.options.take_over
        )
        return configure_hosts(
            self.environment.root,
            self.environment.folder,
            options=options,
            variables=extra_variables(options, commit_of(self.environment.root), digest(plan)),
            artifacts=self.environment.state / "runner",
            log=self.environment.logs / f"{now():%Y%m%dT%H%M%SZ}_ansible.log",
            report=self.progress.say,
        )

    def _conclude(
        self, plan: Plan, hosts: Mapping[str, Host], outcomes: Mapping[str, HostOutcome]
    ) -> tuple[SiteOutcome, ...]:
        members: dict[str, tuple[str, ...]] = {
            site.code: tuple(host.name for host in site.hosts if host.name in hosts)
            for site in plan.sites
            if any(host.name in hosts for host in site.hosts)
        }
        sites = site_outcomes(members, outcomes)
        for site in sites:
            detail = "; ".join(site.sentences) or f"{site.changed} changes"
            self.journal.note("site", site.site, site.outcome, detail)
        return sites


def _not_reached(
    reached: Mapping[str, Reached], hosts: Mapping[str, Host], failed: Mapping[str, str]
) -> dict[str, HostOutcome]:
    outcomes = {}
    for name, result in reached.items():
        if result.outcome == REFUSED:
            outcomes[name] = HostOutcome(name, FAILED, 0, result.sentence)
        elif result.outcome != REACHED:
            sentence = f"{result.sentence}; its site is queued for the next run"
            outcomes[name] = HostOutcome(name, DEFERRED, 0, sentence)
    return outcomes | {
        name: HostOutcome(name, FAILED, 0, failed[host.site])
        for name, host in hosts.items()
        if host.site in failed
    }


def require_abilities(plan: Plan) -> None:
    """Compare what is declared with what each site's substrate can do.

    Raises:
        RefusedError: something is declared that a substrate cannot do; each with its reason.
    """
    lacks = [
        lack
        for site in plan.sites
        for lack in abilities.unmet(
            site.code,
            site.substrate,
            {name: json.loads(value) for name, value in site.parameters},
        )
    ]
    if lacks:
        raise RefusedError(
            f"environment {plan.environment!r}: asks more than its substrates can do; "
            "nothing was touched",
            lacks,
        )


def applied_plan(environment: Environment) -> Plan:
    """The plan that was applied last.

    Raises:
        JournalError: none was, or it cannot be read.
    """
    path = environment.applied_plan
    if not path.exists():
        raise JournalError(
            f"environment {environment.name!r}: nothing was applied yet; "
            f"run province provision {environment.name}"
        )
    return from_json(path.read_text(encoding="utf-8"), str(path))
