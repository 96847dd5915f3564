"""What a database cluster and its endpoints say of themselves, read into values. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from infra.errors import ProvinceError

LEADER = "Leader"
SYNCHRONOUS = frozenset({"Sync Standby", "Quorum Standby"})
"""Roles in Patroni's words whose holder has every acknowledged commit, or a vote on it."""

PRIMARY_PART = "primary"
REPLICAS_PART = "replicas"
"""Where the endpoint's router leads writers and readers."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the cluster lists it."""

    name: str
    role: str
    state: str
    timeline: int | None
    lag_megabytes: int | None
    """What it has not received yet; None when the cluster does not know, 0 for the leader."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster as one of its members sees it."""

    members: tuple[Member, ...]
    is_paused: bool
    """Whether somebody told the cluster to take no decisions (Patroni's maintenance mode)."""
    synchronous: str
    """quorum, on or off: whether a commit waits for a second member."""

    @property
    def leaders(self) -> tuple[str, ...]:
        """Who leads; exactly one in a healthy cluster."""
        return tuple(one.name for one in self.members if one.role == LEADER)

    def member(self, name: str) -> Member | None:
        """The member of that name, if the cluster lists it."""
        return next((one for one in self.members if one.name == name), None)


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as it sees itself and the members."""

    host: str
    carries: tuple[str, ...]
    """Those of the shared addresses that are on this host now."""
    is_held: bool
    """Whether its clients wait."""
    primaries: tuple[str, ...]
    replicas: tuple[str, ...]
    clients: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An endpoint that could not be asked, and why."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster and its endpoints at one moment."""

    cluster: ClusterView
    endpoints: tuple[EndpointView | Unanswered, ...]


def parse_cluster(listing: str, settings: str) -> ClusterView:
    """Read `patronictl list --format json` and `patronictl show-config`.

    Raises:
        ProvinceError: one of them is something else.
    """
    try:
        members = tuple(_member(row) for row in json.loads(listing))
        config = yaml.safe_load(settings) or {}
        mode = config.get("synchronous_mode", False)
        paused = bool(config.get("pause", False))
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise ProvinceError(
            f"database cluster: its answer cannot be read ({error!r}); a list of members and its "
            "settings are required; run patronictl on a member and look"
        ) from error
    return ClusterView(members, paused, mode if isinstance(mode, str) else ("off", "on")[mode])


def _member(row: dict[str, Any]) -> Member:
    leads = row["Role"] == LEADER
    # Named differently across releases: "Lag in MB" before 4.1, "Receive Lag" beside it after.
    lag = next((row[key] for key in ("Lag in MB", "Receive Lag") if key in row), None)
    return Member(
        name=str(row["Member"]),
        role=str(row["Role"]),
        state=str(row["State"]),
        timeline=row["TL"] if isinstance(row.get("TL"), int) else None,
        lag_megabytes=0 if leads else lag if isinstance(lag, int) else None,
    )


def parse_endpoint(host: str, text: str) -> EndpointView:
    """Read what the endpoint's own program saw.

    Raises:
        ProvinceError: it is something else.
    """
    try:
        raw = json.loads(text)
        return EndpointView(
            host=host,
            carries=tuple(raw["carries"]),
            is_held=raw["held"],
            primaries=_up(raw["servers"], PRIMARY_PART),
            replicas=_up(raw["servers"], REPLICAS_PART),
            clients=sum(one["clients"] for one in raw["databases"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ProvinceError(
            f"database endpoint {host}: its answer cannot be read ({error!r}); this checkout and "
            "the host must know the same form; run province configure first"
        ) from error


def _up(servers: Sequence[dict[str, Any]], part: str) -> tuple[str, ...]:
    return tuple(
        one["member"] for one in servers if one["part"] == part and one["state"].startswith("UP")
    )
