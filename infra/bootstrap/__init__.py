"""Bootstrap: a bare host that its creator can enter becomes one that Ansible can configure."""

from infra.bootstrap.enter import AccountKeys
from infra.bootstrap.plan import ACCOUNT, ACCOUNT_HOME
from infra.bootstrap.run import BootstrapHost, BootstrapResult, bootstrap_hosts

__all__ = [
    "ACCOUNT",
    "ACCOUNT_HOME",
    "AccountKeys",
    "BootstrapHost",
    "BootstrapResult",
    "bootstrap_hosts",
]
