"""The public shape of a coded table: attributes and how many values each takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

from mezzotint.errors import SchemaError

Clique = tuple[str, ...]
"""A set of attributes, written in the domain's own order."""


@dataclass(frozen=True)
class Domain:
    """Attributes and their numbers of values, in a fixed order. Everything here is public.

    Attributes:
        sizes: attribute name -> number of codes; codes of an attribute of size ``m`` are 0..m-1.
    """

    sizes: Mapping[str, int]
    _rank: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SchemaError(
                    f"attribute {name!r}: its number of values must be a whole number >= 1, "
                    f"got {size!r}. Mend the domain."
                )
        object.__setattr__(self, "_rank", {a: i for i, a in enumerate(self.sizes)})

    @classmethod
    def read(cls, path: str | Path) -> Domain:
        """Read a domain file: a JSON object, attribute -> size."""
        try:
            sizes = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise SchemaError(f"{path}: cannot be read as a JSON domain file: {error}.") from error
        if not isinstance(sizes, dict) or not sizes:
            raise SchemaError(
                f'{path}: a domain file is a JSON object such as {{"age": 85, "sex": 2}}.'
            )
        return cls(sizes)

    @cached_property
    def attributes(self) -> Clique:
        """All attributes, in order."""
        return tuple(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.sizes

    def clique(self, attributes: Iterable[str]) -> Clique:
        """The same attributes without repeats, in the domain's order."""
        return tuple(sorted(set(attributes), key=self._rank.__getitem__))

    def shape(self, clique: Iterable[str]) -> tuple[int, ...]:
        """The sizes along a clique's axes."""
        return tuple(self.sizes[a] for a in clique)

    def cells(self, clique: Iterable[str]) -> int:
        """How many cells a clique's marginal has (an exact Python integer: no overflow)."""
        return prod(self.sizes[a] for a in clique)
