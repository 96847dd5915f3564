"""The record of a function: what the plan must know of a role, kept beside the role.

Rule 1: one room for one function. Whoever asks "why is this port open" is led to one file.
Rule 2: no code outside `roles/` names a function.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """A part of what people write: frozen, typed strictly, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Text(Strict):
    """A text in the two languages of the product."""

    en: str
    vi: str


class Instances(Strict):
    """How many hosts of the province may carry the function, and how they must stand apart."""

    minimum: Annotated[int, Field(ge=0)] = 0
    maximum: Annotated[int, Field(ge=1)] | None = None
    odd: bool = False
    separate_failure_domains: bool = False


class Offer(Strict):
    """A service of the function.

    `zone` says on which addresses: `primary` (the host's first zone), `management`,
    `administration` (where administrators reach the host), `local` (every zone of its site),
    `every` (all legs) or the name of an uplink network. `clients` says who may come: `members`
    are the site's other instances, `twins` the hosts that share a virtual address with this one.
    """

    service: Name
    protocol: Literal["tcp", "udp", "vrrp"]
    ports: Annotated[tuple[Port, ...], Field(strict=False)] = ()
    """Empty for a protocol that has none (VRRP, RFC 9568)."""
    zone: Name = "primary"
    clients: Literal[
        "needers", "controller", "tunnel_peers", "local_zones", "internet", "members", "twins"
    ] = "needers"
    shared: bool = False
    """Offered on the address that the site's instances share, not on each one's own."""
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")] | None = None


class Need(Strict):
    """A service that the function uses, and whose: the nearest site's, the hub's, or all."""

    service: Name
    source: Literal["nearest", "upstream", "every"] = Field(default="nearest", alias="from")


class CertificateRecord(Strict):
    """A certificate for a daemon of the function."""

    name: Name
    owner: str = "root"
    group: str = "root"
    aliases: Annotated[tuple[str, ...], Field(strict=False)] = ()
    shared_identity: Name | None = None
    """A name that all instances at a site share: `gw` becomes `gw-70.<domain>`."""
    reload: Annotated[tuple[str, ...], Field(strict=False)] = ()


class SecretRecord(Strict):
    """A generated secret: kind, whether all instances share it, what it is made from."""

    name: Name
    kind: Literal["random_base64", "password", "dnssec_key_pair"]
    length_bytes: Annotated[int, Field(ge=16, le=512, alias="bytes")] = 32
    shared: bool = False
    each: Literal["tenant"] | None = None
    """One value for each tenant that has a database; the role receives them by tenant."""
    made_from: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    reload: Annotated[tuple[str, ...], Field(strict=False)] = ()


class DataRecord(Strict):
    """Data that matters, declared once by the function, apart from any backup tool."""

    path: Annotated[str, Field(pattern=r"^/")]
    what: str
    backup: Literal["hourly", "daily", "weekly", "continuous", "none"]
    """`continuous`: the daemon's own archive does it (a database's log)."""


class FactRequest(BaseModel):
    """An input of the role: which fact of the plan fills it, with the fact's own arguments."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    fact: Name

    def arguments(self) -> dict[str, object]:
        """Everything beside the fact's name."""
        return dict(self.model_extra or {})


class FunctionRecord(Strict):
    """`roles/<role>/meta/function.yml`, typed."""

    title: Text
    packages: Annotated[tuple[str, ...], Field(strict=False)] = ()
    first_contact: bool = False
    replaces: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    requires: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    not_beside: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    forbidden_zones: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    filters_requests: bool = False
    """What is published through this function passes its rule set (a web application firewall)."""
    instances: Instances = Instances()
    offers: Annotated[tuple[Offer, ...], Field(strict=False)] = ()
    needs: Annotated[tuple[Need, ...], Field(strict=False)] = ()
    certificates: Annotated[tuple[CertificateRecord, ...], Field(strict=False)] = ()
    secrets: Annotated[tuple[SecretRecord, ...], Field(strict=False)] = ()
    data: Annotated[tuple[DataRecord, ...], Field(strict=False)] = ()
    logs: Annotated[tuple[str, ...], Field(strict=False)] = ()
    controls: Annotated[tuple[str, ...], Field(strict=False)] = ()
    inputs: dict[str, FactRequest] = Field(default_factory=dict)
