"""The report: what was promised, what it cost, and how close the synthetic table came.

A report has two editions. The full one compares with the real rows; whatever it takes from them is
an exact, noiseless figure computed outside any differentially private mechanism. It is marked
``private`` in the data, wears a badge and a hatched border on the page, and is for the data's
steward only. The public edition leaves all of that out and never opens the real table: it rests on
the synthetic rows, the schema's public facts and the privacy statement.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import DataError
from mezzotint.evaluate.association import Associations
from mezzotint.evaluate.downstream import Downstream
from mezzotint.evaluate.facts import Facts
from mezzotint.evaluate.fidelity import WorkloadError
from mezzotint.evaluate.regression import Regression
from mezzotint.evaluate.views import AttributeView, PairView
from mezzotint.privacy.statement import Statement

FORMAT = 1
"""The version of the JSON that :meth:`Report.to_json` writes."""


@dataclass(frozen=True)
class Closeness:
    """A workload error between its two yardsticks.

    Attributes:
        synthetic: the synthetic table's error.
        copy: the error of as many real rows drawn again by chance: no table does better.
        shuffled: the error of real columns without any relation between them.
        private: computed on private data, hence not to be published.
    """

    synthetic: WorkloadError
    copy: float
    shuffled: float
    private: bool = True

    @property
    def k(self) -> int:
        """How many attributes each marginal has."""
        return self.synthetic.k

    @property
    def kept(self) -> float:
        """The share of the way from shuffled columns to a perfect copy; NaN if there is none."""
        way = self.shuffled - self.copy
        if self.k == 1 or way < 0.005:
            return float("nan")
        return min(1.0, max(0.0, (self.shuffled - self.synthetic.mean) / way))


@dataclass(frozen=True)
class Pairs:
    """The distance of every pair of attributes.

    Attributes:
        names: the attributes.
        distances: shape (len(names), len(names)); the attribute alone on the diagonal.
        worst: the pairs that differ most, in full.
        private: computed on private data, hence not to be published.
    """

    names: tuple[str, ...]
    distances: np.ndarray
    worst: tuple[PairView, ...]
    private: bool = True


@dataclass(frozen=True)
class Report:
    """Everything the page shows, as data.

    Attributes:
        title: the page's title.
        created: when, ISO 8601 in UTC.
        version: of Mezzotint.
        public: whether this is the public edition.
        synthetic_rows: rows of the synthetic table.
        real_rows: rows of the real table; None in the public edition.
        attributes: how many attributes the schema has.
        statement: the privacy statement, if one came with the synthetic table.
        facts: the schema's public facts.
        unconfirmed: facts in the schema that nobody has declared public yet.
        views: attribute by attribute.
        closeness: workload errors for k = 1, 2, 3.
        pairs: pair by pair.
        associations: how strongly attributes hang together.
        downstream: models trained on each table.
        regression: one regression on each table.
        notes: what a reader must know: samples taken, parts left out.
    """

    title: str
    created: str
    version: str
    public: bool
    synthetic_rows: int
    real_rows: int | None
    attributes: int
    statement: Statement | None
    facts: tuple[Facts, ...]
    unconfirmed: tuple[str, ...]
    views: tuple[AttributeView, ...]
    closeness: tuple[Closeness, ...]
    pairs: Pairs | None
    associations: Associations | None
    downstream: Downstream | None
    regression: Regression | None
    notes: tuple[str, ...]

    @property
    def private(self) -> bool:
        """Whether anything in it was computed on private data."""
        return not self.public

    def html(self) -> str:
        """The report as one self-contained page."""
        from mezzotint.evaluate.page import render

        return render(self)

    def to_json(self) -> str:
        """The report's figures as JSON; every section says whether it is ``private``."""
        content = {"format": FORMAT} | _plain(self)
        return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, or the JSON if the path ends in ``.json``; whole or not at all."""
        path = Path(path)
        text = self.to_json() if path.suffix.lower() == ".json" else self.html()
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=".mezzotint-", delete=False
            ) as file:
                temporary = Path(file.name)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            # A full report holds private figures: only its owner may read it. NamedTemporaryFile
            # sees to that; the public edition gets the permissions any other file would have.
            if self.public:
                temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except OSError as error:
            raise DataError(
                f"{path}: the report cannot be written: {error.strerror or error}. "
                "Choose another place; nothing was left behind."
            ) from error
        finally:
            # An interrupt, too, leaves nothing behind.
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: Any) -> Any:
    """Dataclasses, arrays and undefined numbers as plain JSON values."""
    match value:
        case Statement():
            plain = value.to_json()
        case np.ndarray() | np.generic():
            plain = _plain(value.tolist())
        case Mapping():
            plain = {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            plain = [_plain(item) for item in value]
        case float():
            plain = value if isfinite(value) else None
        case _ if dataclasses.is_dataclass(value):
            private = getattr(value, "private", None)
            plain = {} if private is None else {"private": private}
            plain |= {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            plain = value
    return plain
