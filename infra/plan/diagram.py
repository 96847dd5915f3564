"""The picture of a plan as SVG: sites, zones, pairs, clusters, what is published, tunnels.

Drawn from the model, and with `Live` coloured by what was seen to run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from xml.sax.saxutils import escape

from infra.plan.chart import mermaid as mermaid  # noqa: PLC0414 - the other form of the picture
from infra.plan.shapes import (
    FAINT,
    LOOKS,
    PAPER,
    TUNNEL,
    Box,
    Chip,
    Live,
    chip_lines,
    line,
    rectangle,
    text,
)
from infra.plan.types import GATEWAY, Network, Plan, Site, Tunnel

WIDTH = 1120
MARGIN = 24
LINE = 20
GAP = 6
CHIPS_FROM = 352
TITLE = 54
NOTE_WIDTH = 140
ZONE_FILLS = {
    "dmz": "#fdf1dc",
    "internal": "#e8f1fb",
    "servers": "#e6f4ea",
    "database": "#f3e9f7",
    "management": "#ececec",
    "party": "#fbe9e7",
}
SMALL_COLUMNS = 6
SMALL_HEIGHT = 58
SMALL_TITLE = 24
FEW_SPOKES = 4
"""More would not be readable below one another, and are drawn as a grid."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a site's box: a zone with its chips, or a note."""

    fill: str
    name: str
    words: str
    chips: tuple[tuple[Chip, ...], ...]

    @property
    def height(self) -> float:
        return max(1, len(self.chips)) * (LINE + 4) - 2


def _last(address: str) -> str:
    return f".{address.rsplit('.', 1)[1]}"


def _chips(site: Site, zone: str, live: Live | None) -> list[Chip]:
    """The hosts of a zone, then the addresses that some of them share."""
    chips, shared = [], {}
    for host in site.hosts:
        leg = host.interface(zone)
        if leg is None:
            continue
        words = f"{host.declared_as} {_last(leg.addresses.ipv4)}"
        chips.append(Chip(words, live.host(host.name) if live else None))
        for share in leg.shared:
            if share.twins:
                name = "" if share.group == GATEWAY else f" {share.group}"
                shared[share.group] = Chip(f"⇄ {_last(share.addresses.ipv4)}{name}", shared=True)
    return [*chips, *shared.values()]


def _zone_row(site: Site, network: Network, live: Live | None) -> _Row:
    room = WIDTH - 2 * MARGIN - 20 - CHIPS_FROM
    lines = chip_lines(_chips(site, network.zone, live), room)
    return _Row(
        ZONE_FILLS.get(network.kind, "#f7f7f7"),
        network.zone,
        " · ".join(network.prefix.both()),
        tuple(map(tuple, lines)),
    )


def _names(plan: Plan, hosts: tuple[str, ...]) -> str:
    return ", ".join(plan.host(name).declared_as for name in hosts)


def _notes(plan: Plan, site: Site) -> Iterator[_Row]:
    """Database clusters and published services of a site, one line each."""
    for cluster in plan.clusters:
        if cluster.site == site.code:
            words = _names(plan, cluster.members)
            if cluster.endpoint is not None:
                met = f"{_last(cluster.endpoint.addresses.ipv4)}:{cluster.endpoint.port}"
                words += f" ⇄ {met} ({_names(plan, cluster.endpoint.hosts)})"
            words += "".join(f" · {tenant.database}" for tenant in cluster.tenants)
            yield _Row("#efe7f5", f"cụm {cluster.name}", words, ())
    own = {host.name for host in site.hosts}
    for service in plan.services:
        if service.published is not None and service.published.host in own:
            met = f"{service.published.name}:{service.published.port}"
            way = f"{_names(plan, (service.published.host,))} → {_names(plan, service.hosts)}"
            yield _Row("#fbeadf", "công bố", f"{met} → {way} · {service.title}", ())


def _rows(plan: Plan, site: Site, live: Live | None) -> list[_Row]:
    rows = [_zone_row(site, network, live) for network in site.networks]
    rows += _notes(plan, site)
    rows += [_Row("#f7f7f7", f"{kind} (–)", reason, ()) for kind, reason in site.absent_zones]
    return rows


def _site_height(rows: list[_Row]) -> float:
    return TITLE + 4 + sum(row.height + 4 for row in rows)


def _draw_row(row: _Row, box: Box) -> Iterator[str]:
    yield rectangle(Box(box.x, box.y, box.width, row.height), row.fill, "none", 4)
    yield text(box.x + 8, box.y + 16, shorten(row.name, 18, placeholder="…"), 12, "600")
    words = shorten(row.words, NOTE_WIDTH, placeholder="…")
    yield text(box.x + 118, box.y + 16, words, 11, ink=FAINT)
    y = box.y + 1
    for chips in row.chips:
        x = box.x + CHIPS_FROM
        for chip in chips:
            yield chip.draw(x, y, LINE)
            x += chip.width + GAP
        y += LINE + 4


def _tunnel_of(plan: Plan, site: Site) -> Tunnel | None:
    return next((one for one in plan.tunnels if one.spoke.site == site.code), None)


def _draw_site(plan: Plan, site: Site, y: float, live: Live | None) -> tuple[list[str], float]:
    rows = _rows(plan, site, live)
    box = Box(MARGIN, y, WIDTH - 2 * MARGIN, _site_height(rows))
    parts = [rectangle(box, PAPER)]
    parts.append(text(box.x + 14, y + 24, f"{site.title} ({site.code})", 15, "700"))
    circuits = ", ".join(f"{uplink}: {circuit}" for uplink, circuit in site.circuits)
    parts.append(text(box.x + 14, y + 43, f"cấp độ {site.level} · {circuits}", 12, ink=FAINT))
    tunnel = _tunnel_of(plan, site)
    if tunnel is not None:
        ends = f"{_names(plan, tunnel.spoke.hosts)} ⇄ {_names(plan, tunnel.hub.hosts)}"
        words, ink = f"IPsec {site.code} ⇄ {tunnel.hub.site} ({ends})", TUNNEL
        if live is not None:
            look = LOOKS[live.tunnel(site.code)]
            words, ink = f"{look.mark} {words}: {look.word}", look.ink
        parts.append(text(box.x + box.width - 14, y + 24, words, 12, "600", ink=ink, end=True))
    place = y + TITLE
    for row in rows:
        parts += _draw_row(row, Box(box.x + 10, place, box.width - 20, row.height))
        place += row.height + 4
    return parts, y + box.height


def _pairs_in(plan: Plan, network: Network) -> list[str]:
    """`70: gw1 .2, gw2 .3 ⇄ .1` for every site whose gateways share an address there."""
    found = []
    for site in plan.sites:
        legs = [
            (host, leg, leg.shared_in(GATEWAY))
            for host in site.hosts
            for leg in host.interfaces
            if leg.network == network.name
        ]
        shared = [share for _, _, share in legs if share is not None and share.twins]
        if shared:
            own = ", ".join(
                f"{host.declared_as} {_last(leg.addresses.ipv4)}" for host, leg, _ in legs
            )
            found.append(f"{site.code}: {own} ⇄ {_last(shared[0].addresses.ipv4)}")
    return found


def _draw_uplinks(plan: Plan, y: float) -> tuple[list[str], float]:
    count = len(plan.backbone.networks)
    width = (WIDTH - 2 * MARGIN - 12 * (count - 1)) / count
    pairs = {network.name: _pairs_in(plan, network) for network in plan.backbone.networks}
    height = 46 + 16 * max(map(len, pairs.values()), default=0)
    parts = []
    for index, network in enumerate(plan.backbone.networks):
        box = Box(MARGIN + index * (width + 12), y, width, height)
        parts.append(rectangle(box, "#dfe7ef" if network.kind == "dedicated" else "#f6e3e0"))
        parts.append(text(box.x + 12, y + 20, network.name, 14, "700"))
        points = [
            probe.name
            for probe in plan.backbone.probe_points
            if any(link.network == network.name for link in probe.links)
        ]
        words = " · ".join((*network.prefix.both(), *points))
        parts.append(text(box.x + 12, y + 37, words, 11, ink=FAINT))
        parts += [
            text(box.x + 12, y + 37 + 16 * (place + 1), words, 11, ink=TUNNEL)
            for place, words in enumerate(pairs[network.name])
        ]
    return parts, y + height


def _draw_small(site: Site, box: Box, live: Live | None) -> Iterator[str]:
    if live is None:
        yield rectangle(box, PAPER)
    else:
        states = [live.tunnel(site.code), *(live.host(host.name) for host in site.hosts)]
        worst = next(one for one in ("down", "unknown", "up") if one in states)
        look = LOOKS[worst]
        yield rectangle(box, look.fill, look.ink, dash=look.dash)
        yield text(box.x + box.width - 8, box.y + 18, look.mark, 12, "700", ink=look.ink, end=True)
    yield text(box.x + 8, box.y + 18, site.code, 12, "700")
    title = shorten(site.title, SMALL_TITLE, placeholder="…")
    yield text(box.x + 8, box.y + 34, title, 11)
    yield text(box.x + 8, box.y + 50, f"cấp độ {site.level} · {site.prefix.ipv4}", 10, ink=FAINT)


def _draw_spokes(
    plan: Plan, spokes: list[Site], y: float, live: Live | None
) -> tuple[list[str], float]:
    """The sites below the uplinks: in full while there are few, as a grid when there are many."""
    parts: list[str] = []
    bus, x = y - 26, MARGIN - 10
    if len(spokes) <= FEW_SPOKES:
        for site in spokes:
            look = LOOKS[live.tunnel(site.code)] if live else None
            ink = look.ink if look else TUNNEL
            parts.append(line(x, bus, x, y + 19))
            parts.append(line(x, y + 19, MARGIN, y + 19, ink))
            drawn, end = _draw_site(plan, site, y, live)
            parts += drawn
            bus, y = y + 19, end + 22
        return parts, y
    width = (WIDTH - 2 * MARGIN - 10 * (SMALL_COLUMNS - 1)) / SMALL_COLUMNS
    for index, site in enumerate(spokes):
        column, row = index % SMALL_COLUMNS, index // SMALL_COLUMNS
        place = MARGIN + column * (width + 10), y + row * (SMALL_HEIGHT + 10)
        parts += _draw_small(site, Box(*place, width, SMALL_HEIGHT), live)
    rows = -(-len(spokes) // SMALL_COLUMNS)
    return parts, y + rows * (SMALL_HEIGHT + 10)


def _legend(plan: Plan, live: Live, y: float) -> str:
    hosts = Counter(live.host(host.name) for host in plan.hosts())
    tunnels = Counter(live.tunnel(one.spoke.site) for one in plan.tunnels)
    words = " · ".join(
        f"{look.mark} {look.word}: {hosts[state]} máy, {tunnels[state]} kênh"
        for state, look in LOOKS.items()
    )
    return text(MARGIN, y + 14, f"{words} · nhìn lúc {live.seen_at}", 12, ink=FAINT)


def svg(plan: Plan, live: Live | None = None) -> str:
    """The topology as one SVG element: hub above, uplinks between, the other sites below.

    Args:
        plan: what is drawn.
        live: what was seen to run; None draws what is declared alone.
    """
    parts: list[str] = []
    y: float = MARGIN
    for hub in [site for site in plan.sites if not site.hub]:
        drawn, y = _draw_site(plan, hub, y, live)
        parts += drawn
    parts.append(line(MARGIN + 60, y, MARGIN + 60, y + 26))
    tunnels = f"{len(plan.tunnels)} kênh IPsec (IKEv2, ESP), IPv4 và IPv6"
    parts.append(text(MARGIN + 74, y + 18, tunnels, 12, ink=TUNNEL))
    drawn, y = _draw_uplinks(plan, y + 26)
    parts += drawn
    spokes = [site for site in plan.sites if site.hub]
    drawn, y = _draw_spokes(plan, spokes, y + 26, live)
    parts += drawn
    if live is not None:
        parts.append(_legend(plan, live, y))
        y += LINE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + MARGIN:.0f}" '
        f'role="img" font-family="system-ui, sans-serif"><title>{escape(plan.title)}</title>'
    )
    return head + "".join(parts) + "</svg>"
