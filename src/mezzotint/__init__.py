"""Synthetic stand-ins for data that cannot be shared, with differential privacy to check.

    >>> import mezzotint as mz
    >>> table = mz.demo_table(500, random_state=0)
    >>> schema = mz.Schema.draft(table).confirm(all_public=True)
    >>> synthesizer = mz.AIM(epsilon=1.0).fit(table, schema)
    >>> synthesizer.sample(3).num_columns == table.num_columns
    True

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mezzotint.demo import demo_table
    from mezzotint.errors import MezzotintError
    from mezzotint.images.model_file import load
    from mezzotint.privacy.accounting import Adjacency, Budget, PrivacyUnit
    from mezzotint.privacy.ledger import Ledger
    from mezzotint.privacy.statement import Statement
    from mezzotint.schema import Schema
    from mezzotint.tables.aim import AIM
    from mezzotint.tables.fitted import FittedTable
    from mezzotint.tables.independent import Independent
    from mezzotint.tables.mezzotint import Mezzotint
    from mezzotint.tables.mst import MST

_HOMES = {
    "AIM": "tables.aim",
    "Adjacency": "privacy.accounting",
    "Budget": "privacy.accounting",
    "FittedTable": "tables.fitted",
    "Independent": "tables.independent",
    "Ledger": "privacy.ledger",
    "MST": "tables.mst",
    "Mezzotint": "tables.mezzotint",
    "MezzotintError": "errors",
    "PrivacyUnit": "privacy.accounting",
    "Schema": "schema",
    "Statement": "privacy.statement",
    "demo_table": "demo:demo_table",
    "load": "images.model_file",
}

__all__ = [
    "AIM",
    "MST",
    "Adjacency",
    "Budget",
    "FittedTable",
    "Independent",
    "Ledger",
    "Mezzotint",
    "MezzotintError",
    "PrivacyUnit",
    "Schema",
    "Statement",
    "demo_table",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)
