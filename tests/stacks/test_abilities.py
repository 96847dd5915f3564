"""What is declared and cannot be done is told before anything is made."""

from infra.providers.abilities import SUBSTRATES, WANTED_BY, unmet


def test_the_lab_says_what_it_cannot_do_and_why() -> None:
    assert [str(one) for one in unmet("692", "lab", {"esp": "kernel"})] == [
        (
            "site '692': esp is declared as 'kernel', and its substrate lacks kernel_esp "
            "(containers share a kernel that carries no ESP; the tunnel runs in user space); "
            "declare another value, or another substrate"
        )
    ]


def test_what_can_be_done_is_not_told() -> None:
    assert not list(unmet("692", "lab", {"esp": "user_space", "log_retention_days": 365}))
    assert not list(unmet("692", "static", {"esp": "kernel"}))


def test_every_substrate_answers_for_every_ability_and_names_its_reason() -> None:
    names = SUBSTRATES["lab"].keys()
    assert {"kernel_esp", "vlan", "bond", "own_clock", "netem", "kernel_parameters"} == set(names)
    for abilities in SUBSTRATES.values():
        assert abilities.keys() == names
        assert all(one.available or one.reason for one in abilities.values())
    assert set(WANTED_BY.values()) <= set(names)
