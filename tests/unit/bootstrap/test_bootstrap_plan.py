"""What bootstrap decides from facts, and that no kill on the way ever locks anybody out."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bootstrap import plan
from infra.bootstrap.plan import Contact, Facts, Step, Wanted, Way


def key(number: int) -> str:
    return f"ssh-ed25519 {base64.b64encode(f'key {number}'.encode()).decode()}"


CREATORS, OWN, OTHER = key(0), key(1), key(2)
WANTED = Wanted("digest", frozenset({"amd64"}), CREATORS)
BARE = Facts(
    system="debian 13",
    architecture="amd64",
    is_interrupted=False,
    carried="",
    installed=frozenset(),
    host_key=CREATORS,
    pending_key="",
    published_key=CREATORS,
    creator_is_admitted=True,
    shown_fingerprint=plan.fingerprint(CREATORS),
)
READY = replace(
    BARE,
    carried="digest",
    installed=frozenset(plan.PACKAGES),
    host_key=OWN,
    published_key=OWN,
    creator_is_admitted=False,
    shown_fingerprint=plan.fingerprint(OWN),
)


def test_a_bare_host_gets_everything_but_the_closing_of_its_only_way_in() -> None:
    steps = plan.missing_steps(BARE, Way.CREATOR, WANTED)

    assert steps == (Step.CARRY, Step.INSTALL, Step.ACCOUNT, Step.MAKE_KEY)


def test_a_ready_host_is_left_alone() -> None:
    assert plan.missing_steps(READY, Way.AUTOMATION, WANTED) == ()


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"carried": "older"}, ()),
        ({"creator_is_admitted": True}, (Step.CLOSE_ROOT,)),
        ({"is_interrupted": True}, (Step.REPAIR,)),
        ({"installed": frozenset({"sudo", "python3-minimal"})}, (Step.INSTALL,)),
        ({"installed": frozenset({"sudo"}), "carried": "older"}, (Step.CARRY, Step.INSTALL)),
        ({"pending_key": OTHER}, (Step.SHOW_KEY,)),
        ({"published_key": CREATORS}, (Step.SHOW_KEY,)),
        ({"shown_fingerprint": plan.fingerprint(CREATORS)}, (Step.SHOW_KEY,)),
        (
            {
                "host_key": CREATORS,
                "published_key": CREATORS,
                "shown_fingerprint": plan.fingerprint(CREATORS),
                "creator_is_admitted": True,
            },
            (Step.MAKE_KEY,),
        ),
    ],
)
def test_only_what_is_missing_is_done(change: dict[str, object], steps: tuple[Step, ...]) -> None:
    assert plan.missing_steps(replace(READY, **change), Way.AUTOMATION, WANTED) == steps


def test_root_is_not_closed_over_the_way_that_would_be_closed() -> None:
    facts = replace(READY, creator_is_admitted=True)

    assert Step.CLOSE_ROOT not in plan.missing_steps(facts, Way.CREATOR, WANTED)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"system": "debian 12"},
            "runs 'debian 12'; 'debian 13' is required: install the host anew",
        ),
        (
            {"architecture": "arm64"},
            "is arm64; the packages are for amd64: build the mirror for its architecture",
        ),
    ],
)
def test_a_host_of_another_kind_is_refused(change: dict[str, str], sentence: str) -> None:
    assert plan.unfit(replace(BARE, **change), WANTED) == sentence


# A host that can be killed anywhere


@dataclass
class SimulatedHost:
    """A host that carries steps out in the small acts of the real one."""

    facts: Facts = BARE
    has_account: bool = False
    made: int = 10
    acts: list[str] = field(default_factory=list)

    def way(self) -> Way:
        if self.has_account and "sudo" in self.facts.installed:
            return Way.AUTOMATION
        assert self.facts.creator_is_admitted, f"nobody can enter any more after {self.acts}"
        return Way.CREATOR

    def perform(self, step: Step) -> Iterator[None]:
        """Performs a step; a kill may come wherever this yields."""
        for change in self._changes(step):
            self.facts = replace(self.facts, **change)
            self.acts.append(f"{step.name} {sorted(change)}")
            yield

    def _changes(self, step: Step) -> Iterator[dict[str, object]]:
        match step:
            case Step.REPAIR:
                yield {"is_interrupted": False, "installed": frozenset(plan.PACKAGES)}
            case Step.CARRY:
                yield {"carried": "digest"}
            case Step.INSTALL:
                yield {"is_interrupted": True}
                yield {"is_interrupted": False, "installed": frozenset(plan.PACKAGES)}
            case Step.ACCOUNT:
                self.has_account = True
                yield {}
            case Step.MAKE_KEY:
                self.made += 1
                yield {"pending_key": key(self.made)}
            case Step.SHOW_KEY:
                if self.facts.pending_key:
                    yield {"host_key": self.facts.pending_key, "pending_key": ""}
                yield {"published_key": self.facts.host_key}
                yield {"shown_fingerprint": plan.fingerprint(self.facts.host_key)}
            case Step.CLOSE_ROOT:
                yield {"creator_is_admitted": False}


@given(st.lists(st.integers(min_value=0, max_value=12), max_size=12))
def test_a_run_killed_anywhere_ends_ready_and_never_meets_an_unknown_key(kills: list[int]) -> None:
    host, pinned = SimulatedHost(), (CREATORS,)
    for _look in range(len(kills) + 6):
        way = host.way()
        shown = {plan.fingerprint(one) for one in pinned}
        assert host.facts.shown_fingerprint in shown, f"a key that is not pinned: {host.acts}"
        pinned = plan.keys_to_pin(host.facts, pinned)
        steps = plan.missing_steps(host.facts, way, WANTED)
        if not steps:
            break
        acts = [act for step in steps for act in [host.perform(step)]]
        budget = kills.pop() if kills else 1000
        for act in acts:
            for _done in act:
                budget -= 1
                if budget <= 0:
                    break
            if budget <= 0:
                break

    assert plan.missing_steps(host.facts, host.way(), WANTED) == ()
    assert host.way() is Way.AUTOMATION
    assert pinned == (host.facts.host_key,)
    assert host.facts.host_key != CREATORS
    assert not host.facts.creator_is_admitted


# Contacts and facts


@pytest.mark.parametrize(
    ("exit_code", "said", "contact"),
    [
        (0, "", Contact.ENTERED),
        (1, "sudo: a password is required", Contact.ENTERED),
        (255, "root@192.0.2.1: Permission denied (publickey).", Contact.NOT_ADMITTED),
        (255, "Host key verification failed.", Contact.WRONG_HOST_KEY),
        (255, "ssh: connect to host 192.0.2.1 port 22: No route to host", Contact.UNREACHABLE),
        (255, "Connection closed by UNKNOWN port 65535", Contact.UNREACHABLE),
    ],
)
def test_what_ssh_says_tells_how_the_contact_went(
    exit_code: int, said: str, contact: Contact
) -> None:
    assert plan.classify_contact(exit_code, said) is contact


def test_facts_are_read_from_what_the_probe_printed() -> None:
    output = (
        "system=debian 13\narchitecture=amd64\ninterrupted=1\ncarried=digest\n"
        "installed=sudo:installed python3-apt:half-configured \n"
        f"host_key={OWN}\npending_key=\npublished_key={OWN}\ncreator=1\ncomplete=yes\n"
    )
    diagnostics = f"debug1: Server host key: ssh-ed25519 {plan.fingerprint(OWN)}\n"

    facts = plan.parse_facts(output, diagnostics)

    assert facts == replace(
        READY, is_interrupted=True, installed=frozenset({"sudo"}), creator_is_admitted=True
    )


@pytest.mark.parametrize("output", ["", "system=debian 13\narchitecture=amd64\n"])
def test_a_broken_answer_is_no_answer(output: str) -> None:
    diagnostics = f"debug1: Server host key: ssh-ed25519 {plan.fingerprint(OWN)}\n"

    assert plan.parse_facts(output, diagnostics) is None


def test_fingerprints_are_written_as_openssh_writes_them() -> None:
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICPjkl2z4G/iemJgo7Bu9SX0chlQSWWV97B7iuCr123f"

    assert plan.fingerprint(public) == "SHA256:rqDFo4nwvB3CFRqVqZ3sEjsYWB3PzHKgxwhzmo14Ijo"


# Pins


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"hostname": "192.0.2.1", "port": "22"}, "192.0.2.1"),
        ({"hostname": "192.0.2.1", "port": "2222"}, "[192.0.2.1]:2222"),
        ({"hostname": "192.0.2.1", "port": "2222", "hostkeyalias": "gw1-70"}, "gw1-70"),
    ],
)
def test_a_host_is_looked_up_as_openssh_does(settings: dict[str, str], name: str) -> None:
    assert plan.lookup_name(settings) == name


def test_pinning_one_host_leaves_the_others_and_the_authorities_alone() -> None:
    others = f"@cert-authority *.lab {OTHER}\n# gw1-70 in a comment\ngw1-700 {OTHER}\n"
    before = f"gw1-70,192.0.2.1 {CREATORS} made by the lab\n{others}"

    after = plan.repin(before, "gw1-70", [CREATORS, OWN])

    assert after == f"{others}gw1-70,192.0.2.1 {CREATORS}\ngw1-70,192.0.2.1 {OWN}\n"
    assert plan.pinned_keys(after, "gw1-70") == (CREATORS, OWN)
    assert plan.pinned_keys(after, "192.0.2.1") == (CREATORS, OWN)
    assert plan.pinned_keys(after, "gw1-700") == (OTHER,)


def test_a_host_without_a_pin_gets_one_under_its_own_name() -> None:
    assert plan.repin("", "gw1-70", [OWN]) == f"gw1-70 {OWN}\n"


def test_the_account_is_admitted_by_a_rule_that_names_it_alone() -> None:
    rules = [line for line in plan.render_sudoers().splitlines() if not line.startswith("#")]

    assert rules == ["ansible ALL=(ALL:ALL) NOPASSWD: ALL"]


def test_the_source_of_first_contact_trusts_the_carried_key_only() -> None:
    assert plan.render_source("province_archive.asc").splitlines()[1:] == [
        "Types: deb",
        "URIs: copy:/var/lib/province/first_contact",
        "Suites: ./",
        "Signed-By: /var/lib/province/first_contact/province_archive.asc",
    ]
