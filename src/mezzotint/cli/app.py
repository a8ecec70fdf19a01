"""The tree of commands, and how it is run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import FrameType
from typing import Annotated

import typer

from mezzotint.cli import (
    auditing,
    demo,
    encrypting,
    fitting,
    image_evaluation,
    images,
    ledgers,
    reports,
    schemas,
    services,
    statements,
    submitting,
)

_INTERRUPTED = 130

app = typer.Typer(
    name="mezzotint",
    help="Synthetic stand-ins for data that cannot be shared, with differential privacy.",
    no_args_is_help=True,
    add_completion=False,
    # Typer's own tracebacks print local variables, and those hold private rows.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(schemas.app, name="schema")
for command in (fitting.plan, fitting.fit, fitting.sample, fitting.synthesize):
    app.command()(command)
app.command()(reports.report)
app.command()(demo.demo)
images.app.command()(image_evaluation.evaluate)
app.add_typer(images.app, name="images")
app.add_typer(encrypting.keys, name="keys")
app.command()(encrypting.encrypt)
app.command()(submitting.submit)
app.add_typer(services.provider, name="provider")
app.add_typer(services.keyholder, name="keyholder")
app.add_typer(ledgers.app, name="ledger")
app.command()(auditing.audit)
app.add_typer(statements.app, name="statement")
app.command()(statements.verify)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mezzotint {version('mezzotint')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def run(words: Sequence[str], *, own_process: bool) -> int:
    """Run a command; returns the exit code, raises what went wrong."""
    if own_process:
        # Threads that wait for each other by spinning take several times as long where another
        # program has one of the cores. Read when PyTorch is loaded, which is later.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        signal.signal(signal.SIGTERM, _terminated)
        sys.meta_path.insert(0, _WithoutPandas)
        for stream in (sys.stdout, sys.stderr):
            # A category that the terminal cannot spell is no reason to fail.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = typer.main.get_command(app).main(
        list(words), prog_name="mezzotint", standalone_mode=False
    )
    if code == _INTERRUPTED:
        # Newer versions of Typer swallow the interrupt and say nothing.
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


class _WithoutPandas:
    """Lets pyarrow import pandas in vain.

    It does so, where that is installed, to make its first array: a third of a second for something
    that no command needs. Who only asks where pandas is (PyTorch does) gets an answer.
    """

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, cls) if name == "pandas" else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        raise ModuleNotFoundError(name=spec.name)

    @staticmethod
    def exec_module(module: object) -> None:
        """Never reached."""


def _terminated(number: int, frame: FrameType | None) -> None:
    """A polite kill unwinds, so that half-written files are removed and the ledger is closed."""
    raise SystemExit(128 + number)
