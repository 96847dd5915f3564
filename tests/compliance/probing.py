"""Looking from elsewhere: probe points and hosts as places, probes, and what came back.

A probe that nobody answered says nothing by itself: `Place.probe_with_control` also asks something
that must answer, from the same place at the same time, and refuses to judge when it does not.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from harness import CouldNotCheck, Machine, Seen, World, program

from infra.errors import LabError
from infra.lab.lab import Lab
from infra.plan import Host, ProbePoint

ANSWER_SECONDS = 5.0
"""How long an answer may take that must come."""
SILENCE_SECONDS = 1.0
"""How long one listens for an answer that must not come; a control answers within this time."""
REFUSED = frozenset({"reset", "forbidden", "unreachable", "silent"})


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to a service."""

    kind: str
    address: str
    port: int
    payload: bytes = b""
    source: str = ""
    """Its own address to ask from, where it has several and not every one may."""

    def __str__(self) -> str:
        """Name it as people do."""
        return f"{self.kind} {self.address} {self.port}"


def tcp(address: str, port: int) -> Probe:
    """Whether a connection opens."""
    return Probe("tcp", address, port)


NTP_QUESTION = b"\x23" + bytes(47)


def ntp(address: str) -> Probe:
    """What time it is (RFC 5905, a client's first packet)."""
    return Probe("udp", address, 123, NTP_QUESTION)


NAME_ADDRESS, NAME_ADDRESS_6 = 1, 28
CHECKING_DISABLED, RECURSION, AUTHENTIC = 0x0010, 0x0100, 0x0020


def dns(address: str, name: str, *, flags: int = 0, kind: int = NAME_ADDRESS) -> Probe:
    """What a name means (RFC 1035), asking for signatures as well (RFC 6891, DO)."""
    header = secrets.token_bytes(2) + (RECURSION | flags).to_bytes(2, "big")
    counts = b"\x00\x01\x00\x00\x00\x00\x00\x01"
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\x00" + kind.to_bytes(2, "big") + b"\x00\x01"
    extended = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
    return Probe("udp", address, 53, header + counts + question + extended)


STRONG_PROPOSAL = ((1, 20, 256), (2, 6, 0), (4, 20, 0))
"""AES-GCM of 256 bits, PRF of SHA-384, 384-bit curve (IANA: transforms of IKEv2)."""
WEAK_PROPOSAL = (
    (1, 3, 0),
    (1, 2, 0),
    (2, 1, 0),
    (2, 2, 0),
    (3, 1, 0),
    (3, 2, 0),
    (4, 2, 0),
    (4, 5, 0),
)
"""3DES and DES, MD5 and SHA-1, groups of 1024 and 1536 bits."""
NO_PROPOSAL_CHOSEN, WRONG_GROUP, SECURITY_ASSOCIATION, NOTIFY = 14, 17, 33, 41


def ike(address: str, transforms: Sequence[tuple[int, int, int]], source: str = "") -> Probe:
    """Whether a tunnel daemon would talk with these algorithms (RFC 7296, IKE_SA_INIT).

    The key that is sent along is of another group than any offered: whoever likes the offer says
    "wrong group", and no association begins.
    """
    parts = []
    for place, (kind, number, bits) in enumerate(transforms, start=1):
        length = b"\x80\x0e" + bits.to_bytes(2, "big") if bits else b""
        more = 0 if place == len(transforms) else 3
        size = (8 + len(length)).to_bytes(2, "big")
        parts.append(
            bytes([more, 0]) + size + bytes([kind, 0]) + number.to_bytes(2, "big") + length
        )
    body = b"".join(parts)
    proposal = b"\0\0" + (8 + len(body)).to_bytes(2, "big") + bytes([1, 1, 0, len(parts)]) + body
    offer = bytes([34, 0]) + (4 + len(proposal)).to_bytes(2, "big") + proposal
    key = bytes([40, 0]) + (8 + 256).to_bytes(2, "big") + b"\0\x0e\0\0" + secrets.token_bytes(256)
    nonce = bytes([0, 0]) + (4 + 32).to_bytes(2, "big") + secrets.token_bytes(32)
    payloads = offer + key + nonce
    header = secrets.token_bytes(8) + bytes(8) + bytes([33, 0x20, 34, 0x08]) + bytes(4)
    packet = header + (28 + len(payloads)).to_bytes(4, "big") + payloads
    return Probe("udp", address, 500, packet, source)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a probe."""

    place: str
    probe: Probe
    answer: str
    words: str
    data: bytes

    @property
    def answered(self) -> bool:
        """Whether a service was there for us."""
        return self.answer == "answered"

    @property
    def dns_code(self) -> str:
        """The result code of a name server."""
        names = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
        return names.get(self.data[3] & 0x0F, str(self.data[3] & 0x0F))

    @property
    def dns_authentic(self) -> bool:
        """Whether the name server says that it has validated the answer."""
        return bool(int.from_bytes(self.data[2:4], "big") & AUTHENTIC)

    @property
    def dns_answers(self) -> int:
        """How many records answer the question."""
        return int.from_bytes(self.data[6:8], "big")

    @property
    def ike_says(self) -> str:
        """What a tunnel daemon says to an offer of algorithms."""
        if self.data[16] == SECURITY_ASSOCIATION:
            return "accepted"
        notice = int.from_bytes(self.data[34:36], "big") if self.data[16] == NOTIFY else None
        return {NO_PROPOSAL_CHOSEN: "refused", WRONG_GROUP: "accepted"}.get(notice, f"{notice}")

    def __str__(self) -> str:
        """Where from, where to, what came back."""
        words = f" ({self.words})" if self.words else ""
        return f"{self.place} -> {self.probe}: {self.answer}{words}"


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to look from; `run` starts a program there and gives what it printed."""

    name: str
    run: Callable[[Sequence[str]], str]
    point: ProbePoint | None = None
    gateways: dict[str, str] = field(default_factory=dict)
    """Hardware addresses that its gateways told in this run."""

    def probe(self, *probes: Probe) -> tuple[Answer, ...]:
        """Ask all at once what must answer."""
        return self._ask([(probe, ANSWER_SECONDS) for probe in probes])

    def probe_for_silence(self, *probes: Probe) -> tuple[Answer, ...]:
        """Ask all at once what must not answer."""
        return self._ask([(probe, SILENCE_SECONDS) for probe in probes])

    def probe_with_control(
        self, seen: Seen, controls: Sequence[Probe], probes: Sequence[Probe]
    ) -> tuple[Answer, ...]:
        """Ask all at once, and judge only if every control answered.

        Raises:
            CouldNotCheck: a control did not answer, so silence would mean nothing.
        """
        patient = [(probe, ANSWER_SECONDS) for probe in controls]
        answers = self._ask([*patient, *((probe, SILENCE_SECONDS) for probe in probes)])
        for control in answers[: len(controls)]:
            if not control.answered:
                raise CouldNotCheck(f"{control}; this had to answer, so silence proves nothing")
            seen(f"control: {control}")
        seen(*answers[len(controls) :])
        return answers[len(controls) :]

    def _ask(self, probes: Sequence[tuple[Probe, float]]) -> tuple[Answer, ...]:
        asked = [
            {
                "kind": one.kind,
                "address": one.address,
                "port": one.port,
                "payload": one.payload.hex(),
                "source": one.source,
                "seconds": seconds,
            }
            for one, seconds in probes
        ]
        said = self.run(["python3", "-c", program("probe"), json.dumps(asked)])
        return tuple(
            Answer(self.name, probe, one["answer"], one["words"], bytes.fromhex(one["data"]))
            for (probe, _), one in zip(probes, json.loads(said), strict=True)
        )

    def require_its_gateways(self, seen: Seen) -> None:
        """Show that packets leave this probe point: its gateways answer in both families.

        Raises:
            CouldNotCheck: a gateway does not even tell its hardware address.
        """
        if self.point is None:
            raise CouldNotCheck(f"{self.name}: is no probe point and has no gateway of its own")
        if not self.gateways:
            wanted = [
                (gateway, link.interface)
                for link in self.point.links
                for gateway in (link.gateways.both() if link.gateways else ())
            ]
            said = self.run(["python3", "-c", program("neighbours"), json.dumps(wanted)])
            for gateway, told in json.loads(said).items():
                if told is None:
                    raise CouldNotCheck(f"{self.name}: its gateway {gateway} does not answer")
                self.gateways[gateway] = told
        for gateway, told in self.gateways.items():
            seen(f"control: {self.name}: gateway {gateway} answers from {told}")

    def probe_beyond_gateways(self, seen: Seen, probes: Sequence[Probe]) -> tuple[Answer, ...]:
        """Ask what must not answer behind the gateways, which must answer themselves."""
        self.require_its_gateways(seen)
        answers = self.probe_for_silence(*probes)
        seen(*answers)
        return answers


@dataclass(frozen=True, slots=True)
class Places:
    """Every place that one can look from."""

    world: World
    named_machine: Callable[[str], Machine]
    known: dict[str, Place] = field(default_factory=dict)

    def at(self, name: str) -> Place:
        """A host, or a probe point of the lab."""
        return self.known.setdefault(name, self._place(name))

    def _place(self, name: str) -> Place:
        point = self.points().get(name)
        if point is None:
            machine = self.named_machine(name)
            return Place(name, lambda argv: machine.ask(*argv, live=True))
        if self.world.hub().substrate != "lab":
            raise CouldNotCheck(f"{name}: probe points exist in the lab only")
        return Place(name, lambda argv: self._run(name, argv), point)

    def points(self) -> dict[str, ProbePoint]:
        """Every probe point of the plan by its name."""
        plan = self.world.plan
        everywhere = [*plan.backbone.probe_points, *(p for s in plan.sites for p in s.probe_points)]
        return {point.name: point for point in everywhere}

    def each(self, names: Iterable[str], look: Callable[[Place, Seen], None], seen: Seen) -> None:
        """Look from several places at once; the first that fails tells."""
        chosen = [self.at(name) for name in names]
        notes = [Seen() for _ in chosen]
        with ThreadPoolExecutor(max(1, len(chosen))) as pool:
            looks = [
                pool.submit(look, place, note) for place, note in zip(chosen, notes, strict=True)
            ]
        for note in notes:
            seen(*note.observations)
        for one in looks:
            one.result()

    def controller(self) -> Place:
        """Where administration comes from."""
        return self.at(self.world.plan.controller)

    def _run(self, name: str, argv: Sequence[str]) -> str:
        try:
            done = Lab(self.world.state).execute(name, list(argv))
        except LabError as error:
            raise CouldNotCheck(f"{name}: {error.sentence}") from error
        if done.returncode != 0:
            raise CouldNotCheck(f"{name}: {argv[0]!r} failed: {done.stderr.strip()[-300:]}")
        return done.stdout


def administration(host: Host) -> tuple[Probe, ...]:
    """The secure shell of a host where its administration comes in, both families."""
    leg = next(leg for leg in host.interfaces if host.address_ways[0] in leg.addresses.both())
    return tuple(tcp(address, 22) for address in leg.addresses.both())
