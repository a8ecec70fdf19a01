"""keys create, encrypt."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mezzotint.cli import options, telling
from mezzotint.cli.inputs import open_table, read_schema, require_confirmed
from mezzotint.cli.talk import Talk
from mezzotint.errors import ParameterError

keys = typer.Typer(help="The key holder's keys.", no_args_is_help=True)


class LayoutName(StrEnum):
    """What a data holder encrypts."""

    RECORDS = "records"
    MARGINALS = "marginals"


@keys.callback()
def _keys() -> None:
    pass


@keys.command("create")
def create(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="A new folder for the keys.")
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make keys: secret ones for the key holder, public ones for the data holders.

    Give FOLDER/public and FOLDER/invitation to the data holders, and FOLDER/secret to nobody.
    """
    from mezzotint.encrypted.keys import create as make

    clock, talk = telling.Clock(), Talk(json, quiet)
    with talk.stage("Making keys") as bar:
        folder = make(out, progress=lambda _, done, total: bar(done / max(1, total)))
    size = sum(path.stat().st_size for path in (out / "public").rglob("*"))
    talk.say(
        telling.entry("Secret", f"{out / 'secret'} (decrypts; stays with the key holder)"),
        telling.entry("Invitation", f"{out / 'invitation'} (for data holders, not the provider)"),
        telling.entry("Public", f"{out / 'public'} (for data holders; {size / 1e6:.1f} MB)"),
        telling.entry("Id", folder.public.id),
    )
    talk.result(
        {
            "command": "keys create",
            "id": folder.public.id,
            "identity": folder.identity.public,
            "public_bytes": size,
            "files": telling.files(
                secret=out / "secret", invitation=out / "invitation", public=out / "public"
            ),
            **clock.read(),
        }
    )


def encrypt(
    table: options.Table,
    *,
    keys: Annotated[
        Path,
        typer.Option(
            "--keys", metavar="FOLDER", help="The key holder's public folder, such as keys/public."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the upload goes.")
    ],
    layout: Annotated[
        LayoutName,
        typer.Option(
            "--layout",
            help="marginals: you count and encrypt the counts, which is small and quick. records: "
            "you encrypt the rows, and the provider counts.",
        ),
    ] = LayoutName.MARGINALS,
    schema: options.SchemaFile = None,
    domain: options.DomainFile = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the other roles call you.")
    ] = "data holder",
    rows_at_most: Annotated[
        int | None,
        typer.Option(
            "--rows-at-most",
            min=1,
            metavar="N",
            help="A public maximum of the rows: files are as large as if there were so many. By "
            "default the number rounded up, to an eighth of the next power of two.",
        ),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(
            "--attributes",
            metavar="NAMES",
            help="The schema's attributes that this table has, with commas, where other holders "
            "have others of the same people, in the same order. By default all.",
        ),
    ] = None,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help="With layout marginals: also encrypt what `submit --selection squared-l2` needs, "
            "a much larger upload.",
        ),
    ] = False,
    dataset: options.Dataset = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = "utf-8",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Encrypt a private table for a provider. Spends nothing: nobody can read the result.

    The folder can be submitted as often as the budget allows.
    """
    from mezzotint.encrypted.holder import encrypt_table

    clock, talk = telling.Clock(), Talk(json, quiet)
    facts = read_schema(schema, domain)
    require_confirmed(facts, schema, None)
    source = open_table(table, delimiter, encoding)
    _require_new(output)
    with talk.stage("Encrypting") as bar:
        manifest = encrypt_table(
            source,
            facts,
            keys,
            layout.value,
            output,
            rows_at_most=rows_at_most,
            attributes=None if attributes is None else _names(attributes),
            scores=scores,
            name=name,
            dataset=dataset or table.resolve().name,
            progress=lambda _, done, total: bar(done / max(1, total)),
        )
    at_most = int(manifest.facts["rows_at_most"])
    talk.say(
        telling.entry(
            "Upload",
            f"{output} ({len(manifest.files):,} files, {manifest.size / 1e6:,.1f} MB, layout "
            f"{layout.value})",
        ),
        telling.entry(
            "Public",
            f"the schema, that there are at most {at_most:,} rows, and the sizes of the files",
        ),
        "",
        f"Next: mezzotint submit {output} --provider URL --keyholder URL -o model.mezzo",
    )
    talk.result(
        {
            "command": "encrypt",
            "layout": layout.value,
            "preset": manifest.facts["preset"],
            "rows_at_most": at_most,
            "ciphertext_files": len(manifest.files),
            "bytes": manifest.size,
            "upload": manifest.id,
            "files": telling.files(upload=output),
            **clock.read(),
        }
    )


def _require_new(output: Path) -> None:
    """Refuse a place where something lies: an upload is never replaced, its noise may be used."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ParameterError(f"--output {output}: something is there; give a new folder's name")
    if not output.absolute().parent.is_dir():
        raise ParameterError(
            f"--output {output}: there is no directory {output.absolute().parent}; make it, or "
            "give another place"
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
