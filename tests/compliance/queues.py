"""Which questions may be asked at the same time.

A host's questions stand in a queue of their own: what it has answered once is remembered by the
worker that asked. Questions about several hosts stand together in one, and so do those in which
one asks more than a source may: whoever asked from there meanwhile would be refused too.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

TOGETHER = "together"
_GREEDY_FILES = ("test_publishing.py",)
_ABOUT_A_HOST = re.compile(r"([^/]+)::.*\[ssh://([^\]]+)\]$")


def queue_of(node_id: str) -> str:
    """The host that a test asks, or `TOGETHER`."""
    found = _ABOUT_A_HOST.search(node_id)
    if found is None or found[1] in _GREEDY_FILES:
        return TOGETHER
    return found[2]


class ByHost(LoadScopeScheduling):
    """Gives a worker a queue, and another one when that is done.

    The hook of pytest-xdist asks for this; its groups by marker take no effect with pytest 9.2,
    which keeps a test's id elsewhere than pytest-xdist 3.8 writes it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return queue_of(nodeid)
