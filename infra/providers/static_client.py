"""Looks at a machine that exists already: a real SSH key exchange, and a look inside where allowed.

Nothing is changed there and no shell is opened: the two commands are fixed, and a machine that
answers with another key is never logged in to.
"""

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import paramiko

from infra.errors import ProviderError

SSH_PORT = 22
ANSWER_LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may look inside the machines.

    Attributes:
        user: the account there.
        key_file: its private key, in OpenSSH's form.
    """

    user: str
    key_file: Path


@dataclass(frozen=True, slots=True)
class ObservedMachine:
    """A machine as it answered.

    Attributes:
        address: the one that answered.
        host_key: what it proved to have, type and key as in a .pub file.
        os: its distribution, empty when nobody may look inside.
        addresses: its addresses with prefix length, link-local ones apart; None when nobody may.
    """

    address: str
    host_key: str
    os: str
    addresses: tuple[str, ...] | None


class StaticClient(Protocol):
    """What `StaticHosts` asks of the network; tests bring a fake."""

    def look(self, addresses: Sequence[str], host_key: str) -> ObservedMachine | None:
        """Answers what the first address that answers shows, None when none does."""


@dataclass(frozen=True, slots=True)
class SshClient:
    """The real one.

    Attributes:
        credentials: for the look inside; without them the host key is all that is asked.
    """

    credentials: Credentials | None = None
    port: int = SSH_PORT
    limit: float = ANSWER_LIMIT_SECONDS

    def look(self, addresses: Sequence[str], host_key: str) -> ObservedMachine | None:
        """Answers what the first address that answers shows, None when none does.

        The look inside happens only where the machine proved the declared key.

        Raises:
            ProviderError: it answers and is no SSH server, or does not let the credentials in.
        """
        for address in addresses:
            try:
                connection = socket.create_connection((address, self.port), self.limit)
            except OSError:
                continue
            with connection:
                return self._exchange(connection, address, host_key)
        return None

    def _exchange(self, connection: socket.socket, address: str, host_key: str) -> ObservedMachine:
        transport = paramiko.Transport(connection)
        try:
            # Ask for the kind of key that is declared: a server has several and shows one.
            kind = host_key.split(maxsplit=1)[0]
            options = transport.get_security_options()
            if kind in options.key_types:
                options.key_types = (kind,)
            transport.start_client(timeout=self.limit)
            key = transport.get_remote_server_key()
            shown = f"{key.get_name()} {key.get_base64()}"
            if self.credentials is None or shown != " ".join(host_key.split()[:2]):
                return ObservedMachine(address, shown, "", None)
            return self._look_inside(transport, address, shown, self.credentials)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ProviderError(
                f"{address}: port {self.port} answers, but the look failed ({error}); an SSH "
                "server with the declared host key, which lets the given credentials in, is "
                "required: look at its log"
            ) from error
        finally:
            transport.close()

    def _look_inside(
        self, transport: paramiko.Transport, address: str, shown: str, credentials: Credentials
    ) -> ObservedMachine:
        key = paramiko.PKey.from_path(credentials.key_file)
        transport.auth_publickey(credentials.user, key)
        release = self._run(transport, "cat /etc/os-release")
        found = json.loads(self._run(transport, "ip -json address show"))
        values = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
        return ObservedMachine(
            address=address,
            host_key=shown,
            os=f"{values.get('ID', '')} {values.get('VERSION_ID', '')}".replace('"', "").strip(),
            addresses=tuple(
                sorted(
                    f"{one['local']}/{one['prefixlen']}"
                    for link in found
                    for one in link.get("addr_info", [])
                    if one["scope"] == "global"
                )
            ),
        )

    def _run(self, transport: paramiko.Transport, command: str) -> str:
        with transport.open_session(timeout=self.limit) as channel:
            channel.settimeout(self.limit)
            channel.exec_command(command)
            output = channel.makefile("rb").read().decode()
            if (status := channel.recv_exit_status()) != 0:
                raise paramiko.SSHException(f"{command!r} ended with {status}")
            return output
