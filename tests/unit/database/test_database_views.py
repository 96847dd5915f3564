"""What a cluster and its endpoints say, and what follows from it."""

import json
from collections.abc import Callable, Collection
from typing import Any

import pytest
from cluster_world import ADDRESSES, MAIN, SETTINGS, World, endpoint_saw, listed

from infra.database import EndpointView, Handover, Seen, decide, faults, look_at
from infra.database.views import parse_cluster, parse_endpoint
from infra.errors import ProvinceError, RefusedError

Rows = list[dict[str, Any]]


def seen(rows: Rows | None = None, settings: str = SETTINGS, silent: Collection[str] = ()) -> Seen:
    return look_at(MAIN, World(rows=rows, settings=settings, silent=set(silent)).ask)


def changed(member: str, **values: str | int) -> Rows:
    names = {"TL": "TL", "lag": "Lag in MB", "role": "Role", "state": "State"}
    new = {names[key]: value for key, value in values.items()}
    return [row | new if row["Member"] == member else row for row in listed()]


def test_a_healthy_cluster_has_no_fault() -> None:
    looked = seen()
    assert faults(MAIN.hosts, looked) == ()
    assert looked.cluster.leaders == ("db1-70",)
    assert looked.cluster.synchronous == "quorum"
    assert [(one.timeline, one.lag_megabytes) for one in looked.cluster.members] == [(3, 0)] * 3
    assert looked.endpoints[0] == EndpointView(
        host="svc1-70",
        carries=ADDRESSES,
        is_held=False,
        primaries=("db1-70",),
        replicas=("db2-70", "db3-70"),
        clients=5,
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (changed("db2-70", state="stopped"), "db2-70: its state is 'stopped' and must be"),
        (changed("db2-70", lag=17), "db2-70: is 17 MB behind, more than 16"),
        (changed("db2-70", lag="unknown"), "db2-70: how far it is behind is not known"),
        (changed("db2-70", TL=2), "db2-70: is on timeline 2, the leader on 3"),
        (changed("db1-70", state="starting"), "db1-70: its state is 'starting' and must be"),
        (listed()[:2], "db3-70: is not in the cluster"),
        ([*listed(), listed()[2] | {"Member": "db9-70"}], "db9-70: is in the cluster and not"),
        (listed("nobody"), "nobody leads; exactly one member must lead"),
        (
            changed("db2-70", role="Leader", state="running"),
            "db1-70 and db2-70 leads; exactly one member must lead",
        ),
    ],
)
def test_what_is_wrong_with_a_cluster_is_a_sentence(rows: Rows, sentence: str) -> None:
    found = faults(MAIN.hosts, seen(rows))
    assert [one for one in found if one.startswith(sentence)] != []


def test_maintenance_is_a_fault() -> None:
    (fault,) = faults(MAIN.hosts, seen(settings=f"{SETTINGS}pause: true\n"))
    assert fault.startswith("the cluster is in maintenance")


def test_an_endpoint_that_does_not_answer_is_a_fault() -> None:
    (fault,) = faults(MAIN.hosts, seen(silent={"svc2-70"}))
    assert fault == (
        "endpoint svc2-70: could not be asked: ssh: connect to host svc2-70: No route to host"
    )


def test_an_endpoint_that_sees_another_leader_is_a_fault() -> None:
    looked = seen()
    astray = parse_endpoint("svc2-70", endpoint_saw("db2-70", held=True))
    found = faults(MAIN.hosts, Seen(looked.cluster, (looked.endpoints[0], astray)))
    assert found == (
        "endpoint svc2-70: holds its clients; another switchover may run",
        "endpoint svc2-70: leads writers to db2-70 and not to db1-70",
    )


def test_the_first_member_that_answers_is_believed() -> None:
    world = World(silent={"db1-70"})
    assert look_at(MAIN, world.ask).cluster.leaders == ("db1-70",)
    assert "db3-70: patronictl list json" not in world.asked


def test_a_silent_cluster_says_who_is_silent_and_why() -> None:
    with pytest.raises(ProvinceError) as error:
        seen(silent=set(MAIN.hosts))
    assert error.value.sentence.startswith(
        "cluster 'main': no member answers (db1-70: ssh: connect to host db1-70: No route to host; "
    )


@pytest.mark.parametrize(
    ("settings", "mode"),
    [("synchronous_mode: true", "on"), ("synchronous_mode: false", "off"), ("ttl: 20", "off")],
)
def test_how_commits_wait_is_read_in_every_form(settings: str, mode: str) -> None:
    assert parse_cluster(json.dumps(listed()), settings).synchronous == mode


@pytest.mark.parametrize("listing", ["", "{}", "[{}]", "[1]", "no json"])
def test_an_unreadable_cluster_is_an_error(listing: str) -> None:
    with pytest.raises(ProvinceError, match="database cluster: its answer cannot be read"):
        parse_cluster(listing if listing != "{}" else '{"Member": 1}', SETTINGS)


def test_an_unreadable_endpoint_is_an_error() -> None:
    with pytest.raises(ProvinceError, match="database endpoint svc1-70: its answer cannot be read"):
        parse_endpoint("svc1-70", "{}")


def test_the_closest_follower_is_chosen() -> None:
    rows = changed("db2-70", lag=3)
    assert decide("main", MAIN.hosts, seen(rows), None) == Handover("db1-70", "db3-70", 0)


def test_among_equals_the_first_declared_is_chosen() -> None:
    assert decide("main", MAIN.hosts, seen(), None).candidate == "db2-70"


def test_the_named_follower_is_chosen() -> None:
    assert decide("main", MAIN.hosts, seen(), "db3-70").candidate == "db3-70"


def test_a_follower_whose_copy_no_commit_waits_for_may_not_lead() -> None:
    rows = changed("db2-70", role="Replica")
    with pytest.raises(RefusedError, match=r"db2-70 may lead next.* which is db3-70"):
        decide("main", MAIN.hosts, seen(rows), "db2-70")


def test_without_synchronous_commits_every_follower_may_lead() -> None:
    rows = changed("db2-70", role="Replica")
    assert decide("main", MAIN.hosts, seen(rows, "ttl: 20"), "db2-70").candidate == "db2-70"


def refused(call: Callable[[], object]) -> RefusedError:
    with pytest.raises(RefusedError) as error:
        call()
    return error.value


def test_who_leads_already_is_refused() -> None:
    error = refused(lambda: decide("main", MAIN.hosts, seen(), "db1-70"))
    assert error.sentence == ("--to db1-70: leads the cluster 'main' already; nothing was touched")


def test_every_fault_is_named_at_once() -> None:
    looked = seen(changed("db2-70", state="stopped"), silent={"svc2-70"})
    error = refused(lambda: decide("main", MAIN.hosts, looked, None))
    assert error.sentence.startswith("cluster 'main': is not healthy")
    assert len(error.findings) == 2
