"""LOG: events are recorded, reach the collector encrypted, and are kept."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

import pytest
from harness import CouldNotCheck, Machine, NotShown, Seen, World, listed
from probing import Place, Places, Probe

from infra.plan import Host

STORE = "/var/log/province"
ARRIVAL_SECONDS = 15
LATE_SECONDS = 0.5
PROGRAM = "/usr/bin/head"
START_A_PROGRAM = f'{PROGRAM} -c 0 "/proc/self/status" "/dev/null/$0$1" 2>/dev/null; true'
"""A program with a word of ours in its command line, started by a shell that has it in halves."""
LEVEL_DAYS = {2: 30, 3: 90, 4: 180, 5: 180}


def journal(machine: Machine, *conditions: str) -> list[dict[str, str]]:
    """Entries of the last hours, newest first."""
    command = ["journalctl", "--output=json", "--since=-12h", "--reverse", "--lines=5"]
    reply = machine.reply(*command, *conditions, live=True)
    # journalctl also exits 1 where nothing matches; then it does not complain.
    if reply.code != 0 and reply.complaint:
        raise CouldNotCheck(f"{machine.name}: its journal cannot be read: {reply.complaint}")
    return [json.loads(line) for line in reply.output.splitlines()]


@pytest.mark.control("LOG-01")
def test_logins_are_recorded(machine: Machine, seen: Seen) -> None:
    entries = journal(machine, "--grep=^Accepted publickey", "SYSLOG_IDENTIFIER=sshd-session")
    entries += journal(machine, "--grep=^Accepted publickey", "SYSLOG_IDENTIFIER=sshd")

    seen(*(entry["MESSAGE"][:160] for entry in entries[:2]))
    assert entries, f"{machine.name}: asks came in by secure shell and no login is recorded"
    message = entries[0]["MESSAGE"]
    assert re.search(r"for \S+ from \S+ port \d+", message), (
        f"{machine.name}: a login is recorded as {message!r}; account and source are required"
    )


@pytest.mark.control("LOG-01")
def test_privileged_commands_are_recorded(machine: Machine, seen: Seen) -> None:
    token = new_token()
    machine.ask("true", token, live=True)
    entries = journal(machine, f"--grep={unquoted(token)}", "SYSLOG_IDENTIFIER=sudo")

    seen(*(entry["MESSAGE"][-200:] for entry in entries[:1]))
    assert entries, f"{machine.name}: a command ran as root and sudo recorded nothing"
    message = entries[0]["MESSAGE"]
    for word in ("USER=root", "COMMAND=", "ansible :"):
        assert word in message, f"{machine.name}: the record {message!r} lacks {word!r}"


@pytest.mark.control("LOG-01")
def test_refusals_of_the_filter_are_recorded(machine: Machine, here: Place, seen: Seen) -> None:
    rules = [entry["rule"] for entry in machine.firewall() if "rule" in entry]
    writing = sorted({rule["chain"] for rule in rules if any("log" in e for e in rule["expr"])})
    seen(f"chains whose refusals are logged: {listed(writing)}")
    assert {"input", "forward", "output"} <= set(writing), (
        f"{machine.name}: only {listed(writing)} log what they refuse; all must"
    )
    if machine.is_container():
        raise NotShown(f"{machine.name}: the kernel writes refusals of a container nowhere")
    (answer,) = here.probe(Probe("udp", "192.0.2.1", 9, b"?"))
    entries = journal(machine, "--dmesg", "--grep=province refused out")
    seen(answer, *(entry["MESSAGE"][:160] for entry in entries[:1]))
    assert entries, f"{machine.name}: {answer}, and the filter recorded nothing"


@pytest.mark.control("LOG-02")
def test_what_is_run_as_root_is_recorded_everywhere(
    machine: Machine,
    target: Host,
    world: World,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    """A command of the automation account: who, when and what, here and at every collector."""
    token = new_token()
    machine.ask("true", token, live=True)
    entries = journal(machine, f"--grep={unquoted(token)}", "SYSLOG_IDENTIFIER=sudo")

    seen(*(f"{one['__REALTIME_TIMESTAMP']} {one['MESSAGE'][:200]}" for one in entries[:2]))
    assert entries, f"{machine.name}: a command was run as root and nothing was recorded"
    for word in ("ansible :", "USER=root", "COMMAND="):
        assert any(word in one["MESSAGE"] for one in entries), (
            f"{machine.name}: no record of the command says {word!r}: {entries[0]['MESSAGE']!r}"
        )
    collectors = collectors_of(target, world)
    assert len(collectors) > 1, f"{machine.name}: its lines are kept at {listed(collectors)} only"
    for collector in collectors:
        found = arrived(named_machine(collector.name), [token])
        seen(f"{collector.name} keeps it in {found.get(token, 'nothing')}")
        assert f"/{machine.name}/" in found.get(token, ""), (
            f"{collector.name}: has no record of what {machine.name} ran as root"
        )


@pytest.mark.control("LOG-02")
def test_what_people_start_is_recorded(machine: Machine, world: World, seen: Seen) -> None:
    people = [person.name for person in world.plan.administrators]
    assert people, "nobody is declared who could start anything"
    token, name = new_token(), people[0]
    start = ["sh", "-c", START_A_PROGRAM, *halves(token)]
    machine.ask("runuser", "-u", name, "--", *start, live=True)
    recorder = "command" if machine.is_container() else "audisp-syslog"
    entries = journal(machine, f"--grep={unquoted(token)}", f"SYSLOG_IDENTIFIER={recorder}")

    seen(*(entry["MESSAGE"][:200] for entry in entries[:2]))
    assert entries, f"{machine.name}: {name} started a program and nothing was recorded"
    whole = [one["MESSAGE"] for one in entries if PROGRAM in one["MESSAGE"]]
    assert whole, f"{machine.name}: the record does not say which program: {entries[0]['MESSAGE']}"
    if machine.is_container():
        assert f"user={name}" in whole[0], f"{machine.name}: nobody is named in {whole[0]!r}"


@pytest.mark.control("LOG-02")
def test_the_kernel_itself_records_programs(machine: Machine, seen: Seen) -> None:
    """What no program can get round."""
    if machine.is_container():
        seen(f"{machine.name}: its kernel is another machine's, whose audit it cannot reach")
        raise NotShown(f"{machine.name}: is a container; programs that load no library hide in it")
    rules = machine.ask("auditctl", "-l").splitlines()
    execution = [line for line in rules if "execve" in line]

    seen(*execution)
    assert execution, f"{machine.name}: no rule of the kernel's audit is about programs"


def collectors_of(host: Host, world: World) -> list[Host]:
    """Where a host's lines must arrive: its collectors, or itself."""
    names = [
        flow.target
        for flow in world.plan.flows
        if (flow.source, flow.service) == (host.name, "syslog_tls")
    ]
    if "log_collection" in host.functions:
        names.append(host.name)
    return [world.plan.host(name) for name in dict.fromkeys(names)]


def new_token() -> str:
    """A word that stands in no log yet."""
    return f"province_check_{secrets.token_hex(8)}"


def halves(token: str) -> tuple[str, str]:
    """The word in two parts, so that a command line that holds both does not hold it."""
    return token[: len(token) // 2], token[len(token) // 2 :]


def unquoted(token: str) -> str:
    """A pattern that finds the word and not itself: sudo logs what we search for."""
    return f"[{token[0]}]{token[1:]}"


def send(machine: Machine, token: str) -> None:
    """Write a line; in two halves, so that only the line itself holds the whole word."""
    machine.ask("sh", "-c", 'logger --tag province_check "$0$1"', *halves(token), live=True)


def kept(collector: Machine, tokens: Iterable[str]) -> dict[str, str]:
    """Which tokens stand in the collector's store, each with the file that it stands in."""
    pattern = "|".join(unquoted(token) for token in sorted(tokens))
    command = ["grep", "--recursive", "--with-filename", "--only-matching", "--extended-regexp"]
    reply = collector.reply(*command, pattern, STORE, live=True)
    if reply.code > 1:
        raise CouldNotCheck(f"{collector.name}: its store cannot be read: {reply.complaint}")
    pairs = (line.rpartition(":") for line in reply.output.splitlines())
    return {token: path for path, _, token in pairs}


def arrived(collector: Machine, tokens: Sequence[str]) -> dict[str, str]:
    """The same, waiting for all of them for a while."""
    until = time.monotonic() + ARRIVAL_SECONDS
    while len(found := kept(collector, tokens)) < len(tokens) and time.monotonic() < until:
        time.sleep(0.5)
    return found


@pytest.mark.control("LOG-03")
def test_lines_reach_the_collector(
    machine: Machine,
    target: Host,
    world: World,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    """On a collector this asks for the lines of every host that sends there, of whatever level."""
    collectors = collectors_of(target, world)
    assert collectors, f"{target.name}: the plan names no collector for its lines"
    senders = {machine.name: machine}
    if "log_collection" in target.functions:
        for flow in world.plan.flows:
            if (flow.target, flow.service) == (target.name, "syslog_tls"):
                senders[flow.source] = named_machine(flow.source)
    for collector in collectors:
        tokens = {name: new_token() for name in senders}
        for name, token in tokens.items():
            send(senders[name], token)
        found = arrived(named_machine(collector.name), list(tokens.values()))
        for name, token in tokens.items():
            seen(f"{name}: line {token} stands in {found.get(token, 'nothing')}")
        lost = [n for n, token in tokens.items() if f"/{n}/" not in found.get(token, "")]
        assert not lost, (
            f"{collector.name}: no line of {listed(lost)} came within {ARRIVAL_SECONDS} s"
        )


@pytest.mark.control("LOG-03")
def test_lines_in_clear_are_refused(
    target: Host,
    world: World,
    places: Places,
    named_machine: Callable[[str], Machine],
    seen: Seen,
) -> None:
    for collector in collectors_of(target, world):
        token = new_token()
        offering = next(one for one in collector.offerings if one.service == "syslog_tls")
        line = f"<13>1 - {target.name} province_check - - - {token}\n".encode()
        leg = collector.interface(offering.interfaces[0])
        assert leg is not None, f"{collector.name}: has no leg {offering.interfaces[0]}"
        for address in leg.addresses.both():
            (answer,) = places.at(target.name).probe(Probe("tcp", address, offering.ports[0], line))
            seen(f"a line in clear: {answer}")
            assert answer.answer in {"answered", "reset"}, (
                f"{answer}; the collector must be reachable and end what is not encrypted"
            )
        time.sleep(LATE_SECONDS)
        stored = kept(named_machine(collector.name), [token])
        seen(f"lines in clear that {collector.name} kept: {len(stored)}")
        assert not stored, f"{collector.name}: kept a line that came in clear: {stored}"


@pytest.mark.control("LOG-04")
def test_logs_are_kept_long_enough(
    machine: Machine, target: Host, world: World, seen: Seen
) -> None:
    site = world.plan.site(target.site)
    declared = int(json.loads(dict(site.parameters)["log_retention_days"]))
    required = max(declared, LEVEL_DAYS.get(site.level, 0))
    reply = machine.reply("logrotate", "--debug", "/etc/logrotate.conf")
    told = reply.output + reply.complaint
    rotation = re.search(rf"rotating pattern: {STORE}/\S*\s+after (\d+) days .*?\((\d+) rot", told)

    seen(rotation[0] if rotation else "logrotate says nothing of the store")
    assert rotation is not None, f"{machine.name}: logrotate does not keep {STORE}"
    kept = int(rotation[1]) * int(rotation[2])
    assert kept >= required, f"{machine.name}: keeps logs {kept} days; {required} are required"


@pytest.mark.control("LOG-04")
def test_rotation_runs_by_itself(machine: Machine, seen: Seen) -> None:
    timer = machine.unit("logrotate.timer", "ActiveState", "UnitFileState")
    last = machine.unit("logrotate.service", "Result")

    seen(f"timer: {timer}", f"last run: {last}")
    assert timer["ActiveState"] == "active", f"{machine.name}: the timer of rotation is {timer}"
    assert last["Result"] == "success", f"{machine.name}: the last rotation ended with {last}"


@pytest.mark.control("LOG-05")
def test_room_of_the_store_is_watched(machine: Machine, target: Host, seen: Seen) -> None:
    """The unit fails, and LIF-02 with it, before the disk is full; nothing is deleted for room."""
    timer = machine.unit("province_log_store.timer", "ActiveState", "UnitFileState")
    name, properties = "province_log_store.service", ("Result", "ExecMainExitTimestamp")
    last = machine.unit(name, *properties)
    if not last["ExecMainExitTimestamp"]:
        machine.reply("systemctl", "start", name, live=True)
        last = machine.unit(name, *properties, live=True)

    seen(f"{target.name}: timer: {timer}", f"last look: {last}")
    assert timer == {"ActiveState": "active", "UnitFileState": "enabled"}, (
        f"{machine.name}: nobody looks at the room of the store: {timer}"
    )
    assert last["ExecMainExitTimestamp"], f"{machine.name}: the store was never looked at"
    assert last["Result"] == "success", f"{machine.name}: the store has no room: {last}"
