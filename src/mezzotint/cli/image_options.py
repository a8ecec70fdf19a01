"""Options that the commands for images share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MethodName(StrEnum):
    """How images are modelled; the names are those of `mezzotint.images.registry`."""

    MEZZOTINT = "mezzotint"
    EF_GAN = "ef-gan"
    LATENT_DIFFUSION = "latent-diffusion"
    LIPSCHITZ_VAE = "lipschitz-vae"
    DP_MERF = "dp-merf"
    DP_SINKHORN = "dp-sinkhorn"
    CLASS_GAUSSIANS = "class-gaussians"


_BUDGET = "Budget"
_FACTS = "Public facts"
_WORK = "Work"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="The private images: an .npz or IDX file, a folder with one subfolder a class or a "
        "CSV of labels, or 'digits' (scikit-learn's bundled set).",
        show_default=False,
    ),
]
Method = Annotated[
    MethodName,
    typer.Option("--method", "-m", help="How the images are modelled.", rich_help_panel=_BUDGET),
]
Epsilon = Annotated[
    float,
    typer.Option("--epsilon", help="Privacy loss; less is more private.", rich_help_panel=_BUDGET),
]
Delta = Annotated[
    float,
    typer.Option(
        "--delta",
        help="Its failure probability; well below 1 / number of images.",
        rich_help_panel=_BUDGET,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="NAME",
        help="The attribute (or the column of a CSV of labels) that is the label, such as Male.",
        rich_help_panel=_FACTS,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="NAMES",
        help="The classes' names, with commas between; by default those that the data has, which "
        "then count as public.",
        rich_help_panel=_FACTS,
    ),
]
Population = Annotated[
    int | None,
    typer.Option(
        "--population",
        min=1,
        metavar="N",
        help="About how many images there are, if that is public. Methods that need it buy it with "
        "a fiftieth of epsilon otherwise.",
        rich_help_panel=_FACTS,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the method, such as effort=0.2 for a fifth of the training. Repeat it "
        "for several.",
        rich_help_panel=_WORK,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="Where to compute: cpu, cuda, cuda:1.", rich_help_panel=_WORK),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FOLDER",
        help="Keep there what is needed to resume after a crash without spending twice; needs "
        "--ledger.",
        rich_help_panel=_WORK,
    ),
]
MicroBatch = Annotated[
    int | None,
    typer.Option(
        "--micro-batch",
        min=1,
        metavar="N",
        help="The most images whose gradients are in memory at once.",
        rich_help_panel=_WORK,
    ),
]
RandomState = Annotated[
    int | None,
    typer.Option(
        "--random-state",
        min=0,
        metavar="SEED",
        help="Makes whatever is no noise repeatable. It never touches the noise that protects.",
        rich_help_panel=_WORK,
    ),
]
