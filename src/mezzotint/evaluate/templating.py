"""What all pages share: the template engine, set to escape everything, and the style."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mezzotint.evaluate import figures, formats


def house_style() -> Environment:
    """An engine that finds the templates of this room, with the style sheet and the masthead."""
    environment = Environment(
        loader=PackageLoader("mezzotint.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=formats.percent, number=formats.number, power=formats.power)
    environment.globals.update(
        style=Markup(environment.get_template("style.css").render()),  # noqa: S704
        plate=figures.plate(),
    )
    return environment
