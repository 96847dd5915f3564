"""INT: where systems of the one-stop centre may run."""

import pytest
from harness import NotApplicable, Seen, World

ONE_STOP = "one_stop"
REQUIRED_LEVEL = 3


@pytest.mark.control("INT-03")
def test_one_stop_runs_at_level_3(world: World, seen: Seen) -> None:
    services = [one for one in world.plan.services if one.name == ONE_STOP]
    if not services:
        raise NotApplicable("no one-stop service is declared")
    for service in services:
        site = world.plan.site(world.plan.host(service.host).site)
        seen(f"{service.name} on {service.host}: level {service.level}, site {site.level}")
        assert service.level >= REQUIRED_LEVEL, (
            f"service {service.name}: level {service.level}; {REQUIRED_LEVEL} is required"
        )
        assert site.level >= REQUIRED_LEVEL, (
            f"site {site.code}: level {site.level}; it hosts {service.name}, which needs "
            f"{REQUIRED_LEVEL}"
        )
