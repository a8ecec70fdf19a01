"""How many examples hypothesis makes: few by default, and what an environment variable asks for.

MEZZOTINT_EXAMPLES=10000 pytest tests/tables/test_curator.py
"""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """`few`, or what MEZZOTINT_EXAMPLES says if that is more."""
    return max(few, int(os.environ.get("MEZZOTINT_EXAMPLES", "0")))
