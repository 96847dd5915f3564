"""Database clusters by hand: how one is, and who leads it next.

The plan says which hosts form a cluster and through which its clients come. What runs there is the
one thing that this room knows of them: Patroni's own command on a member, and the program that the
endpoint's role installs.
"""

from infra.database.ask import Answer, Ask, Cluster, ask_over_ssh, look_at
from infra.database.handover import Clock, Ended, hand_over
from infra.database.judge import Handover, decide, faults
from infra.database.views import ClusterView, EndpointView, Member, Seen, Unanswered

__all__ = [
    "Answer",
    "Ask",
    "Clock",
    "Cluster",
    "ClusterView",
    "Ended",
    "EndpointView",
    "Handover",
    "Member",
    "Seen",
    "Unanswered",
    "ask_over_ssh",
    "decide",
    "faults",
    "hand_over",
    "look_at",
]
