"""Runs the roles: which hosts are reached, what became of each, one outcome per site."""

from infra.configure.command import ConfigureOptions, extra_variables
from infra.configure.outcome import HostOutcome, SiteOutcome, exit_code, site_outcomes
from infra.configure.reach import Reached, reach_hosts
from infra.configure.run import configure_hosts

__all__ = [
    "ConfigureOptions",
    "HostOutcome",
    "Reached",
    "SiteOutcome",
    "configure_hosts",
    "exit_code",
    "extra_variables",
    "reach_hosts",
    "site_outcomes",
]
