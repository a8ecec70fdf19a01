"""demo --encrypted: every role of the encrypted protocol in one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mezzotint.cli import job, telling
from mezzotint.cli.talk import Talk
from mezzotint.cli.viewing import view_lines
from mezzotint.cli.watching import watching
from mezzotint.errors import ParameterError

if TYPE_CHECKING:
    from mezzotint.encrypted.job import LayoutName
    from mezzotint.schema import Schema
    from mezzotint.tables.synthesizer import Synthesizer

_MARKER = "made by mezzotint demo"


@dataclass(frozen=True)
class Places:
    """Where the demonstration's files go."""

    data: Path
    rows: Path
    report: Path
    model: Path
    roles: Path


def demonstrate(
    synthesizer: Synthesizer, schema: Schema, places: Places, layout: LayoutName, talk: Talk
) -> dict[str, Any]:
    """Keys, upload, noise, products, decryption and fit; then rows and a report as ever.

    Args:
        synthesizer: the mechanism and its budget.
        schema: the table's public facts.
        places: where the files go; the table lies there already.
        layout: "marginals" or "records".
        talk: how to speak.

    Returns:
        What `--json` says.
    """
    from mezzotint.encrypted.local import run_in_process
    from mezzotint.service.progress import Pace
    from mezzotint.sources import open_source

    clock, source = telling.Clock(), open_source(places.data)
    _make_room(places.roles)
    with watching(talk) as watch:
        fitted = run_in_process(
            [source],
            schema,
            synthesizer,
            places.roles,
            layout=layout,
            progress=Pace(watch),
            dataset=places.data.name,
        )
    fitted.save(places.model)
    rows = fitted.sample(random_state=0)
    job.write_rows(rows, fitted.schema, places.rows, delimiter=",", talk=talk)
    job.write_report(
        source,
        rows,
        fitted.schema,
        places.report,
        talk,
        statement=fitted.privacy,
        target="readmitted",
    )
    talk.say(
        telling.entry("Roles", f"{places.roles} (each one's folder: keys, upload, ledgers)"),
        telling.entry("Rows", f"{places.rows} ({rows.num_rows:,} rows)"),
        telling.entry("Model", str(places.model)),
        telling.entry("Report", f"{places.report} ({job.PRIVATE_REPORT})"),
        *telling.fitted_lines(fitted),
        "",
        *view_lines(fitted.privacy.views),
    )
    return {
        **telling.fitted_facts(fitted),
        "layout": layout,
        "rows": rows.num_rows,
        "columns": rows.num_columns,
        "views": [view.to_json() for view in fitted.privacy.views],
        "files": telling.files(
            synthetic=places.rows, report=places.report, model=places.model, roles=places.roles
        ),
        **clock.read(),
    }


def _make_room(roles: Path) -> None:
    """An empty folder for the roles; only an earlier demonstration's is removed."""
    marker = roles / _MARKER
    if marker.exists():
        shutil.rmtree(roles)
    elif roles.exists():
        raise ParameterError(
            f"{roles}: there is something that no demonstration has made; give another --out"
        )
    roles.mkdir()
    marker.touch()
