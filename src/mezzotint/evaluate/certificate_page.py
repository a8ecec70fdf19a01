"""A privacy statement as a page to read: what is promised, for which file, who vouches for it."""

from __future__ import annotations

from mezzotint.evaluate.ledger_table import ledger_rows, neighbours
from mezzotint.evaluate.templating import house_style
from mezzotint.privacy.certificate import Certificate


def render(certificate: Certificate) -> str:
    """One self-contained HTML page; everything on it is public."""
    environment = house_style()
    ledger = ledger_rows(certificate.statement)
    return environment.get_template("certificate.html").render(
        certificate=certificate,
        statement=certificate.statement,
        ledger=ledger,
        ledger_top=max((row.share for row in ledger), default=1.0),
        neighbours=neighbours(certificate.statement),
    )
