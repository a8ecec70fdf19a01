"""Settings for the tests of the table rooms."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not turn a slow example into a failure.
settings.register_profile("mezzotint", deadline=None)
settings.load_profile("mezzotint")
