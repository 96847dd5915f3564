"""Makes, reads, breaks and removes the machines and networks of one lab.

Every verb looks at what is there instead of trusting a note: it can be repeated, and goes on where
a killed run stopped. A note (see `records`) only tells what a machine is made of, because a
switched-off machine cannot be asked.
"""

import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from infra.errors import LabError
from infra.lab import (
    arrival,
    cgroups,
    containers,
    first_contact,
    image,
    names,
    networks,
    registry,
    removal,
)
from infra.lab.commands import run_limited
from infra.lab.containers import Container
from infra.lab.preflight import check_machine
from infra.lab.records import Records
from infra.lab.specs import (
    HostRecord,
    HostSpec,
    NetworkSpec,
    ObservedHost,
    ObservedLink,
    ObservedNetwork,
    ObservedProbePoint,
    ProbePointSpec,
)

START_LIMIT = timedelta(minutes=2)
STOP_LIMIT = timedelta(seconds=100)
SSH_LIMIT = timedelta(seconds=60)
COMMAND_LIMIT = timedelta(seconds=60)
_LOOK_LIMIT = timedelta(seconds=20)


class Lab:
    """One lab: everything that it makes is named after, or lies in, its state directory.

    Verbs on different machines may run at the same time, from threads and from processes.
    """

    def __init__(self, state_directory: Path) -> None:
        self.state_directory = state_directory.resolve()
        self.identifier = names.lab_identifier(state_directory)
        self._records = Records(self.state_directory / "lab")

    # Networks

    def ensure_network(self, spec: NetworkSpec) -> ObservedNetwork:
        """Makes a network, or finds it made."""
        self._enter()
        networks.ensure_bridge(self._parent, spec.name)
        return self.read_network(spec.name)

    def read_network(self, name: str) -> ObservedNetwork:
        """Looks whether a network is there and who is attached to it."""
        if name not in networks.bridges(self._parent):
            return ObservedNetwork(name, present=False)
        bridge = names.bridge_name(name)
        ports = networks.ports(self._parent).items()
        attached = sorted(owner for owner, port in ports if port.get("master") == bridge)
        return ObservedNetwork(name, present=True, ports=tuple(attached))

    def delete_network(self, name: str) -> None:
        """Removes a network; accepts that it is not there.

        Raises:
            LabError: machines are still attached.
        """
        seen = self.read_network(name)
        if seen.ports:
            raise LabError(
                f"network {name!r}: {', '.join(seen.ports)} are still attached; delete these "
                "machines first"
            )
        networks.delete_bridge(self._parent, name)

    # Hosts

    def create_host(
        self, spec: HostSpec, base: Path, limit: timedelta = START_LIMIT
    ) -> ObservedHost:
        """Makes a host and boots it, until its systemd says that it runs.

        What a killed creation left is thrown away and made anew; a host that was once complete is
        taken as it is, also switched off.

        Args:
            spec: the host.
            base: the root of a `BaseImage`, the lower layer of the host's own.
            limit: how long the boot may take.

        Raises:
            LabError: a complete host of that name is made of something else, or the boot failed.
            PreflightError: this machine cannot carry a lab.
        """
        known = self._records.read_host(spec.name)
        wanted = HostRecord(
            name=spec.name,
            links=spec.links,
            authorized_keys=spec.authorized_keys,
            host_public_key=first_contact.public_key(spec),
            image=str(base),
            created=False,
        )
        if known and known.created:
            if differences := known.differences(wanted):
                raise LabError(
                    f"host {spec.name!r}: exists, and its {', '.join(differences)} differ from "
                    "what is asked; a host is not rebuilt in place: delete it first"
                )
            return self.read_host(spec.name)
        self._enter()
        self.delete_host(spec.name)
        self._records.write_host(wanted)
        files = first_contact.files(spec, machine_id=secrets.token_hex(16))
        self._records.write_files(spec.name, files)
        self._boot(wanted, limit)
        self._records.write_host(replace(wanted, created=True))
        return self.read_host(spec.name)

    def read_host(self, name: str) -> ObservedHost:
        """Looks at a host. While it is off, its links and keys are told from its record."""
        record = self._records.read_host(name)
        container = self._container(name, record)
        if container.leader is not None:
            return ObservedHost(
                name=name,
                power="running",
                links=networks.observe(self.identifier, name),
                os=image.os_name(self._look(name, "/etc/os-release")),
                image=record.image if record else None,
                host_public_key=" ".join(
                    self._look(name, f"/{first_contact.PUBLIC_KEY_FILE}").split()[:2]
                ),
                authorized_keys=tuple(
                    self._look(name, f"/{first_contact.AUTHORIZED_KEYS_FILE}").splitlines()
                ),
            )
        if record is None or not record.created:
            return ObservedHost(name, power="absent")
        ports = networks.ports(self._parent, name)
        return ObservedHost(
            name=name,
            power="stopped",
            links=tuple(
                ObservedLink.expected(link, cut=networks.is_cut(ports.get(link.interface, {})))
                for link in record.links
            ),
            os=image.BaseImage(Path(record.image)).os if Path(record.image).is_dir() else None,
            image=record.image,
            host_public_key=record.host_public_key,
            authorized_keys=record.authorized_keys,
        )

    def start_host(self, name: str, limit: timedelta = START_LIMIT) -> None:
        """Switches a host on, after a stop, a power cut or a reboot of this machine."""
        record = self._known_host(name)
        if self._container(name, record).leader is None:
            self._enter()
            self._boot(record, limit)

    def stop_host(self, name: str, limit: timedelta = STOP_LIMIT) -> None:
        """Shuts a host down in order and takes its links down; accepts that it is off."""
        record = self._known_host(name)
        containers.stop(self._container(name, record), limit)
        networks.set_ports(self._parent, name, up=False)

    def crash_host(self, name: str) -> None:
        """Cuts a host's power: its links go down and all of its processes die in one moment."""
        record = self._known_host(name)
        # Links first: a dead host's namespace goes on answering on its addresses.
        networks.set_ports(self._parent, name, up=False)
        containers.kill(self._container(name, record))

    def delete_host(self, name: str) -> None:
        """Removes a host and all that it had; accepts that it is not there."""
        removal.remove_machine(self.identifier, name)
        self._records.remove_host(name)

    def hosts(self) -> tuple[str, ...]:
        """Answers the names of all hosts that were once complete."""
        known = ((name, self._records.read_host(name)) for name in self._records.hosts())
        return tuple(name for name, record in known if record and record.created)

    # Probe points

    def create_probe_point(self, spec: ProbePointSpec) -> ObservedProbePoint:
        """Makes a probe point, or finds it made as asked; another one of its name is replaced."""
        seen = self.read_probe_point(spec.name)
        if seen.present and self._records.read_probe_point(spec.name) == spec:
            return seen
        self._enter()
        self.delete_probe_point(spec.name)
        namespace = self._namespace(spec.name)
        networks.make_machine_namespace(namespace, forwarding=spec.forwarding)
        networks.attach(self.identifier, spec.name, spec.links)
        networks.set_ports(self._parent, spec.name, up=True)
        networks.configure(namespace, spec)
        self._records.write_probe_point(spec)
        return self.read_probe_point(spec.name)

    def read_probe_point(self, name: str) -> ObservedProbePoint:
        """Looks at a probe point."""
        namespace = self._namespace(name)
        if self._records.read_probe_point(name) is None or not networks.namespace_exists(namespace):
            return ObservedProbePoint(name, present=False)
        return ObservedProbePoint(
            name,
            present=True,
            links=networks.observe(self.identifier, name),
            forwarding=networks.forwards(namespace),
        )

    def delete_probe_point(self, name: str) -> None:
        """Removes a probe point with the processes in it; accepts that it is not there."""
        self._records.remove_probe_point(name)
        removal.remove_machine(self.identifier, name)

    def probe_points(self) -> tuple[str, ...]:
        """Answers the names of all probe points."""
        return self._records.probe_points()

    # Links

    def cut_link(self, machine: str, interface: str) -> None:
        """Pulls a cable. It stays cut over a restart of the machine, until it is healed."""
        self._set_cut(machine, interface, cut=True)

    def heal_link(self, machine: str, interface: str) -> None:
        """Puts a cable back; it carries again as soon as the machine runs."""
        self._set_cut(machine, interface, cut=False)

    # Being there

    def execute(
        self,
        name: str,
        argv: Sequence[str],
        timeout: timedelta = COMMAND_LIMIT,
        input: str | None = None,  # noqa: A002 - the word that subprocess.run has for it
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in a host (as root, without its network) or from a probe point.

        What it prints is decoded so that any byte can be had back (``surrogateescape``). A daemon
        that it leaves behind must let go of its output, which is otherwise waited for.

        Raises:
            LabError: the machine is not running, or the program did not end in time.
        """
        done = run_limited(f"{name}: {argv[0]!r}", self._command(name, argv), timeout, input)
        return subprocess.CompletedProcess(list(argv), done.returncode, done.stdout, done.stderr)

    def words_at(self, name: str) -> list[str]:
        """Answers the words that run a program in a host or at a probe point.

        Raises:
            LabError: the machine is not running.
        """
        return self._command(name, [])

    def wait_until_running(self, name: str, limit: timedelta = START_LIMIT) -> None:
        """Waits until a host's systemd has started everything.

        Raises:
            LabError: a unit failed (at once, with the units' names), or the limit is over.
        """
        console = self._container(name, None).console
        arrival.wait_until_running(name, partial(self.execute, name), console, limit)

    def wait_for_ssh(self, name: str, from_name: str, limit: timedelta = SSH_LIMIT) -> str:
        """Waits until a host's sshd shows its key to a probe point, and answers that key.

        It is asked on the addresses of first contact, in turn.

        Raises:
            LabError: it has no such address, or did not answer in time.
        """
        links = self._known_host(name).links
        addresses = [address.partition("/")[0] for link in links for address in link.addresses]
        if not addresses:
            raise LabError(
                f"{name}: has no address for a first contact; give one of its links an address"
            )
        asked = f"{name}: its sshd answers {from_name} on {' or '.join(addresses)}"
        return arrival.wait_for_host_key(asked, partial(self.execute, from_name), addresses, limit)

    def ssh_proxy_command(self, from_name: str) -> list[str]:
        """Answers ssh's ProxyCommand that connects from a probe point, in either family."""
        # socat wants IPv6 addresses in brackets and ssh gives them without.
        script = 'case "$1" in *:*) exec socat - "TCP6:[$1]:$2" ;; esac; exec socat - "TCP4:$1:$2"'
        return [
            *networks.enter(self._namespace(from_name)),
            "sh",
            "-c",
            script,
            "proxy",
            "%h",
            "%p",
        ]

    def destroy(self) -> None:
        """Removes all of this lab, however it was left; does nothing where nothing is left."""
        removal.remove_lab(self.identifier, self._records.folder)

    # Inside

    @property
    def _parent(self) -> str:
        return names.network_namespace(self.identifier)

    def _namespace(self, machine: str) -> str:
        return names.machine_name(self.identifier, machine)

    def _enter(self) -> None:
        check_machine()
        registry.register(self.identifier, self.state_directory)

    def _container(self, name: str, record: HostRecord | None) -> Container:
        return Container(
            name=self._namespace(name),
            hostname=name,
            cgroup=cgroups.mounted_hierarchy() / names.lab_prefix(self.identifier) / name,
            folder=self._records.host_folder(name),
            base=Path(record.image) if record else Path(),
        )

    def _known_host(self, name: str) -> HostRecord:
        record = self._records.read_host(name)
        if record is None or not record.created:
            raise LabError(
                f"host {name!r}: is not in this lab ({', '.join(self.hosts()) or 'it has none'}); "
                "create it first"
            )
        return record

    def _boot(self, record: HostRecord, limit: timedelta) -> None:
        if not Path(record.image).is_dir():
            raise LabError(
                f"host {record.name!r}: its base image {record.image} is gone, and its own layer "
                "is worth nothing without it; build the image again or delete the host"
            )
        ports = networks.ports(self._parent, record.name)
        cut = [interface for interface, port in ports.items() if networks.is_cut(port)]
        # A fresh namespace, as a real machine forgets addresses, rules and connections with its
        # power; and no new end of a cable takes the place of an old one that still exists.
        removal.remove_machine(self.identifier, record.name)
        networks.make_machine_namespace(self._namespace(record.name), forwarding=False)
        networks.attach(self.identifier, record.name, record.links)
        for interface in cut:
            networks.set_cut(self._parent, record.name, interface, cut=True)
        networks.set_ports(self._parent, record.name, up=True)
        containers.start(self._container(record.name, record))
        self.wait_until_running(record.name, limit)

    def _set_cut(self, machine: str, interface: str, *, cut: bool) -> None:
        ports = networks.ports(self._parent, machine)
        if interface not in ports:
            raise LabError(
                f"{machine}: has no link {interface!r} that could be cut or healed; it has "
                f"{', '.join(sorted(ports)) or 'none while the machine is not there'}"
            )
        networks.set_cut(self._parent, machine, interface, cut=cut)
        alive = (
            self._records.read_probe_point(machine) is not None
            or self._container(machine, None).leader is not None
        )
        networks.set_ports(self._parent, machine, up=alive)

    def _command(self, name: str, argv: Sequence[str]) -> list[str]:
        leader = self._container(name, None).leader
        if leader is not None:
            return containers.enter(leader, argv)
        if self._records.read_probe_point(name) is not None:
            if networks.namespace_exists(self._namespace(name)):
                return [*networks.enter(self._namespace(name)), *argv]
            raise LabError(f"probe point {name!r}: its namespace is gone; create it again")
        raise LabError(
            f"{name}: is no probe point and no running host of this lab, so nothing can be run "
            "there; start or create it first"
        )

    def _look(self, name: str, path: str) -> str:
        # Asked inside the container: from outside, its links could lead us to files of ours.
        return self.execute(name, ["cat", path], _LOOK_LIMIT).stdout
