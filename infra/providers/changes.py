"""What a resource type answers about properties: which differ, which are wrong. Pure.

Inputs and outputs are JSON values. A property's path is written as the engine writes it:
``links.servers.network``, ``services["dns.udp"].level``, ``functions``. Lists are compared whole,
because an index is no name; whatever should be compared by name is a mapping.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Properties = Mapping[str, Any]
"""JSON values by property name."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property that is wanted otherwise than it was.

    Attributes:
        path: the property, down to the innermost mapping's key.
        kind: whether the property appears, goes or becomes another.
        replaces: the resource cannot take the new value; it must be removed and made again.
        old: the value before, None where there was none.
        new: the value now, None where there is none.
    """

    path: str
    kind: Literal["add", "delete", "update"]
    replaces: bool
    old: Any = None
    new: Any = None

    @property
    def property(self) -> str:
        """The outermost property that the path leads through."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """An input that cannot be used, as a sentence."""

    property: str
    sentence: str


def compare(
    old: Properties,
    new: Properties,
    *,
    replacing: frozenset[str] = frozenset(),
    ignored: frozenset[str] = frozenset(),
) -> tuple[PropertyChange, ...]:
    """Answers every property in which two sets of inputs differ, sorted by path.

    Example:
        >>> compare({"links": {"servers": {"isolated": False}}},
        ...         {"links": {"servers": {"isolated": True}}})
        (PropertyChange(path='links.servers.isolated', kind='update', replaces=False,
                        old=False, new=True),)
    """
    found: list[PropertyChange] = []
    for name in sorted((old.keys() | new.keys()) - ignored):
        _walk(name, old.get(name, _ABSENT), new.get(name, _ABSENT), name in replacing, found)
    return tuple(found)


def join(path: str, key: str) -> str:
    """Answers the path of a mapping's entry."""
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{path}["{key}"]'


def _walk(path: str, old: object, new: object, replaces: bool, found: list[PropertyChange]) -> None:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            inner = join(path, key)
            _walk(inner, old.get(key, _ABSENT), new.get(key, _ABSENT), replaces, found)
        return
    kind: Literal["add", "delete", "update"] = "update"
    if old is _ABSENT:
        kind = "add"
    elif new is _ABSENT:
        kind = "delete"
    before = None if old is _ABSENT else old
    now = None if new is _ABSENT else new
    found.append(PropertyChange(path, kind, replaces, before, now))
