"""Asks services over TLS from a place, as a browser or an application does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import program
from probing import Place

ANSWER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom; `trusted` is a PEM text or a file, empty where anybody may answer."""

    address: str
    port: int
    name: str
    trusted: str
    request: bytes
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TlsAnswer:
    """What came back."""

    place: str
    question: Question
    answer: str
    words: str
    status: int
    body: str

    def __str__(self) -> str:
        """Where from, where to, what came back."""
        return f"{self.place} -> {self.question.address} {self.question.port}: {self.words}"

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The body, or nothing where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def get(name: str, path: str, **headers: str) -> bytes:
    """A request as a browser writes it."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {name}", "User-Agent: Mozilla/5.0", "Accept: */*"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def post(name: str, path: str, body: Mapping[str, str]) -> bytes:
    """A record that is sent."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = get(name, path, Content_Type="application/json", Content_Length=str(len(content)))
    return head.replace(b"GET ", b"POST ", 1) + content


def ask(place: Place, questions: Sequence[Question]) -> list[TlsAnswer]:
    """Ask all at once."""
    asked = [
        {
            "address": one.address,
            "port": one.port,
            "name": one.name,
            "trusted": one.trusted,
            "request": one.request.hex(),
            "certificate": one.certificate,
            "key": one.key,
            "seconds": ANSWER_SECONDS,
        }
        for one in questions
    ]
    said = json.loads(place.run(["python3", "-c", program("ask_tls"), json.dumps(asked)]))
    return [
        TlsAnswer(
            place.name,
            question,
            one["answer"],
            one["words"],
            one.get("status", 0),
            one.get("body", ""),
        )
        for question, one in zip(questions, said, strict=True)
    ]
