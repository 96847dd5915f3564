"""What a stack exports, and the one function that reads it. Importable without the engine's SDK.

Only what nobody could know before: never secrets, never what the plan already says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import StackError

SITE = "site"
HOSTS = "hosts"
POWER = "power"
OS = "os"
HOST_PUBLIC_KEY = "host_public_key"


@dataclass(frozen=True, slots=True)
class HostOutputs:
    """A machine as its creator left it.

    Attributes:
        power: running, stopped or unreachable.
        host_public_key: the key that the first contact is pinned to, type and key.
    """

    name: str
    power: str
    os: str
    host_public_key: str


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """What one stack exports; the backbone has no hosts."""

    site: str
    hosts: tuple[HostOutputs, ...]

    def host(self, name: str) -> HostOutputs:
        """The outputs of a host; KeyError when the stack has none of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


def parse_outputs(site: str, exports: Mapping[str, Any]) -> StackOutputs:
    """Reads the exports of a site's stack, or of `backbone`.

    Raises:
        StackError: they are not what a program of this version exports.
    """
    try:
        if exports[SITE] != site:
            raise StackError(
                f"stack of {site!r}: exports {SITE} {exports[SITE]!r}; stack and site must "
                "belong together: look whose state file lies under this name"
            )
        hosts = tuple(
            HostOutputs(name, one[POWER], one[OS], one[HOST_PUBLIC_KEY])
            for name, one in sorted(exports[HOSTS].items())
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise StackError(
            f"stack of {site!r}: its exports lack {error}; an update that came to its end is "
            "required: run provision for this site"
        ) from error
    return StackOutputs(site, hosts)
