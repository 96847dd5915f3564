"""Verbs that look: what is there, and what something is and why."""

from __future__ import annotations

import ipaddress
from typing import Any

from infra.cli.environment import Environment
from infra.cli.progress import now
from infra.cli.provisioning import applied_plan
from infra.errors import JournalError, RefusedError
from infra.journal import Journal, lock_holder
from infra.lab.lab import Lab
from infra.model import nearest
from infra.plan import Flow, Host, Plan

HIGHEST_PORT = 65535


def _last_run(environment: Environment) -> dict[str, Any]:
    entries = Journal(environment.state, "", "", now).entries()
    if not entries:
        return {}
    run = entries[-1].run
    sites = {
        one.subject: {"outcome": one.outcome, "detail": one.detail}
        for one in entries
        if one.run == run and one.stage == "site"
    }
    return {"run": run, "verb": entries[-1].verb, "at": entries[-1].at, "sites": sites}


def status_data(environment: Environment) -> dict[str, Any]:
    """What is there now, looked at, beside what was applied last."""
    lab = Lab(environment.state)
    hosts = {name: lab.read_host(name).power for name in lab.hosts()}
    try:
        planned = [host.name for host in applied_plan(environment).hosts()]
    except JournalError:
        planned = []
    for name in planned:
        hosts.setdefault(name, "absent")
    return {
        "environment": environment.name,
        "lock": lock_holder(environment.state),
        "hosts": hosts,
        "probe_points": list(lab.probe_points()),
        "last_run": _last_run(environment),
        "report": str(environment.report / "report.html")
        if (environment.report / "report.html").exists()
        else None,
    }


def status_lines(environment: Environment) -> list[str]:
    """The same for people."""
    data = status_data(environment)
    lines = [f"{name}: {power}" for name, power in sorted(data["hosts"].items())]
    lines = lines or [f"{environment.name}: no machines"]
    if data["probe_points"]:
        lines.append(f"probe points: {', '.join(data['probe_points'])}")
    lines.append(f"lock: {data['lock'] or 'free'}")
    last = data["last_run"]
    if last:
        lines.append(f"last run: {last['verb']} at {last['at']}")
        lines += [
            f"  site {code}: {site['outcome']} ({site['detail']})"
            for code, site in sorted(last["sites"].items())
        ]
    if data["report"]:
        lines.append(f"report: {data['report']}")
    return lines


def _flow_line(flow: Flow) -> str:
    ports = ", ".join(str(port) for port in flow.ports)
    return (
        f"  {flow.source} ({flow.source_zone}) -> {flow.target} ({flow.target_zone}) "
        f"{flow.service} {flow.protocol} {ports}: "
        f"{flow.why} ({flow.origin})"
    )


def _explain_host(plan: Plan, host: Host) -> list[str]:
    site = plan.site(host.site)
    lines = [
        f"{host.name} ({host.fqdn}): {host.machine.purpose}",
        (
            f"  site {site.code} {site.title}, level {site.level}; "
            f"declared in blueprints.{site.blueprint}.hosts.{host.declared_as}"
        ),
        f"  owner {host.machine.owner}; failure domain {host.failure_domain}",
        "  functions: " + ", ".join(f"{name} (roles/{name})" for name in host.functions),
    ]
    lines += [f"  {leg.name}: {', '.join(leg.cidrs())}" for leg in host.interfaces]
    lines += ["reached by:"] + [_flow_line(one) for one in plan.flows if one.target == host.name]
    lines += ["reaches:"] + [_flow_line(one) for one in plan.flows if one.source == host.name]
    return lines


def _explain_port(plan: Plan, port: int) -> list[str]:
    if not 0 < port <= HIGHEST_PORT:
        raise RefusedError(f"{port}: is no port; ports go from 1 to {HIGHEST_PORT}")
    flows = [flow for flow in plan.flows if port in flow.ports]
    if not flows:
        return [f"port {port}: no flow opens it anywhere; it is closed"]
    return [f"port {port}:", *(_flow_line(flow) for flow in flows)]


def _explain_address(plan: Plan, address: str) -> list[str]:
    wanted = ipaddress.ip_address(address)
    for host in plan.hosts():
        for leg in host.interfaces:
            own = [ipaddress.ip_address(one) for one in leg.addresses.both()]
            shared = {
                ipaddress.ip_address(address): share.group
                for share in leg.shared
                for address in share.addresses.both()
            }
            if wanted in own or wanted in shared:
                word = f"the {shared[wanted]}'s address" if wanted in shared else "an address"
                return [
                    f"{address}: {word} on {leg.name} of {host.name}",
                    *_explain_host(plan, host),
                ]
    for site in plan.sites:
        for network in site.networks:
            if any(wanted in ipaddress.ip_network(prefix) for prefix in network.prefix.both()):
                return [
                    (
                        f"{address}: free, in the zone {network.zone} of site {site.code} "
                        f"{site.title} ({', '.join(network.prefix.both())})"
                    )
                ]
    for network in plan.backbone.networks:
        if any(wanted in ipaddress.ip_network(prefix) for prefix in network.prefix.both()):
            return [f"{address}: in the uplink network {network.name}, outside every site"]
    return [f"{address}: in no network of the province"]


def explain_subject(plan: Plan, subject: str) -> str:
    """What a host, an address or a port is, and where it comes from.

    Raises:
        RefusedError: it is none of the three.
    """
    if subject.isdigit():
        return "\n".join(_explain_port(plan, int(subject)))
    try:
        ipaddress.ip_address(subject)
    except ValueError:
        names = {name: host for host in plan.hosts() for name in (host.name, host.fqdn)}
        if subject not in names:
            raise RefusedError(
                f"{subject!r}: is no host, address or port of this province; "
                f"{nearest(subject, names)}"
            ) from None
        return "\n".join(_explain_host(plan, names[subject]))
    return "\n".join(_explain_address(plan, subject))
