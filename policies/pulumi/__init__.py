"""Policies that the engine runs on every preview and update; README.md says how to write one."""
