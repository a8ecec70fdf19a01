"""statement key, statement write; verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.cli import options, places, telling
from mezzotint.cli.talk import Talk

if TYPE_CHECKING:
    from mezzotint.privacy.certificate import Certificate
    from mezzotint.privacy.signing import SigningKey
    from mezzotint.privacy.statement import Statement

app = typer.Typer(
    help="The privacy statement of a file of synthetic data: write it, sign it.",
    no_args_is_help=True,
)
Synthetic = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The file of synthetic data.", show_default=False),
]


@app.command()
def key(
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the private key goes."),
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a key to sign statements with.

    The private key can be read by its owner only. The public one is written beside it, with .pub
    at the end: make it known where others can trust it.
    """
    from mezzotint.privacy.certificate import write_key
    from mezzotint.sources.writing import replacing

    talk = Talk(json, quiet)
    place = places.output(output, "--output")
    public = place.with_name(place.name + ".pub")
    made = write_key(place)
    with replacing(public) as file:
        file.write(made.public_key.encode() + b"\n")
    talk.say(
        telling.entry("Private", f"{output} (keep it secret)"),
        telling.entry("Public", f"{made.public_key}, in {public}"),
    )
    talk.result(
        {
            "command": "statement key",
            "public_key": made.public_key,
            "files": telling.files(private=output, public=public),
        }
    )


@app.command()
def write(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="The model that the file was drawn from.", show_default=False
        ),
    ],
    synthetic: Synthetic,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the statement goes.")
    ],
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Also as a page to read (HTML)."),
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Sign it with this private key."),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger",
            metavar="FILE",
            help="Also say what all runs on the data set have spent.",
        ),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option("--audit", metavar="FILE", help="Also say what `audit --json` found."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the privacy statement of a file of synthetic data; `verify` checks it."""
    from mezzotint.privacy.certificate import read_audit
    from mezzotint.privacy.signing import SigningKey

    talk = Talk(json, quiet)
    place = places.output(output, "--output")
    page_place = None if page is None else places.output(page, "--page")
    places.require_apart([place, page_place], [model, synthetic, signing_key, ledger, audit])
    found = () if audit is None else read_audit(audit)
    signing = None if signing_key is None else SigningKey.read(signing_key)
    made = certify(_statement(model), synthetic, signing, ledger, audit=found)
    write_certificate(made, place, page_place)
    talk.say(
        telling.entry("Statement", f"{output} ({'signed' if made.signature else 'not signed'})"),
        telling.entry("Guarantee", made.statement.sentence()),
    )
    talk.result(
        {
            "command": "statement write",
            **_facts(made),
            "files": telling.files(statement=output, page=page),
        }
    )


def verify(
    statement: Annotated[
        Path,
        typer.Argument(metavar="STATEMENT", help="The statement's file.", show_default=False),
    ],
    synthetic: Synthetic,
    *,
    signed_by: Annotated[
        str | None,
        typer.Option(
            "--signed-by",
            metavar="KEY",
            help="The public key that you trust (64 hexadecimal digits, or a file with them); "
            "without it, whoever signed counts.",
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", metavar="FILE", help="The ledger, to find the releases in."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that a privacy statement holds together and belongs to a file; exit code 1 if not.

    The statement is parsed, its releases are added up anew, the file's SHA-256 is compared, the
    signature is checked, and with --ledger the releases are looked up.
    """
    from mezzotint.privacy.certificate import Certificate
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.privacy.signing import parse_public_key

    talk = Talk(json, quiet)
    trusted = None if signed_by is None else parse_public_key(signed_by)
    found = Certificate.read(statement)
    found.require_guarantee()
    found.require_file(synthetic)
    if found.signature is not None or trusted is not None:
        found.require_signature(trusted)
    if ledger is not None:
        with Ledger.open(ledger, read_only=True) as book:
            found.require_ledger(book)
    checked = {
        "releases": True,
        "file": True,
        "signature": found.signature is not None,
        "signer_trusted": trusted is not None,
        "ledger": ledger is not None,
    }
    talk.say(*_lines(found, synthetic, checked))
    talk.result({"command": "verify", **_facts(found), "checked": checked})


def certify(
    statement: Statement,
    synthetic: Path,
    signing: SigningKey | None,
    ledger: Path | None,
    *,
    audit: tuple[Any, ...] = (),
) -> Certificate:
    """The certificate of a finished file, signed if there is a key."""
    from mezzotint.privacy.certificate import Certificate
    from mezzotint.privacy.ledger import Ledger

    account = None
    if ledger is not None:
        with Ledger.open(ledger, read_only=True) as book:
            account = book.account(statement.dataset)
    made = Certificate.of(statement, synthetic, account=account, audit=audit)
    return made if signing is None else made.signed(signing)


def write_certificate(certificate: Certificate, place: Path, page: Path | None = None) -> None:
    """The statement's file, and its page if one is wanted."""
    from mezzotint.sources.writing import replacing

    with replacing(place) as file:
        file.write(certificate.to_text().encode())
    if page is not None:
        from mezzotint.evaluate.certificate_page import render

        with replacing(page) as file:
            file.write(render(certificate).encode())


def _statement(model: Path) -> Statement:
    from mezzotint import load

    return load(model).privacy


def _lines(found: Certificate, synthetic: Path, checked: dict[str, bool]) -> list[str]:
    statement, signature = found.statement, found.signature
    if signature is None:
        signed = "nobody: anybody could have written this statement"
    elif checked["signer_trusted"]:
        signed = f"{signature.public_key}, the key that you trust; valid"
    else:
        signed = f"{signature.public_key}; valid. Whose key that is, --signed-by would check"
    lines = [
        telling.entry("File", f"{synthetic} is the one that the statement speaks of"),
        telling.entry("Guarantee", statement.sentence()),
        telling.entry(
            "Releases",
            f"{len(statement.releases)}; added up anew they cost epsilon "
            f"{statement.epsilon_spent:.4g} of {statement.epsilon:g}",
        ),
        telling.entry("Signed by", signed),
    ]
    if checked["ledger"]:
        lines.append(telling.entry("Ledger", "holds the run with just these releases"))
    return lines


def _facts(found: Certificate) -> dict[str, Any]:
    statement, signature = found.statement, found.signature
    return {
        "dataset": statement.dataset,
        "mechanism": statement.mechanism,
        "epsilon": statement.epsilon,
        "delta": statement.delta,
        "adjacency": str(statement.adjacency),
        "unit": {"name": statement.unit.name, "rows": statement.unit.rows},
        "epsilon_spent": statement.epsilon_spent,
        "releases": len(statement.releases),
        "private": statement.private,
        "guarantee": statement.sentence(),
        "file": found.file.to_json(),
        "signed_by": None if signature is None else signature.public_key,
        "audits": len(found.audit),
    }
