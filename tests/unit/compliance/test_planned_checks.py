"""Which checks there must be follows from the catalogue and from what the plan says is there."""

from datetime import date

import pytest
from compliance_world import World

from infra.compliance.controls import Catalogue
from infra.compliance.outcomes import Scope
from infra.compliance.planned import HostFacts, Place, SiteFacts, plan_checks
from infra.errors import ComplianceError

AS_OF = date(2026, 11, 25)
CENTRE = SiteFacts("70", "data_centre", 3, frozenset({"gateway", "name_service"}))
EDGE = SiteFacts("692", "edge", 2, frozenset({"gateway"}))
HOSTS = (
    HostFacts("gw1-70", "70", frozenset({"gateway"})),
    HostFacts("svc1-70", "70", frozenset({"name_service"})),
    HostFacts("edge1-692", "692", frozenset({"gateway"})),
)


@pytest.mark.parametrize(
    ("rule", "places"),
    [
        ({"scope": "province", "minimum_level": 1}, ["province"]),
        ({"scope": "site", "minimum_level": 1}, ["70", "692"]),
        ({"scope": "site", "minimum_level": 3}, ["70"]),
        ({"scope": "site", "minimum_level": 1, "site_kinds": ["edge"]}, ["692"]),
        ({"scope": "site", "minimum_level": 1, "functions": ["name_service"]}, ["70"]),
        ({"scope": "host", "minimum_level": 1}, ["gw1-70", "svc1-70", "edge1-692"]),
        ({"scope": "host", "minimum_level": 3}, ["gw1-70", "svc1-70"]),
        ({"scope": "host", "minimum_level": 1, "functions": ["gateway"]}, ["gw1-70", "edge1-692"]),
        (
            {
                "scope": "host",
                "minimum_level": 3,
                "site_kinds": ["data_centre"],
                "functions": ["gateway", "publishing_proxy"],
            },
            ["gw1-70"],
        ),
        ({"scope": "host", "minimum_level": 1, "functions": ["mail"]}, []),
    ],
)
def test_a_control_is_planned_where_it_applies(
    world: type[World], rule: dict[str, object], places: list[str]
) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01", applies_to=rule))

    planned = plan_checks(catalogue, [CENTRE, EDGE], HOSTS, AS_OF)

    assert [str(check.place) for check in planned] == places


def test_every_test_of_a_control_is_planned_for_itself(world: type[World]) -> None:
    tests = ["test_network.py::test_one", "test_network.py::test_other"]
    catalogue = world.catalogue_of(world.control_record("NET-01", proved_by=tests))

    planned = plan_checks(catalogue, [EDGE], HOSTS[2:], AS_OF)

    assert [check.test for check in planned] == tests


def test_a_control_without_a_test_plans_nothing(world: type[World]) -> None:
    catalogue = world.catalogue_of(world.untested("NET-01"))

    assert plan_checks(catalogue, [CENTRE, EDGE], HOSTS, AS_OF) == ()


@pytest.mark.parametrize(
    ("due", "exempt"),
    [
        (None, ""),
        (date(2026, 11, 25), ""),
        (date(2026, 11, 26), "not due before 2026-11-26"),
    ],
)
def test_a_site_that_is_not_due_yet_is_planned_and_exempt(
    world: type[World], due: date | None, exempt: str
) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))
    site = SiteFacts("692", "edge", 2, frozenset(), due)

    planned = plan_checks(catalogue, [site], HOSTS[2:], AS_OF)

    assert [check.exempt for check in planned] == [exempt]


def test_what_the_rest_of_a_control_waits_for_exempts_no_test(world: type[World]) -> None:
    record = world.control_record(
        "NET-01",
        status="partly_automated",
        needs=["backup"],
        reason={"vi": "Chưa có sao lưu.", "en": "Backups are missing."},
    )

    planned = plan_checks(world.catalogue_of(record), [EDGE], HOSTS[2:], AS_OF)

    assert [check.exempt for check in planned] == [""]


def test_a_host_of_an_unknown_site_is_refused(world: type[World]) -> None:
    catalogue = world.catalogue_of(world.control_record("NET-01"))

    with pytest.raises(ComplianceError) as raised:
        plan_checks(catalogue, [EDGE], HOSTS, AS_OF)

    assert raised.value.sentence == (
        "host 'gw1-70': its site '70' is not among the 1 given; "
        "pass the facts of every site that has hosts"
    )


@pytest.mark.parametrize(
    ("target", "site", "host"),
    [
        (Scope.PROVINCE, "70", None),
        (Scope.SITE, None, None),
        (Scope.SITE, "70", "gw1-70"),
        (Scope.HOST, "70", None),
        (Scope.HOST, None, "gw1-70"),
    ],
)
def test_a_place_names_what_its_scope_needs(
    target: Scope, site: str | None, host: str | None
) -> None:
    with pytest.raises(ComplianceError, match="name what the scope needs"):
        Place(target, site, host)


def test_equal_sites_get_equal_controls_whatever_their_names(
    repository_catalogue: Catalogue,
) -> None:
    """Two sites with the same attributes owe the same, so no tier is looked at anywhere."""
    twins = [SiteFacts(code, "edge", 3, frozenset({"gateway"})) for code in ("692", "25280")]
    hosts = [HostFacts(f"edge1-{twin.code}", twin.code, twin.functions) for twin in twins]
    controls = [
        {check.control for check in plan_checks(repository_catalogue, [twin], [host], AS_OF)}
        for twin, host in zip(twins, hosts, strict=True)
    ]

    assert controls[0] == controls[1]
