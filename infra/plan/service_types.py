"""The plan's values of what people use: services, databases, shares, promises."""

from __future__ import annotations

from dataclasses import dataclass

from infra.plan.dual import Dual


@dataclass(frozen=True, slots=True)
class Published:
    """Where a service is met from the Internet."""

    host: str
    name: str
    """Full name."""
    port: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """A body with a database of its own, and its limits there."""

    name: str
    kind: str
    """party, state or exchange."""
    title: str
    owner: str
    database: str
    connections: int
    statement_timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients meet a cluster, whoever leads it."""

    name: str
    """Full name."""
    addresses: Dual
    port: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseCluster:
    """A database cluster with its members in declared order, its endpoint and its tenants."""

    name: str
    title: str
    site: str
    function: str
    members: tuple[str, ...]
    endpoint: Endpoint | None
    tenants: tuple[Tenant, ...]


@dataclass(frozen=True, slots=True)
class SharedService:
    """A service that several sites use, with who must reach it."""

    name: str
    title: str
    level: int
    hosts: tuple[str, ...]
    protocol: str
    ports: tuple[int, ...]
    active_from: str
    tenant: str
    """In whose database it stores; empty for none."""
    published: Published | None


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a tier is connected to a shared service, as declared."""

    service: str
    tier: str
    tier_vi: str
    tier_en: str
    connected: int
    total: int
    required_percent: int

    @property
    def percent(self) -> float:
        """Connected units per hundred; 100 when the tier has no unit."""
        return 100.0 * self.connected / self.total if self.total else 100.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was promised in words: from here, to that service, allowed or refused."""

    title: str
    source: str
    """Name of a probe point or of a host."""
    target: str
    destinations: Dual
    protocol: str
    port: int
    expect: str
    """allowed or refused."""
    due: str
    """ISO date from which it holds; empty means always."""
