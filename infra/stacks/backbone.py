"""`province:backbone:Backbone`: the uplink networks, who looks from them, and the register."""

import pulumi

from infra.providers import tokens
from infra.providers.resources import LabNetwork, LabProbePoint, Register, StaticNetwork
from infra.stacks.arguments import BackboneArgs


class Backbone(pulumi.ComponentResource):
    """What belongs to no site."""

    def __init__(self, args: BackboneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(tokens.BACKBONE, "backbone", {"substrate": args.substrate}, opts)
        network = LabNetwork if args.substrate == "lab" else StaticNetwork
        child = pulumi.ResourceOptions(parent=self)
        # First, so that what the policies judge by it is judged before anything is made.
        register = Register(args.register, child)
        later = pulumi.ResourceOptions(parent=self, depends_on=[register])
        networks = [network(one, later) for one in args.networks]
        for point in args.probe_points:
            LabProbePoint(point, pulumi.ResourceOptions(parent=self, depends_on=networks))
        self.register_outputs({})
