"""A real key exchange with a real SSH server, and a look inside that opens no shell."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.errors import ProviderError
from infra.providers.static_client import Credentials, SshClient

ANSWERS = {
    "cat /etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "ip -json address show": json.dumps(
        [
            {"addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
            {"addr_info": [{"local": "10.15.2.2", "prefixlen": 24, "scope": "global"}]},
        ]
    ),
}


def make_key(path: Path) -> paramiko.PKey:
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    return paramiko.PKey.from_path(path)


class ServerTransport(paramiko.Transport):
    """Tells when it has said yes to a request: an answer must not overtake that."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.said_yes = threading.Event()

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if data.asbytes()[:1] == paramiko.common.cMSG_CHANNEL_SUCCESS:
            self.said_yes.set()


class Server(paramiko.ServerInterface):
    """Lets one key in and runs the known commands; whatever else is asked is refused."""

    def __init__(self, allowed: paramiko.PKey) -> None:
        self.allowed = allowed
        self.asked: list[str] = []

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fits = (username, key) == ("auditor", self.allowed)
        return paramiko.common.AUTH_SUCCESSFUL if fits else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        assert chanid >= 0
        return (
            paramiko.common.OPEN_SUCCEEDED
            if kind == "session"
            else paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        )

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.asked.append(command.decode())

        transport = channel.get_transport()
        assert isinstance(transport, ServerTransport)
        transport.said_yes.clear()

        def answer() -> None:
            assert transport.said_yes.wait(10)
            channel.sendall(ANSWERS[command.decode()].encode())
            channel.send_exit_status(0)
            channel.close()

        threading.Thread(target=answer).start()
        return True


@pytest.fixture
def host_key(tmp_path: Path) -> paramiko.PKey:
    return make_key(tmp_path / "host_key")


@pytest.fixture
def user_key(tmp_path: Path) -> paramiko.PKey:
    return make_key(tmp_path / "user_key")


@pytest.fixture
def port(host_key: paramiko.PKey, user_key: paramiko.PKey) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = ServerTransport(connection)
            transports.append(transport)
            transport.add_server_key(host_key)
            transport.start_server(threading.Event(), Server(user_key))

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for transport in transports:
        transport.close()
        transport.join()


def public(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def test_a_machine_proves_its_key_without_anybody_logging_in(
    port: int, host_key: paramiko.PKey
) -> None:
    seen = SshClient(port=port).look(["127.0.0.1"], public(host_key))
    assert seen is not None
    assert (seen.address, seen.host_key) == ("127.0.0.1", public(host_key))
    assert (seen.os, seen.addresses) == ("", None)


def test_the_next_address_is_asked_when_one_is_silent(port: int, host_key: paramiko.PKey) -> None:
    client = SshClient(port=port, limit=2)
    seen = client.look(["127.0.0.2", "127.0.0.1"], public(host_key))
    assert seen is not None
    assert seen.address == "127.0.0.1"


def test_with_credentials_the_machine_is_looked_at(
    port: int, host_key: paramiko.PKey, user_key: paramiko.PKey, tmp_path: Path
) -> None:
    assert user_key.get_name() == "ssh-ed25519"
    client = SshClient(Credentials("auditor", tmp_path / "user_key"), port)
    seen = client.look(["127.0.0.1"], public(host_key))
    assert seen is not None
    assert (seen.os, seen.addresses) == ("debian 13", ("10.15.2.2/24",))


def test_nobody_logs_in_to_a_machine_with_another_key(
    port: int, user_key: paramiko.PKey, tmp_path: Path
) -> None:
    client = SshClient(Credentials("auditor", tmp_path / "user_key"), port)
    seen = client.look(["127.0.0.1"], public(user_key))
    assert seen is not None
    assert seen.host_key != public(user_key)
    assert seen.addresses is None


def test_wrong_credentials_are_told(port: int, host_key: paramiko.PKey, tmp_path: Path) -> None:
    make_key(tmp_path / "another")
    client = SshClient(Credentials("auditor", tmp_path / "another"), port)
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1: port \d+ answers, but the look failed"):
        client.look(["127.0.0.1"], public(host_key))


def test_silence_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert SshClient(port=port, limit=1).look(["127.0.0.1"], "ssh-ed25519 AAAA") is None
