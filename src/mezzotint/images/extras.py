"""The libraries that only images need, asked for when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mezzotint.errors import MissingExtraError


def need(module: str) -> Any:
    """Import a module of the extra `images`.

    Args:
        module: its dotted name, such as "torch" or "PIL.Image".

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(
            f"images need {package}, which is not installed: "
            'pip install "mezzotint[images]" brings it'
        ) from None
