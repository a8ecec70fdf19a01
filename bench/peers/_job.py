"""What every peer driver shares: arguments, the coded table, the budget as rho.

Runs inside the peers' own environments, so it needs NumPy and nothing else.
"""

import argparse
import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Job:
    """One run of a peer.

    Attributes:
        mechanism: `aim` or `mst`.
        sizes: Attribute to number of codes.
        codes: Rows x attributes, in the order of `sizes`.
        epsilon: Budget.
        delta: Budget.
        workload: All marginals of this many attributes.
        max_model_mb: Junction-tree limit in MB.
        out: Where the synthetic codes go.
        as_written: Whether to keep to the published script where that costs the peer more.
    """

    mechanism: str
    sizes: dict[str, int]
    codes: np.ndarray
    epsilon: float
    delta: float
    workload: int
    max_model_mb: float
    out: Path
    as_written: bool

    @property
    def rho(self) -> float:
        """The largest zCDP budget that the tight conversion allows for (epsilon, delta)."""
        return zcdp_rho(self.epsilon, self.delta)

    def write(self, columns: dict[str, np.ndarray]) -> None:
        """Writes synthetic codes; a value that is no code (a null) is written as -1."""
        table = np.column_stack([np.asarray(columns[name]) for name in self.sizes])
        table = np.where(np.isfinite(table.astype(float)), table, -1).astype(np.int64)
        with self.out.open("w", newline="") as stream:
            csv.writer(stream).writerow(self.sizes)
            np.savetxt(stream, table, fmt="%d", delimiter=",")


def read_job() -> Job:
    """Reads the command line that the benchmark gives to every driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mechanism", choices=("aim", "mst"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domain", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--delta", type=float, required=True)
    parser.add_argument("--workload", type=int, default=2)
    parser.add_argument("--max-model-mb", type=float, default=80)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--as-written", action="store_true")
    args = parser.parse_args()
    sizes = json.loads(args.domain.read_text())
    with args.data.open(newline="") as stream:
        header = next(csv.reader(stream))
    rows = np.loadtxt(args.data, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
    codes = rows[:, [header.index(name) for name in sizes]]
    return Job(
        mechanism=args.mechanism,
        sizes=sizes,
        codes=codes,
        epsilon=args.epsilon,
        delta=args.delta,
        workload=args.workload,
        max_model_mb=args.max_model_mb,
        out=args.out,
        as_written=args.as_written,
    )


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Largest rho whose tight conversion gives (epsilon, delta).

    Canonne, Kamath, Steinke, "The discrete Gaussian", 2020, Corollary 13, with the minimum over
    alpha found by bisection on its derivative.
    """
    low, high = 0.0, epsilon + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if _zcdp_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle
    return low


def _zcdp_delta(rho: float, epsilon: float) -> float:
    if rho == 0:
        return 0.0
    low, high = 1.01, (epsilon + 1) / (2 * rho) + 2
    for _ in range(200):
        alpha = (low + high) / 2
        if (2 * alpha - 1) * rho - epsilon + math.log1p(-1 / alpha) < 0:
            low = alpha
        else:
            high = alpha
    log_delta = ((alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha)) - math.log(
        alpha - 1
    )
    return min(math.exp(min(log_delta, 0.0)), 1.0)
