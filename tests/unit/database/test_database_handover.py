"""A switchover holds clients, hands over and lets clients go on, whatever happens in between."""

import pytest
from cluster_world import MAIN, World, listed

from infra.database import Clock, Ended, Handover, hand_over
from infra.errors import ProvinceError

TO_SECOND = Handover("db1-70", "db2-70", 0)


class Time:
    """Passes when somebody sleeps, and a little at every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def seconds(self) -> float:
        self.now += 0.5
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(world: World, said: list[str] | None = None) -> Ended:
    time = Time()
    lines = said if said is not None else []
    return hand_over(MAIN, TO_SECOND, world.ask, Clock(time.seconds, time.sleep), lines.append)


def test_clients_wait_at_every_endpoint_while_the_cluster_changes_hands() -> None:
    world, said = World(), list[str]()
    ended = run(world, said)
    assert (ended.leader, ended.faults) == ("db2-70", ())
    assert world.errors_of_clients == 0
    assert world.everybody_goes_on()
    assert said == ["clients wait at svc1-70, svc2-70", "clients go on after 0.5 s"]


def test_the_order_goes_to_who_leads_and_names_both() -> None:
    world = World()
    run(world)
    orders = world.orders()
    assert set(orders[:2]) == {"svc1-70: pause 30", "svc2-70: pause 30"}
    assert "db1-70: patronictl switchover main db1-70 db2-70" in orders[2:]


def test_clients_that_cannot_be_held_stop_it_before_anything_changes() -> None:
    world = World(busy={"svc2-70"})
    with pytest.raises(ProvinceError) as error:
        run(world)
    assert error.value.sentence == (
        "cluster 'main': its clients could not be held (svc2-70: database endpoint: 'PAUSE' did "
        "not end within 10 s); who leads was not changed, and the clients go on; try again when no "
        "long transaction runs"
    )
    assert not any("switchover" in one for one in world.asked)
    assert world.everybody_goes_on()


def test_clients_go_on_when_the_cluster_refuses() -> None:
    world = World(obeys=False)
    with pytest.raises(ProvinceError, match="did not hand over from db1-70 to db2-70: Swi"):
        run(world)
    assert world.leader == "db1-70"
    assert world.everybody_goes_on()


def test_clients_go_on_when_we_are_interrupted() -> None:
    world = World(breaks=True)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert world.everybody_goes_on()


def test_an_endpoint_that_cannot_be_told_is_named() -> None:
    said: list[str] = []
    run(World(deaf={"svc2-70"}), said)
    assert said[-1] == (
        "endpoint svc2-70: could not be told (Connection closed by remote host); its clients go on "
        "by themselves within 30 s"
    )


def test_a_member_that_does_not_come_back_is_said() -> None:
    world = World()
    rows = listed("db2-70")
    rows[0]["State"] = "stopped"
    world.rows = rows
    ended = run(world)
    assert ended.leader == "db2-70"
    assert ended.faults == ("db1-70: its state is 'stopped' and must be 'streaming'",)


def test_a_cluster_that_another_member_leads_afterwards_is_no_success() -> None:
    world = World()
    world.rows = listed("db3-70")
    ended = run(world)
    assert ended.leader == "db3-70"
    assert ended.faults[0] == "db3-70 leads and not db2-70"
