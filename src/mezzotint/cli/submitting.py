"""submit."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli import options, places, telling
from mezzotint.cli.inputs import make_mechanism
from mezzotint.cli.talk import Talk
from mezzotint.cli.viewing import view_lines
from mezzotint.cli.watching import watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mezzotint.encrypted.job import Job
    from mezzotint.encrypted.plan import EncryptedPlan

_ROLES = "Roles"


class SelectionName(StrEnum):
    """How candidates are chosen."""

    NOISY_MARGINALS = "noisy-marginals"
    SQUARED_L2 = "squared-l2"


class KeyHolderName(StrEnum):
    """Who holds the secret key."""

    THIRD_PARTY = "third-party"
    HOLDER = "holder"


Selection = Annotated[
    SelectionName,
    typer.Option(
        "--selection",
        help="How the mechanism chooses: from noisy copies of all marginals, or by FHAIM's squared "
        "distances, for comparison (AIM and MST; uploads made with --scores).",
        rich_help_panel="Budget",
    ),
]
KeyHolderIs = Annotated[
    KeyHolderName,
    typer.Option(
        "--key-holder-is",
        help="Whose the keys are: a third party's, or the only data holder's own.",
        rich_help_panel=_ROLES,
    ),
]


def submit(
    uploads: Annotated[
        list[Path],
        typer.Argument(
            metavar="UPLOAD...",
            help="Folders that `encrypt` made: one, or one of each data holder.",
            show_default=False,
        ),
    ],
    *,
    provider: Annotated[
        str, typer.Option("--provider", metavar="URL", help="Where the provider is.")
    ],
    keyholder: Annotated[
        str, typer.Option("--keyholder", metavar="URL", help="Where the key holder is.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the model goes.")
    ],
    epsilon: options.Epsilon = 1.0,
    delta: options.Delta = 1e-9,
    mechanism: options.Mechanism = options.MechanismName.AIM,
    workload: options.Workload = None,
    max_model_mb: options.MaxModelMb = None,
    selection: Selection = SelectionName.NOISY_MARGINALS,
    key_holder_is: KeyHolderIs = KeyHolderName.THIRD_PARTY,
    provider_invitation: Annotated[
        Path | None,
        typer.Option(
            "--provider-invitation",
            metavar="FILE",
            envvar="MEZZOTINT_PROVIDER_INVITATION",
            help="The provider's invitation, if it asks for one.",
            rich_help_panel=_ROLES,
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be sent and spent, and stop.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Have a provider fit a model to encrypted tables, spending the budget once.

    Interrupted, the same command goes on from where it was.
    """
    from mezzotint.encrypted.job import Job
    from mezzotint.encrypted.manifest import Manifest
    from mezzotint.service.connection import check_url
    from mezzotint.service.submission import Request, Submission
    from mezzotint.sources.writing import replacing
    from mezzotint.tables.model_file import read_model

    clock, talk = telling.Clock(), Talk(json, quiet)
    request = Request(
        uploads,
        check_url(provider, "--provider"),
        check_url(keyholder, "--keyholder"),
        provider_invitation,
    )
    synthesizer = make_mechanism(mechanism, epsilon, delta, workload, max_model_mb)
    place = places.output(output, "--output")

    def make() -> Job:
        manifests = [Manifest.read(path, "upload") for path in uploads]
        return Job.create(
            manifests, synthesizer, selection=selection.value, keyholder=key_holder_is.value
        )

    if plan:
        _tell_plan(make(), talk)
        return
    asked = {
        "mechanism": mechanism.value,
        "epsilon": epsilon,
        "delta": delta,
        "workload": workload,
        "max_model_mb": max_model_mb,
        "selection": selection.value,
        "key_holder_is": key_holder_is.value,
    }
    submission = Submission.begin(request, asked, make)
    with watching(talk) as watch:
        submission.prepare(watch)
        model, account, cost = submission.run(watch)
    with replacing(place) as file:
        file.write(model)
    fitted = read_model(place)
    submission.finish()
    talk.say(
        telling.entry("Model", str(output)),
        *telling.fitted_lines(fitted),
        "",
        *view_lines(fitted.privacy.views),
    )
    talk.result(
        {
            "command": "submit",
            **telling.fitted_facts(fitted),
            "views": [view.to_json() for view in fitted.privacy.views],
            "job": submission.job.id,
            "cost": cost,
            "account": account,
            "files": telling.files(model=output),
            **clock.read(),
        }
    )


def _tell_plan(job: Job, talk: Talk) -> None:
    """What would be sent and spent; nothing is sent for it."""
    from mezzotint.encrypted.plan import plan_of

    planned = plan_of(job)
    talk.say(*_plan_lines(job, planned), "", *view_lines(planned.views))
    talk.result({"command": "submit", "plan": planned.to_json()})


def _plan_lines(job: Job, plan: EncryptedPlan) -> Iterator[str]:
    budget = job.budget
    yield telling.entry("Budget", f"{budget} per {budget.unit}; rho {job.rho:.4g}")
    yield telling.entry(
        "Mechanism", f"{job.mechanism}, selection by {job.selection}, layout {job.layout}"
    )
    yield telling.entry(
        "Upload",
        f"{plan.ciphertexts:,} ciphertexts of each data holder, at most "
        f"{plan.upload_bytes / 1e6:,.1f} MB ({plan.noise_bytes / 1e6:,.1f} MB of it noise), and "
        f"{plan.keys_bytes / 1e6:,.1f} MB of keys",
    )
    yield telling.entry(
        "Exchange", f"about {plan.exchange_bytes / 1e6:,.1f} MB between provider and key holder"
    )
    yield telling.entry(
        "Work",
        f"{plan.products:,} products of ciphertexts, {plan.relinearisations:,} relinearisations, "
        f"{plan.rotations:,} other key switchings",
    )
    yield telling.entry(
        "Time",
        f"about {plan.holder_seconds:,.0f} CPU seconds of a data holder, "
        f"{plan.provider_seconds:,.0f} of the provider, {plan.keyholder_seconds:,.0f} of the key "
        "holder",
    )
    yield telling.entry("Memory", f"about {plan.memory_bytes / 1e6:,.0f} MB at the provider")
    copies = plan.copies_sigma
    chosen = "" if copies is None else f"; of copies to choose from {copies:,.1f}"
    yield telling.entry("Noise", f"at first {plan.first_sigma:,.1f} rows{chosen}")
