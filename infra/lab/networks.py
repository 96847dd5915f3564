"""Bridges inside the lab's own namespace, and the cables from there into every machine's namespace.

A cable is made inside the lab's namespace with its far end directly in the machine's, so nothing is
ever seen in the machine that carries the lab. The near end's alias tells whose it is, and whether
it was cut on purpose: what a later run must know is written where it is true.
"""

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.errors import LabError
from infra.lab import names
from infra.lab.commands import run, run_json
from infra.lab.specs import Link, ObservedLink, ProbePointSpec

NAMESPACES = Path("/run/netns")
_CUT = " cut"

_SILENT_BRIDGES = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
_NO_ROUTER = {"ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0"}
_ROUTER = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}
_NO_ADVERTISEMENTS = {"ipv6/conf/all/accept_ra": "0", "ipv6/conf/default/accept_ra": "0"}


def namespace_exists(name: str) -> bool:
    """Says whether a namespace is really there, and not only the file of a killed creation."""
    try:
        return (NAMESPACES / name).stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except FileNotFoundError:
        return False


def namespaces(identifier: str | None = None) -> tuple[str, ...]:
    """Answers the names of this lab's namespaces, or of every lab's, hollow files among them."""
    if not NAMESPACES.is_dir():
        return ()
    found = []
    for path in sorted(NAMESPACES.iterdir()):
        split = names.split_lab_name(path.name)
        if split and identifier in {None, split[0]}:
            found.append(path.name)
    return tuple(found)


def ensure_lab_namespace(identifier: str) -> str:
    """Makes the namespace of the bridges; the bridges themselves speak no IP."""
    parent = names.network_namespace(identifier)
    if not namespace_exists(parent):
        delete_namespace(parent)
        run(["ip", "netns", "add", parent])
    write_parameters(parent, _SILENT_BRIDGES)
    return parent


def make_machine_namespace(name: str, *, forwarding: bool) -> None:
    """Makes a fresh namespace for a machine: a new one inherits forwarding from this computer."""
    delete_namespace(name)
    run(["ip", "netns", "add", name])
    write_parameters(name, {**(_ROUTER if forwarding else _NO_ROUTER), **_NO_ADVERTISEMENTS})
    run(["ip", "-n", name, "link", "set", "lo", "up"])


def delete_namespace(name: str) -> None:
    """Removes a namespace, or the file that a killed creation left; accepts that there is none."""
    if (NAMESPACES / name).exists():
        run(["ip", "netns", "delete", name])


def ensure_bridge(parent: str, network: str) -> None:
    """Makes the bridge of a network: no spanning tree, and multicast flooded to every port."""
    bridge = names.bridge_name(network)
    if network not in bridges(parent):
        try:
            run(["ip", "-n", parent, "link", "add", bridge, "type", "bridge"])
        except LabError:
            # Two machines of one network may be made at the same time: the other was faster.
            if bridge not in {link["ifname"] for link in _bridges(parent)}:
                raise
    plain = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
    run(["ip", "-n", parent, "link", "set", bridge, "alias", network, "type", "bridge", *plain])
    run(["ip", "-n", parent, "link", "set", bridge, "up"])


def delete_bridge(parent: str, network: str) -> None:
    """Removes the bridge of a network; accepts that there is none."""
    if network in bridges(parent):
        run(["ip", "-n", parent, "link", "delete", names.bridge_name(network)])


def bridges(parent: str) -> tuple[str, ...]:
    """Answers the networks that have a bridge; none where the lab's namespace is missing."""
    return tuple(link.get("ifalias", link["ifname"]) for link in _bridges(parent))


def attach(identifier: str, machine: str, links: Iterable[Link]) -> None:
    """Runs a new cable from each network into the machine's namespace; both ends stay down."""
    parent = names.network_namespace(identifier)
    for link in links:
        ensure_bridge(parent, link.network)
        port = names.port_name(machine, link.interface)
        far = ["peer", "name", link.interface, "netns", names.machine_name(identifier, machine)]
        address = names.hardware_address(identifier, machine, link.interface)
        run(["ip", "-n", parent, "link", "add", port, "type", "veth", *far, "address", address])
        owner = ["alias", f"{machine}:{link.interface}", "master", names.bridge_name(link.network)]
        run(["ip", "-n", parent, "link", "set", port, *owner])
        isolated = "on" if link.isolated else "off"
        run(["ip", "-n", parent, "link", "set", port, "type", "bridge_slave", "isolated", isolated])


def detach(identifier: str, machine: str) -> None:
    """Removes all cables of a machine at once; deleting its namespace alone would do so later."""
    parent = names.network_namespace(identifier)
    for port in ports(parent, machine).values():
        run(["ip", "-n", parent, "link", "delete", port["ifname"]])


def ports(parent: str, machine: str | None = None) -> Mapping[str, dict[str, Any]]:
    """Answers the near ends by ``machine:interface``, of one machine by ``interface`` alone."""
    if not namespace_exists(parent):
        return {}
    found = {}
    for link in run_json(["ip", "-n", parent, "-d", "-j", "link", "show", "type", "veth"]):
        # A cable without alias was never finished: whoever owns it makes it anew by its name.
        owner = link.get("ifalias", f"?:{link['ifname']}").removesuffix(_CUT)
        name, _, interface = owner.partition(":")
        if machine is None:
            found[owner] = link
        elif name == machine:
            found[interface] = link
    return found


def is_cut(port: Mapping[str, Any]) -> bool:
    """Says whether a cable was cut on purpose, which outlasts a restart of its machine."""
    return str(port.get("ifalias", "")).endswith(_CUT)


def set_cut(parent: str, machine: str, interface: str, *, cut: bool) -> None:
    """Writes on the cable whether it is cut."""
    alias = f"{machine}:{interface}{_CUT if cut else ''}"
    port = names.port_name(machine, interface)
    run(["ip", "-n", parent, "link", "set", port, "alias", alias])


def set_ports(parent: str, machine: str, *, up: bool) -> None:
    """Takes all of a machine's cables down, or up again where they are not cut."""
    for port in ports(parent, machine).values():
        state = "up" if up and not is_cut(port) else "down"
        run(["ip", "-n", parent, "link", "set", port["ifname"], state])


def configure(namespace: str, spec: ProbePointSpec) -> None:
    """Gives a probe point its addresses and default routes."""
    for link in spec.links:
        run(["ip", "-n", namespace, "link", "set", link.interface, "up"])
        for address in link.addresses:
            add = ["address", "replace", address, "dev", link.interface]
            run(["ip", "-n", namespace, *add, *(["nodad"] if ":" in address else [])])
        for gateway in link.gateways:
            add = ["route", "replace", "default", "via", gateway, "dev", link.interface]
            run(["ip", "-n", namespace, "-6" if ":" in gateway else "-4", *add])


def observe(identifier: str, machine: str) -> tuple[ObservedLink, ...]:
    """Looks at the links of a machine that is alive, from both ends."""
    parent = names.network_namespace(identifier)
    namespace = names.machine_name(identifier, machine)
    known = {names.bridge_name(network): network for network in bridges(parent)}
    addresses = _addresses(namespace)
    gateways = _gateways(namespace)
    return tuple(
        ObservedLink(
            interface=interface,
            network=known.get(port.get("master", "")),
            addresses=tuple(addresses.get(interface, ())),
            gateways=tuple(gateways.get(interface, ())),
            isolated=bool(_slave(port).get("isolated", False)),
            cut=is_cut(port),
        )
        for interface, port in sorted(ports(parent, machine).items())
    )


def forwards(namespace: str) -> bool:
    """Says whether a namespace forwards packets of either family."""
    return any(_parameter(namespace, name) == "1" for name in _ROUTER)


def write_parameters(namespace: str, values: Mapping[str, str]) -> None:
    """Sets parameters below /proc/sys/net as seen from inside a namespace."""
    for name, value in values.items():
        run([*enter(namespace), "tee", f"/proc/sys/net/{name}"], stdin=value)


def enter(namespace: str) -> list[str]:
    """Answers what a command line starts with to stand in a namespace and nowhere else.

    ``ip netns exec`` would also mount /sys anew, and systemd-nspawn then finds no cgroups.
    """
    return ["nsenter", f"--net={NAMESPACES / namespace}", "--"]


def remove_namespace_folder() -> None:
    """Undoes the mount with which the first namespace of a machine comes, once it is empty."""
    try:
        if any(NAMESPACES.iterdir()):
            return
        if NAMESPACES.is_mount():
            run(["umount", str(NAMESPACES)])
        NAMESPACES.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY}:
            raise


def _parameter(namespace: str, name: str) -> str:
    return run([*enter(namespace), "cat", f"/proc/sys/net/{name}"]).strip()


def _bridges(parent: str) -> list[dict[str, Any]]:
    if not namespace_exists(parent):
        return []
    return run_json(["ip", "-n", parent, "-j", "link", "show", "type", "bridge"])


def _slave(port: Mapping[str, Any]) -> Mapping[str, Any]:
    data: Mapping[str, Any] = port.get("linkinfo", {}).get("info_slave_data", {})
    return data


def _addresses(namespace: str) -> dict[str, list[str]]:
    return {
        link["ifname"]: [
            f"{one['local']}/{one['prefixlen']}"
            for one in link.get("addr_info", [])
            if one["scope"] != "link"
        ]
        for link in run_json(["ip", "-n", namespace, "-j", "address"])
    }


def _gateways(namespace: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for family in ("-4", "-6"):
        for route in run_json(["ip", "-n", namespace, family, "-j", "route", "show", "default"]):
            if "gateway" in route:
                found.setdefault(route["dev"], []).append(route["gateway"])
    return found
