"""Settings of the property tests."""

from hypothesis import settings

# The same examples on every machine: a property that fails once fails for everybody.
settings.register_profile("province", derandomize=True, deadline=None, max_examples=20)
settings.load_profile("province")
