"""Squared distances of encrypted marginals from public estimates, without decrypting a marginal.

    score = weight * (sum over cells of (count - estimate)^2 - offset)

FHAIM (arXiv 2602.05838) selects by such scores; here they exist for comparison, and because a job
may ask for them. With y = counts - estimate in the coefficients of a polynomial, the sum of
squares is the constant coefficient of y(X) y(1/X): one product. Everything else in that product is
padded away before a score is released, so the key holder learns the score and no cell.

Every marginal has ciphertexts of its own here, with a level to spend on the product; they are
uploaded besides those of `MarginalsLayout`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mezzotint.encrypted.library import seal
from mezzotint.encrypted.presets import Fit, fit_scores, preset
from mezzotint.encrypted.scheme import Ciphertext, Public
from mezzotint.errors import ParameterError
from mezzotint.tables.domain import Clique, Domain

PRESET = "ckks-8192-scores-v1"


@dataclass(frozen=True)
class ScoreFile:
    """One ciphertext of an upload for scores: cells ``start .. stop - 1`` of a marginal."""

    clique: Clique
    block: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """The file's name within its marginal."""
        return f"scores-{self.block:03d}"


class ScoresLayout:
    """Marginals whose squared distances from estimates can be computed. All of it is public.

    Args:
        domain: the table's shape.
        cliques: the marginals that may be scored.
        rows: the public bound on rows of all holders together.
        holders: whose counts are added up.
    """

    def __init__(
        self, domain: Domain, cliques: Iterable[Clique], *, rows: int, holders: int = 1
    ) -> None:
        self.domain = domain
        self.preset = preset(PRESET)
        self.cliques = tuple(dict.fromkeys(domain.clique(clique) for clique in cliques))
        self.rows = rows
        self.holders = holders
        self.fit(0)

    @property
    def scale(self) -> float:
        """What counts are multiplied by before encryption."""
        return self.preset.record_scale(1)

    def files(self, clique: Clique) -> tuple[ScoreFile, ...]:
        """The ciphertexts of a marginal."""
        cells, width = self.domain.cells(clique), self.preset.width
        return tuple(
            ScoreFile(clique, i, start, min(start + width, cells))
            for i, start in enumerate(range(0, cells, width))
        )

    def fit(self, noise: int, *, weight: int = 1) -> Fit:
        """The proof that the preset serves, for noise up to a bound in each score."""
        blocks = max((len(self.files(clique)) for clique in self.cliques), default=1)
        return fit_scores(
            rows=self.rows, noise=noise, weight=weight, blocks=blocks, holders=self.holders
        )

    def pack(
        self, marginals: Mapping[Clique, np.ndarray]
    ) -> Iterator[tuple[ScoreFile, np.ndarray]]:
        """A holder's counts as polynomials, for ``encrypt_record(coefficients, layout.scale)``.

        Private and public: counts and coefficients are private; which files there are is public.

        Raises:
            ParameterError: A marginal is missing, has another shape, or too many rows.
        """
        for clique in self.cliques:
            counts = marginals.get(clique)
            if counts is None or counts.shape != self.domain.shape(clique):
                raise ParameterError(
                    f"marginal {clique}: expected counts of shape {self.domain.shape(clique)}."
                )
            if counts.min(initial=0) < 0 or int(counts.sum()) > self.rows:
                raise ParameterError(
                    f"marginal {clique}: more rows than the public maximum of {self.rows}. Raise "
                    "the maximum (it is public: it must not follow from the data)."
                )
            for file in self.files(clique):
                yield file, counts.ravel()[file.start : file.stop]

    def estimate(self, clique: Clique, expected: np.ndarray) -> np.ndarray:
        """An estimate as whole numbers >= 0 whose sum is at most ``rows``, int64[shape].

        Rounded down; scaled down first where its sum is too large. Post-processing.
        """
        expected = np.maximum(np.asarray(expected, dtype=np.float64), 0.0)
        if expected.shape != self.domain.shape(clique) or not np.isfinite(expected).all():
            raise ParameterError(
                f"estimate of {clique}: expected finite numbers of shape "
                f"{self.domain.shape(clique)}, got shape {expected.shape}."
            )
        total = expected.sum()
        return np.floor(expected * min(1.0, self.rows / total) if total else expected).astype(
            np.int64
        )


def score(
    public: Public,
    layout: ScoresLayout,
    clique: Clique,
    counts: list[Ciphertext],
    estimate: np.ndarray,
    *,
    weight: int = 1,
    offset: int = 0,
) -> Ciphertext:
    """An encrypted score: its coefficient 0 is the whole number given above.

    The other coefficients hold correlations of cells: `Public.release(score, [0])` before it
    leaves the provider. It has the form of cells, so noise from ``Public.encrypt`` adds to it.

    Args:
        public: the scheme of the layout's preset, with keys.
        layout: the job's layout of scores.
        clique: which marginal.
        counts: its ciphertexts, in the order of ``layout.files``, holders added up; each loaded
            with ``Scheme.load(..., scale=layout.scale)``.
        estimate: whole numbers, int64[shape]; see `ScoresLayout.estimate`.
        weight: >= 1; `ScoresLayout.fit` must have been asked about it.
        offset: a whole number.

    Raises:
        ParameterError: An estimate or a weight for which nothing is proved.
    """
    flat = np.asarray(estimate).ravel()
    if flat.dtype.kind not in "iu" or flat.min(initial=0) < 0 or int(flat.sum()) > layout.rows:
        raise ParameterError(
            f"estimate of {clique}: expected whole numbers >= 0 with a sum of at most "
            f"{layout.rows}. Use `ScoresLayout.estimate`."
        )
    layout.fit(abs(weight * offset), weight=weight)
    scheme, evaluator, bindings = public.scheme, public.scheme.evaluator, seal()
    total = None
    for file, ciphertext in zip(layout.files(clique), counts, strict=True):
        difference, mirrored, square = (bindings.Ciphertext() for _ in range(3))
        part = flat[file.start : file.stop].astype(np.float64)
        plain = scheme.plain(part, layout.scale, scheme.top_level)
        evaluator.sub_plain(ciphertext, plain, difference)
        element = 2 * layout.preset.degree - 1
        evaluator.apply_galois(difference, element, public.galois, mirrored)
        evaluator.multiply(difference, mirrored, square)
        if total is None:
            total = square
        else:
            evaluator.add_inplace(total, square)
    if total is None:
        raise ParameterError(f"marginal {clique}: it has no cells.")
    evaluator.relinearize_inplace(total, public.relin)
    evaluator.rescale_to_next_inplace(total)
    if weight > 1:
        constant = scheme.plain(np.array([float(weight)]), 1.0, scheme.cells_level)
        evaluator.multiply_plain_inplace(total, constant)
    total.scale = layout.preset.cell_scale
    return scheme.add_plain(total, np.array([-weight * offset])) if offset else total
