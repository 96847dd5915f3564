"""Pictures of a plan: SVG for reports, Mermaid for pages that render it. Drawn from the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from xml.sax.saxutils import escape

from infra.plan.types import Host, Plan, Site

WIDTH = 1120
MARGIN = 24
LINE = 20
ZONE_FILLS = {
    "dmz": "#fdf1dc",
    "internal": "#e8f1fb",
    "servers": "#e6f4ea",
    "database": "#f3e9f7",
    "management": "#ececec",
    "party": "#fbe9e7",
}
INK, FAINT, PAPER = "#1b2733", "#5f6b76", "#ffffff"
SMALL_COLUMNS = 6
SMALL_HEIGHT = 58
SMALL_TITLE = 24


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def _text(x: float, y: float, words: str, size: int, weight: str = "400", *, ink: str = INK) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" '
        f'fill="{ink}">{escape(words)}</text>'
    )


def _rectangle(box: _Box, fill: str, stroke: str = "#9aa5b1", radius: int = 6) -> str:
    return (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" '
        f'rx="{radius}" fill="{fill}" stroke="{stroke}"/>'
    )


def _members(site: Site, zone: str) -> list[Host]:
    return [host for host in site.hosts if host.interface(zone) is not None]


def _zone_rows(site: Site) -> list[tuple[str, str, str, str]]:
    """(kind, name, prefixes, hosts) of each zone, then the absent ones."""
    rows = []
    for network in site.networks:
        hosts = ", ".join(
            f"{host.declared_as} .{_last(host, network.zone)}"
            for host in _members(site, network.zone)
        )
        rows.append((network.kind, network.zone, " · ".join(network.prefix.both()), hosts or "–"))
    rows += [(kind, f"{kind} (–)", reason, "") for kind, reason in site.absent_zones]
    return rows


def _last(host: Host, zone: str) -> str:
    leg = host.interface(zone)
    return leg.addresses.ipv4.rsplit(".", 1)[1] if leg else ""


def _site_height(site: Site) -> float:
    return 58 + len(_zone_rows(site)) * (LINE + 6)


def _draw_site(site: Site, box: _Box) -> Iterator[str]:
    yield _rectangle(box, PAPER)
    title = f"{site.title} ({site.code})"
    yield _text(box.x + 14, box.y + 24, title, 15, "700")
    circuits = ", ".join(f"{uplink}: {circuit}" for uplink, circuit in site.circuits)
    yield _text(box.x + 14, box.y + 43, f"cấp độ {site.level} · {circuits}", 12, ink=FAINT)
    y = box.y + 54
    for kind, name, prefixes, hosts in _zone_rows(site):
        row = _Box(box.x + 10, y, box.width - 20, LINE + 2)
        yield _rectangle(row, ZONE_FILLS.get(kind, "#f7f7f7"), "none", 4)
        yield _text(row.x + 8, y + 16, name, 12, "600")
        yield _text(row.x + 118, y + 16, prefixes, 11, ink=FAINT)
        yield _text(row.x + row.width * 0.62, y + 16, hosts, 12)
        y += LINE + 6


def _draw_uplinks(plan: Plan, y: float) -> Iterator[str]:
    count = len(plan.backbone.networks)
    width = (WIDTH - 2 * MARGIN - 12 * (count - 1)) / count
    for index, network in enumerate(plan.backbone.networks):
        box = _Box(MARGIN + index * (width + 12), y, width, 46)
        yield _rectangle(box, "#dfe7ef" if network.kind == "dedicated" else "#f6e3e0")
        yield _text(box.x + 12, y + 20, network.name, 14, "700")
        points = [
            probe.name
            for probe in plan.backbone.probe_points
            if any(link.network == network.name for link in probe.links)
        ]
        words = " · ".join((*network.prefix.both(), *points))
        yield _text(box.x + 12, y + 37, words, 11, ink=FAINT)


def _draw_small(site: Site, box: _Box) -> Iterator[str]:
    yield _rectangle(box, PAPER)
    yield _text(box.x + 8, box.y + 18, site.code, 12, "700")
    title = shorten(site.title, SMALL_TITLE, placeholder="…")
    yield _text(box.x + 8, box.y + 34, title, 11)
    yield _text(box.x + 8, box.y + 50, f"cấp độ {site.level} · {site.prefix.ipv4}", 10, ink=FAINT)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" '
        'stroke="#2f6f9f" stroke-width="2" stroke-dasharray="6 4"/>'
    )


def _draw_spokes(spokes: list[Site], y: float, bus: float) -> tuple[list[str], float]:
    """The sites below the uplinks: in full while there are few, as a grid when there are many."""
    parts: list[str] = []
    if len(spokes) <= 4:  # noqa: PLR2004 - more would not be readable side by side
        for site in spokes:
            box = _Box(MARGIN, y, WIDTH - 2 * MARGIN, _site_height(site))
            parts.append(_line(MARGIN + 60, bus, MARGIN + 60, y))
            parts += _draw_site(site, box)
            bus = y + box.height
            y = bus + 22
        return parts, y
    width = (WIDTH - 2 * MARGIN - 10 * (SMALL_COLUMNS - 1)) / SMALL_COLUMNS
    for index, site in enumerate(spokes):
        column, row = index % SMALL_COLUMNS, index // SMALL_COLUMNS
        box = _Box(
            MARGIN + column * (width + 10), y + row * (SMALL_HEIGHT + 10), width, SMALL_HEIGHT
        )
        parts += _draw_small(site, box)
    rows = -(-len(spokes) // SMALL_COLUMNS)
    return parts, y + rows * (SMALL_HEIGHT + 10)


def svg(plan: Plan) -> str:
    """The topology as one SVG element: hub above, uplinks between, the other sites below."""
    parts: list[str] = []
    y: float = MARGIN
    hubs = [site for site in plan.sites if not site.hub]
    for hub in hubs:
        box = _Box(MARGIN, y, WIDTH - 2 * MARGIN, _site_height(hub))
        parts += _draw_site(hub, box)
        y += box.height
    parts.append(_line(MARGIN + 60, y, MARGIN + 60, y + 26))
    tunnels = f"{len(plan.tunnels)} kênh IPsec (IKEv2, ESP), IPv4 và IPv6"
    parts.append(_text(MARGIN + 74, y + 18, tunnels, 12, ink="#2f6f9f"))
    y += 26
    parts += _draw_uplinks(plan, y)
    y += 46
    spokes = [site for site in plan.sites if site.hub]
    drawn, y = _draw_spokes(spokes, y + 26, y)
    parts += drawn
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN:.0f}" '
        f'role="img" font-family="system-ui, sans-serif"><title>{escape(plan.title)}</title>'
    )
    return head + "".join(parts) + "</svg>"


def _identifier(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def mermaid(plan: Plan) -> str:
    """The topology as a Mermaid flowchart."""
    lines = ["flowchart TB"]
    lines += [f'  {_identifier(one.name)}(("{one.name}"))' for one in plan.backbone.networks]
    for site in plan.sites:
        lines.append(f'  subgraph site_{_identifier(site.code)}["{site.title} ({site.code})"]')
        lines += [
            f'    {_identifier(host.name)}["{host.name}<br/>{host.primary.addresses.ipv4}"]'
            for host in site.hosts
        ]
        lines.append("  end")
    for host in plan.hosts():
        lines += [
            f"  {_identifier(host.name)} --- {_identifier(leg.network)}"
            for leg in host.interfaces
            if leg.kind == "uplink"
        ]
    for tunnel in plan.tunnels:
        lines += [
            f'  {_identifier(spoke)} -. "IPsec" .-> {_identifier(hub)}'
            for spoke in tunnel.spoke.hosts
            for hub in tunnel.hub.hosts
        ]
    return "\n".join(lines) + "\n"
