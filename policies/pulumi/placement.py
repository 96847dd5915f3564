"""Where machines stand: zones meet in gateways only, and voters stand apart."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from infra.providers import tokens
from policies.pulumi.rule import Rule

GATEWAY = "gateway"
DATABASE_FUNCTIONS = frozenset({"database_cluster", "coordination_store"})
OUTER_ZONES = frozenset({"border", "dmz", "wireless"})
_UPLINKS_KEPT_APART = frozenset({"dedicated", "internet"})


def zones_meet(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields a host that is no gateway and has legs in two service zones."""
    zones = sorted(leg["zone"] for leg in host["links"].values() if leg["kind"] == "service")
    if len(zones) > 1 and GATEWAY not in host["functions"]:
        yield (
            f"host {host['name']!r}: has legs in the zones {', '.join(zones)}; only a gateway may "
            "stand in two, everybody else would be a way around its rules"
        )


def database_is_exposed(host: Mapping[str, Any]) -> Iterator[str]:
    """Yields a database member with a leg where strangers come."""
    functions = sorted(DATABASE_FUNCTIONS.intersection(host["functions"]))
    zones = sorted(OUTER_ZONES.intersection(leg["zone"] for leg in host["links"].values()))
    if functions and zones:
        yield (
            f"host {host['name']!r}: carries {', '.join(functions)} and has a leg in "
            f"{', '.join(zones)}; data is never one step from where strangers come"
        )


def uplinks_meet(site: Mapping[str, Any]) -> Iterator[str]:
    """Yields a machine that joins the dedicated network and the Internet, but the hub's gateway."""
    for name, machine in sorted(site["machines"].items()):
        if not set(machine["uplinks"]) >= _UPLINKS_KEPT_APART:
            continue
        if site["hub"] or GATEWAY not in machine["functions"]:
            yield (
                f"host {name!r}: has legs in both the dedicated network and the Internet; only a "
                "gateway of the hub may, or the two networks meet where nobody watches"
            )


def voters_stand_together(register: Mapping[str, Any]) -> Iterator[str]:
    """Yields every failure domain that holds two voters of one function."""
    places = Counter(
        (one["function"], one["site"], one["failure_domain"])
        for one in register["quorum_members"].values()
    )
    for (function, site, domain), count in sorted(places.items()):
        if count > 1:
            yield (
                f"function {function!r}: {count} of its voters stand in the failure domain "
                f"{domain!r} of site {site!r}; each needs its own, or one failure takes two votes"
            )


RULES = (
    Rule(
        name="only_gateways_join_zones",
        description="No host but a gateway has legs in two service zones.",
        control="NET-02",
        types=tokens.HOSTS,
        remedy="Leave the host in one service zone and let the gateway pass its flows.",
        judge=zones_meet,
    ),
    Rule(
        name="databases_stay_inside",
        description="A database member has no leg in border, DMZ or wireless.",
        control="NET-04",
        types=tokens.HOSTS,
        remedy="Move the database function to a host of the database zone.",
        judge=database_is_exposed,
    ),
    Rule(
        name="uplinks_meet_at_the_hub_only",
        description="Dedicated network and Internet meet in no machine but the hub's gateways.",
        control="WAN-04",
        types=frozenset({tokens.SITE}),
        remedy="Declare one uplink for the site; its Internet traffic goes through the hub.",
        judge=uplinks_meet,
    ),
    Rule(
        name="quorum_members_stand_apart",
        description="Voters of one function stand in different failure domains.",
        control="HA-03",
        types=frozenset({tokens.REGISTER}),
        remedy="Give the hosts different failure_domain values, and different racks.",
        judge=voters_stand_together,
    ),
)
