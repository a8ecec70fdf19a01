"""Draws per CPU second of the exact discrete Gaussian: the keyed table sampler beside OpenDP.

    python bench/noise.py [--json] [--seconds 1.0]

Both sample the same law from the same scales, in one process; the table's making is shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

from mezzotint.privacy import gaussian_table
from mezzotint.privacy.noise import _opendp_gaussian

SCALES = (0.5, 1.0, 10.0, 100.0, 1000.0, 10_000.0, 1e9)


def rate(draw: Callable[[int], object], size: int, seconds: float) -> float:
    """Draws per CPU second, over at least `seconds` of them."""
    draw(1)
    drawn, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        draw(size)
        drawn += size
    return drawn / spent


def measure(sigma: float, seconds: float) -> dict[str, float]:
    """One row of the table."""
    key = os.urandom(32)
    gaussian_table._table.cache_clear()
    start = time.process_time()
    gaussian_table.keyed_discrete_gaussian(key, sigma, 1)
    setup = time.process_time() - start

    def keyed(size: int) -> object:
        return gaussian_table.keyed_discrete_gaussian(os.urandom(32), sigma, size)

    ours = rate(keyed, 1_000_000, seconds)
    opendp = rate(lambda size: _opendp_gaussian(sigma, size), 2_000, seconds)
    return {
        "sigma": sigma,
        "keyed_draws_per_cpu_second": round(ours),
        "opendp_draws_per_cpu_second": round(opendp),
        "ratio": round(ours / opendp, 1),
        "table_setup_ms": round(setup * 1e3, 2),
    }


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds a cell")
    options = parser.parse_args()
    rows = [measure(sigma, options.seconds) for sigma in SCALES]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'sigma':>10} {'keyed /s':>14} {'OpenDP /s':>12} {'ratio':>8} {'set-up ms':>10}")
    for row in rows:
        print(
            f"{row['sigma']:>10g} {row['keyed_draws_per_cpu_second']:>14,} "
            f"{row['opendp_draws_per_cpu_second']:>12,} {row['ratio']:>8,} "
            f"{row['table_setup_ms']:>10}"
        )


if __name__ == "__main__":
    main()
