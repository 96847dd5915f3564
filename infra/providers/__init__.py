"""Machines and networks as resources of the Pulumi engine; README.md has the picture.

Kept empty on purpose: policies read `tokens` and the command reads `abilities` without loading the
engine's SDK.
"""
