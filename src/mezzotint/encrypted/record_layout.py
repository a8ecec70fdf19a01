"""Where encrypted records go, and where the cells that are computed from them come out.

A coded table is one-hot: a column of 0s and 1s for every value of every attribute. Rows are cut
into chunks of ``fold`` = m rows. For one chunk, a *left* polynomial holds p columns and a *right*
one q columns, p q m = N:

    A(X) = sum_k sum_r a[r, k] X^(k m + r)          B(X) = sum_l sum_r b[r, l] X^(l p m - r)

The coefficient of A B at X^((k + l p) m) is sum_r a[r, k] b[r, l]: the cell of the pair (k, l).
Other pairs and shifted rows fall between the multiples of m, because r - r' is never a multiple
of m unless it is 0. One product gives p q cells, and every one of its N multiplications is useful.
With p = q = 1 the right polynomial is the left one's image under X -> 1/X, so only left ones are
uploaded. (The packing of inner products into coefficients: Yasuda et al., CCSW 2013.)

Sums over chunks, one for each pair of column groups, are *accumulators*. ``m`` of them are packed
side by side into one ciphertext of cells: accumulator t's multiples of m go to the coefficients
congruent to the bit reversal of t modulo m.

The last category of an attribute is computed like the others: leaving it out would save 2 % of
Adult's products and cost a column that says which rows exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Literal

import numpy as np

from mezzotint.encrypted.costs import Cost
from mezzotint.encrypted.presets import Fit, fit_records, preset
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Clique, Domain

UPLOAD_BYTES = 10**9
"""The default limit on all uploads together; a denser packing is chosen where that is needed."""


@dataclass(frozen=True)
class RecordFile:
    """One ciphertext of an upload.

    Attributes:
        side: left or right polynomial.
        chunk: which rows: number among all chunks of all row parts.
        group: which columns: number among all groups of that side.
    """

    side: Literal["left", "right"]
    chunk: int
    group: int

    @property
    def name(self) -> str:
        """The file's name, without extension."""
        return f"{self.side}-{self.chunk:05d}-{self.group:05d}"


class RecordsLayout:
    """Encrypted one-hot records of one or several holders, and all their 1- and 2-way marginals.

    Args:
        domain: the table's shape.
        rows: for each row part (holders with different people), the public maximum of its rows.
        shares: for each holder with different columns of the same people, its attributes; none:
            every holder has all attributes. All row parts are split alike.
        packing: (p, q), columns in a left and in a right polynomial; none: the cheapest that
            keeps all uploads within ``upload_bytes``.
        upload_bytes: see there.

    Raises:
        ParameterError: Shares that do not split the attributes, or numbers out of range.
    """

    def __init__(
        self,
        domain: Domain,
        *,
        rows: Sequence[int],
        shares: Sequence[Sequence[str]] | None = None,
        packing: tuple[int, int] | None = None,
        upload_bytes: int = UPLOAD_BYTES,
    ) -> None:
        self.domain = domain
        self.preset = preset("ckks-8192-v1")
        self.rows = tuple(rows)
        self.shares = tuple(tuple(s) for s in ([domain.attributes] if shares is None else shares))
        if not self.rows or any(not isinstance(n, int) or n < 1 for n in self.rows):
            raise ParameterError(f"rows: expected whole numbers >= 1, got {self.rows!r}.")
        if sorted(a for s in self.shares for a in s) != sorted(domain.attributes):
            raise ParameterError(
                "shares: every attribute of the domain must be held by exactly one holder; got "
                f"{self.shares!r}."
            )
        self.left, self.right = packing or cheapest(self, upload_bytes)
        blocks, degree = self.left * self.right, self.preset.degree
        if min(self.left, self.right) < 1 or blocks & (blocks - 1) or blocks > degree // 2:
            raise ParameterError(f"packing {packing!r}: expected powers of two, product below N.")
        self.fold = degree // blocks
        self.cliques: tuple[Clique, ...] = tuple(
            clique for size in (1, 2) for clique in combinations(domain.attributes, size)
        )

    # -- the shape of uploads ------------------------------------------------------------------

    @property
    def mirrored(self) -> bool:
        """Whether right polynomials are made from left ones instead of being uploaded."""
        return self.left == self.right == 1

    @property
    def scale(self) -> float:
        """What 0s and 1s are multiplied by before encryption."""
        return self.preset.record_scale(self.fold)

    @cached_property
    def chunks(self) -> tuple[range, ...]:
        """For each row part, the numbers of its chunks."""
        counts = [-(-n // self.fold) for n in self.rows]
        starts = np.cumsum([0, *counts]).tolist()
        return tuple(range(a, b) for a, b in pairwise(starts))

    @property
    def chunk_count(self) -> int:
        """Chunks of all row parts."""
        return self.chunks[-1].stop

    @cached_property
    def attributes(self) -> Clique:
        """All attributes in the order of shares: the order of columns."""
        return tuple(attribute for share in self.shares for attribute in share)

    @cached_property
    def lefts(self) -> Groups:
        """The column groups of left polynomials."""
        return Groups.of(self, self.left)

    @cached_property
    def rights(self) -> Groups:
        """The column groups of right polynomials."""
        return Groups.of(self, self.right)

    def files(self, part: int, share: int) -> Iterator[RecordFile]:
        """What the holder of a row part and a share of the columns uploads, in order."""
        for chunk in self.chunks[part]:
            for group in self.lefts.of_share[share]:
                yield RecordFile("left", chunk, group)
            if not self.mirrored:
                for group in self.rights.of_share[share]:
                    yield RecordFile("right", chunk, group)

    def local(self, file: RecordFile) -> tuple[int, int, RecordFile]:
        """Whose upload holds a file, as row part and share, and what it is called there.

        A holder numbers its own chunks and groups from 0: it encrypts before it knows the others.
        """
        groups = self.lefts if file.side == "left" else self.rights
        part = next(i for i, chunks in enumerate(self.chunks) if file.chunk in chunks)
        share = next(i for i, numbers in enumerate(groups.of_share) if file.group in numbers)
        chunk = file.chunk - self.chunks[part].start
        group = file.group - groups.of_share[share].start
        return part, share, RecordFile(file.side, chunk, group)

    def alone(self, part: int, share: int) -> RecordsLayout:
        """The layout as one holder sees it: its rows and its columns, packed like the others'."""
        sizes = {attribute: self.domain.sizes[attribute] for attribute in self.shares[share]}
        return RecordsLayout(
            Domain(sizes), rows=self.rows[part : part + 1], packing=(self.left, self.right)
        )

    # -- the shape of results ------------------------------------------------------------------

    @cached_property
    def starts(self) -> np.ndarray:
        """For each right group, its first accumulator; then the end, int64[right groups + 1].

        Accumulators 0 .. left groups - 1 are the 1-way marginals. Right group h is multiplied
        with left groups 0, 1, ... as long as they hold an attribute before h's last one.
        """
        partners = np.searchsorted(self.lefts.first, self.rights.last, side="left")
        return np.cumsum([len(self.lefts.first), *partners])

    @property
    def accumulators(self) -> int:
        """How many sums of products are packed."""
        return int(self.starts[-1])

    @property
    def ciphertexts(self) -> int:
        """How many ciphertexts of cells."""
        return -(-self.accumulators // self.fold)

    @property
    def positions(self) -> int:
        """How many positions there are, unused ones included."""
        return self.ciphertexts * self.preset.width

    def place(self, clique: Clique) -> np.ndarray:
        """The positions of a marginal's cells, int64[shape of the marginal].

        Raises:
            ParameterError: Not a 1- or 2-way marginal of the domain, in the domain's order.
        """
        if clique not in self.cliques:
            raise ParameterError(
                f"marginal {clique}: records give 1- and 2-way marginals, with attributes in the "
                "domain's order. Ask for one of those, or use the marginals layout."
            )
        if len(clique) == 1:
            return self._position(*self.lefts.find(self._columns(clique[0])))
        first, second = sorted(clique, key=self.attributes.index)
        group, k = self.lefts.find(self._columns(first))
        other, column = self.rights.find(self._columns(second))
        accumulator = self.starts[other][None, :] + group[:, None]
        cells = self._position(accumulator, k[:, None] + column[None, :] * self.left)
        return cells if clique == (first, second) else cells.T

    @cached_property
    def placed(self) -> np.ndarray:
        """The positions that hold a cell, ascending, int64[cells]."""
        return np.sort(np.concatenate([self.place(clique).ravel() for clique in self.cliques]))

    def fit(self, noise: int) -> Fit:
        """The proof that the preset serves, for noise up to a bound in each cell."""
        return fit_records(
            rows=sum(self.rows),
            noise=noise,
            fold=self.fold,
            weights=(self.lefts.most_attributes, self.rights.most_attributes),
            chunks=self.chunk_count,
            parts=len(self.rows),
        )

    @property
    def cost(self) -> Cost:
        """Operations of all roles together."""
        return Cost(
            uploads=self.chunk_count
            * (len(self.lefts.first) + (0 if self.mirrored else len(self.rights.first))),
            products=(self.accumulators - len(self.lefts.first)) * self.chunk_count,
            plain_products=len(self.lefts.first),
            relinearisations=self.accumulators - len(self.lefts.first),
            merges=self.accumulators + self.fold.bit_length(),
            mirrors=len(self.rights.first) * self.chunk_count if self.mirrored else 0,
        )

    def _columns(self, attribute: str) -> np.ndarray:
        return np.arange(self.domain.sizes[attribute]) + self.column[attribute]

    @cached_property
    def column(self) -> dict[str, int]:
        """Each attribute's first column."""
        sizes = [self.domain.sizes[attribute] for attribute in self.attributes]
        starts = np.cumsum([0, *sizes]).tolist()
        return dict(zip(self.attributes, starts, strict=False))

    def _position(self, accumulator: np.ndarray, block: np.ndarray) -> np.ndarray:
        ciphertext, index = np.divmod(accumulator, self.fold)
        inside = block * self.fold + reverse_bits(index, self.fold)
        return ciphertext * self.preset.width + inside


@dataclass(frozen=True)
class Groups:
    """Columns cut into groups of at most ``size``, none across holders.

    Attributes:
        columns: the columns of each group.
        first: int64[groups], the number of the attribute of each group's first column.
        last: int64[groups], that of its last column.
        of_share: the groups of each holder's share.
        size: columns in a full group.
    """

    columns: tuple[range, ...]
    first: np.ndarray
    last: np.ndarray
    of_share: tuple[range, ...]
    size: int

    @classmethod
    def of(cls, layout: RecordsLayout, size: int) -> Groups:
        """The groups of a layout's columns."""
        sizes = layout.domain.sizes
        owner = np.repeat(
            np.arange(len(layout.attributes)), [sizes[attribute] for attribute in layout.attributes]
        )
        columns: list[range] = []
        of_share, start = [], 0
        for share in layout.shares:
            stop, before = start + sum(sizes[attribute] for attribute in share), len(columns)
            columns += [range(i, min(i + size, stop)) for i in range(start, stop, size)]
            of_share.append(range(before, len(columns)))
            start = stop
        first = owner[[group.start for group in columns]]
        last = owner[[group.stop - 1 for group in columns]]
        return cls(tuple(columns), first, last, tuple(of_share), size)

    @property
    def most_attributes(self) -> int:
        """The most attributes that one group touches: the most ones that it has in a row."""
        return int((self.last - self.first).max()) + 1

    def find(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each column, its group and its place therein."""
        starts = np.array([group.start for group in self.columns])
        group = np.searchsorted(starts, columns, side="right") - 1
        return group, columns - starts[group]


def reverse_bits(numbers: np.ndarray, size: int) -> np.ndarray:
    """Each number below ``size``, a power of two, with its bits in reverse."""
    result = np.zeros_like(numbers)
    for bit in range(size.bit_length() - 1):
        result |= ((numbers >> bit) & 1) << (size.bit_length() - 2 - bit)
    return result


def cheapest(layout: RecordsLayout, upload_bytes: int) -> tuple[int, int]:
    """The packing with the least work within a limit on uploads, else with the least bytes."""
    options = []
    most = layout.preset.degree // 16
    for p in (2**i for i in range(most.bit_length())):
        for q in (2**i for i in range((most // p).bit_length())):
            trial = RecordsLayout(
                layout.domain, rows=layout.rows, shares=layout.shares, packing=(p, q)
            )
            size = trial.cost.uploads * layout.preset.record_bytes
            seconds = trial.cost.seconds + trial.cost.upload_seconds
            options.append((max(size, upload_bytes), seconds, (p, q)))
    return min(options)[2]
