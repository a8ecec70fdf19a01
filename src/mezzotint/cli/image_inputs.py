"""Images, classes, methods and their settings, as they are written on a command line."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mezzotint.cli.image_options import MethodName
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.images.data import Images
    from mezzotint.images.method import ImageMethod


def open_images(data: str, label: str | None, classes: str | None) -> Images:
    """The data set behind a path, or the bundled one."""
    from mezzotint.images.reading import read_images

    return read_images(data, label=label, classes=_class_names(classes))


def dataset_name(data: str, given: str | None) -> str:
    """What the ledger calls a data set: its file's name, which says less than its path."""
    return given or Path(data).resolve().name or data


def make_method(
    name: MethodName, epsilon: float, delta: float, settings: Sequence[str] | None
) -> ImageMethod:
    """The method that a user named, with its settings.

    Raises:
        ParameterError: if a setting is unknown to the method, or of another type.
    """
    from mezzotint.images.registry import method
    from mezzotint.privacy.accounting import Budget

    Budget(epsilon, delta)
    kind = method(str(name))
    known = {
        place: parameter
        for place, parameter in signature(kind).parameters.items()
        if place not in ("epsilon", "delta")
    }
    hints = typing.get_type_hints(kind.__init__)
    given: dict[str, Any] = {}
    for setting in settings or ():
        place, sign, text = setting.partition("=")
        place = place.strip().replace("-", "_")
        if not sign or place not in known:
            raise ParameterError(
                f"--set {setting}: the method {name} takes "
                f"{', '.join(f'{p}={_shown(v)}' for p, v in known.items()) or 'no settings'}"
            )
        given[place] = _value(setting, text.strip(), hints.get(place, str))
    return kind(epsilon=epsilon, delta=delta, **given)  # type: ignore[call-arg]


def _class_names(classes: str | None) -> list[str] | None:
    if classes is None:
        return None
    names = [name.strip() for name in classes.split(",")]
    if not all(names):
        raise ParameterError(
            f"--classes {classes}: a name is empty; give names with commas between"
        )
    return names


def _shown(parameter: Parameter) -> str:
    return "..." if parameter.default is Parameter.empty else str(parameter.default).lower()


def _value(setting: str, text: str, hint: Any) -> Any:
    """A text as the first of the hinted types that takes it."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in (bool, int, float, str):
        if kind not in kinds:
            continue
        if kind is bool:
            if text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
                return text.lower() in ("true", "yes", "on", "1")
            continue
        try:
            return kind(text)
        except ValueError:
            continue
    if types.NoneType in kinds and text.lower() in ("none", ""):
        return None
    raise ParameterError(f"--set {setting}: {text!r} is no {' or '.join(_words(kinds))}")


def _words(kinds: Sequence[Any]) -> list[str]:
    words = {bool: "yes or no", int: "whole number", float: "number", types.NoneType: "none"}
    return [words.get(kind, getattr(kind, "__name__", str(kind))) for kind in kinds]
