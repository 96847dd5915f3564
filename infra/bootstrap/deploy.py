"""Carries the missing steps out on many hosts at once, with pyinfra; a program of its own.

pyinfra works hosts side by side only where gevent has replaced Python's sockets and threads. That
must not happen to the process that speaks to Pulumi's engine, so this file runs as a child:
``python -m infra.bootstrap.deploy`` reads orders and answers with events, each a line of JSON; the
last event of an order is ``end``.
"""

# ruff: noqa: E402  gevent must replace the standard library before anything else loads it
# mypy: allow-untyped-calls
# (pyinfra's own interface is typed in part only)
from gevent import monkey  # type: ignore[import-untyped]  # it ships no types

monkey.patch_all()

import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.operations import apt, files, server

from infra.bootstrap import plan
from infra.bootstrap.plan import Step

Order = Mapping[str, Any]

# What pyinfra prints goes to the log with its errors: the output is for events alone.
_OUTPUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

_CONNECT_SECONDS = 15
# Only our own source: a host may have others that it cannot reach.
_ONLY_OURS = f"-o Dir::Etc::SourceList={plan.SOURCE_FILE} -o Dir::Etc::SourceParts=-"
# A killed run's apt goes on to its end on the host, and holds the locks until then.
_PATIENCE = {"_retries": 20, "_retry_delay": 3}


class _Events(BaseStateCallback):
    """Tells the parent what happens, as it happens."""

    @staticmethod
    def host_connect_error(state: State, host: Host, error: Exception) -> None:
        del state
        _tell("failed", host.name, f"could not be entered ({error})")

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        _tell("step", host.name, _operation_name(state, op_hash))


def main() -> None:
    """Carries out one order after the other until there are no more.

    Failures of hosts are events, not exit codes. One process does it all, because loading pyinfra
    takes longer than most orders.
    """
    for line in sys.stdin:
        _carry_out(json.loads(line))
        _tell("end", "", "")


def _carry_out(order: Order) -> None:
    hosts = [(host["name"], _connection(host)) for host in order["hosts"]]
    steps = {host["name"]: frozenset(host["steps"]) for host in order["hosts"]}
    config = Config(CONNECT_TIMEOUT=_CONNECT_SECONDS, FAIL_PERCENT=100)
    state = State(inventory=Inventory((hosts, {})), config=config)
    state.add_callback_handler(_Events())
    try:
        connect_all(state)
        for step in _ADD:
            ready = state.inventory.get_active_hosts()
            if wanting := [host for host in ready if step.value in steps[host.name]]:
                _ADD[step](state, wanting, order)
        run_ops(state)
    except PyinfraError:
        # It also raises when no host is left; which ones failed, and why, is told below.
        if state.inventory.get_active_hosts():
            raise
    for host in state.failed_hosts:
        _tell_failure(state, host)
    for host in state.activated_hosts:
        # pyinfra's own disconnecting leaves the connection open until the process ends.
        if isinstance(host.connector, SSHConnector) and host.connector.client is not None:
            # paramiko ends the process that carries the connection, which may have ended by itself.
            with suppress(ProcessLookupError):
                host.connector.client.close()


def _tell_failure(state: State, host: Host) -> None:
    for op_hash in state.get_op_order():
        if op_hash not in state.ops[host]:
            continue
        done = state.get_op_data_for_host(host, op_hash).operation_meta
        if done.is_complete() and not done.did_succeed():
            said = [line for line in (*done.stdout_lines, *done.stderr_lines) if line.strip()]
            words = " / ".join(said[-3:]) or "it said nothing"
            _tell("failed", host.name, f"failed to {_operation_name(state, op_hash)} ({words})")


def _connection(host: Mapping[str, Any]) -> dict[str, object]:
    return {
        "ssh_user": host["user"],
        "ssh_key": host["identity"],
        "ssh_config_file": host["ssh_config"],
        "ssh_known_hosts_file": host["known_hosts"],
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "_sudo": host["user"] != "root",
    }


def _repair(state: State, hosts: Sequence[Host], _order: Order) -> None:
    command = "DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a"
    _shell(state, hosts, Step.REPAIR, [command], **_PATIENCE)


def _install(state: State, hosts: Sequence[Host], order: Order) -> None:
    source = io.StringIO(plan.render_source(order["key_name"]))
    put = {"src": source, "dest": plan.SOURCE_FILE, "mode": "644"}
    add_op(state, files.put, name=_name(Step.INSTALL), host=hosts, **put)
    update = f"apt-get update -qq --error-on=any {_ONLY_OURS}"
    _shell(state, hosts, Step.INSTALL, [update], **_PATIENCE)
    wanted = {"packages": list(plan.PACKAGES), "no_recommends": True, "update": False}
    add_op(state, apt.packages, name=_name(Step.INSTALL), host=hosts, **wanted, **_PATIENCE)


def _account(state: State, hosts: Sequence[Host], order: Order) -> None:
    add_op(  # noqa: S604  "shell" is the account's login shell
        state,
        server.user,
        name=_name(Step.ACCOUNT),
        host=hosts,
        user=plan.ACCOUNT,
        home=plan.ACCOUNT_HOME,
        shell="/bin/sh",
        system=True,
        # No password fits, and unlike "!" it does not lock the account for its key.
        password="*",  # noqa: S106  the opposite of a password
        public_keys=[order["automation_key"]],
        delete_keys=True,
    )
    # sudo ignores names with a dot, so the file has no effect before it is checked.
    staged = f"{plan.SUDOERS_FILE}.new"
    put = {"src": io.StringIO(plan.render_sudoers()), "dest": staged, "mode": "440"}
    add_op(state, files.put, name=_name(Step.ACCOUNT), host=hosts, **put)
    check = [f"visudo -q -c -f {staged}", f"mv -f {staged} {plan.SUDOERS_FILE}"]
    _shell(state, hosts, Step.ACCOUNT, check)


def _make_key(state: State, hosts: Sequence[Host], _order: Order) -> None:
    key = plan.PENDING_KEY
    make = f'ssh-keygen -q -t ed25519 -N "" -C "$(hostname)" -f {key}'
    _shell(state, hosts, Step.MAKE_KEY, [f"rm -f {key} {key}.pub", make])


def _show_key(state: State, hosts: Sequence[Host], _order: Order) -> None:
    key, pending = plan.HOST_KEY, plan.PENDING_KEY
    # Whoever made the machine may know its other keys too; the host shows none but its own.
    others = "/etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*"
    commands = [
        f"if [ -e {pending} ]; then rm -f {others} {pending}.pub && mv -f {pending} {key}; fi",
        f"ssh-keygen -y -f {key} > {key}.pub.new",
        f"mv -f {key}.pub.new {key}.pub",
        "sshd -t",
        "systemctl reload ssh.service",
    ]
    _shell(state, hosts, Step.SHOW_KEY, commands)


def _close_root(state: State, hosts: Sequence[Host], order: Order) -> None:
    file = "/root/.ssh/authorized_keys"
    blob = shlex.quote(order["creator_key"].split()[1])
    # grep ends with 1 where nothing is left, which is what we hope for.
    keep = f"grep -v -F -e {blob} {file} > {file}.new || [ $? -eq 1 ]"
    _shell(
        state,
        hosts,
        Step.CLOSE_ROOT,
        [keep, f"chmod 600 {file}.new", f"mv -f {file}.new {file}", f"[ -s {file} ] || rm {file}"],
    )


# In the order of the steps; the repository is carried by OpenSSH, before.
_ADD: Mapping[Step, Callable[[State, Sequence[Host], Order], None]] = {
    Step.REPAIR: _repair,
    Step.INSTALL: _install,
    Step.ACCOUNT: _account,
    Step.MAKE_KEY: _make_key,
    Step.SHOW_KEY: _show_key,
    Step.CLOSE_ROOT: _close_root,
}


def _shell(
    state: State, hosts: Sequence[Host], step: Step, commands: Sequence[str], **arguments: int
) -> None:
    # One shell: as a list, pyinfra would open a session for each command.
    script = " && ".join(commands)
    add_op(state, server.shell, name=_name(step), host=hosts, commands=[script], **arguments)


def _name(step: Step) -> str:
    return step.value


def _operation_name(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))


def _tell(event: str, host: str, text: str) -> None:
    _OUTPUT.write(json.dumps({"event": event, "host": host, "text": text}) + "\n")
    _OUTPUT.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
