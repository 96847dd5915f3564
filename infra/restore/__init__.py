"""Restores of a database into a scratch folder, and what they are worth.

The plan says which host keeps the copies. The program that its role installed there does the work
and refuses what cannot be; what came back is compared, table by table, with the running cluster.
"""

from infra.restore.compare import TableComparison, compare, is_proved
from infra.restore.digests import DIGEST_SQL, Digest, Digests, parse_digests
from infra.restore.order import LATEST, Order, parse_target
from infra.restore.shell import Hosts, Restored, digests_of_cluster, leader_of, restore

__all__ = [
    "DIGEST_SQL",
    "LATEST",
    "Digest",
    "Digests",
    "Hosts",
    "Order",
    "Restored",
    "TableComparison",
    "compare",
    "digests_of_cluster",
    "is_proved",
    "leader_of",
    "parse_digests",
    "parse_target",
    "restore",
]
