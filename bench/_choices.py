"""Which pairs a selection chooses, when rows are few: 600 of Adult.

AIM's own first choice is looked at: the model knows the one-way marginals, and each of the 91
pairs has AIM's score, weight * (L1 distance from the model - the noise of measuring it). The ten
pairs with the highest scores, without any noise, are the right ones. Three selections are
compared, each with the budget that a whole run at that epsilon gives to choosing:

- plain AIM: the exponential mechanism over these scores, with the epsilon of a round; its
  probabilities are computed, not drawn;
- FHAIM: the same over squared L2 distances, whose sensitivity is 2 n + 1 (arXiv 2602.05838);
- noisy marginals, ours under encryption: one noisy copy of every pair for a tenth of rho, the
  highest score by `mezzotint.encrypted.copies`; the share of draws is counted.

Then whole runs: plain AIM and the encrypted protocol itself, every role in one process, on the same
rows: how many pairs each chose, how many of them were right, and the two-way error.
"""

import tempfile
from dataclasses import dataclass
from math import pi, sqrt
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa

from _coding import problem
from _fidelity import CodedTable, mean_error
from mezzotint.encrypted.copies import NoisyCopies
from mezzotint.encrypted.job import SELECTION_SHARE
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.run import plannable_rho
from mezzotint.schema import Schema
from mezzotint.tables.aim import AIM, MEASURING, planned_rounds
from mezzotint.tables.curator import Candidate
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.graphical import Query
from mezzotint.tables.workload import Workload

ROWS = 600
RIGHT = 10
DRAWS = 100


@dataclass(frozen=True)
class Scene:
    """The first choice of a run.

    Attributes:
        domain: The table's shape.
        n: Rows.
        counts: Of every pair.
        expected: Of every pair, if the two were independent.
        weights: How much AIM minds each.
        epsilon: Of a round's choice.
        sigma: Of a round's measurement.
        copies: The scale of noisy copies of all pairs.
    """

    domain: Domain
    n: int
    counts: dict[Clique, np.ndarray]
    expected: dict[Clique, np.ndarray]
    weights: dict[Clique, int]
    epsilon: float
    sigma: float
    copies: float

    @classmethod
    def of(cls, table: CodedTable, epsilon: float, delta: float) -> "Scene":
        """The scene of a table at a budget."""
        domain = Domain(table.sizes)
        pairs = [c for c in Workload.of(domain, 2).weights if len(c) == 2]
        importance = Workload.of(domain, 2).importance()
        counts = {pair: _counts(table, pair) for pair in pairs}
        ones = {a: _counts(table, (a,)) for a in table.sizes}
        rho, rounds = plannable_rho(Budget(epsilon, delta)), planned_rounds(domain)
        return cls(
            domain,
            table.rows,
            counts,
            {(a, b): np.outer(ones[a], ones[b]) / table.rows for a, b in pairs},
            {pair: importance[pair] for pair in pairs},
            sqrt(8 * (1 - MEASURING) * rho / rounds),
            sqrt(rounds / (2 * MEASURING * rho)),
            sqrt(len(pairs) / (2 * SELECTION_SHARE * rho)),
        )

    def candidates(self) -> list[Candidate]:
        """Every pair, as AIM offers it."""
        return [
            Candidate(
                Query(pair),
                self.weights[pair],
                expected,
                sqrt(2 / pi) * self.sigma * expected.size,
            )
            for pair, expected in self.expected.items()
        ]

    def scores(self) -> np.ndarray:
        """AIM's scores without noise."""
        return np.array(
            [
                c.weight * (np.abs(self.counts[c.query.clique] - c.estimate).sum() - c.penalty)
                for c in self.candidates()
            ]
        )

    def squared(self) -> np.ndarray:
        """FHAIM's scores without noise."""
        return np.array(
            [
                weight
                * (
                    ((self.counts[pair] - self.expected[pair]) ** 2).sum()
                    - self.counts[pair].size * self.sigma**2
                )
                for pair, weight in self.weights.items()
            ]
        )

    def right(self) -> set[int]:
        """The numbers of the pairs that are to be chosen."""
        return set(np.argsort(-self.scores(), kind="stable")[:RIGHT].tolist())

    def masses(self, rng: np.random.Generator) -> dict[str, float]:
        """The probability that each selection's first choice is right."""
        right, most = sorted(self.right()), max(self.weights.values())
        linear = _exponential(self.scores(), self.epsilon, most)
        square = _exponential(self.squared(), self.epsilon, most * (2 * self.n + 1))
        candidates = self.candidates()
        hits = 0
        for _ in range(DRAWS):
            # Public rows, and no release: any Gaussian noise of this scale serves.
            noisy = {p: c + rng.normal(0, self.copies, c.shape) for p, c in self.counts.items()}
            hits += NoisyCopies(self.domain, noisy, self.copies).choose(candidates) in right
        return {
            "uniform": RIGHT / len(self.weights),
            "plain AIM": float(linear[right].sum()),
            "squared L2": float(square[right].sum()),
            "noisy marginals": hits / DRAWS,
        }


def choices(data: Path, epsilon: float, delta: float, runs: int) -> dict:
    """Both questions on the same draws of rows."""
    adult = problem("adult", data).train
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(runs):
        table = adult.take(rng.choice(adult.rows, ROWS, replace=False))
        scene = Scene.of(table, epsilon, delta)
        pairs = list(scene.weights)
        right = {pairs[i] for i in scene.right()}
        trials.append(
            {
                "mass": scene.masses(rng),
                "plain": _whole(table, right, _plain, epsilon, delta),
                "encrypted": _whole(table, right, _encrypted, epsilon, delta),
            }
        )
    return {
        "kind": "selection",
        "table": "adult",
        "rows": ROWS,
        "epsilon": epsilon,
        "delta": delta,
        "right": RIGHT,
        "trials": trials,
        "mass": {name: fmean(t["mass"][name] for t in trials) for name in trials[0]["mass"]},
    }


def _whole(table: CodedTable, right: set[Clique], fit, epsilon: float, delta: float) -> dict:
    arrow = pa.table(dict(table.columns))
    fitted = fit(arrow, Schema.from_sizes(table.sizes), AIM(epsilon=epsilon, delta=delta))
    chosen = [m.clique for m in fitted.model.measurements if len(m.clique) == 2]
    drawn = fitted.sample(table.rows)
    synthetic = CodedTable(
        table.sizes, {a: drawn[a].to_numpy().astype(np.int32) for a in table.sizes}
    )
    return {
        "chosen": len(set(chosen)),
        "right": len(set(chosen) & right),
        "error": mean_error(table, synthetic, 2),
    }


def _plain(table: pa.Table, schema: Schema, mechanism: AIM):
    return mechanism.fit(table, schema).fitted_


def _encrypted(table: pa.Table, schema: Schema, mechanism: AIM):
    from mezzotint.encrypted.local import run_in_process

    with tempfile.TemporaryDirectory(prefix="mezzotint-bench-") as folder:
        return run_in_process([table], schema, mechanism, Path(folder) / "roles")


def _counts(table: CodedTable, clique: Clique) -> np.ndarray:
    counts = np.zeros([table.sizes[a] for a in clique], np.int64)
    np.add.at(counts, tuple(table.columns[a] for a in clique), 1)
    return counts


def _exponential(scores: np.ndarray, epsilon: float, sensitivity: float) -> np.ndarray:
    logits = epsilon * scores / (2 * sensitivity)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
