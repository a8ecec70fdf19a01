"""Draws per CPU second of the exact discrete Gaussian: the keyed table sampler beside OpenDP.

    python bench/noise.py [--json] [--seconds 1.0]

Both sample the same law through the same door, ledger row included, in one process. The first
draw of a scale makes the keyed sampler's table; its time is shown apart.
"""

from __future__ import annotations

import argparse
import json
import time

from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.noise import discrete_gaussian

SCALES = (0.5, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 1e9)


def rate(backend: str, sigma: float, size: int, seconds: float) -> tuple[float, float]:
    """Draws per CPU second over at least `seconds` of them, and the CPU seconds of the first."""
    run = Ledger.memory(backend=backend).begin(
        Budget(9e5), mechanism="benchmark", dataset="no data"
    )
    start = time.process_time()
    discrete_gaussian(run.gaussian("first draw", sigma), 1)
    first = time.process_time() - start
    drawn, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        discrete_gaussian(run.gaussian("draws", sigma), size)
        drawn += size
    return drawn / spent, first


def measure(sigma: float, seconds: float) -> dict[str, float]:
    """One row of the table."""
    ours, first = rate("keyed", sigma, 1_000_000, seconds)
    opendp, _ = rate("opendp", sigma, 2_000, seconds)
    return {
        "sigma": sigma,
        "keyed_draws_per_cpu_second": round(ours),
        "opendp_draws_per_cpu_second": round(opendp),
        "ratio": round(ours / opendp, 1),
        "first_draw_ms": round(first * 1e3, 2),
    }


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds a cell")
    options = parser.parse_args()
    rate("keyed", 3.0, 10, 0.01)  # imports are not the sampler's cost
    rows = [measure(sigma, options.seconds) for sigma in SCALES]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'sigma':>10} {'keyed /s':>14} {'OpenDP /s':>12} {'ratio':>8} {'first ms':>10}")
    for row in rows:
        print(
            f"{row['sigma']:>10g} {row['keyed_draws_per_cpu_second']:>14,} "
            f"{row['opendp_draws_per_cpu_second']:>12,} {row['ratio']:>8,} "
            f"{row['first_draw_ms']:>10}"
        )


if __name__ == "__main__":
    main()
