"""What can go wrong, as one tree.

    MezzotintError                exit code 1: the work failed
    ├── UsageError                exit code 2: the user's input is to be mended
    │   ├── SchemaError           the schema's own text, or facts not yet confirmed
    │   ├── DataError             the table: unreadable, ragged, a missing column
    │   └── ParameterError        epsilon, delta, a flag, a query
    ├── BudgetError               the ledger refuses to spend
    ├── LedgerError               the ledger cannot be read, written or trusted
    ├── ModelFileError            a model file is damaged, foreign or too new
    ├── VerificationError         a statement, or its file, is not what was signed
    ├── TrainingError             a private training diverged, or memory does not hold it
    └── MissingExtraError         an optional dependency is not installed

Every message names the place (file, attribute, value), the rule that was broken and the mend.
"""

from __future__ import annotations


class MezzotintError(Exception):
    """The work failed; the message says where and what to do."""

    exit_code = 1


class UsageError(MezzotintError):
    """The user's input is to be mended."""

    exit_code = 2


class SchemaError(UsageError):
    """The schema is malformed, or holds facts that nobody has declared public."""


class DataError(UsageError):
    """The table cannot be read as the schema says."""


class ParameterError(UsageError):
    """A parameter or a query is out of its range."""


class BudgetError(MezzotintError):
    """The ledger refuses to spend; nothing was released."""


class LedgerError(MezzotintError):
    """The ledger cannot be read, written or trusted; nothing was released."""


class ModelFileError(MezzotintError):
    """A model file is damaged, foreign or from a newer version."""


class VerificationError(MezzotintError):
    """A privacy statement, or what it speaks of, is not what was written or signed."""


class TrainingError(MezzotintError):
    """A private training diverged, or memory does not hold it; what it spent stays spent."""


class MissingExtraError(MezzotintError):
    """An optional dependency is not installed."""
