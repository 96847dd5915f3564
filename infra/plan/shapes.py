"""Shapes that pictures are made of, as SVG text, and how a state looks: never by colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

INK, FAINT, PAPER, TUNNEL = "#1b2733", "#5f6b76", "#ffffff", "#2f6f9f"
CHARACTER = 6.7
"""Width of a character of size 12, on the wide side: fonts differ between readers."""

State = Literal["up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: a mark that needs no colour, ink, fill, and a dash for the unknown."""

    mark: str
    ink: str
    fill: str
    dash: str
    word: str


LOOKS: Mapping[State, Look] = {
    "up": Look("●", "#1b7f3b", "#d9f2df", "", "đang chạy"),
    "down": Look("✕", "#b3261e", "#fadbd8", "", "không chạy"),
    "unknown": Look("?", "#7a5c00", "#fff3cf", "4 3", "chưa biết"),
}


@dataclass(frozen=True, slots=True)
class Live:
    """What was seen to run, beside a plan; whatever is not named here is unknown.

    Attributes:
        hosts: the state of hosts, by name.
        tunnels: the state of tunnels, by the code of the site that initiates them.
        seen_at: when it was looked, as people write it.
    """

    hosts: Mapping[str, State] = field(default_factory=dict)
    tunnels: Mapping[str, State] = field(default_factory=dict)
    seen_at: str = ""

    def host(self, name: str) -> State:
        """The state of a host."""
        return self.hosts.get(name, "unknown")

    def tunnel(self, site: str) -> State:
        """The state of a site's tunnel."""
        return self.tunnels.get(site, "unknown")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the picture."""

    x: float
    y: float
    width: float
    height: float


def text(
    x: float,
    y: float,
    words: str,
    size: int,
    weight: str = "400",
    *,
    ink: str = INK,
    end: bool = False,
) -> str:
    """A line of text that begins, or ends, at a point."""
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" '
        f'fill="{ink}"{anchor}>{escape(words)}</text>'
    )


def rectangle(
    box: Box, fill: str, stroke: str = "#9aa5b1", radius: int = 6, *, dash: str = ""
) -> str:
    """A rounded rectangle."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" '
        f'rx="{radius}" fill="{fill}" stroke="{stroke}"{dashes}/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, ink: str = TUNNEL) -> str:
    """A dashed line: what is encrypted on its way."""
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" '
        f'stroke="{ink}" stroke-width="2" stroke-dasharray="6 4"/>'
    )


@dataclass(frozen=True, slots=True)
class Chip:
    """A short word in a frame: a host in a zone, or an address that several hosts share."""

    words: str
    state: State | None = None
    shared: bool = False

    @property
    def shown(self) -> str:
        """Its words, with the mark of its state."""
        return f"{LOOKS[self.state].mark} {self.words}" if self.state else self.words

    @property
    def width(self) -> float:
        """How much room it takes."""
        return len(self.shown) * CHARACTER + 14

    def draw(self, x: float, y: float, height: float) -> str:
        """The chip with its upper left corner at a point."""
        box = Box(x, y, self.width, height)
        if self.state is not None:
            look = LOOKS[self.state]
            frame = rectangle(box, look.fill, look.ink, 9, dash=look.dash)
            return frame + text(x + 7, y + height - 5, self.shown, 12, ink=look.ink)
        frame = rectangle(box, PAPER, TUNNEL if self.shared else "#b8c1ca", 9)
        return frame + text(
            x + 7, y + height - 5, self.shown, 12, ink=TUNNEL if self.shared else INK
        )


def chip_lines(chips: list[Chip], width: float, gap: float = 6) -> list[list[Chip]]:
    """Chips in as many lines as they need; one line also when there are none."""
    lines: list[list[Chip]] = [[]]
    used = 0.0
    for chip in chips:
        if lines[-1] and used + chip.width > width:
            lines.append([])
            used = 0.0
        lines[-1].append(chip)
        used += chip.width + gap
    return lines
