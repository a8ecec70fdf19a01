"""audit."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli import options, places, telling
from mezzotint.cli.talk import Talk, table
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.audit.attack import Line


def audit(
    mechanism: Annotated[
        str | None,
        typer.Option(
            "--mechanism", "-m", metavar="NAME", help="What to attack; --list shows the names."
        ),
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Attack every mechanism, one after another.")
    ] = False,
    names: Annotated[bool, typer.Option("--list", help="Show what can be attacked.")] = False,
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-5,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs", metavar="N", help="Runs on each of two neighbouring tables.", min=10
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --all: few runs, in a minute or two.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", help="How many processors to use.", min=1),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a page with plots: .html."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Attack the guarantees, and print the epsilon that is proved beside the one claimed.

    Exits with 1 if a claim does not hold.
    """
    from mezzotint.audit import suite

    talk = Talk(json, quiet)
    if names:
        talk.say(*(entry.name for entry in suite.LISTED))
        talk.result({"command": "audit", "mechanisms": [entry.name for entry in suite.LISTED]})
        return
    if everything == (mechanism is not None):
        raise ParameterError("give either --mechanism NAME or --all; --list shows the names")
    if quick and not everything:
        raise ParameterError("--quick goes with --all; give --runs instead")
    place = None if output is None else places.output(output, "--output")
    clock = telling.Clock()
    jobs = jobs or min(2, os.cpu_count() or 1)
    if everything:
        lines = _all(talk, epsilon, delta, quick=quick, runs=runs, jobs=jobs)
    else:
        assert mechanism is not None
        with talk.stage(f"attacking {mechanism}") as progress:
            line = suite.audit(mechanism, epsilon, delta, runs=runs, jobs=jobs, progress=progress)
        lines = [line]
    if place is not None:
        from mezzotint.audit.page import render
        from mezzotint.sources.writing import replacing

        with replacing(place) as file:
            file.write(render(lines).encode())
    talk.say(*table(_HEAD, [_row(line) for line in lines]))
    held = all(line.holds for line in lines)
    if not held:
        talk.note("a claim does not hold: please report it with the command and this output")
    made = {"files": telling.files(page=output), "seconds": clock.read()["seconds"]}
    if everything:
        shown = {"lines": [line.to_json() for line in lines], "holds": held}
        talk.result({"command": "audit", **shown, **made})
    else:
        talk.result({"command": "audit", **lines[0].to_json(), **made})
    if not held:
        raise typer.Exit(1)


_HEAD = ("mechanism", "claimed", "visible", "proved", "runs", "CPU s", "holds")


def _row(line: Line) -> tuple[str, ...]:
    return (
        line.mechanism,
        f"{line.claimed_epsilon:g}",
        f"{line.ceiling:.4f}",
        f"{line.lower_bound:.4f}",
        str(line.runs),
        f"{line.cpu_seconds:.1f}",
        "yes" if line.holds else "NO",
    )


def _all(
    talk: Talk, epsilon: float, delta: float, *, quick: bool, runs: int | None, jobs: int
) -> list[Line]:
    from mezzotint.audit import suite

    with ExitStack() as stage:

        def began(name: str) -> Callable[[float], None]:
            stage.pop_all().close()
            return stage.enter_context(talk.stage(f"attacking {name}"))

        return suite.audit_all(epsilon, delta, quick=quick, runs=runs, jobs=jobs, began=began)
