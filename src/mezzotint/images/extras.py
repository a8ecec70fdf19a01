"""The libraries that only images need, asked for when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mezzotint.errors import MissingExtraError

_EXTRA = ("torch", "safetensors", "PIL")


def need(module: str) -> Any:
    """Import a module of the extra `images`, or one of ours that needs such a module.

    Args:
        module: its dotted name, such as "torch" or "PIL.Image".

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise MissingExtraError(
            f"images need {package}, which is not installed: "
            'pip install "mezzotint[images]" brings it'
        ) from None
