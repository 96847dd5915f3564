"""Runs the playbooks through ansible-runner and keeps what became of each host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.configure.command import PLAYBOOK, ConfigureOptions, command_line
from infra.configure.outcome import DEFERRED, DONE, FAILED, HostOutcome
from infra.configure.worker import run_in_worker
from infra.errors import ConfigureError

Report = Callable[[str], None]
_FAILURES = frozenset({"runner_on_failed", "runner_item_on_failed"})


@dataclass(slots=True)
class _Watcher:
    """Turns Ansible's events into progress, and remembers why a host stopped."""

    report: Report
    log: Path
    play: str = ""
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The failed task of each host, by its identifier, and the sentence that says why."""
    unreachable: dict[str, str] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    playing: set[str] = field(default_factory=set)
    """The hosts that the present play has begun with."""
    stopped: set[str] = field(default_factory=set)
    """The hosts that failed or could not be reached."""
    roles: dict[str, dict[str, None]] = field(default_factory=dict)
    """The roles that changed something, by host, in the order of the run."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take one event."""
        kind, data = event["event"], event.get("event_data", {})
        if event.get("stdout"):
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(event["stdout"] + "\n")
        if kind == "playbook_on_play_start":
            self.play = str(data.get("play", ""))
            self.playing.clear()
            self.report(self.play)
        elif kind == "playbook_on_task_start":
            self.report(f"{self.play}: {data.get('task', '')}")
        elif kind == "playbook_on_stats":
            self.stats = dict(data)
            self.stopped = {*data.get("failures", {}), *data.get("dark", {})}
        elif kind == "runner_on_start":
            self.playing.add(str(data["host"]))
        elif kind == "runner_on_ok" and data.get("res", {}).get("changed") and data.get("role"):
            self.roles.setdefault(str(data["host"]), {})[str(data["role"])] = None
        elif kind in _FAILURES and not data.get("ignore_errors"):
            self._remember(data)
        elif kind == "runner_on_unreachable":
            message = str(data.get("res", {}).get("msg", "")).strip()
            self.unreachable[str(data["host"])] = message

    @property
    def broke_off(self) -> bool:
        """Whether every host of the last play failed: Ansible leaves out what would follow."""
        return bool(self.playing) and self.playing <= self.stopped

    def _remember(self, data: Mapping[str, Any]) -> None:
        result = data.get("res", {})
        message = str(result.get("msg") or result.get("stderr") or "no message").strip()
        host, task = str(data["host"]), str(data.get("task", ""))
        role = str(data.get("role", ""))
        place = f"{role}: {task}" if role else task
        identifier = str(data.get("task_uuid", task))
        known, _ = self.reasons.get(host, ("", ""))
        if identifier != known:  # of one task the first: an entry says more than its whole list
            self.reasons[host] = (identifier, f"{host}: {place}: {message}; log: {self.log}")


def _outcome(host: str, stats: Mapping[str, Any], watcher: _Watcher) -> HostOutcome:
    changed = int(stats.get("changed", {}).get(host, 0))
    roles = tuple(watcher.roles.get(host, {}))
    if host in watcher.unreachable:
        sentence = f"{host}: {watcher.unreachable[host]}; it is queued for the next run"
        return HostOutcome(host, DEFERRED, changed, sentence)
    if stats.get("failures", {}).get(host):  # a failure that a rescue mended is none
        _, sentence = watcher.reasons.get(host, ("", f"{host}: failed; log: {watcher.log}"))
        return HostOutcome(host, FAILED, changed, sentence, roles)
    if host not in stats.get("processed", {}):
        return HostOutcome(host, FAILED, 0, f"{host}: no play reached it; log: {watcher.log}")
    return HostOutcome(host, DONE, changed, roles=roles)


def configure_hosts(
    root: Path,
    inventory: Path,
    *,
    options: ConfigureOptions,
    variables: Mapping[str, object],
    artifacts: Path,
    log: Path,
    report: Report,
) -> dict[str, HostOutcome]:
    """Apply (or, in check mode, foretell) the roles on the given hosts.

    Where every host of a play fails, Ansible leaves out the plays that follow, for everybody; the
    hosts that did not fail are then configured again without the others, to the end.

    Args:
        root: the checkout, where ansible.cfg stands.
        inventory: `inventories/<env>`.
        options: which hosts, check mode, what may be taken over.
        variables: variables of this run only.
        artifacts: a folder for the runner's own files.
        log: where everything that Ansible says is kept.
        report: told what runs now.

    Raises:
        ConfigureError: Ansible ended without saying what became of the hosts.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    outcomes: dict[str, HostOutcome] = {}
    left = options.hosts
    while left:
        watcher = _Watcher(report, log)
        job = {
            "project_dir": str(root),
            "playbook": str(PLAYBOOK),
            "inventory": str(inventory),
            "extravars": dict(variables),
            "cmdline": " ".join(command_line(replace(options, hosts=left))),
            "envvars": {
                "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
                # Unless told, the runner switches it off, and an unknown key would be pinned.
                "ANSIBLE_HOST_KEY_CHECKING": "True",
            },
            "quiet": True,
        }
        _run_once(job, artifacts, watcher)
        for host in left:
            now = _outcome(host, watcher.stats, watcher)
            outcomes[host] = now.after(outcomes[host]) if host in outcomes else now
        good = tuple(host for host in left if host not in watcher.stopped)
        left = good if watcher.broke_off and len(good) < len(left) else ()
    return {host: outcomes[host] for host in options.hosts}


def _run_once(job: Mapping[str, Any], artifacts: Path, watcher: _Watcher) -> None:
    # A folder of its own: the runner keeps variables and environment there and reads old ones back.
    with TemporaryDirectory(prefix="run_", dir=artifacts) as folder:
        status = run_in_worker({**job, "private_data_dir": folder}, Path(folder), watcher)
    if not watcher.stats:
        log = watcher.log
        said = log.read_text(encoding="utf-8").strip().splitlines()[-1:] if log.exists() else []
        raise ConfigureError(
            f"ansible-playbook: ended as {status} before any host was processed "
            f"({' '.join(said) or 'it said nothing'}); log: {log}"
        )
