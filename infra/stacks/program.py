"""The programs that the engine runs: the plan's sites and backbone as resources."""

from collections.abc import Callable

import pulumi

from infra.plan.types import Plan
from infra.stacks import outputs
from infra.stacks.arguments import Openings, backbone_args, site_args
from infra.stacks.backbone import Backbone
from infra.stacks.names import BACKBONE
from infra.stacks.site import Site

Program = Callable[[], None]


def site_program(
    plan: Plan, code: str, openings: Openings, authorized_keys: tuple[str, ...]
) -> Program:
    """Answers the program of one site's stack."""

    def program() -> None:
        site = Site(site_args(plan, plan.site(code), openings, authorized_keys))
        pulumi.export(outputs.SITE, code)
        pulumi.export(outputs.HOSTS, site.hosts)

    return program


def backbone_program(plan: Plan) -> Program:
    """Answers the program of the backbone's stack."""

    def program() -> None:
        Backbone(backbone_args(plan))
        pulumi.export(outputs.SITE, BACKBONE)
        pulumi.export(outputs.HOSTS, {})

    return program
