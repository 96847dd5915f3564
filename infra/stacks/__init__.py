"""One Pulumi program per site and one for the backbone; README.md says how to work with them.

Empty on purpose: the inventory reads `outputs` without loading the engine's SDK.
"""
