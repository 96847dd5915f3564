"""The running rule set of nftables, read into what it admits. Pure.

`nft -j list ruleset` is the kernel's answer; the file that it was loaded from is not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.plan.types import Rule

TUNNEL_LINK = "ipsec0"
CHAINS = ("input", "forward", "output")
VRRP = "vrrp"
VRRP_NUMBERS = frozenset({VRRP, 112, "112"})
"""IP protocol 112, which has no ports (RFC 9568); a bare host knows it by number only."""
Statements = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Permission:
    """What one rule admits, in one family; empty sources or destinations mean any."""

    chain: str
    family: str
    protocol: str
    ports: frozenset[int]
    sources: frozenset[str]
    destinations: frozenset[str]
    arrives: str
    leaves: str

    def __str__(self) -> str:
        """Read as a sentence."""
        way = " ".join(word for word in (self.arrives, self.leaves) if word)
        ports = ",".join(map(str, sorted(self.ports)))
        sources = ",".join(sorted(self.sources)) or "any"
        destinations = ",".join(sorted(self.destinations)) or "any"
        return f"{self.chain} {way} {self.protocol} {ports} from {sources} to {destinations}"


def _collapsed(cidrs: Iterable[str]) -> frozenset[str]:
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    by_version = ([n for n in networks if n.version == version] for version in (4, 6))
    return frozenset(
        str(network) for same in by_version for network in ipaddress.collapse_addresses(same)
    )


def planned(rules: Iterable[Rule], host: str) -> frozenset[Permission]:
    """What the plan wants a host to admit."""
    return frozenset(
        Permission(
            rule.chain,
            rule.family,
            rule.protocol,
            frozenset(rule.ports),
            _collapsed(rule.sources),
            _collapsed(rule.destinations),
            rule.interface_in or "",
            rule.interface_out or "",
        )
        for rule in rules
        if rule.host == host
    )


def folded(admitted: Iterable[Permission]) -> frozenset[Permission]:
    """The same admissions in the fewest permissions, so that two rule sets can be compared.

    Permissions that differ in their sources alone, or in their destinations alone, become one; it
    admits exactly what they admitted. The filter is loaded in a folded form, the plan is not.
    """
    before: frozenset[Permission] = frozenset()
    after = frozenset(admitted)
    while after != before:
        before, after = after, _joined(_joined(after, "sources"), "destinations")
    return after


def _joined(admitted: Iterable[Permission], varying: str) -> frozenset[Permission]:
    groups: dict[Permission, set[str]] = {}
    for one in admitted:
        prefixes = getattr(one, varying)
        # No prefix at all means any: wider than every list, so it stays apart.
        same = replace(one, **{varying: frozenset({"some"} if prefixes else ())})
        groups.setdefault(same, set()).update(prefixes)
    return frozenset(
        replace(same, **{varying: _collapsed(prefixes)}) for same, prefixes in groups.items()
    )


def _named_sets(ruleset: Statements) -> dict[str, list[Any]]:
    """Members of the sets that rules name."""
    return {
        f"@{found['name']}": found.get("elem", [])
        for entry in ruleset
        if (found := entry.get("set"))
    }


def _members(value: Any) -> list[Any]:  # noqa: ANN401 - nft's JSON
    if isinstance(value, list):
        return value
    return value["set"] if isinstance(value, dict) and "set" in value else [value]


def _addresses(value: Any) -> frozenset[str]:  # noqa: ANN401 - nft's JSON
    found: list[str] = []
    for member in _members(value):
        if isinstance(member, str):
            found.append(member)
        elif "prefix" in member:
            found.append(f"{member['prefix']['addr']}/{member['prefix']['len']}")
        else:
            first, last = (ipaddress.ip_address(end) for end in member["range"])
            found += [str(n) for n in ipaddress.summarize_address_range(first, last)]
    return _collapsed(found)


def _ports(value: Any) -> frozenset[int]:  # noqa: ANN401 - nft's JSON
    ports: set[int] = set()
    for member in _members(value):
        if isinstance(member, dict):
            first, last = member["range"]
            ports.update(range(first, last + 1))
        else:
            ports.add(int(member))
    return frozenset(ports)


def _link(name: str) -> str:
    return "tunnel" if name == TUNNEL_LINK else name


def _accepting(ruleset: Statements) -> Iterator[dict[str, Any]]:
    for entry in ruleset:
        rule = entry.get("rule")
        if rule and rule["chain"] in CHAINS and any("accept" in part for part in rule["expr"]):
            yield rule


def _matches(rule: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(kind, field, value) of every condition of a rule."""
    for part in rule["expr"]:
        match = part.get("match")
        if match is None:
            continue
        left = match["left"]
        if "payload" in left:
            yield left["payload"]["protocol"], left["payload"]["field"], match["right"]
        elif "meta" in left:
            yield "meta", left["meta"]["key"], match["right"]
        elif "ct" in left:
            yield "ct", left["ct"]["key"], match["right"]
        else:
            yield "other", next(iter(left)), match["right"]


def permissions(ruleset: Statements) -> frozenset[Permission]:
    """Everything that is admitted by port, and what twins tell each other without one."""
    sets = _named_sets(ruleset)
    return frozenset(
        permission
        for rule in _accepting(ruleset)
        if (permission := _permission(rule, sets)) is not None
    )


def _permission(rule: dict[str, Any], sets: Mapping[str, list[Any]]) -> Permission | None:
    conditions = list(_matches(rule))
    ports = next(((kind, value) for kind, field, value in conditions if field == "dport"), None)
    if ports is None and _is_vrrp(conditions):
        ports = (VRRP, [])
    if ports is None:
        return None
    fields = {
        (kind, field): sets.get(value, value) if isinstance(value, str) else value
        for kind, field, value in conditions
    }
    family = "ipv6" if any(kind == "ip6" for kind, _, _ in conditions) else "ipv4"
    family = fields.get(("meta", "nfproto"), family)
    name = "ip6" if family == "ipv6" else "ip"
    through_tunnel = any(field == "ipsec" for _, field, _ in conditions)
    arrives = _link(str(fields.get(("meta", "iifname"), "")))
    leaves = _link(str(fields.get(("meta", "oifname"), "")))
    if through_tunnel and rule["chain"] == "output":
        leaves = "tunnel"
    elif through_tunnel and not arrives:
        arrives = "tunnel"
    elif through_tunnel:
        leaves = "tunnel"
    return Permission(
        rule["chain"],
        family,
        ports[0],
        _ports(ports[1]),
        _addresses(fields.get((name, "saddr"), {"set": []})),
        _addresses(fields.get((name, "daddr"), {"set": []})),
        arrives,
        leaves,
    )


def _is_vrrp(conditions: Iterable[tuple[str, str, Any]]) -> bool:
    """Whether a rule is about adverts of twins: on their own link, as their hop limit shows."""
    fields = list(conditions)
    numbered = any(field == "l4proto" and value in VRRP_NUMBERS for _, field, value in fields)
    return numbered and any(field in {"ttl", "hoplimit"} and v == 255 for _, field, v in fields)


def unexplained(ruleset: Statements) -> tuple[str, ...]:
    """Accepting rules that neither name a port nor belong to what every host needs to live."""
    strange = []
    for rule in _accepting(ruleset):
        conditions = list(_matches(rule))
        by_port = any(field == "dport" for _, field, _ in conditions) or _is_vrrp(conditions)
        control = any(kind in {"icmp", "icmpv6"} for kind, _, _ in conditions)
        control |= any("icmp" in str(value) for _, field, value in conditions if field == "l4proto")
        loopback = any(value == "lo" for _, field, value in conditions if field.endswith("ifname"))
        answers = any(
            kind == "ct" and set(_members(value)) <= {"established", "related"}
            for kind, _, value in conditions
        )
        if not (by_port or control or loopback or answers):
            strange.append(f"{rule['chain']} handle {rule['handle']}: {rule['expr']}")
    return tuple(strange)


def default_policies(ruleset: Statements) -> dict[str, str]:
    """Policy by hook, of base chains that filter both families."""
    return {
        chain["hook"]: chain["policy"]
        for entry in ruleset
        if (chain := entry.get("chain")) and chain.get("type") == "filter"
        if chain["family"] == "inet" and chain["hook"] in CHAINS
    }


def translations(ruleset: Statements) -> tuple[str, ...]:
    """Rules that change an address on the way."""
    words = {"snat", "dnat", "masquerade", "redirect"}
    return tuple(
        f"{rule['table']}/{rule['chain']}: {min(words & set(part))}"
        for entry in ruleset
        if (rule := entry.get("rule"))
        for part in rule["expr"]
        if words & set(part)
    )
