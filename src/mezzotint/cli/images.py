"""images fit, sample, plan."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli import image_options, job, options, places, telling
from mezzotint.cli.image_inputs import dataset_name, make_method, open_images
from mezzotint.cli.image_telling import (
    drawn_facts,
    fitted_facts,
    fitted_lines,
    plan_lines,
    working,
)
from mezzotint.cli.talk import Talk
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.images.fitted import FittedImages

app = typer.Typer(help="Private images in, synthetic labelled images out.", no_args_is_help=True)

_SHEET_COLUMNS = 10
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model file that `images fit` wrote.", show_default=False
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="Also a sheet of images: .png."),
]


@app.command()
def fit(
    data: image_options.Data,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the model goes; by default a new file with the data's name, and a sheet "
            "beside it.",
            show_default=False,
        ),
    ] = None,
    sheet: Sheet = None,
    method: image_options.Method = image_options.MethodName.MEZZOTINT,
    epsilon: image_options.Epsilon = 1.0,
    delta: image_options.Delta = 1e-5,
    label: image_options.Label = None,
    classes: image_options.Classes = None,
    population: image_options.Population = None,
    settings: image_options.Set = None,
    device: image_options.Device = "cpu",
    checkpoint: image_options.Checkpoint = None,
    micro_batch: image_options.MicroBatch = None,
    random_state: image_options.RandomState = None,
    ledger: options.LedgerFile = None,
    dataset: options.Dataset = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a generator to private images, spending the budget once.

    The model file may leave the building; `images sample` draws from it, as often as you like.
    """
    from mezzotint.privacy.ledger import Ledger

    clock, talk = telling.Clock(), Talk(json, quiet)
    maker = make_method(method, epsilon, delta, settings)
    name = dataset_name(data, dataset)
    model, picture = _outputs(name, output, sheet)
    places.require_apart([model, picture], [Path(data), ledger])
    images = open_images(data, label, classes)
    account = None
    with working(talk) as progress:
        book = None if ledger is None else Ledger.open(ledger)
        try:
            maker.fit(
                images.train,
                ledger=book,
                dataset=name,
                population=population,
                progress=progress,
                device=device,
                checkpoint=checkpoint,
                micro_batch=micro_batch,
                random_state=0 if random_state is None else random_state,
            )
            account = None if book is None else book.account(name)
        finally:
            if book is not None:
                book.close()
    fitted = maker.fitted_
    with job.after_spending():
        fitted.save(model)
        talk.say(telling.entry("Model", str(model)))
        if picture is not None:
            _draw_sheet(fitted, picture, talk)
    talk.say(*fitted_lines(fitted))
    telling.tell_total(account, talk)
    talk.result(
        {
            "command": "images fit",
            **fitted_facts(fitted),
            "files": telling.files(model=model, sheet=picture, ledger=ledger),
            "ledger": None if account is None else telling.account_facts(account),
            **clock.read(),
        }
    )


@app.command()
def sample(
    model: ModelFile,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the images go: .npz, arrays x and y."
        ),
    ],
    images: Annotated[
        int | None,
        typer.Option(
            "-n", "--images", min=1, metavar="N", help="How many; ten a class by default."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="CLASS", help="Only such images: a class, by its name."),
    ] = None,
    sheet: Sheet = None,
    random_state: image_options.RandomState = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw synthetic images from a model. Spends nothing."""
    from mezzotint.images.model_file import read_images_model
    from mezzotint.images.sheets import write_sheet

    clock, talk = telling.Clock(), Talk(json, quiet)
    fitted = read_images_model(model)
    place = places.output(_ending(output, ".npz", "--output"), "--output")
    picture = None if sheet is None else places.output(_ending(sheet, ".png", "--sheet"), "--sheet")
    places.require_apart([place, picture], [model])
    with talk.stage("Drawing images"):
        drawn = fitted.sample(images, label, random_state=random_state)
    with talk.stage("Writing"):
        drawn.save(place)
        if picture is not None:
            write_sheet(drawn, picture)
    talk.say(telling.entry("Images", f"{output} ({len(drawn):,} images)"))
    if picture is not None:
        talk.say(telling.entry("Sheet", str(sheet)))
    talk.result(
        {
            "command": "images sample",
            **fitted_facts(fitted),
            **drawn_facts(drawn),
            "files": telling.files(synthetic=output, sheet=sheet),
            **clock.read(),
        }
    )


@app.command()
def plan(
    data: image_options.Data,
    *,
    method: image_options.Method = image_options.MethodName.MEZZOTINT,
    epsilon: image_options.Epsilon = 1.0,
    delta: image_options.Delta = 1e-5,
    label: image_options.Label = None,
    classes: image_options.Classes = None,
    population: image_options.Population = None,
    settings: image_options.Set = None,
    device: image_options.Device = "cpu",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a fit would spend, on what, with how much time and memory.

    Of DATA only the images' shape and the list of classes are used.
    """
    talk = Talk(json, quiet)
    maker = make_method(method, epsilon, delta, settings)
    facts = open_images(data, label, classes).train.facts
    planned = maker.plan_for(facts.shape, facts.classes, population, device=device)
    talk.say(*plan_lines(planned))
    talk.result({"command": "images plan", **planned.to_json()})


def _outputs(name: str, output: Path | None, sheet: Path | None) -> tuple[Path, Path | None]:
    """Where model and sheet go; checked before anything is spent."""
    if output is None:
        stem = Path(name).stem
        model, picture = Path(f"{stem}.mezzo"), sheet or Path(f"{stem}.png")
        for path in (model, picture):
            if path.exists() and path != sheet:
                raise ParameterError(
                    f"{path}: it exists already; name the model's file (--output FILE)"
                )
    else:
        model, picture = output, sheet
    model = places.output(model, "--output")
    if picture is not None:
        picture = places.output(_ending(picture, ".png", "--sheet"), "--sheet")
    return model, picture


def _ending(path: Path, ending: str, option: str) -> Path:
    if path.suffix.lower() != ending:
        raise ParameterError(f"{option} {path}: give a name that ends in {ending}")
    return path


def _draw_sheet(fitted: FittedImages, path: Path, talk: Talk) -> None:
    """Ten images a class, as a picture, and a few of them on a terminal that can."""
    from mezzotint.images.sheets import ROWS, text_sheet, write_sheet

    labels = [c for c in range(min(ROWS, len(fitted.facts.classes))) for _ in range(_SHEET_COLUMNS)]
    with talk.stage("Drawing a sheet"):
        drawn = fitted.sample(labels=labels, random_state=0)
        write_sheet(drawn, path, columns=_SHEET_COLUMNS)
    talk.say(telling.entry("Sheet", str(path)))
    if sys.stdout.isatty():
        talk.say(*text_sheet(drawn, width=shutil.get_terminal_size().columns))
