"""`province:site:Site`: a site of any kind, with its networks, machines and places to look from."""

from typing import Any

import pulumi

from infra.providers import tokens
from infra.providers.resources import (
    LabHost,
    LabNetwork,
    LabProbePoint,
    StaticHost,
    StaticNetwork,
)
from infra.stacks import outputs
from infra.stacks.arguments import MachineArgs, SiteArgs

_RECORD = (
    "code",
    "as_of",
    "number",
    "level",
    "level_reason",
    "approval",
    "owner",
    "operator",
    "hub",
    "substrate",
    "prefix_ipv4",
    "prefix_ipv6",
)


class Site(pulumi.ComponentResource):
    """Networks first, then the machines and probe points that hang on them."""

    hosts: pulumi.Output[dict[str, dict[str, str]]]

    def __init__(self, args: SiteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        record = {name: getattr(args, name) for name in _RECORD}
        super().__init__(tokens.SITE, args.code, record | _judged(args), opts)
        network = LabNetwork if args.substrate == "lab" else StaticNetwork
        child = pulumi.ResourceOptions(parent=self)
        networks = [network(one, child) for one in args.networks]
        later = pulumi.ResourceOptions(parent=self, depends_on=networks)
        hosts = {one.host.name: _host(args.substrate, one, later) for one in args.machines}
        for point in args.probe_points:
            LabProbePoint(point, later)
        self.hosts = pulumi.Output.all(
            **{
                name: pulumi.Output.all(
                    **{
                        outputs.POWER: host.power,
                        outputs.OS: host.os,
                        outputs.HOST_PUBLIC_KEY: host.host_public_key,
                    }
                )
                for name, host in hosts.items()
            }
        )
        self.register_outputs({outputs.HOSTS: self.hosts})


def _judged(args: SiteArgs) -> dict[str, Any]:
    """Answers what policies judge against the site's own record, before anything is made."""
    return {
        "zones": list(args.zones),
        "absent_zones": dict(args.absent_zones),
        "networks": {
            one.name: {"prefix_ipv4": one.prefix_ipv4, "prefix_ipv6": one.prefix_ipv6}
            for one in args.networks
        },
        "machines": {
            one.host.name: {
                "functions": list(one.host.functions),
                "support_end": one.host.support_end,
                "uplinks": [leg.network for leg in one.host.links.values() if leg.kind == "uplink"],
                "addresses": [
                    address
                    for leg in one.host.links.values()
                    if leg.kind != "uplink"
                    for address in leg.addresses
                ],
            }
            for one in args.machines
        },
    }


def _host(substrate: str, one: MachineArgs, opts: pulumi.ResourceOptions) -> LabHost | StaticHost:
    if substrate == "lab":
        return LabHost(one.host, one.authorized_keys, opts)
    return StaticHost(one.host, one.address_ways, one.host_key, opts)
