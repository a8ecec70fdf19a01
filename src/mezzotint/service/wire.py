"""The version of what the services say to one another, and what health tells."""

from __future__ import annotations

from typing import Final

WIRE: Final = 1
"""The version of the paths and bodies of both services."""

PROVIDER: Final = "provider"
KEY_HOLDER: Final = "key holder"
