"""Tests run side by side: one thread a process, and no deadline for an example."""

from __future__ import annotations

import os

from hypothesis import settings

# Threads that wait for others are slow.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A busy machine must not turn a slow example into a failure.
settings.register_profile("mezzotint", deadline=None)
settings.load_profile("mezzotint")
