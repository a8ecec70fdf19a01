"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MechanismName(StrEnum):
    """Class in the `mezzotint` package = its name on the command line."""

    Mezzotint = "mezzotint"
    AIM = "aim"
    MST = "mst"
    Independent = "independent"


class AdjacencyName(StrEnum):
    """Which tables count as neighbours."""

    ADD_REMOVE = "add-remove"
    REPLACE_ONE = "replace-one"


class InferName(StrEnum):
    """Ways to come by facts that nobody declared public."""

    DP = "dp"


_BUDGET = "Budget"
_FACTS = "Public facts"
_READING = "Reading"

Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        help="The private table: CSV (.gz too), Parquet, or a directory of Parquet files.",
        show_default=False,
    ),
]
SchemaFile = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        "-s",
        metavar="FILE",
        help="The table's public facts; `mezzotint schema draft` proposes them.",
        rich_help_panel=_FACTS,
    ),
]
DomainFile = Annotated[
    Path | None,
    typer.Option(
        "--domain",
        metavar="FILE",
        help="For tables of whole-number codes: a JSON object, attribute -> number of codes.",
        rich_help_panel=_FACTS,
    ),
]
InferOption = Annotated[
    InferName | None,
    typer.Option(
        "--infer",
        help="Buy the bounds and categories that nobody declared public, with a share of the "
        "budget.",
        rich_help_panel=_FACTS,
    ),
]
InferShare = Annotated[
    float,
    typer.Option(
        "--infer-share",
        metavar="SHARE",
        help="That share of rho. Of delta it takes a tenth, if there are categories to buy.",
        rich_help_panel=_FACTS,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="SIGN",
        help="What separates a CSV file's columns; found from its header by default.",
        rich_help_panel=_READING,
    ),
]
Encoding = Annotated[
    str,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="A CSV file's encoding, such as cp1252.",
        rich_help_panel=_READING,
    ),
]
Mechanism = Annotated[
    MechanismName,
    typer.Option("--mechanism", "-m", help="How the table is modelled.", rich_help_panel=_BUDGET),
]
Epsilon = Annotated[
    float,
    typer.Option("--epsilon", help="Privacy loss; less is more private.", rich_help_panel=_BUDGET),
]
Delta = Annotated[
    float,
    typer.Option(
        "--delta",
        help="Its failure probability; well below 1 / number of people.",
        rich_help_panel=_BUDGET,
    ),
]
Workload = Annotated[
    int | None,
    typer.Option(
        "--workload",
        "-w",
        metavar="K",
        help="Fit all marginals of K attributes (2 by default).",
        rich_help_panel=_BUDGET,
    ),
]
MaxModelMb = Annotated[
    float | None,
    typer.Option(
        "--max-model-mb",
        metavar="MB",
        help="The most that the model may take; larger is slower and often better.",
        rich_help_panel=_BUDGET,
    ),
]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        envvar="MEZZOTINT_LEDGER",
        help="Record what is spent, over all runs, and hold to the data set's cap.",
        rich_help_panel=_BUDGET,
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="The name under which the ledger keeps the table's budget; its file name by default.",
        rich_help_panel=_BUDGET,
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--rows",
        min=0,
        metavar="N",
        help="How many rows to draw; the model's own estimate by default.",
    ),
]
RandomState = Annotated[
    int | None,
    typer.Option(
        "--random-state",
        min=0,
        metavar="SEED",
        help="Makes the drawn rows repeatable. It never touches the noise that protects.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="The attribute that the report's models predict; the last categorical one by default.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
