"""What became of each host, as Ansible itself tells it."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.configure import ConfigureOptions, HostOutcome, configure_hosts
from infra.errors import ConfigureError

PLAYBOOK = """---
- name: Sample the outcomes
  hosts: all
  gather_facts: false
  tasks:
    - name: Reach the host
      ansible.builtin.ping:
      when: inventory_hostname == "off1-692"
    - name: Change something on one
      ansible.builtin.set_fact:
        x: "{{ word }}"
      changed_when: inventory_hostname == "changed1-70"
    - name: Heal by itself
      when: inventory_hostname == "healed1-70"
      block:
        - name: Fail first
          ansible.builtin.fail:
            msg: passing trouble
      rescue:
        - name: Go on
          ansible.builtin.debug:
            msg: healed
    - name: Refuse bad items
      ansible.builtin.assert:
        that: item != "bad"
        fail_msg: "{{ item }} is not good; write another"
      loop: [good, bad]
      when: inventory_hostname == "items1-70"
    - name: Stop on one
      ansible.builtin.fail:
        msg: "disk is full; make room"
      when: inventory_hostname == "failed1-70"
"""
HOSTS = ("changed1-70", "healed1-70", "items1-70", "failed1-70", "off1-692")
INVENTORY = """---
all:
  vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  hosts:
    changed1-70:
    healed1-70:
    items1-70:
    failed1-70:
    off1-692: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
"""


@dataclass
class Checkout:
    """A checkout with one playbook, and what was said while it ran."""

    root: Path
    said: list[str]

    @property
    def log(self) -> Path:
        return self.root / "logs" / "ansible.log"

    def run(self, hosts: tuple[str, ...]) -> dict[str, HostOutcome]:
        return configure_hosts(
            self.root,
            self.root / "inventory",
            options=ConfigureOptions(hosts),
            variables={"word": "hello"},
            artifacts=self.root / "runner",
            log=self.log,
            report=self.said.append,
        )


def make_checkout(root: Path, playbook: str) -> Checkout:
    for name, text in (
        ("playbooks/configure_province.yml", playbook),
        ("inventory/hosts.yml", INVENTORY),
        ("ansible.cfg", "[defaults]\nretry_files_enabled = false\n"),
    ):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Checkout(root, [])


@pytest.fixture(scope="module", autouse=True)
def ansible_on_path() -> Iterator[None]:
    """Find Ansible where the command finds it: beside the Python that runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, dict[str, HostOutcome]]:
    """Run the playbook once for all tests of this module."""
    checkout = make_checkout(tmp_path_factory.mktemp("checkout"), PLAYBOOK)
    return checkout, checkout.run((*HOSTS, "stranger1-70"))


Ran = tuple[Checkout, dict[str, HostOutcome]]


def test_changes_are_counted(ran: Ran) -> None:
    assert ran[1]["changed1-70"] == HostOutcome("changed1-70", "done", 1, "")


def test_a_failure_names_host_task_reason_and_log(ran: Ran) -> None:
    checkout, outcomes = ran
    assert outcomes["failed1-70"] == HostOutcome(
        "failed1-70",
        "failed",
        0,
        f"failed1-70: Stop on one: disk is full; make room; log: {checkout.log}",
    )


def test_a_failure_in_a_list_names_the_entry_and_not_that_there_was_one(ran: Ran) -> None:
    checkout, outcomes = ran
    assert outcomes["items1-70"].sentence == (
        f"items1-70: Refuse bad items: bad is not good; write another; log: {checkout.log}"
    )


def test_a_host_that_healed_itself_is_done(ran: Ran) -> None:
    assert ran[1]["healed1-70"] == HostOutcome("healed1-70", "done", 0, "")


def test_a_host_that_is_off_is_deferred(ran: Ran) -> None:
    outcome = ran[1]["off1-692"]
    assert outcome.outcome == "deferred"
    assert outcome.sentence.startswith("off1-692: ")
    assert outcome.sentence.endswith("; it is queued for the next run")


def test_a_host_that_no_play_reached_has_failed(ran: Ran) -> None:
    checkout, outcomes = ran
    assert outcomes["stranger1-70"] == HostOutcome(
        "stranger1-70", "failed", 0, f"stranger1-70: no play reached it; log: {checkout.log}"
    )


def test_progress_tells_what_runs_now(ran: Ran) -> None:
    assert ran[0].said[:2] == ["Sample the outcomes", "Sample the outcomes: Reach the host"]


def test_the_log_keeps_what_ansible_said_and_the_runner_leaves_nothing(ran: Ran) -> None:
    checkout, _ = ran
    assert "TASK [Stop on one]" in checkout.log.read_text(encoding="utf-8")
    assert list((checkout.root / "runner").iterdir()) == []


def test_a_run_that_ends_before_any_host_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = make_checkout(tmp_path, PLAYBOOK)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigureError) as refused:
        checkout.run(HOSTS)
    assert refused.value.sentence == (
        "ansible-playbook: ended as failed before any host was processed (The command was not "
        f"found or was not executable: ansible-playbook.); log: {checkout.log}"
    )


BREAKING = """---
- name: Fail on every host that it has
  hosts: failed1-70
  gather_facts: false
  tasks:
    - name: Stop
      ansible.builtin.fail:
        msg: "disk is full; make room"
- name: Come later
  hosts: all
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.debug:
        msg: reached
      changed_when: true
"""


def test_a_play_that_fails_on_all_its_hosts_keeps_the_others_from_nothing(tmp_path: Path) -> None:
    outcomes = make_checkout(tmp_path, BREAKING).run(("changed1-70", "failed1-70", "healed1-70"))

    assert {host: (one.outcome, one.changed) for host, one in outcomes.items()} == {
        "changed1-70": ("done", 1),
        "failed1-70": ("failed", 0),
        "healed1-70": ("done", 1),
    }


def test_host_keys_are_checked_although_the_runner_would_not(tmp_path: Path) -> None:
    playbook = """---
- name: Show what Ansible goes by
  hosts: all
  gather_facts: false
  tasks:
    - name: Require that host keys are checked
      ansible.builtin.assert:
        that: lookup('ansible.builtin.config', 'HOST_KEY_CHECKING')
"""
    checkout = make_checkout(tmp_path, playbook)
    assert [one.outcome for one in checkout.run(("changed1-70",)).values()] == ["done"]
