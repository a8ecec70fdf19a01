"""The public facts about a table, and the codes that follow from them.

    schema = Schema.draft(table)            proposes; marks every fact that the data gave away
    schema = schema.confirm(all_public=True)    or fact by fact
    codes = schema.encode(batch)            rows -> small whole numbers
    table = schema.decode(codes, rng)       and back, values drawn inside their bins

A schema holds no private data once its facts are confirmed: it may be published, and a model file
carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mezzotint.errors import DataError, SchemaError
from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema.attribute import MISSING_TEXTS, Attribute
from mezzotint.schema.categories import Text
from mezzotint.schema.constraints import Constraint, zero_masks
from mezzotint.schema.facts import UNIT_FACTS, Fact, fact_about, fact_about_unit
from mezzotint.schema.numeric import EXACT_UP_TO, Integer
from mezzotint.schema.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

_REDRAWS = 100


@dataclass(frozen=True)
class Schema:
    """Everything that is public about a table.

    Attributes:
        attributes: The columns to synthesise, in the table's order.
        unit: Whose contribution is hidden, and how many rows it may be.
        unit_column: The column that names the unit. Its further rows beyond `unit.rows` are
            dropped while counting, and it is not synthesised. None: `unit.rows` is a declaration
            that nothing enforces.
        assumed: Facts of the unit (`"rows"`, `"name"`) that nobody has confirmed.
        constraints: What no row can be.
        drop: Columns of the table that are left out.
        missing: Texts that mean "no value" in every column that may be missing, besides its own.
    """

    attributes: tuple[Attribute, ...]
    unit: PrivacyUnit = field(default_factory=PrivacyUnit)
    unit_column: str | None = None
    assumed: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    drop: tuple[str, ...] = ()
    missing: tuple[str, ...] = MISSING_TEXTS

    def __post_init__(self) -> None:
        if not self.attributes:
            raise SchemaError("the schema has no attributes; keep at least one column")
        object.__setattr__(
            self, "attributes", tuple(map(self._with_common_missing, self.attributes))
        )
        seen: set[str] = set()
        for name in (*self.names, *self.drop, *([self.unit_column] if self.unit_column else [])):
            if name in seen:
                raise SchemaError(
                    f"the schema names the column {name!r} twice: a column is an attribute, or "
                    "dropped, or names the privacy unit; keep one of them"
                )
            seen.add(name)
        for constraint in self.constraints:
            for name in constraint.names:
                if name not in self.by_name:
                    raise SchemaError(
                        f"constraint {constraint}: there is no attribute {name!r}"
                        f"{did_you_mean(name, self.names)}"
                    )
            constraint.check(self.by_name)

    def _with_common_missing(self, attribute: Attribute) -> Attribute:
        if attribute.missing is None or set(self.missing) <= set(attribute.missing):
            return attribute
        more = tuple(text for text in self.missing if text not in attribute.missing)
        return replace(attribute, missing=attribute.missing + more)

    # Making one

    @classmethod
    def draft(cls, table: Any, *, unit: PrivacyUnit | None = None) -> Schema:
        """Propose a schema from a table, marking every fact that was taken from its rows.

        Guarantee: none. The draft is as private as the table until its facts are confirmed.
        Private and public: the rows are private; the columns' names and order are public.

        Args:
            table: A path, a data frame, or anything that `open_source` takes.
            unit: The privacy unit, if it is known; otherwise one person with one row is assumed.
        """
        from mezzotint.schema.draft import draft
        from mezzotint.sources import open_source

        return draft(open_source(table), unit)

    @classmethod
    def from_sizes(cls, sizes: Mapping[str, int], *, unit: PrivacyUnit | None = None) -> Schema:
        """The schema of a coded table: whole numbers 0..size-1, never missing, all public."""
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SchemaError(
                    f"attribute {name!r}: its number of values must be a whole number of at least "
                    f"1, not {size!r}; mend the domain"
                )
        attributes = (
            Integer(
                name=name,
                bounds=(0, size - 1),
                bins=None if size <= EXACT_UP_TO else "exact",
                missing=None,
            )
            for name, size in sizes.items()
        )
        return cls(tuple(attributes), unit or PrivacyUnit())

    @classmethod
    def read(cls, path: str | Path) -> Schema:
        """Read a schema from a YAML file."""
        from mezzotint.schema.document import read_text

        return cls.from_text(read_text(Path(path)), place=str(path))

    @classmethod
    def from_text(cls, text: str, *, place: str = "schema") -> Schema:
        """Read a schema from YAML; `place` names it in error messages."""
        from mezzotint.schema.document import parse

        return parse(text, place)

    def write(self, path: str | Path) -> None:
        """Write the schema as YAML, all at once or not at all."""
        from mezzotint.schema.layout import write_text

        write_text(Path(path), self.to_text())

    def to_text(self) -> str:
        """The schema as YAML, with comments for the person who edits it."""
        from mezzotint.schema.layout import to_yaml

        return to_yaml(self)

    # Its shape

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The attributes' names, in order."""
        return tuple(a.name for a in self.attributes)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Attribute -> number of codes, a missing value being a code of its own (the last)."""
        return {a.name: a.size for a in self.attributes}

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """The attributes by their names."""
        return {a.name: a for a in self.attributes}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read: the attributes, and the one that names the unit."""
        return self.names + ((self.unit_column,) if self.unit_column else ())

    def __getitem__(self, name: str) -> Attribute:
        try:
            return self.by_name[name]
        except KeyError:
            raise SchemaError(
                f"the schema has no attribute {name!r}{did_you_mean(name, self.names)}"
            ) from None

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def select(self, names: Iterable[str]) -> Schema:
        """The same schema with some of its attributes, in its own order; the others dropped."""
        chosen = {self[name].name for name in names}
        return replace(
            self,
            attributes=tuple(a for a in self.attributes if a.name in chosen),
            constraints=tuple(c for c in self.constraints if chosen.issuperset(c.names)),
            drop=self.drop + tuple(name for name in self.names if name not in chosen),
        )

    def require_columns(self, columns: Sequence[str], place: str) -> None:
        """Raise DataError unless every column that the schema names is there."""
        for name in self.columns:
            if name not in columns:
                raise DataError(
                    f"{place}: the schema names the column {name!r}, which the table does not have"
                    f"{did_you_mean(name, columns)}"
                )

    # Facts

    def unconfirmed(self) -> list[Fact]:
        """Facts that are private or not known yet: the unit's first, then column by column."""
        facts = [fact_about_unit(self.unit, f) for f in UNIT_FACTS if f in self.assumed]
        return facts + [fact_about(a, name) for a in self.attributes for name in a.unconfirmed]

    def confirm(self, *facts: Fact | tuple[str | None, str], all_public: bool = False) -> Schema:
        """The schema with facts declared public by somebody who answers for it.

        Args:
            *facts: Facts, or pairs (attribute, fact); the privacy unit's attribute is None.
            all_public: Declare every known fact public.
        """
        pending = {fact.key: fact for fact in self.unconfirmed()}
        if all_public:
            keys = {key for key, fact in pending.items() if fact.known}
        else:
            keys = {fact.key if isinstance(fact, Fact) else fact for fact in facts}
        for key in keys:
            if key not in pending:
                raise SchemaError(
                    f"there is nothing to confirm about {key[0] or 'the unit'}: {key[1]}"
                )
            if not pending[key].known:
                raise SchemaError(
                    f"attribute {key[0]!r}: its {key[1]} are not known, so they cannot be "
                    f"confirmed; give them in the schema, drop the column, or buy them with a "
                    'share of the budget (`infer="dp"`)'
                )
        attributes = tuple(
            replace(a, from_data=tuple(f for f in a.from_data if (a.name, f) not in keys))
            for a in self.attributes
        )
        assumed = tuple(f for f in self.assumed if (None, f) not in keys)
        return replace(self, attributes=attributes, assumed=assumed)

    def require_confirmed(self, place: str = "the schema") -> None:
        """Raise SchemaError if any fact is private or not known yet, with the ways out."""
        pending = self.unconfirmed()
        if not pending:
            return
        texts = [a.name for a in self.attributes if isinstance(a, Text)]
        taken = {}
        for fact in pending:
            if fact.attribute not in texts:
                taken.setdefault(fact.attribute or "privacy unit", []).append(fact.name)
        lines = [f"  {name}: {', '.join(facts)}" for name, facts in taken.items()]
        lines = [*lines[:20], *([f"  ... and {len(lines) - 20} more"] if len(lines) > 20 else [])]
        message = ""
        if lines:
            message += (
                f"{place} holds facts that were taken from the data or are not known; "
                "publishing them is not private:\n" + "\n".join(lines) + "\nThree ways out: edit "
                "the YAML (correct the facts, then remove them from `from_data` and `assumed`); "
                "answer `mezzotint schema confirm`, fact by fact or with --all-public; or buy "
                'bounds and categories with a share of the budget (`infer="dp"`).'
            )
        if texts:
            message += "\n" * bool(message) + (
                f"{place} holds text with too many values to model: {', '.join(map(repr, texts))}. "
                "Three ways out: list the column under `drop`; make it categorical, with the "
                "`categories` that matter and `other` for the rest; or buy the frequent "
                'categories with a share of the budget (`infer="dp"`).'
            )
        raise SchemaError(message)

    # Rows

    def encode(self, batch: pa.RecordBatch | pa.Table) -> dict[str, np.ndarray]:
        """Codes of every attribute, each in the smallest unsigned type that holds them.

        Guarantee: row-wise and total: neighbouring tables have neighbouring codes, and no value
        makes it raise.
        Private and public: the values are private; the codes' ranges are public.
        """
        names = batch.schema.names
        self.require_columns([*names, *([self.unit_column] if self.unit_column else [])], "table")
        return {a.name: a.encode(batch.column(names.index(a.name))) for a in self.attributes}

    def decode(self, codes: Mapping[str, np.ndarray], rng: np.random.Generator) -> pa.Table:
        """A table of the original's columns, values drawn uniformly inside their codes' bins.

        Where a constraint cuts through a bin, offending rows are redrawn inside their bins.
        """
        import pyarrow as pa

        values = {a.name: a.draw(codes[a.name], rng) for a in self.attributes}
        for _ in range(_REDRAWS if self.constraints else 0):
            redrawn = False
            for constraint in self.constraints:
                rows = np.flatnonzero(constraint.violated(self.by_name, values, codes))
                if not len(rows):
                    continue
                part = {name: codes[name][rows] for name in constraint.names}
                for name, drawn in constraint.redraw(self.by_name, part, rng).items():
                    values[name] = values[name].copy()
                    values[name][rows] = drawn
                redrawn = True
            if not redrawn:
                break
        return pa.table({a.name: a.restore(values[a.name], codes[a.name]) for a in self.attributes})

    def format(self, table: pa.Table) -> pa.Table:
        """A decoded table as a CSV file shows it: every column a string, missing texts included."""
        import pyarrow as pa

        return pa.table({a.name: a.format(table.column(a.name)) for a in self.attributes})

    def zeros(self) -> list[tuple[tuple[str, ...], np.ndarray]]:
        """Cells that no row can occupy: cliques, and masks in which True means impossible."""
        return zero_masks(self.constraints, self.by_name)
