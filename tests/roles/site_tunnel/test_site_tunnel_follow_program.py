"""What the tunnel daemon is told when the gateway's addresses come and go."""

import importlib.util
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = (
    Path(__file__).parents[3]
    / "roles/site_tunnel/files/usr/local/lib/province/site_tunnel_follow.py"
)
YES = {"success": "yes"}
NOTHING_TO_END = {"success": "no", "errmsg": "no matching SAs to terminate found"}

Order = tuple[str, dict[str, str]]


class Daemon:
    """Speaks vici on a socket, and remembers what it was told."""

    def __init__(self, follow: ModuleType, place: Path) -> None:
        self._follow = follow
        self.told: list[Order] = []
        self.answers: dict[str, dict[str, str]] = {"terminate": NOTHING_TO_END, "initiate": YES}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        caller, _ = self._listener.accept()
        with caller:
            while head := caller.recv(4):
                packet = self._follow.exactly(caller, int.from_bytes(head, "big"))
                name_end = 2 + packet[1]
                command = packet[2:name_end].decode()
                values = self._follow.decoded(self._follow.RESPONSE + packet[name_end:])
                self.told.append((command, values))
                caller.sendall(self._response(self.answers[command]))

    def _response(self, values: dict[str, str]) -> bytes:
        packet = self._follow.RESPONSE
        for key, value in values.items():
            packet += self._follow.KEY_VALUE + self._follow.counted(key, 1)
            packet += self._follow.counted(value, 2)
        return len(packet).to_bytes(4, "big") + packet

    def close(self) -> None:
        self._thread.join(timeout=10)
        self._listener.close()


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_tunnel_follow", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "connections").write_text("site_692\nsite_25280\n")
    monkeypatch.setattr(module, "CONNECTIONS", str(tmp_path / "connections"))
    monkeypatch.setattr(module, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(module, "DAEMON", str(tmp_path / "nobody"))
    return module


@pytest.fixture
def daemon(follow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    # A socket's name ends at 108 characters.
    with tempfile.TemporaryDirectory() as short:
        place = Path(short) / "vici"
        monkeypatch.setattr(follow, "DAEMON", str(place))
        made = Daemon(follow, place)
        yield made
        made.close()


def ends() -> list[Order]:
    return [
        ("terminate", {"ike": name, "force": "yes", "timeout": "-1"})
        for name in ("site_692", "site_25280")
    ]


def calls() -> list[Order]:
    return [
        ("initiate", {"child": name, "ike": name, "timeout": "-1"})
        for name in ("site_692", "site_25280")
    ]


def test_new_master_ends_what_is_left_and_calls_every_peer(
    follow: ModuleType, daemon: Daemon
) -> None:
    assert follow.main(["master"]) == 0
    assert daemon.told == ends() + calls()


def test_backup_ends_every_tunnel_and_calls_nobody(follow: ModuleType, daemon: Daemon) -> None:
    assert follow.main(["backup"]) == 0
    assert daemon.told == ends()


@pytest.mark.parametrize(("word", "told"), [("master", ends() + calls()), ("backup", ends())])
def test_daemon_that_starts_late_is_told_the_last_word(
    follow: ModuleType, daemon: Daemon, word: str, told: list[Order]
) -> None:
    Path(follow.STATE).write_text(f"{word}\n")
    assert follow.main(["present"]) == 0
    assert daemon.told == told


def test_before_the_first_word_nobody_is_called(follow: ModuleType, daemon: Daemon) -> None:
    assert follow.main(["present"]) == 0
    assert daemon.told == ends()


def test_refused_call_is_named(
    follow: ModuleType, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["initiate"] = {"success": "no", "errmsg": "CHILD_SA config not found"}
    assert follow.main(["master"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        "site_692: CHILD_SA config not found; swanctl --list-conns shows what the tunnel daemon has"
    )


def test_daemon_that_is_not_there_is_no_fault(follow: ModuleType) -> None:
    assert follow.main(["master"]) == 0


def test_unknown_word_is_refused(follow: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert follow.main(["fault"]) == 2
    assert capsys.readouterr().err == "site_tunnel_follow.py: cannot do 'fault'\n"
