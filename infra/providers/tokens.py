"""Type tokens: the names under which the engine, its state and the policies know our resources.

A token is written into every state file. It may gain neighbours but never changes.
"""

PACKAGE = "province"

LAB_NETWORK = "province:lab:Network"
LAB_HOST = "province:lab:Host"
LAB_PROBE_POINT = "province:lab:ProbePoint"
STATIC_NETWORK = "province:static:Network"
STATIC_HOST = "province:static:Host"
REGISTER = "province:backbone:Register"
BACKBONE = "province:backbone:Backbone"
SITE = "province:site:Site"

NETWORKS = frozenset({LAB_NETWORK, STATIC_NETWORK})
HOSTS = frozenset({LAB_HOST, STATIC_HOST})
COMPONENTS = frozenset({BACKBONE, SITE})
"""Resources that only group others; nothing in the world stands for them."""
