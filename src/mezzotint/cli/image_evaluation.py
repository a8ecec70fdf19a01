"""images evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli import image_options, options, places, telling
from mezzotint.cli.image_inputs import open_images
from mezzotint.cli.image_telling import working
from mezzotint.cli.talk import Talk, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mezzotint.evaluate.images import ImageReport
    from mezzotint.evaluate.images.transfer import Accuracy


def evaluate(
    synthetic: Annotated[
        str,
        typer.Argument(
            metavar="SYNTHETIC", help="The synthetic images, from any tool.", show_default=False
        ),
    ],
    *,
    real: Annotated[
        str,
        typer.Option(
            "--real", metavar="DATA", help="The real images, with a test part if there is one."
        ),
    ],
    label: image_options.Label = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="The model the images were drawn from: its guarantee is shown.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            "-o",
            metavar="FILE",
            help="Also an HTML page (or .json), for the images' owner.",
        ),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            "--inception",
            metavar="FILE",
            help="Also the standard FID, by this TorchScript file (inception-2015-12-05.pt).",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, metavar="N", help="How often classifiers are trained.")
    ] = 3,
    no_ceiling: Annotated[
        bool,
        typer.Option("--no-ceiling", help="Do not train the classifiers on real images as well."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="An eighth of the training, one seed: a first look.")
    ] = False,
    title: Annotated[str | None, typer.Option("--title", help="The page's title.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Judge synthetic images: what they teach, how near they come, what they remember.

    All figures are computed on the real images, exactly: they are for the owner only.
    """
    clock, talk = telling.Clock(), Talk(json, quiet)
    statements = ()
    if model is not None:
        from mezzotint.images.model_file import read_images_model

        statements = read_images_model(model).statements
    place = None if report is None else places.output(report, "--report")
    places.require_apart([place], [Path(synthetic), Path(real), model, inception])
    theirs = open_images(real, label, None)
    ours = open_images(synthetic, None, None).train
    from mezzotint.images.extras import need

    evaluate_images = need("mezzotint.evaluate.images").evaluate_images
    with working(talk) as progress:
        made = evaluate_images(
            ours,
            theirs,
            statements=statements,
            seeds=seeds,
            quick=quick,
            ceilings=not no_ceiling,
            inception=inception,
            title=title,
            progress=progress,
        )
    if place is not None:
        with talk.stage("Writing"):
            made.write(place)
        talk.say(telling.entry("Report", f"{report} ({_PRIVATE})"))
    talk.say(*_lines(made))
    talk.result(
        {
            "command": "images evaluate",
            **made.figures(),
            "files": telling.files(report=report),
            **clock.read(),
        }
    )


_PRIVATE = "holds exact figures and pictures of the real images, so it is for their owner only"


def _lines(report: ImageReport) -> Iterator[str]:
    counts = (report.synthetic_images, report.train_images, report.test_images)
    yield telling.entry(
        "Images", "{:,} synthetic; {:,} real to train on, {:,} real to test on".format(*counts)
    )
    yield ""
    yield from table(
        ("trained on", "synthetic", "", "real", ""),
        [(t.classifier, *_accuracy(t.synthetic), *_accuracy(t.real)) for t in report.transfers],
    )
    yield ""
    rows = []
    for overlap in report.overlaps:
        ours, floor = overlap.synthetic, overlap.floor
        rows += [
            (f"{m} ({overlap.space})", f"{getattr(ours, m):.3f}", f"{getattr(floor, m):.3f}")
            for m in ("precision", "recall", "density", "coverage")
        ]
    for d in report.distances:
        rows.append((f"{d.space}-FID", f"{d.frechet:.2f}", f"{d.frechet_floor:.2f}"))
        rows.append((f"{d.space}-KID", f"{d.kernel.mean:.4f}", f"{d.kernel_floor.mean:.4f}"))
    near = report.neighbours
    rows.append(("distance to training images", f"{near.synthetic:.4f}", f"{near.test:.4f}"))
    yield from table(("measure", "synthetic", "real test images"), rows)
    yield ""
    for d in report.distances:
        yield telling.entry(d.space, f"checksum {d.checksum}, {d.images[0]:,} images a side")
    for note in report.notes:
        yield telling.entry("Note", note)


def _accuracy(scores: Accuracy | None) -> tuple[str, str]:
    if scores is None:
        return "", ""
    spread = "" if scores.spread != scores.spread else f"+- {100 * scores.spread:.2f}"
    return f"{100 * scores.mean:.2f} %", spread
