"""Shared builders stand in `worlds.py` beside this file, which puts its folder on the path."""

from hypothesis import settings

# The same examples on every machine and in every run: a test that fails once fails for everybody.
settings.register_profile("province", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("province")
