"""What each part of our own mechanism brings: AIM with none, one or both of its two changes.

    python bench/parts.py                # Adult, eps 1, all 2-way marginals, 3 runs of each
    python bench/parts.py --limit 5      # at another limit of the model's size

Everything else is equal: table, budget, workload, estimator, limit. Errors are those of the
synthetic rows; CPU seconds are those of fit and sampling, without start-up.
"""

import argparse
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow.csv

import mezzotint as mz
from _fidelity import CodedTable, mean_error
from mezzotint.tables.domain import Domain

DATA = Path(__file__).parents[2] / "shared" / "data" / "tabular"


class FirstLook(mz.Mezzotint):
    """The larger first look, without coarse attributes."""

    _candidates = mz.AIM._candidates


class Coarse(mz.Mezzotint):
    """Coarse attributes, with AIM's own first look."""

    _first_measurements = mz.AIM._first_measurements


PARTS = {
    "AIM": mz.AIM,
    "with the first look": FirstLook,
    "with two resolutions": Coarse,
    "with both: Mezzotint": mz.Mezzotint,
}


def main() -> None:
    """Prints one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=0.5, help="model limit in MB")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data-dir", type=Path, default=DATA, help="adult_coded.csv here")
    args = parser.parse_args()
    table = pyarrow.csv.read_csv(args.data_dir / "adult_coded.csv")
    sizes = dict(Domain.read(args.data_dir / "adult_coded-domain.json").sizes)
    real = _coded(table, sizes)
    print("| | CPU s | 2-way error | 3-way error |\n| --- | --: | --: | --: |", flush=True)
    for label, mechanism in PARTS.items():
        costs, errors = [], []
        for _ in range(args.runs):
            start = process_time()
            rows = mechanism(max_model_mb=args.limit).fit(table, sizes).sample()
            costs.append(process_time() - start)
            errors.append([mean_error(real, _coded(rows, sizes), ways) for ways in (2, 3)])
        means, deviations = np.mean(errors, axis=0), np.std(errors, axis=0, ddof=1)
        spread = [f"{m:.4f} ± {s:.4f}" for m, s in zip(means, deviations, strict=True)]
        print(f"| {label} | {np.mean(costs):.1f} | {' | '.join(spread)} |", flush=True)


def _coded(table, sizes: dict[str, int]) -> CodedTable:
    return CodedTable(sizes, {name: table[name].to_numpy().astype(np.int32) for name in sizes})


if __name__ == "__main__":
    main()
