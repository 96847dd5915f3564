"""What an application answers, with a store in memory."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / (
    "roles/sample_service/files/usr/local/lib/province/sample_service/application.py"
)
TEXT = "Đơn của bà Nguyễn Thị Ánh Dương, ấp 3 xã Lộc Thạnh"


def load() -> ModuleType:
    name = "sample_service_application"
    spec = importlib.util.spec_from_file_location(name, PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the meaning of their annotations.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


program = load()


class Memory:
    """A store that can be away."""

    def __init__(self) -> None:
        self.records: list[program.Record] = []
        self.away = False

    def ping(self) -> None:
        if self.away:
            raise program.StoreAwayError("connection refused")

    def add(self, record: program.Record) -> program.Record | None:
        self.ping()
        own = (record.sender, record.reference)
        for one in self.records:
            if (one.sender, one.reference) == own:
                return one
        self.records.append(record)
        return None

    def newest(self, limit: int, recipient: str) -> list[program.Record]:
        self.ping()
        return [one for one in reversed(self.records) if one.recipient == recipient][:limit]

    def find(self, reference: str, recipient: str) -> program.Record | None:
        found = [one for one in self.newest(1000, recipient) if one.reference == reference]
        return found[0] if found else None


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def store() -> Memory:
    return Memory()


ONE_STOP = program.Settings("one_stop", "Một cửa", "state")
EXCHANGE = program.Settings(
    "data_exchange",
    "Trục liên thông",
    "exchange",
    {digest("of party"): "party", digest("of state"): "state"},
)


def get(
    store: Memory,
    path: str,
    bearer: str = "",
    settings: program.Settings = ONE_STOP,
    **query: str,
) -> program.Answer:
    return program.answer(program.Request("GET", path, query, b"", bearer), settings, store)


def post(
    store: Memory, body: object, bearer: str = "", settings: program.Settings = ONE_STOP
) -> program.Answer:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return program.answer(program.Request("POST", "/records", {}, sent, bearer), settings, store)


def message(reference: str, sender: str, recipient: str) -> dict[str, str]:
    return {"reference": reference, "text": TEXT, "from": sender, "to": recipient}


def test_what_is_stored_comes_back_as_it_was_sent(store: Memory) -> None:
    record = {"reference": "H10.19-1", "text": TEXT}
    assert post(store, record) == program.Answer(201, record)
    assert get(store, "/records/H10.19-1") == program.Answer(200, record)


def test_who_repeats_doubles_nothing(store: Memory) -> None:
    record = {"reference": "1", "text": TEXT}
    assert [post(store, record).status for _ in range(3)] == [201, 200, 200]
    assert len(store.records) == 1


def test_another_text_does_not_replace_what_is_stored(store: Memory) -> None:
    post(store, {"reference": "1", "text": TEXT})
    assert post(store, {"reference": "1", "text": "another"}).status == 409
    assert get(store, "/records/1").body["text"] == TEXT


def test_newest_come_first_and_no_more_than_wanted(store: Memory) -> None:
    for number in range(30):
        post(store, {"reference": str(number), "text": TEXT})
    assert len(get(store, "/records").body["records"]) == 20
    listed = get(store, "/records", limit="2").body["records"]
    assert [one["reference"] for one in listed] == ["29", "28"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "٣", "1000"])
def test_a_limit_out_of_bounds_is_refused(store: Memory, limit: str) -> None:
    assert get(store, "/records", limit=limit).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        {"reference": "1"},
        {"reference": "1", "text": ""},
        {"reference": "1", "text": 1},
        {"reference": "1", "text": "x" * 10_001},
        {"reference": "1", "text": "a\0b"},
        {"reference": "1", "text": "\ud800"},
        {"reference": "", "text": TEXT},
        {"reference": "x" * 65, "text": TEXT},
        {"reference": "../x", "text": TEXT},
        {"reference": "1\n", "text": TEXT},
        {"reference": 1, "text": TEXT},
        {"reference": "1", "text": TEXT, "to": "state"},
    ],
)
def test_what_cannot_be_stored_is_refused_with_a_sentence(store: Memory, body: object) -> None:
    said = post(store, body)
    assert said.status == 400
    assert len(said.body["error"].split()) >= 5
    assert store.records == []


def test_while_the_database_is_away_it_says_so_and_recovers(store: Memory) -> None:
    record = {"reference": "1", "text": TEXT}
    store.away = True
    said = post(store, record)
    assert (said.status, get(store, "/health").status) == (503, 503)
    assert "connection refused" not in said.body["error"]
    store.away = False
    assert (post(store, record).status, get(store, "/health").status) == (201, 200)


@pytest.mark.parametrize("path", ["/", "/record", "/records/a/b", "/records?x", "/health/x"])
def test_other_places_do_not_exist(store: Memory, path: str) -> None:
    assert get(store, path).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_nothing_is_changed_or_removed(store: Memory, method: str) -> None:
    asked = program.Request(method, "/records/1")
    assert program.answer(asked, ONE_STOP, store).status == 405


def test_an_application_without_a_tenant_stores_nothing(store: Memory) -> None:
    alone = program.Settings("leaflet", "Tờ tin")
    store.away = True
    assert get(store, "/health", settings=alone).status == 200
    assert post(store, {"reference": "1", "text": TEXT}, settings=alone).status == 404


def test_party_and_state_meet_in_the_exchange(store: Memory) -> None:
    sent = message("1", "party", "state")
    assert post(store, sent, "of party", EXCHANGE) == program.Answer(201, sent)
    assert get(store, "/records/1", "of state", EXCHANGE) == program.Answer(200, sent)
    assert get(store, "/records", "of state", EXCHANGE).body["records"] == [sent]


def test_each_side_reads_only_what_is_addressed_to_it(store: Memory) -> None:
    post(store, message("1", "party", "state"), "of party", EXCHANGE)
    assert get(store, "/records/1", "of party", EXCHANGE).status == 404
    assert get(store, "/records", "of party", EXCHANGE).body["records"] == []


def test_a_reference_of_the_other_side_is_not_given_away(store: Memory) -> None:
    post(store, message("1", "state", "party"), "of state", EXCHANGE)
    assert post(store, message("1", "party", "state"), "of party", EXCHANGE).status == 201


@pytest.mark.parametrize("bearer", ["", "other", digest("of party")])
def test_who_has_no_token_reads_and_sends_nothing(store: Memory, bearer: str) -> None:
    sent = message("1", "party", "state")
    assert post(store, sent, bearer, EXCHANGE).status == 401
    assert get(store, "/records", bearer, EXCHANGE).status == 401


@pytest.mark.parametrize(
    ("sender", "recipient", "status"),
    [("state", "party", 403), ("party", "party", 400), ("party", "press", 400)],
)
def test_nobody_sends_in_anothers_name_or_to_himself(
    store: Memory, sender: str, recipient: str, status: int
) -> None:
    assert post(store, message("1", sender, recipient), "of party", EXCHANGE).status == status
    assert store.records == []
